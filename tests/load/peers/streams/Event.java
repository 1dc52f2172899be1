import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.UUID;

/** One event of the log, read token by token: only what the sums need becomes a value. */
final class Event {
    private static final JsonFactory JSON = new JsonFactory();
    private static final long NONE = State.NONE;

    private final Names names;
    private final Data data = new Data();
    private final Data change = new Data();

    private Kind kind;
    private UUID id;
    private int sequence;
    private boolean hasChange;

    Event(Names names) {
        this.names = names;
    }

    /** What it tells of its subject; a contact told with a ticket is asked for by `contact`. */
    State read(byte[] json) throws IOException {
        kind = null;
        id = null;
        hasChange = false;
        try (JsonParser from = JSON.createParser(json)) {
            from.nextToken();
            for (String name; (name = from.nextFieldName()) != null; ) {
                switch (name) {
                    case "id" -> id = uuid(from);
                    case "sequence" -> sequence = from.nextIntValue(0);
                    case "subject" -> {
                        from.nextToken();
                        kind = Kind.of(from.getTextCharacters(), from.getTextOffset(), from.getTextLength());
                    }
                    case "data" -> {
                        from.nextToken();
                        read(from, data);
                    }
                    default -> skip(from);
                }
            }
        }
        return data.state(kind, id, sequence);
    }

    /** The contact that the event just read tells of beside its subject, or null. */
    State contact() {
        return kind == Kind.TICKET && hasChange && change.occurred != NONE
            ? change.state(Kind.INTERACTION, id, sequence) : null;
    }

    /** What any kind's state may hold; one object for all events. */
    private static final class Data {
        UUID id, customer;
        int region, segment, product, channel, owner, team, priority, ownKind, ticketKind, stage, stageNumber, outcome;
        boolean presales, referred, upsell;
        long created, contacted, qualified, disqualified, converted, opened, closed, responded, resolved, reopened,
            firstResolved, firstReopened, escalated, breached, responseDue, resolutionDue, sent,
            answered, registered, occurred;
        long score, recommendation, effort, businessResponse, businessResolution;
        long reopenings, inbound, talk, hold, wrapUp;
        long amount, reporting, estimated;
        long[] lines = new long[30];
        int linesSize;

        void clear() {
            id = customer = null;
            region = segment = product = channel = owner = team = priority = ownKind = ticketKind = 0;
            stage = stageNumber = outcome = linesSize = 0;
            presales = referred = upsell = false;
            created = contacted = qualified = disqualified = converted = opened = closed = responded = resolved = NONE;
            reopened = firstResolved = firstReopened = escalated = breached = responseDue = resolutionDue = NONE;
            sent = answered = registered = occurred = NONE;
            score = recommendation = effort = businessResponse = businessResolution = NONE;
            reopenings = inbound = talk = hold = wrapUp = 0;
            amount = reporting = estimated = NONE;
        }

        State state(Kind kind, UUID event, int sequence) {
            int about = kind == Kind.TICKET ? ownKind : ticketKind;
            int[] served = {region, segment, product, channel, owner, team, priority, about};
            return switch (kind) {
                case ACCOUNT -> state(kind, id, event, sequence, new int[] {region, segment, channel, owner, team},
                    registered, referred ? 1 : 0);
                case LEAD -> state(kind, customer, event, sequence,
                    new int[] {region, segment, product, channel, owner, team},
                    created, contacted, qualified, disqualified, converted);
                case DEAL -> deal(event, sequence);
                case TICKET -> state(kind, customer, event, sequence, served,
                    opened, responded, resolved, closed, reopened, reopenings, inbound, firstResolved, firstReopened,
                    escalated, breached, responseDue == NONE && resolutionDue == NONE ? 0 : 1, businessResponse,
                    businessResolution, presales ? 1 : 0);
                case INTERACTION -> state(kind, customer, event, sequence, served,
                    occurred, owner == 0 ? 0 : 1, talk, hold, wrapUp);
                case SURVEY -> state(kind, customer, event, sequence, served,
                    sent, answered, score, recommendation, effort);
                case RELATIONSHIP -> throw new IllegalArgumentException("no event tells a relationship");
            };
        }

        private State state(Kind kind, UUID customer, UUID event, int sequence, int[] names, long... numbers) {
            return new State(kind, id, customer, event, sequence, names, numbers, new long[0]);
        }

        private State deal(UUID event, int sequence) {
            if (outcome != 0 && closed == NONE || outcome == 1 && reporting == NONE) {
                throw new IllegalArgumentException("deal " + id + " lacks what closes it");
            }
            long worth = reporting != NONE ? reporting : estimated != NONE ? estimated : amount != NONE ? amount : 0;
            int standing = closed == NONE ? stage : 0;
            return new State(Kind.DEAL, id, customer, event, sequence,
                new int[] {region, segment, 0, channel, owner, team, standing},
                new long[] {opened, closed, outcome, closed == NONE ? stageNumber : 0, worth, upsell ? 1 : 0},
                Arrays.copyOf(lines, linesSize));
        }
    }

    private void read(JsonParser from, Data into) throws IOException {
        into.clear();
        for (String name; (name = from.nextFieldName()) != null; ) {
            switch (name) {
                case "id" -> into.id = uuid(from);
                case "account_id", "customer_id" -> into.customer = uuid(from);
                case "region" -> into.region = name(from);
                case "segment" -> into.segment = name(from);
                case "product" -> into.product = name(from);
                case "channel" -> into.channel = name(from);
                case "owner_id", "agent_id" -> into.owner = name(from);
                case "team_id" -> into.team = name(from);
                case "priority" -> into.priority = name(from);
                case "kind" -> {
                    into.ownKind = name(from);
                    into.presales = is(from, "presales_question");
                }
                case "ticket_kind" -> into.ticketKind = name(from);
                case "stage" -> stage(from, into);
                case "created_at" -> into.created = instant(from);
                case "contacted_at" -> into.contacted = instant(from);
                case "qualified_at" -> into.qualified = instant(from);
                case "disqualified_at" -> into.disqualified = instant(from);
                case "converted_at" -> into.converted = instant(from);
                case "opened_at" -> into.opened = instant(from);
                case "closed_at" -> into.closed = instant(from);
                case "first_responded_at" -> into.responded = instant(from);
                case "resolved_at" -> into.resolved = instant(from);
                case "reopened_at" -> into.reopened = instant(from);
                case "first_resolved_at" -> into.firstResolved = instant(from);
                case "first_reopened_at" -> into.firstReopened = instant(from);
                case "escalated_at" -> into.escalated = instant(from);
                case "sla_breached_at" -> into.breached = instant(from);
                case "first_response_due_at" -> into.responseDue = instant(from);
                case "resolution_due_at" -> into.resolutionDue = instant(from);
                case "onboarding_since" -> refuse(from.nextToken() != JsonToken.VALUE_NULL, "onboardings");
                case "sent_at" -> into.sent = instant(from);
                case "answered_at" -> into.answered = instant(from);
                case "registered_at" -> into.registered = instant(from);
                case "occurred_at" -> into.occurred = instant(from);
                case "score" -> into.score = from.nextLongValue(NONE);
                case "recommendation" -> into.recommendation = from.nextLongValue(NONE);
                case "effort" -> into.effort = from.nextLongValue(NONE);
                case "first_response_business_seconds" -> into.businessResponse = from.nextLongValue(NONE);
                case "resolution_business_seconds" -> into.businessResolution = from.nextLongValue(NONE);
                case "reopen_count" -> into.reopenings = from.nextLongValue(0);
                case "inbound_count" -> into.inbound = from.nextLongValue(0);
                case "talk_seconds" -> into.talk = from.nextLongValue(0);
                case "hold_seconds" -> into.hold = from.nextLongValue(0);
                case "wrap_up_seconds" -> into.wrapUp = from.nextLongValue(0);
                case "referred_by" -> into.referred = from.nextToken() != JsonToken.VALUE_NULL;
                case "upsell_suggestion_id" -> into.upsell = from.nextToken() != JsonToken.VALUE_NULL;
                case "amount" -> into.amount = money(from);
                case "reporting_amount" -> into.reporting = money(from);
                case "estimated_reporting_amount" -> into.estimated = money(from);
                case "lines" -> lines(from, into);
                case "change" -> {
                    if (from.nextToken() == JsonToken.START_OBJECT) {
                        read(from, change);
                        hasChange = true;
                    }
                }
                case "merged_into" -> refuse(from.nextToken() != JsonToken.VALUE_NULL, "merges");
                case "stage_entries" -> {
                    from.nextToken();
                    refuse(from.nextToken() != JsonToken.END_ARRAY, "stages that a deal went through");
                }
                default -> skip(from);
            }
        }
    }

    /** What the log does not tell of is not summed wrongly. */
    private static void refuse(boolean told, String what) {
        if (told) {
            throw new IllegalArgumentException("the rules here know nothing of " + what);
        }
    }

    private static void skip(JsonParser from) throws IOException {
        from.nextToken();
        from.skipChildren();
    }

    private int name(JsonParser from) throws IOException {
        return from.nextToken() == JsonToken.VALUE_NULL
            ? 0 : names.of(from.getTextCharacters(), from.getTextOffset(), from.getTextLength());
    }

    private static boolean is(JsonParser from, String word) throws IOException {
        return from.currentToken() == JsonToken.VALUE_STRING && from.getTextLength() == word.length()
            && word.contentEquals(
                java.nio.CharBuffer.wrap(from.getTextCharacters(), from.getTextOffset(), from.getTextLength()));
    }

    private void stage(JsonParser from, Data into) throws IOException {
        from.nextToken();
        into.outcome = is(from, "won") ? 1 : is(from, "lost") ? 2 : 0;
        if (into.outcome == 0) {
            into.stage = names.of(from.getTextCharacters(), from.getTextOffset(), from.getTextLength());
            into.stageNumber = 1 + Rules.STAGES.indexOf(from.getText());
        }
    }

    private void lines(JsonParser from, Data into) throws IOException {
        from.nextToken();
        while (from.nextToken() == JsonToken.START_OBJECT) {
            if (into.linesSize == into.lines.length) {
                into.lines = Arrays.copyOf(into.lines, 2 * into.linesSize);
            }
            long product = 0, quantity = 0, worth = 0;
            for (String name; (name = from.nextFieldName()) != null; ) {
                switch (name) {
                    case "product" -> product = name(from);
                    case "quantity" -> quantity = from.nextLongValue(0);
                    case "reporting_amount" -> worth = Math.max(money(from), 0);
                    default -> skip(from);
                }
            }
            into.lines[into.linesSize++] = product;
            into.lines[into.linesSize++] = quantity;
            into.lines[into.linesSize++] = worth;
        }
    }

    /** In cents; `NONE` for no amount and for one that is not in euros. */
    private static long money(JsonParser from) throws IOException {
        if (from.nextToken() != JsonToken.START_OBJECT) {
            return NONE;
        }
        long cents = NONE;
        boolean euros = false;
        for (String name; (name = from.nextFieldName()) != null; ) {
            from.nextToken();
            if (name.equals("amount")) {
                cents = cents(from.getTextCharacters(), from.getTextOffset(), from.getTextLength());
            } else {
                euros = is(from, "EUR");
            }
        }
        return euros ? cents : NONE;
    }

    private static long cents(char[] text, int offset, int length) {
        long cents = 0;
        int decimals = -1;
        for (int at = offset; at < offset + length; at++) {
            if (text[at] == '.') {
                decimals = 0;
            } else {
                cents = Math.addExact(Math.multiplyExact(cents, 10), digit(text[at]));
                decimals += decimals < 0 ? 0 : 1;
            }
        }
        for (int place = Math.max(decimals, 0); place < 2; place++) {
            cents = Math.multiplyExact(cents, 10);
        }
        if (decimals > 2) {
            throw new IllegalArgumentException("more decimals than euros have");
        }
        return cents;
    }

    private static UUID uuid(JsonParser from) throws IOException {
        if (from.nextToken() == JsonToken.VALUE_NULL) {
            return null;
        }
        char[] text = from.getTextCharacters();
        int offset = from.getTextOffset();
        if (from.getTextLength() != 36) {
            throw new IllegalArgumentException(from.getText() + " is no UUID");
        }
        long high = 0, low = 0;
        for (int at = 0; at < 36; at++) {
            char letter = text[offset + at];
            if (letter == '-') {
                continue;
            }
            int digit = letter <= '9' ? letter - '0' : letter - 'a' + 10;
            if (at < 18) {
                high = high << 4 | digit;
            } else {
                low = low << 4 | digit;
            }
        }
        return new UUID(high, low);
    }

    /** Microseconds since 1970, of 2025-08-10T03:08:17Z fast and of any other form with an offset. */
    private static long instant(JsonParser from) throws IOException {
        if (from.nextToken() == JsonToken.VALUE_NULL) {
            return NONE;
        }
        char[] text = from.getTextCharacters();
        int at = from.getTextOffset();
        if (from.getTextLength() != 20 || text[at + 19] != 'Z') {
            OffsetDateTime moment = OffsetDateTime.parse(from.getText());
            return moment.toEpochSecond() * 1_000_000 + moment.getNano() / 1_000;
        }
        int year = two(text, at) * 100 + two(text, at + 2), month = two(text, at + 5), day = two(text, at + 8);
        // Days of the proleptic calendar, with the year beginning in March.
        int shifted = month <= 2 ? year - 1 : year;
        long days = 365L * shifted + shifted / 4 - shifted / 100 + shifted / 400
            + (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1 - 719_468;
        long seconds = days * 86_400 + two(text, at + 11) * 3_600 + two(text, at + 14) * 60 + two(text, at + 17);
        return seconds * 1_000_000;
    }

    private static int two(char[] text, int at) {
        return digit(text[at]) * 10 + digit(text[at + 1]);
    }

    private static int digit(char letter) {
        if (letter < '0' || letter > '9') {
            throw new IllegalArgumentException(letter + " is no digit");
        }
        return letter - '0';
    }
}

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;

/** What events told of one customer, and what that contributes: as `domain/relationship.py`. */
final class Story {
    private static final int YEAR_DAYS = 365;
    private static final int LATELY_DAYS = 180;
    private static final int BAD_RATING_DAYS = 90;
    private static final long ASKED_WITHIN = 180L * 86_400 * 1_000_000;
    private static final int LAST = (int) java.time.LocalDate.of(2199, 12, 31).toEpochDay();
    private static final int NEW_WON = 0, NEW_REVENUE = 1, REPEAT_WON = 2, REPEAT_REVENUE = 3, ASSISTED_CLOSED = 4,
        ASSISTED_WON = 5, UNASSISTED_CLOSED = 6, UNASSISTED_WON = 7, BUYERS = 8, REPEAT_BUYERS = 9, ACTIVE = 10,
        LAPSED = 11, ACTIVE_BEFORE = 12, RETAINED = 13, REVENUE_BEFORE = 14, REVENUE_RETAINED = 15, AT_RISK = 16,
        BREACHED = 17, REOPENED = 18, BADLY_RATED = 19, REVENUE_AT_RISK = 20, PIPELINE_AT_RISK = 21, HEALTH = 22;

    /** One subject's. */
    private record Told(UUID id, Fact fact) {}

    private final List<Told> facts = new ArrayList<>(4);
    private List<Posting> posted;

    /** Has a subject tell another fact, null for none; returns what that changes. */
    List<Posting> tell(Kind kind, UUID id, Fact fact) {
        int at = 0;
        while (at < facts.size() && !(facts.get(at).id.equals(id) && facts.get(at).fact.kind() == kind)) {
            at++;
        }
        Fact before = at < facts.size() ? facts.get(at).fact : null;
        boolean onlyOpens = fact != null && kind == Kind.DEAL && !fact.isClosedDeal()
            && (before == null || !before.isClosedDeal()) && stands();
        List<Posting> standing = onlyOpens ? List.of() : posted != null ? posted : postings();
        if (fact == null) {
            facts.remove(at);
        } else if (before == null) {
            facts.add(new Told(id, fact));
        } else {
            facts.set(at, new Told(id, fact));
        }
        if (onlyOpens) {
            return List.of();
        }
        posted = postings();
        return Posting.difference(standing, posted);
    }

    /** Whether an open deal changes nothing: there is no risk, and the customer has an account to go by. */
    private boolean stands() {
        boolean hasAccount = false;
        for (Told told : facts) {
            switch (told.fact.kind()) {
                case TICKET, SURVEY -> {
                    return false;
                }
                case ACCOUNT -> hasAccount = true;
                default -> { }
            }
        }
        return hasAccount;
    }

    private List<Posting> postings() {
        List<Told> closed = new ArrayList<>();
        for (Told told : facts) {
            if (told.fact.isClosedDeal()) {
                closed.add(told);
            }
        }
        closed.sort(Comparator.<Told>comparingLong(told -> told.fact.numbers()[3]).thenComparing(Story::byId));
        List<Fact> won = new ArrayList<>();
        List<Posting> postings = new ArrayList<>();
        for (Told told : closed) {
            Fact deal = told.fact;
            boolean isWon = deal.numbers()[4] == 1;
            purchase(deal, isWon && won.isEmpty(), postings);
            if (isWon) {
                won.add(deal);
            }
        }
        standing(won, postings);
        return postings;
    }

    private static int byId(Told one, Told other) {
        int high = Long.compareUnsigned(one.id.getMostSignificantBits(), other.id.getMostSignificantBits());
        return high != 0
            ? high : Long.compareUnsigned(one.id.getLeastSignificantBits(), other.id.getLeastSignificantBits());
    }

    private void purchase(Fact deal, boolean isFirst, List<Posting> postings) {
        long[] of = deal.numbers();
        boolean isWon = of[4] == 1, assisted = assisted(of[3]);
        int day = (int) of[1];
        postings.add(new Posting(day, attributed(deal.names(), 0), closing(isWon, isFirst, assisted, of[2])));
        for (int at = 5; at < of.length; at += 2) {
            int[] share = attributed(deal.names(), (int) of[at]);
            postings.add(
                new Posting(day, share, closing(isWon, isFirst, assisted, of[at + 1]), true, Posting.NO_BUCKETS));
        }
    }

    /** Whether the customer asked service a question shortly before. */
    private boolean assisted(long closed) {
        for (Told told : facts) {
            if (told.fact.kind() == Kind.TICKET) {
                long asked = told.fact.numbers()[0];
                if (asked != State.NONE && asked < closed && closed <= asked + ASKED_WITHIN) {
                    return true;
                }
            }
        }
        return false;
    }

    private static long[] closing(boolean won, boolean first, boolean assisted, long worth) {
        long[] measures = new long[Kind.RELATIONSHIP.measures];
        if (won) {
            measures[first ? NEW_WON : REPEAT_WON] = 1;
            measures[first ? NEW_REVENUE : REPEAT_REVENUE] = worth;
            measures[assisted ? ASSISTED_WON : UNASSISTED_WON] = 1;
        }
        measures[assisted ? ASSISTED_CLOSED : UNASSISTED_CLOSED] = 1;
        return measures;
    }

    private static int[] attributed(int[] names, int product) {
        return new int[] {names[0], names[1], product, names[2], names[3], names[4]};
    }

    private void standing(List<Fact> won, List<Posting> postings) {
        Level[] levels = new Level[Kind.RELATIONSHIP.measures];
        Level active = Level.NONE, buyers = Level.NONE, revenue = Level.NONE;
        if (!won.isEmpty()) {
            buyers = Level.from(closedOn(won.get(0)));
            active = boughtWithin(won, YEAR_DAYS);
            Level.Spans bought = new Level.Spans();
            for (Fact deal : won) {
                bought.add(closedOn(deal), closedOn(deal) + YEAR_DAYS, deal.numbers()[2]);
            }
            revenue = bought.sum();
            Level before = active.later(YEAR_DAYS);
            levels[BUYERS] = buyers;
            levels[ACTIVE] = active;
            levels[ACTIVE_BEFORE] = before;
            levels[RETAINED] = active.times(before);
            levels[REVENUE_BEFORE] = revenue.later(YEAR_DAYS);
            levels[REVENUE_RETAINED] = revenue.times(before);
            if (won.size() > 1) {
                levels[REPEAT_BUYERS] = Level.from(closedOn(won.get(1)));
            }
        }
        risks(levels, revenue);
        if (!won.isEmpty()) {
            Level health = buyers.plus(buyers, 99);
            for (int[] worry : new int[][] {{BREACHED, 30}, {REOPENED, 20}, {BADLY_RATED, 20}}) {
                if (levels[worry[0]] != null) {
                    health = health.plus(levels[worry[0]].times(buyers), -worry[1]);
                }
            }
            health = health.plus(buyers.plus(boughtWithin(won, LATELY_DAYS), -1), -15);
            levels[HEALTH] = health.plus(buyers.plus(active, -1), -15);
        }
        post(levels, active, postings);
    }

    private static int closedOn(Fact deal) {
        return (int) deal.numbers()[1];
    }

    private static Level boughtWithin(List<Fact> won, int days) {
        Level.Spans bought = new Level.Spans();
        for (Fact deal : won) {
            bought.add(closedOn(deal), closedOn(deal) + days, 1);
        }
        return bought.covered();
    }

    private void risks(Level[] levels, Level revenue) {
        Level.Spans breached = new Level.Spans(), reopened = new Level.Spans(), rated = new Level.Spans();
        Level.Spans any = new Level.Spans(), pipeline = new Level.Spans();
        boolean risky = false;
        for (Told told : facts) {
            long[] of = told.fact.numbers();
            switch (told.fact.kind()) {
                case TICKET -> {
                    for (int reason = 1; reason <= 2; reason++) {
                        if (of[reason] != Level.NEVER) {
                            (reason == 1 ? breached : reopened).add((int) of[reason], (int) of[3], 1);
                            any.add((int) of[reason], (int) of[3], 1);
                            risky = true;
                        }
                    }
                }
                case SURVEY -> {
                    rated.add((int) of[0], (int) of[0] + BAD_RATING_DAYS, 1);
                    any.add((int) of[0], (int) of[0] + BAD_RATING_DAYS, 1);
                    risky = true;
                }
                case DEAL -> pipeline.add((int) of[0], (int) of[1], of[2]);
                default -> { }
            }
        }
        if (risky) {
            Level atRisk = any.covered();
            levels[AT_RISK] = atRisk;
            levels[BREACHED] = breached.covered();
            levels[REOPENED] = reopened.covered();
            levels[BADLY_RATED] = rated.covered();
            levels[REVENUE_AT_RISK] = revenue.times(atRisk);
            levels[PIPELINE_AT_RISK] = pipeline.sum().times(atRisk);
        }
    }

    /** One posting a day, in order; what ends after the calendar does stands to its end. */
    private void post(Level[] levels, Level active, List<Posting> postings) {
        int[] dimensions = null;
        int[] at = new int[levels.length];
        while (true) {
            int day = Level.NEVER;
            for (int measure = 0; measure < levels.length; measure++) {
                Level level = levels[measure];
                if (level != null && at[measure] < level.days.length) {
                    day = Math.min(day, level.days[at[measure]]);
                }
            }
            if (day > LAST) {
                return;
            }
            long[] measures = new long[levels.length];
            for (int measure = 0; measure < levels.length; measure++) {
                Level level = levels[measure];
                if (level != null && at[measure] < level.days.length && level.days[at[measure]] == day) {
                    measures[measure] = level.changes[at[measure]++];
                }
            }
            // The customer's last purchase was a year ago.
            measures[LAPSED] = measures[ACTIVE] < 0 ? 1 : 0;
            if (dimensions == null) {
                dimensions = dimensions();
            }
            postings.add(new Posting(day, dimensions, measures));
        }
    }

    /** What it is told apart by: the account's, else its newest deal's. */
    private int[] dimensions() {
        Told newest = null;
        for (Told told : facts) {
            if (told.fact.kind() == Kind.ACCOUNT) {
                return attributed(told.fact.names(), 0);
            }
            if (told.fact.kind() == Kind.DEAL && (newest == null || isNewer(told, newest))) {
                newest = told;
            }
        }
        return newest == null ? new int[6] : attributed(newest.fact.names(), 0);
    }

    private static boolean isNewer(Told one, Told other) {
        long opened = one.fact.numbers()[0], otherOpened = other.fact.numbers()[0];
        return opened != otherOpened ? opened > otherOpened : byId(one, other) > 0;
    }

    /** Stories are kept by customer. */
    static final class Form implements WriteBehind.Form<UUID, Story> {
        private final Packed packed = Packed.empty();

        @Override
        public byte[] key(UUID customer) {
            return packed.writeFixed(customer.getMostSignificantBits()).writeFixed(customer.getLeastSignificantBits())
                .take();
        }

        @Override
        public byte[] write(UUID customer, Story story) {
            for (Told told : story.facts) {
                packed.writeByte(told.fact.kind().ordinal());
                packed.writeFixed(told.id.getMostSignificantBits()).writeFixed(told.id.getLeastSignificantBits());
                packed.writeByte(told.fact.names().length);
                for (int name : told.fact.names()) {
                    packed.writeUnsigned(name);
                }
                packed.writeByte(told.fact.numbers().length).writeSparse(told.fact.numbers(), State.NONE);
            }
            return packed.take();
        }

        @Override
        public Story read(UUID customer, byte[] bytes) {
            Story story = new Story();
            for (Packed from = Packed.of(bytes); from.hasMore(); ) {
                Kind kind = Kind.ALL[from.readByte()];
                UUID id = new UUID(from.readFixed(), from.readFixed());
                int[] names = new int[from.readByte()];
                for (int at = 0; at < names.length; at++) {
                    names[at] = from.readInt();
                }
                long[] numbers = from.readSparse(from.readByte(), State.NONE);
                story.facts.add(new Told(id, new Fact(kind, names, numbers)));
            }
            return story;
        }
    }
}

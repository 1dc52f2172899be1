import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a state contributes, and what of it matters to its customer's story: the rules of `kpis/*.py`, for what the log
 * tells. Instants are microseconds since 1970; days are days since then, in UTC.
 */
final class Rules {
    private static final long SECOND = 1_000_000;
    private static final long DAY = 86_400 * SECOND;
    private static final long NONE = State.NONE;
    private static final long LOST_AFTER_SECONDS = 3_600;
    private static final long HELD_AFTER = 7 * DAY;
    private static final int BADLY_RATED_TO = 2;
    private static final long[] ENDS = ends();

    private Rules() {}

    static List<Posting> postings(State state) {
        return switch (state.kind) {
            case ACCOUNT -> account(state);
            case LEAD -> lead(state);
            case DEAL -> deal(state);
            case TICKET -> ticket(state);
            case INTERACTION -> interaction(state);
            case SURVEY -> survey(state);
            case RELATIONSHIP -> throw new IllegalArgumentException("no event tells a relationship");
        };
    }

    /** Null where the state says nothing of the story. */
    static Fact fact(State state) {
        return switch (state.kind) {
            case ACCOUNT -> Fact.account(state.names);
            case DEAL -> factOfDeal(state);
            case TICKET -> factOfTicket(state);
            case SURVEY -> factOfSurvey(state);
            default -> null;
        };
    }

    /** Numbers: registered, referred (0 or 1). */
    private static List<Posting> account(State state) {
        return List.of(new Posting(day(state.numbers[0]), state.names, new long[] {1, state.numbers[1], 1}));
    }

    /** Numbers: created, contacted, qualified, disqualified, converted. */
    private static List<Posting> lead(State state) {
        long[] moments = state.numbers;
        List<Posting> postings = new ArrayList<>(5);
        long[] cohort = new long[10];
        cohort[0] = 1;
        postings.add(new Posting(day(moments[0]), state.names, cohort));
        for (int number = 1; number < moments.length; number++) {
            if (moments[number] == NONE) {
                continue;
            }
            cohort[number] = 1;
            long[] measures = new long[10];
            measures[4 + number] = 1;
            int[] buckets = Posting.NO_BUCKETS;
            if (number == 1) {
                measures[9] = seconds(moments[0], moments[1]);
                buckets = new int[] {bucket(measures[9])};
            }
            postings.add(new Posting(day(moments[number]), state.names, measures, false, buckets));
        }
        return postings;
    }

    /**
     * Numbers: opened, closed, how it ended (1 won, 2 lost, 0 neither), the open stage (1 to 5, 0 for none), worth in
     * cents, upsell (0 or 1). Lines: product, quantity, worth.
     */
    private static List<Posting> deal(State state) {
        long opened = state.numbers[0], closed = state.numbers[1], outcome = state.numbers[2], worth = state.numbers[4];
        List<Posting> postings = new ArrayList<>(6);
        if (outcome != 0) {
            closing(state, outcome == 1, postings);
        }
        long[] standing = new long[12];
        standing[7] = 1;
        standing[8] = worth;
        int stage = (int) state.numbers[3];
        standing[9] = Math.floorDiv(worth * CHANCE_PERCENT[stage], 100);
        postings.add(new Posting(day(opened), state.names, standing));
        if (closed != NONE) {
            long[] gone = new long[12];
            for (int number = 7; number < 10; number++) {
                gone[number] = -standing[number];
            }
            postings.add(new Posting(day(closed), state.names, gone));
        } else if (stage > 0) {
            long[] entered = new long[12];
            entered[10] = 1;
            postings.add(new Posting(day(opened), state.names, entered));
        }
        return postings;
    }

    /** By the number of the stage; without one there is no chance. */
    static final int[] CHANCE_PERCENT = {0, 10, 20, 40, 60, 80};
    static final List<String> STAGES =
        List.of("prospecting", "qualification", "presentation", "proposal", "negotiation");

    private static void closing(State state, boolean won, List<Posting> postings) {
        long opened = state.numbers[0], closed = state.numbers[1], upsell = state.numbers[5];
        int day = day(closed);
        long cycle = seconds(opened, closed);
        int[] buckets = won ? new int[] {bucket(cycle)} : Posting.NO_BUCKETS;
        int product = Kind.DEAL.split;
        long units = 0;
        for (int at = 0; at < state.lines.length; at += 3) {
            units += state.lines[at + 1];
        }
        long[] whole = closing(won, state.numbers[4], units, cycle, upsell);
        postings.add(new Posting(day, state.names, whole, false, buckets));
        if (state.lines.length == 0) {
            postings.add(new Posting(day, state.names, whole, true, buckets));
        }
        for (int at = 0; at < state.lines.length; at += 3) {
            if (told(state.lines, at)) {
                continue;
            }
            long revenue = 0, pieces = 0;
            for (int other = at; other < state.lines.length; other += 3) {
                if (state.lines[other] == state.lines[at]) {
                    pieces += state.lines[other + 1];
                    revenue += state.lines[other + 2];
                }
            }
            int[] share = state.names.clone();
            share[product] = (int) state.lines[at];
            postings.add(new Posting(day, share, closing(won, revenue, pieces, cycle, upsell), true, buckets));
        }
    }

    /** Whether a line before it is of the same product. */
    private static boolean told(long[] lines, int at) {
        for (int before = 0; before < at; before += 3) {
            if (lines[before] == lines[at]) {
                return true;
            }
        }
        return false;
    }

    private static long[] closing(boolean won, long revenue, long units, long cycle, long upsell) {
        return won
            ? new long[] {1, 0, revenue, units, cycle, upsell, upsell * revenue, 0, 0, 0, 0, 0}
            : new long[] {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    }

    /**
     * Numbers: opened, first responded, resolved, closed, reopened, reopenings, contacts from the customer, first
     * resolved, first reopened, escalated, breached, under an agreement (0 or 1), business seconds to the response and
     * to the resolution, a question before a purchase (0 or 1).
     */
    private static List<Posting> ticket(State state) {
        long[] of = state.numbers;
        long opened = of[0], responded = of[1], resolvedAt = of[2];
        long reopenings = of[5];
        int reopened = reopenings > 0 ? 1 : 0;
        long response = responded == NONE ? NONE : seconds(opened, responded);
        long[] cohort = new long[27];
        cohort[0] = 1;
        cohort[1] = of[14];
        cohort[2] = resolvedAt == NONE ? 0 : 1;
        cohort[3] = reopened;
        cohort[4] = of[9] == NONE ? 0 : 1;
        cohort[5] = response != NONE && response <= LOST_AFTER_SECONDS ? 1 : 0;
        cohort[6] = reopenings;
        cohort[23] = 1;
        cohort[24] = 1;
        List<Posting> postings = new ArrayList<>(4);
        postings.add(new Posting(day(opened), state.names, cohort));
        long done = first(resolvedAt, of[3]);
        long attended = first(responded, done);
        long firstResolved = of[7] == NONE && reopenings == 0 ? resolvedAt : of[7];
        long[] moments = {responded, resolvedAt, firstResolved, done, attended};
        Arrays.sort(moments);
        for (int number = 0; number < moments.length; number++) {
            long moment = moments[number];
            if (moment != NONE && (number == 0 || moments[number - 1] != moment)) {
                postings.add(at(state, moment, response, firstResolved, done, attended));
            }
        }
        return postings;
    }

    private static Posting at(State state, long moment, long response, long firstResolved, long done, long attended) {
        long[] of = state.numbers;
        boolean resolved = moment == of[2], reopened = of[5] > 0;
        boolean underSla = resolved && of[11] == 1;
        long[] durations = {
            moment == of[1] ? response : NONE,
            moment == of[1] ? of[12] : NONE,
            resolved ? seconds(of[0], moment) : NONE,
            resolved ? of[13] : NONE,
            NONE,
        };
        long[] measures = new long[27];
        int[] buckets = Posting.NO_BUCKETS;
        for (int duration = 0; duration < durations.length; duration++) {
            if (durations[duration] != NONE) {
                int counting = Kind.TICKET.counting[duration];
                measures[counting] = 1;
                measures[counting + 1] = durations[duration];
                if (buckets.length == 0) {
                    buckets = new int[] {-1, -1, -1, -1, -1};
                }
                buckets[duration] = bucket(durations[duration]);
            }
        }
        measures[17] = resolved && reopened ? 1 : 0;
        measures[18] = resolved && of[6] <= 1 && !reopened ? 1 : 0;
        measures[19] = underSla ? 1 : 0;
        measures[20] = underSla && of[10] == NONE ? 1 : 0;
        measures[21] = moment == firstResolved ? 1 : 0;
        measures[22] = moment == firstResolved && held(of, moment) ? 1 : 0;
        measures[23] = moment == done ? -1 : 0;
        measures[24] = moment == attended ? -1 : 0;
        return new Posting(day(moment), state.names, measures, false, buckets);
    }

    private static boolean held(long[] of, long firstResolved) {
        if (of[5] == 0) {
            return true;
        }
        long firstReopened = of[8] != NONE ? of[8] : of[5] == 1 ? of[4] : NONE;
        return firstReopened != NONE && firstReopened - firstResolved > HELD_AFTER;
    }

    /** Numbers: occurred, handled by an agent (0 or 1), seconds of talk, hold and wrap-up. */
    private static List<Posting> interaction(State state) {
        long[] of = state.numbers;
        if (of[1] == 0) {
            return List.of();
        }
        long handle = of[2] + of[3] + of[4];
        return List.of(new Posting(
            day(of[0]), state.names, new long[] {1, of[2], of[3], of[4], handle}, false, new int[] {bucket(handle)}));
    }

    /** Numbers: sent, answered, score, recommendation, effort. */
    private static List<Posting> survey(State state) {
        long sent = state.numbers[0], answered = state.numbers[1];
        long score = state.numbers[2], recommendation = state.numbers[3], effort = state.numbers[4];
        long[] cohort = new long[13];
        cohort[0] = 1;
        if (answered == NONE) {
            return List.of(new Posting(day(sent), state.names, cohort));
        }
        cohort[1] = 1;
        long[] answer = new long[13];
        answer[2] = 1;
        if (score != NONE) {
            answer[3] = 1;
            answer[4] = score >= 4 ? 1 : 0;
            answer[5] = score;
        }
        if (recommendation != NONE) {
            answer[6] = 1;
            answer[7] = recommendation >= 9 ? 1 : 0;
            answer[8] = recommendation <= 6 ? 1 : 0;
        }
        if (effort != NONE) {
            answer[9] = 1;
            answer[10] = effort;
            answer[11] = effort >= 5 ? 1 : 0;
        }
        return List.of(
            new Posting(day(sent), state.names, cohort), new Posting(day(answered), state.names, answer));
    }

    private static Fact factOfDeal(State state) {
        long closed = state.numbers[1], worth = state.numbers[4];
        boolean won = state.numbers[2] == 1;
        int[] names = state.names;
        int[] attribution = {names[0], names[1], names[3], names[4], names[5]};
        int closedOn = closed == NONE ? Level.NEVER : day(closed);
        long[] shares = {};
        if (state.numbers[2] != 0) {
            shares = new long[Math.max(2 * state.lines.length / 3, 2)];
            shares[1] = won && state.lines.length == 0 ? worth : 0;
            int size = state.lines.length == 0 ? 2 : 0;
            for (int at = 0; at < state.lines.length; at += 3) {
                int of = 0;
                while (of < size && shares[of] != state.lines[at]) {
                    of += 2;
                }
                shares[of] = state.lines[at];
                shares[of + 1] += won ? state.lines[at + 2] : 0;
                size = Math.max(size, of + 2);
            }
            shares = Arrays.copyOf(shares, size);
        }
        return Fact.deal(attribution, day(state.numbers[0]), closedOn, worth, closed, won, shares);
    }

    private static Fact factOfTicket(State state) {
        long[] of = state.numbers;
        long asked = of[15] == 1 ? of[0] : NONE;
        long breached = of[10];
        long reopened = of[5] > 0 ? of[4] : NONE;
        if (asked == NONE && breached == NONE && reopened == NONE) {
            return null;
        }
        boolean risky = breached != NONE || reopened != NONE;
        long done = risky ? first(of[2], of[3]) : NONE;
        return Fact.ticket(
            asked, breached == NONE ? Level.NEVER : day(breached), reopened == NONE ? Level.NEVER : day(reopened),
            done == NONE ? Level.NEVER : day(done));
    }

    private static Fact factOfSurvey(State state) {
        long answered = state.numbers[1], score = state.numbers[2];
        return answered == NONE || score == NONE || score > BADLY_RATED_TO ? null : Fact.survey(day(answered));
    }

    private static int day(long moment) {
        return (int) Math.floorDiv(moment, DAY);
    }

    private static long seconds(long from, long until) {
        return Math.max((until - from) / SECOND, 0);
    }

    private static long first(long one, long other) {
        return one == NONE ? other : other == NONE ? one : Math.min(one, other);
    }

    /** The histogram's bucket that a duration falls into, as `domain/histogram.py` cuts them. */
    private static int bucket(long seconds) {
        int at = Arrays.binarySearch(ENDS, seconds);
        return Math.min(at >= 0 ? at : -at - 1, ENDS.length - 1);
    }

    private static long[] ends() {
        long longest = 300L * 366 * 86_400;
        long[] ends = new long[1024];
        int count = 1;
        while (ends[count - 1] < longest) {
            ends[count] = Math.max(ends[count - 1] + 1, ends[count - 1] * 104 / 100);
            count++;
        }
        return Arrays.copyOf(ends, count);
    }
}

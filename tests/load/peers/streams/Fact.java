import java.util.Arrays;

/** What of a subject's state matters to its customer's story: as `domain/customer_facts.py`. Its numbers depend on the kind. */
record Fact(Kind kind, int[] names, long[] numbers) {
    private static final int[] NO_NAMES = {};
    private static final long[] NO_NUMBERS = {};

    /** Names: region, segment, channel, owner, team. */
    static Fact account(int[] attribution) {
        return new Fact(Kind.ACCOUNT, attribution, NO_NUMBERS);
    }

    /**
     * Names: as of an account. Numbers: the day it was opened, the day it was closed (or `NEVER`), worth, the instant
     * it was closed (or `NONE`), won (0 or 1), then of a closed deal product and worth of each share.
     */
    static Fact deal(int[] attribution, int opened, int closedOn, long worth, long closed, boolean won, long[] shares) {
        long[] numbers = new long[5 + shares.length];
        numbers[0] = opened;
        numbers[1] = closedOn;
        numbers[2] = worth;
        numbers[3] = closed;
        numbers[4] = won ? 1 : 0;
        System.arraycopy(shares, 0, numbers, 5, shares.length);
        return new Fact(Kind.DEAL, attribution, numbers);
    }

    /** Numbers: the instant it was asked (or `NONE`), the days it was breached, reopened and done (or `NEVER`). */
    static Fact ticket(long asked, int breached, int reopened, int done) {
        return new Fact(Kind.TICKET, NO_NAMES, new long[] {asked, breached, reopened, done});
    }

    /** Numbers: the day of a bad rating. */
    static Fact survey(int answered) {
        return new Fact(Kind.SURVEY, NO_NAMES, new long[] {answered});
    }

    boolean isClosedDeal() {
        return kind == Kind.DEAL && numbers[3] != State.NONE;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Fact fact && kind == fact.kind && Arrays.equals(names, fact.names)
            && Arrays.equals(numbers, fact.numbers);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(numbers);
    }
}

/** The kinds of subject that the log tells of, and what is summed of each: as in `domain/kinds.py` and its order. */
enum Kind {
    ACCOUNT("accounts", "", 3, "region segment channel owner team", "", new int[0]),
    LEAD("leads", "", 10, "region segment product channel owner team", "response_seconds", new int[] {5}),
    DEAL("deals", "product", 12, "region segment product channel owner team stage", "cycle_seconds", new int[] {0}),
    TICKET("tickets", "", 27, "region segment product channel owner team priority kind",
        "first_response_seconds business_response_seconds resolution_seconds business_resolution_seconds "
            + "onboarding_seconds", new int[] {7, 9, 11, 13, 15}),
    INTERACTION("interactions", "", 5, "region segment product channel owner team priority kind", "handle_seconds",
        new int[] {0}),
    SURVEY("surveys", "", 13, "region segment product channel owner team priority kind", "", new int[0]),
    RELATIONSHIP("relationships", "product", 23, "region segment product channel owner team", "", new int[0]);

    static final Kind[] ALL = values();

    final String subjects;
    final int measures;
    /** Those that balances are kept by: all but the customer. */
    final String[] dimensions;
    /** Where the dimension stands that a subject may have several values of; -1 for none. */
    final int split;
    final String[] durations;
    /** For each duration the measure that counts it. */
    final int[] counting;

    Kind(String subjects, String split, int measures, String dimensions, String durations, int[] counting) {
        this.subjects = subjects;
        this.measures = measures;
        this.dimensions = dimensions.split(" ");
        this.split = java.util.Arrays.asList(this.dimensions).indexOf(split);
        this.durations = durations.isEmpty() ? new String[0] : durations.split(" ");
        this.counting = counting;
    }

    /** The kind that a subject such as `leads/<uuid>` is of. */
    static Kind of(char[] text, int offset, int length) {
        for (Kind kind : ALL) {
            int size = kind.subjects.length();
            if (length > size && text[offset + size] == '/' && kind.subjects.contentEquals(
                java.nio.CharBuffer.wrap(text, offset, size))) {
                return kind;
            }
        }
        throw new IllegalArgumentException("no sums are kept of " + new String(text, offset, length));
    }
}

import java.util.UUID;

/**
 * A subject's newest state as far as the sums need it, and the event that told it. Names stand in the order of the
 * kind's dimensions; what the numbers are is said where `Rules` reads them; `lines` are a deal's, three numbers each.
 */
final class State {
    /** A number that there is none of. */
    static final long NONE = Long.MIN_VALUE;

    final Kind kind;
    final UUID id;
    final UUID customer;
    final UUID event;
    final int sequence;
    final int[] names;
    final long[] numbers;
    final long[] lines;

    State(Kind kind, UUID id, UUID customer, UUID event, int sequence, int[] names, long[] numbers, long[] lines) {
        this.kind = kind;
        this.id = id;
        this.customer = customer;
        this.event = event;
        this.sequence = sequence;
        this.names = names;
        this.numbers = numbers;
        this.lines = lines;
    }

    /** What it is kept under. */
    record Key(Kind kind, long high, long low) {}

    Key key() {
        return new Key(kind, id.getMostSignificantBits(), id.getLeastSignificantBits());
    }

    static final class Form implements WriteBehind.Form<Key, State> {
        private static final long[] NO_LINES = {};
        private final Packed packed = Packed.empty();

        @Override
        public byte[] key(Key key) {
            return packed.writeByte(key.kind.ordinal()).writeFixed(key.high).writeFixed(key.low).take();
        }

        @Override
        public byte[] write(Key key, State state) {
            packed.writeUnsigned(state.sequence);
            packed.writeFixed(state.event.getMostSignificantBits()).writeFixed(state.event.getLeastSignificantBits());
            packed.writeByte(state.customer == null ? 0 : 1);
            if (state.customer != null) {
                packed.writeFixed(state.customer.getMostSignificantBits());
                packed.writeFixed(state.customer.getLeastSignificantBits());
            }
            for (int name : state.names) {
                packed.writeUnsigned(name);
            }
            packed.writeByte(state.numbers.length).writeSparse(state.numbers, NONE);
            packed.writeUnsigned(state.lines.length);
            for (long number : state.lines) {
                packed.writeSigned(number);
            }
            return packed.take();
        }

        @Override
        public State read(Key key, byte[] bytes) {
            Packed from = Packed.of(bytes);
            int sequence = from.readInt();
            UUID event = new UUID(from.readFixed(), from.readFixed());
            UUID customer = from.readByte() == 0 ? null : new UUID(from.readFixed(), from.readFixed());
            int[] names = new int[key.kind.dimensions.length];
            for (int at = 0; at < names.length; at++) {
                names[at] = from.readInt();
            }
            long[] numbers = from.readSparse(from.readByte(), NONE);
            int size = from.readInt();
            long[] lines = size == 0 ? NO_LINES : new long[size];
            for (int at = 0; at < size; at++) {
                lines[at] = from.readSigned();
            }
            return new State(
                key.kind, new UUID(key.high, key.low), customer, event, sequence, names, numbers, lines);
        }
    }
}

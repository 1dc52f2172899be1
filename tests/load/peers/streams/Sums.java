import java.time.LocalDate;
import java.util.Arrays;
import java.util.List;

/**
 * Balances and histograms. What is summed under one value of one dimension lies in a block a month, with the month's
 * sum, those of its days and its histograms, and in a block a year: few and small records, few look-ups a posting.
 */
final class Sums {
    /** Marks a period as a year; others are months since 1970. */
    static final int YEAR = 0x8000;
    private static final int LAST_DAY = (int) LocalDate.of(2199, 12, 31).toEpochDay();

    /** A block's place, packed: kind, dimension from 1 (0 for all), period and value. */
    record Key(long packed) {
        static Key of(Kind kind, int dimension, int period, int value) {
            return new Key((((long) kind.ordinal() << 4 | dimension) << 16 | period) << 28 | value);
        }

        Kind kind() {
            return Kind.ALL[(int) (packed >>> 48)];
        }

        int dimension() {
            return (int) (packed >>> 44) & 0xF;
        }

        int period() {
            return (int) (packed >>> 28) & 0xFFFF;
        }

        int value() {
            return (int) packed & 0xFFFFFFF;
        }

        @Override
        public int hashCode() {
            return (int) (packed * 0x9E3779B97F4A7C15L >>> 32);
        }
    }

    /**
     * Row 0 is the month or year and 1 to 31 the month's days, each with the kind's measures; from `HISTOGRAMS` on
     * there is a row for each duration, with a count for each bucket up to the last one used.
     */
    static final class Block {
        static final int HISTOGRAMS = 32;
        final long[][] rows;

        Block(Key key) {
            rows = new long[HISTOGRAMS + key.kind().durations.length][];
        }

        long[] row(int number, int size) {
            long[] row = rows[number];
            if (row == null) {
                row = rows[number] = new long[size];
            } else if (row.length < size) {
                row = rows[number] = Arrays.copyOf(row, size);
            }
            return row;
        }
    }

    private final WriteBehind<Key, Block> blocks;
    private final int[] told = new int[64];
    private int day = -1;
    private int month;
    private int year;
    private int dayOfMonth;

    Sums(WriteBehind<Key, Block> blocks) {
        this.blocks = blocks;
    }

    void add(Kind kind, List<Posting> postings) {
        for (int number = 0; number < postings.size(); number++) {
            add(kind, postings.get(number));
        }
    }

    private void add(Kind kind, Posting posting) {
        on(posting.day());
        long[] measures = posting.measures();
        // Of the many measures of a kind a posting has a few.
        int count = 0;
        for (int number = 0; number < measures.length; number++) {
            if (measures[number] != 0) {
                told[count++] = number;
            }
        }
        if (posting.split()) {
            add(kind, posting, kind.split + 1, count);
            return;
        }
        for (int dimension = 0; dimension <= kind.dimensions.length; dimension++) {
            if (dimension != kind.split + 1 || kind.split < 0) {
                add(kind, posting, dimension, count);
            }
        }
    }

    private void add(Kind kind, Posting posting, int dimension, int count) {
        int value = dimension == 0 ? 0 : posting.dimensions()[dimension - 1];
        Block ofMonth = blocks.change(Key.of(kind, dimension, month, value), Block::new);
        Block ofYear = blocks.change(Key.of(kind, dimension, year, value), Block::new);
        long[] measures = posting.measures();
        long[] sums = ofMonth.row(0, measures.length);
        long[] sumsOfDay = ofMonth.row(dayOfMonth, measures.length);
        long[] sumsOfYear = ofYear.row(0, measures.length);
        for (int at = 0; at < count; at++) {
            int measure = told[at];
            long amount = measures[measure];
            sums[measure] += amount;
            sumsOfDay[measure] += amount;
            sumsOfYear[measure] += amount;
        }
        int[] buckets = posting.buckets();
        for (int duration = 0; duration < buckets.length; duration++) {
            int bucket = buckets[duration];
            if (bucket >= 0) {
                long counted = measures[kind.counting[duration]];
                ofMonth.row(Block.HISTOGRAMS + duration, bucket + 1)[bucket] += counted;
                ofYear.row(Block.HISTOGRAMS + duration, bucket + 1)[bucket] += counted;
            }
        }
    }

    private void on(int day) {
        if (day == this.day) {
            return;
        }
        if (day < 0 || day > LAST_DAY) {
            throw new IllegalArgumentException("day " + day + " is not between 1970 and 2199");
        }
        LocalDate date = LocalDate.ofEpochDay(day);
        this.day = day;
        dayOfMonth = date.getDayOfMonth();
        month = 12 * (date.getYear() - 1970) + date.getMonthValue() - 1;
        year = YEAR | date.getYear();
    }

    static final class Form implements WriteBehind.Form<Key, Block> {
        private final Packed packed = Packed.empty();

        static Key key(byte[] bytes) {
            return new Key(Packed.of(bytes).readFixed());
        }

        @Override
        public byte[] key(Key key) {
            return packed.writeFixed(key.packed).take();
        }

        @Override
        public byte[] write(Key key, Block block) {
            for (int number = 0; number < block.rows.length; number++) {
                long[] row = block.rows[number];
                if (row != null) {
                    packed.writeByte(number);
                    if (number < Block.HISTOGRAMS) {
                        packed.writeSparse(row, 0);
                    } else {
                        write(row);
                    }
                }
            }
            return packed.take();
        }

        /** Of each bucket used the distance from the one before it, and its count; then 0. */
        private void write(long[] counts) {
            int before = -1;
            for (int bucket = 0; bucket < counts.length; bucket++) {
                if (counts[bucket] != 0) {
                    packed.writeUnsigned(bucket - before).writeSigned(counts[bucket]);
                    before = bucket;
                }
            }
            packed.writeUnsigned(0);
        }

        @Override
        public Block read(Key key, byte[] bytes) {
            Block block = new Block(key);
            for (Packed from = Packed.of(bytes); from.hasMore(); ) {
                int number = from.readByte();
                if (number < Block.HISTOGRAMS) {
                    block.rows[number] = from.readSparse(key.kind().measures, 0);
                } else {
                    int bucket = -1;
                    for (int further; (further = from.readInt()) > 0; ) {
                        bucket += further;
                        block.row(number, bucket + 1)[bucket] = from.readSigned();
                    }
                }
            }
            return block;
        }
    }
}

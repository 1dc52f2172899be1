import java.util.Arrays;

/** Values as bytes, one after the other: whole numbers as varints of seven bits a byte, signed ones by zigzag. */
final class Packed {
    private byte[] bytes;
    private int at;

    private Packed(byte[] bytes) {
        this.bytes = bytes;
    }

    /** To write to, again and again: `take` empties it. */
    static Packed empty() {
        return new Packed(new byte[256]);
    }

    /** To read from. */
    static Packed of(byte[] bytes) {
        return new Packed(bytes);
    }

    byte[] take() {
        byte[] taken = Arrays.copyOf(bytes, at);
        at = 0;
        return taken;
    }

    boolean hasMore() {
        return at < bytes.length;
    }

    Packed writeByte(int value) {
        if (at == bytes.length) {
            bytes = Arrays.copyOf(bytes, 2 * at);
        }
        bytes[at++] = (byte) value;
        return this;
    }

    int readByte() {
        return bytes[at++];
    }

    /** Eight bytes: for what has no small values, such as halves of a UUID. */
    Packed writeFixed(long value) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            writeByte((int) (value >>> shift));
        }
        return this;
    }

    long readFixed() {
        long value = 0;
        for (int number = 0; number < 8; number++) {
            value = value << 8 | bytes[at++] & 0xFF;
        }
        return value;
    }

    Packed writeUnsigned(long value) {
        while ((value & ~0x7FL) != 0) {
            writeByte((int) value | 0x80);
            value >>>= 7;
        }
        return writeByte((int) value);
    }

    long readUnsigned() {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte part = bytes[at++];
            value |= (part & 0x7FL) << shift;
            if (part >= 0) {
                return value;
            }
        }
    }

    int readInt() {
        return (int) readUnsigned();
    }

    Packed writeSigned(long value) {
        return writeUnsigned(value << 1 ^ value >> 63);
    }

    long readSigned() {
        long value = readUnsigned();
        return value >>> 1 ^ -(value & 1);
    }

    /** Few numbers other than `none`: a bit for each that there is, then those. At most 64. */
    Packed writeSparse(long[] numbers, long none) {
        long mask = 0;
        for (int number = 0; number < numbers.length; number++) {
            if (numbers[number] != none) {
                mask |= 1L << number;
            }
        }
        writeUnsigned(mask);
        for (long left = mask; left != 0; left &= left - 1) {
            writeSigned(numbers[Long.numberOfTrailingZeros(left)]);
        }
        return this;
    }

    long[] readSparse(int size, long none) {
        long[] numbers = new long[size];
        if (none != 0) {
            Arrays.fill(numbers, none);
        }
        for (long left = readUnsigned(); left != 0; left &= left - 1) {
            numbers[Long.numberOfTrailingZeros(left)] = readSigned();
        }
        return numbers;
    }
}

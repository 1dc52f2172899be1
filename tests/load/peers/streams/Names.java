import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The values of dimensions as small numbers, so that states, sums and their keys hold numbers and not text. Each task
 * has its own, kept in a store: a name is written once. 0 is no value.
 */
final class Names {
    private final KeyValueStore<Integer, String> store;
    private String[] texts = new String[256];
    private int[] slots = new int[512];
    private int known = 0;

    /** Reads what the store holds, which must have been restored. */
    Names(KeyValueStore<Integer, String> store) {
        this.store = store;
        try (var all = store.all()) {
            while (all.hasNext()) {
                var row = all.next();
                insert(row.key, row.value);
            }
        }
    }

    String text(int number) {
        return number == 0 ? "" : texts[number];
    }

    int of(char[] text, int offset, int length) {
        int slot = hash(text, offset, length) & slots.length - 1;
        for (int number; (number = slots[slot]) != 0; slot = slot + 1 & slots.length - 1) {
            if (same(texts[number], text, offset, length)) {
                return number;
            }
        }
        String name = new String(text, offset, length);
        insert(known + 1, name);
        store.put(known, name);
        return known;
    }

    private void insert(int number, String name) {
        known = Math.max(known, number);
        if (2 * known >= slots.length) {
            slots = new int[2 * slots.length];
            texts = java.util.Arrays.copyOf(texts, slots.length);
            for (int other = 1; other < texts.length; other++) {
                if (texts[other] != null) {
                    place(other);
                }
            }
        }
        texts[number] = name;
        place(number);
    }

    private void place(int number) {
        char[] text = texts[number].toCharArray();
        int slot = hash(text, 0, text.length) & slots.length - 1;
        while (slots[slot] != 0) {
            slot = slot + 1 & slots.length - 1;
        }
        slots[slot] = number;
    }

    private static int hash(char[] text, int offset, int length) {
        int hash = 0;
        for (int at = offset; at < offset + length; at++) {
            hash = 31 * hash + text[at];
        }
        return hash ^ hash >>> 15;
    }

    private static boolean same(String name, char[] text, int offset, int length) {
        if (name.length() != length) {
            return false;
        }
        for (int at = 0; at < length; at++) {
            if (name.charAt(at) != text[offset + at]) {
                return false;
            }
        }
        return true;
    }
}

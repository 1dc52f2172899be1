import java.util.Arrays;

/** What stands from day to day, by how much it changes on which days: as `domain/step_function.py`. */
final class Level {
    static final int NEVER = Integer.MAX_VALUE;
    static final Level NONE = new Level(new int[0], new long[0]);

    /** Rising, each day once. */
    final int[] days;
    final long[] changes;

    private Level(int[] days, long[] changes) {
        this.days = days;
        this.changes = changes;
    }

    /** Collects spans, the end being the first day after or `NEVER`, and the amount that stands for each. */
    static final class Spans {
        private int[] days = new int[8];
        private long[] changes = new long[8];
        private int size = 0;

        Spans add(int first, int end, long amount) {
            if (first < end) {
                change(first, amount);
                if (end != NEVER) {
                    change(end, -amount);
                }
            }
            return this;
        }

        private void change(int day, long amount) {
            if (size == days.length) {
                days = Arrays.copyOf(days, 2 * size);
                changes = Arrays.copyOf(changes, 2 * size);
            }
            // In order from the start: there are a handful.
            int at = size++;
            for (; at > 0 && days[at - 1] > day; at--) {
                days[at] = days[at - 1];
                changes[at] = changes[at - 1];
            }
            days[at] = day;
            changes[at] = amount;
        }

        /** Where spans overlap, amounts add up. */
        Level sum() {
            return merged(days, changes, size);
        }

        /** 1 on each day that any of the spans covers. */
        Level covered() {
            return sum().positive();
        }
    }

    private static Level merged(int[] days, long[] changes, int size) {
        int[] onto = new int[size];
        long[] by = new long[size];
        int count = 0;
        for (int at = 0; at < size; ) {
            int day = days[at];
            long change = 0;
            for (; at < size && days[at] == day; at++) {
                change += changes[at];
            }
            if (change != 0) {
                onto[count] = day;
                by[count++] = change;
            }
        }
        return of(onto, by, count);
    }

    private static Level of(int[] days, long[] changes, int count) {
        return count == 0 ? NONE : new Level(Arrays.copyOf(days, count), Arrays.copyOf(changes, count));
    }

    static Level from(int day) {
        return new Level(new int[] {day}, new long[] {1});
    }

    /** This and so many times the other. */
    Level plus(Level other, long factor) {
        if (other == NONE) {
            return this;
        }
        int size = days.length + other.days.length;
        int[] onto = new int[size];
        long[] by = new long[size];
        int left = 0, right = 0, count = 0;
        while (left < days.length || right < other.days.length) {
            int day = Math.min(
                left < days.length ? days[left] : NEVER, right < other.days.length ? other.days[right] : NEVER);
            long change = 0;
            if (left < days.length && days[left] == day) {
                change += changes[left++];
            }
            if (right < other.days.length && other.days[right] == day) {
                change += factor * other.changes[right++];
            }
            if (change != 0) {
                onto[count] = day;
                by[count++] = change;
            }
        }
        return of(onto, by, count);
    }

    /** Day by day: with a level of 0 and 1 what stands is kept on the days of 1. */
    Level times(Level other) {
        if (this == NONE || other == NONE) {
            return NONE;
        }
        int size = days.length + other.days.length;
        int[] onto = new int[size];
        long[] by = new long[size];
        int atLeft = 0, atRight = 0, count = 0;
        long left = 0, right = 0, standing = 0;
        while (atLeft < days.length || atRight < other.days.length) {
            int day = Math.min(
                atLeft < days.length ? days[atLeft] : NEVER, atRight < other.days.length ? other.days[atRight] : NEVER);
            if (atLeft < days.length && days[atLeft] == day) {
                left += changes[atLeft++];
            }
            if (atRight < other.days.length && other.days[atRight] == day) {
                right += other.changes[atRight++];
            }
            if (left * right != standing) {
                onto[count] = day;
                by[count++] = left * right - standing;
                standing = left * right;
            }
        }
        return of(onto, by, count);
    }

    /** The same, so many days later. */
    Level later(int by) {
        int[] onto = new int[days.length];
        for (int at = 0; at < onto.length; at++) {
            onto[at] = days[at] + by;
        }
        return of(onto, changes, onto.length);
    }

    /** 1 on each day that it is more than 0, and 0 on all others. */
    Level positive() {
        int[] onto = new int[days.length];
        long[] by = new long[days.length];
        int count = 0;
        long standing = 0;
        for (int at = 0; at < days.length; at++) {
            if (standing > 0 != standing + changes[at] > 0) {
                onto[count] = days[at];
                by[count++] = changes[at] > 0 ? 1 : -1;
            }
            standing += changes[at];
        }
        return of(onto, by, count);
    }
}

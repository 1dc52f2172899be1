import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A contribution to one day. `dimensions` are numbers of names in the kind's order, 0 for none; `split` marks a share,
 * which counts under the dimension that it splits and nowhere else; `buckets` has one for each duration of the kind,
 * -1 for a duration that it says nothing of, and is empty for none at all.
 */
record Posting(int day, int[] dimensions, long[] measures, boolean split, int[] buckets) {
    static final int[] NO_BUCKETS = {};

    Posting(int day, int[] dimensions, long[] measures) {
        this(day, dimensions, measures, false, NO_BUCKETS);
    }

    private boolean standsBeside(Posting other) {
        return day == other.day && split == other.split
            && (dimensions == other.dimensions || Arrays.equals(dimensions, other.dimensions))
            && Arrays.equals(buckets, other.buckets);
    }

    private boolean same(Posting other) {
        return standsBeside(other) && Arrays.equals(measures, other.measures);
    }

    /** What a contribution is found by. */
    private record Place(Posting first) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Place place && first.standsBeside(place.first);
        }

        @Override
        public int hashCode() {
            return 31 * (31 * first.day + Arrays.hashCode(first.dimensions)) + (first.split ? 1 : 0);
        }
    }

    /** What has to be posted for a contribution to become another: what stays the same cancels out. */
    static List<Posting> difference(List<Posting> before, List<Posting> after) {
        int same = 0, shorter = Math.min(before.size(), after.size());
        while (same < shorter && before.get(same).same(after.get(same))) {
            same++;
        }
        int until = 0;
        while (until < shorter - same
            && before.get(before.size() - 1 - until).same(after.get(after.size() - 1 - until))) {
            until++;
        }
        List<Posting> gone = before.subList(same, before.size() - until);
        List<Posting> come = after.subList(same, after.size() - until);
        if (gone.isEmpty() && come.size() <= 1) {
            return come;
        }
        Map<Place, Posting> net = new HashMap<>();
        for (Posting posting : come) {
            net.merge(new Place(posting), posting, (stood, more) -> stood.plus(more, 1));
        }
        for (Posting posting : gone) {
            Place place = new Place(posting);
            Posting standing = net.get(place);
            net.put(place, (standing == null ? posting.zero() : standing).plus(posting, -1));
        }
        List<Posting> found = new ArrayList<>(net.size());
        for (Posting posting : net.values()) {
            if (posting.saysSomething()) {
                found.add(posting);
            }
        }
        return found;
    }

    private boolean saysSomething() {
        for (long amount : measures) {
            if (amount != 0) {
                return true;
            }
        }
        return false;
    }

    private Posting zero() {
        return new Posting(day, dimensions, new long[measures.length], split, buckets);
    }

    private Posting plus(Posting other, int sign) {
        long[] sums = measures.clone();
        for (int number = 0; number < sums.length; number++) {
            sums[number] += sign * other.measures[number];
        }
        return new Posting(day, dimensions, sums, split, buckets);
    }
}

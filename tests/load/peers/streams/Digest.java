import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreType;
import org.apache.kafka.streams.state.internals.StateStoreProvider;

/**
 * All sums of all tasks, added up, as a hash for each kind, dimension and span: the md5 of sorted lines, which are
 * `day|value|measure,measure,…` of balances and `day|value|bucket|count` of histograms. Zeros are left out.
 */
final class Digest {
    private final Map<String, Map<String, long[]>> groups = new TreeMap<>();

    static Map<String, String> of(KafkaStreams streams) {
        Digest digest = new Digest();
        List<KeyValueStore<Integer, String>> names = stores(streams, "names");
        List<WriteBehind<Sums.Key, Sums.Block>> sums = stores(streams, "sums");
        for (int task = 0; task < sums.size(); task++) {
            digest.add(new Names(names.get(task)), sums.get(task).bytes);
        }
        return digest.hashes();
    }

    /** The stores of that name, one a task and in the tasks' order, which is the same for every name. */
    @SuppressWarnings("unchecked")
    private static <T extends StateStore> List<T> stores(KafkaStreams streams, String name) {
        return (List<T>) streams.store(StoreQueryParameters.fromNameAndType(name, new QueryableStoreType<Object>() {
            @Override
            public boolean accepts(StateStore store) {
                return true;
            }

            @Override
            public Object create(StateStoreProvider provider, String name) {
                return provider.stores(name, this);
            }
        }));
    }

    private void add(Names names, KeyValueStore<Bytes, byte[]> blocks) {
        Sums.Form form = new Sums.Form();
        try (var all = blocks.all()) {
            while (all.hasNext()) {
                var row = all.next();
                Sums.Key key = Sums.Form.key(row.key.get());
                add(key, names.text(key.value()), form.read(key, row.value));
            }
        }
    }

    private void add(Sums.Key key, String value, Sums.Block block) {
        Kind kind = key.kind();
        boolean isYear = key.period() >= Sums.YEAR;
        LocalDate first = isYear
            ? LocalDate.of(key.period() - Sums.YEAR, 1, 1)
            : LocalDate.of(1970 + key.period() / 12, 1 + key.period() % 12, 1);
        String name = kind.name().toLowerCase(Locale.ROOT);
        String dimension = key.dimension() == 0 ? "all" : kind.dimensions[key.dimension() - 1];
        String span = isYear ? "year" : "month";
        for (int row = 0; row < Sums.Block.HISTOGRAMS; row++) {
            if (block.rows[row] != null) {
                var lines = lines(name + " " + dimension + " " + (row == 0 ? span : "day"));
                add(lines, (row == 0 ? first : first.withDayOfMonth(row)) + "|" + value, block.rows[row]);
            }
        }
        for (int duration = 0; duration < kind.durations.length; duration++) {
            var lines = lines(name + " " + kind.durations[duration] + " " + dimension + " " + span);
            long[] counts = block.row(Sums.Block.HISTOGRAMS + duration, 0);
            for (int bucket = 0; bucket < counts.length; bucket++) {
                if (counts[bucket] != 0) {
                    add(lines, first + "|" + value + "|" + bucket, counts[bucket]);
                }
            }
        }
    }

    private Map<String, long[]> lines(String group) {
        return groups.computeIfAbsent(group, name -> new HashMap<>());
    }

    private static void add(Map<String, long[]> lines, String place, long... more) {
        long[] sums = lines.computeIfAbsent(place, name -> new long[more.length]);
        for (int number = 0; number < more.length; number++) {
            sums[number] += more[number];
        }
    }

    private Map<String, String> hashes() {
        Map<String, String> hashes = new TreeMap<>();
        groups.forEach((group, sums) -> {
            List<String> lines = new ArrayList<>();
            sums.forEach((place, numbers) -> {
                if (LongStream.of(numbers).anyMatch(number -> number != 0)) {
                    lines.add(place + "|" + LongStream.of(numbers).mapToObj(Long::toString)
                        .collect(Collectors.joining(",")));
                }
            });
            Collections.sort(lines);
            if (!lines.isEmpty()) {
                hashes.put(group, md5(String.join("\n", lines)));
            }
        });
        return hashes;
    }

    private static String md5(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("MD5").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }
}

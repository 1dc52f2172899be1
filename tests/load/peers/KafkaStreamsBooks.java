import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.Stores;

/**
 * The sums of the books on Kafka Streams, exactly once, with repeats removed by the event's id: what a benchmark
 * compares the consumer with. Each task keeps the balances of its own partitions, so that nothing is sent through a
 * repartition topic: the reader would add them up. That is the fastest form this can take.
 *
 * Arguments: bootstrap servers, application id, state directory, threads, events, topics. Ends with a line of JSON.
 */
public final class KafkaStreamsBooks {
    private static final AtomicLong TAKEN = new AtomicLong();
    private static volatile long began = 0;
    private static volatile double cpuBefore = 0;

    /** A contribution to one day: as the consumer's, with the kind's number instead of its name. */
    private record Posting(int day, String[] dimensions, long[] measures, int splitBy) {}

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[2]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[3]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 * 1024 * 1024);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", 2000);
        settings.put("max.partition.fetch.bytes", 4 * 1024 * 1024);
        settings.put("producer.compression.type", "lz4");
        settings.put("producer.linger.ms", 50);
        settings.put("producer.batch.size", 256 * 1024);
        long events = Long.parseLong(arguments[4]);

        var bytes = Serdes.ByteArray();
        Topology topology = new Topology();
        topology.addSource("log", bytes.deserializer(), bytes.deserializer(), arguments[5].split(","));
        topology.addProcessor("books", Books::new, "log");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("seen"), Serdes.String(), bytes)
                .withCachingEnabled(), "books");
        for (String name : List.of("subjects", "balances")) {
            topology.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), bytes)
                    .withCachingEnabled(), "books");
        }

        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.start();
        while (TAKEN.get() < events) {
            Thread.sleep(5);
            if (streams.state() == KafkaStreams.State.ERROR) {
                System.exit(1);
            }
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        double cpu = cpuSeconds() - cpuBefore;
        TreeMap<String, Long> totals = new TreeMap<>();
        var balances = streams.store(
            StoreQueryParameters.fromNameAndType("balances", QueryableStoreTypes.<String, byte[]>keyValueStore()));
        try (var all = balances.all()) {
            while (all.hasNext()) {
                var row = all.next();
                if (row.key.contains("|all|")) {
                    long[] sums = longs(row.value);
                    for (int number = 0; number < sums.length; number++) {
                        totals.merge(row.key.substring(0, row.key.indexOf('|')) + number, sums[number], Long::sum);
                    }
                }
            }
        }
        streams.close();
        double peak = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                peak = Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
            }
        }
        System.out.println(new ObjectMapper().writeValueAsString(
            java.util.Map.of("seconds", seconds, "cpu_seconds", cpu, "peak_mib", peak, "totals", totals)));
    }

    private static double cpuSeconds() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    private static final class Books implements Processor<byte[], byte[], Void, Void> {
        private static final ObjectMapper JSON = new ObjectMapper();
        private static final byte[] SEEN = {1};
        private KeyValueStore<String, byte[]> seen;
        private KeyValueStore<String, byte[]> subjects;
        private KeyValueStore<String, byte[]> balances;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            seen = context.getStateStore("seen");
            subjects = context.getStateStore("subjects");
            balances = context.getStateStore("balances");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            synchronized (TAKEN) {
                if (began == 0) {
                    began = System.nanoTime();
                    cpuBefore = cpuSeconds();
                }
            }
            try {
                take(JSON.readTree(record.value()));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            TAKEN.incrementAndGet();
        }

        private void take(JsonNode event) throws IOException {
            if (seen.putIfAbsent(event.get("id").asText(), SEEN) != null) {
                return;
            }
            int sequence = event.get("sequence").asInt();
            JsonNode data = event.get("data");
            String kind = event.get("subject").asText().split("/", 2)[0];
            switch (kind) {
                case "leads" -> book("lead", sequence, data, lead(data));
                case "deals" -> book("deal", sequence, data, deal(data));
                case "surveys" -> book("survey", sequence, data, survey(data));
                case "tickets" -> {
                    book("ticket", sequence, data, ticket(data));
                    if (event.get("type").asText().equals("service.interaction-logged")) {
                        JsonNode contact = data.get("change");
                        book("interaction", sequence, contact, interaction(contact));
                    }
                }
                default -> book("account", sequence, data, List.of());
            }
        }

        private void book(String kind, int sequence, JsonNode state, List<Posting> postings) throws IOException {
            String key = kind + "|" + state.get("id").asText();
            byte[] before = subjects.get(key);
            if (before != null) {
                if (ByteBuffer.wrap(before).getInt() >= sequence) {
                    return;
                }
                for (Posting posting : read(before)) {
                    add(kind, posting, -1);
                }
            }
            for (Posting posting : postings) {
                add(kind, posting, 1);
            }
            subjects.put(key, write(sequence, postings));
        }

        private void add(String kind, Posting posting, int sign) {
            if (posting.splitBy < 0) {
                add(kind + "|all||" + posting.day, posting.measures, sign);
            }
            for (int number = 0; number < posting.dimensions.length; number++) {
                // A share counts under the dimension that it splits and nowhere else; -2 marks a whole of a split kind.
                if (posting.splitBy == -1 || posting.splitBy == number || posting.splitBy == -2 && number != 2) {
                    String value = posting.dimensions[number];
                    add(kind + "|" + number + "|" + value + "|" + posting.day, posting.measures, sign);
                }
            }
        }

        private void add(String key, long[] measures, int sign) {
            byte[] standing = balances.get(key);
            long[] sums = standing == null ? new long[measures.length] : longs(standing);
            for (int number = 0; number < sums.length; number++) {
                sums[number] += sign * measures[number];
            }
            ByteBuffer packed = ByteBuffer.allocate(8 * sums.length);
            packed.asLongBuffer().put(sums);
            balances.put(key, packed.array());
        }

        private static List<Posting> lead(JsonNode lead) {
            String[] dimensions = dimensions(
                lead, "region", "segment", "product", "channel", "owner_id", "team_id", "account_id");
            String[] moments = {"contacted_at", "qualified_at", "disqualified_at", "converted_at"};
            long[] cohort = new long[9];
            cohort[0] = 1;
            List<Posting> postings = new ArrayList<>();
            postings.add(new Posting(day(lead, "created_at"), dimensions, cohort, -1));
            for (int number = 0; number < moments.length; number++) {
                if (lead.hasNonNull(moments[number])) {
                    cohort[1 + number] = 1;
                    long[] measures = new long[9];
                    measures[5 + number] = 1;
                    postings.add(new Posting(day(lead, moments[number]), dimensions, measures, -1));
                }
            }
            return postings;
        }

        private static List<Posting> deal(JsonNode deal) {
            String stage = deal.get("stage").asText();
            if (!stage.equals("won") && !stage.equals("lost")) {
                return List.of();
            }
            String[] dimensions = dimensions(
                deal, "region", "segment", "", "channel", "owner_id", "team_id", "account_id");
            int day = day(deal, "closed_at");
            boolean won = stage.equals("won");
            TreeMap<String, long[]> shares = new TreeMap<>();
            long units = 0;
            for (JsonNode line : deal.get("lines")) {
                long quantity = line.get("quantity").asLong();
                units += quantity;
                long[] share = shares.computeIfAbsent(
                    line.get("product").asText(), product -> new long[] {won ? 1 : 0, won ? 0 : 1, 0, 0});
                if (won) {
                    share[2] += minorUnits(line.get("reporting_amount"));
                    share[3] += quantity;
                }
            }
            long[] whole = won ? new long[] {1, 0, minorUnits(deal.get("reporting_amount")), units} : new long[] {0, 1, 0, 0};
            List<Posting> postings = new ArrayList<>();
            postings.add(new Posting(day, dimensions, whole, -2));
            shares.forEach((product, share) -> {
                String[] ofProduct = dimensions.clone();
                ofProduct[2] = product;
                postings.add(new Posting(day, ofProduct, share, 2));
            });
            return postings;
        }

        private static List<Posting> ticket(JsonNode ticket) {
            String[] dimensions = served(ticket, "kind");
            boolean resolved = ticket.hasNonNull("resolved_at");
            long reopenings = ticket.path("reopen_count").asLong();
            long reopened = reopenings > 0 ? 1 : 0;
            List<Posting> postings = new ArrayList<>();
            postings.add(new Posting(day(ticket, "opened_at"), dimensions,
                new long[] {1, resolved ? 1 : 0, reopened, reopenings, 0, 0, 0}, -1));
            if (resolved) {
                long atFirst = ticket.path("inbound_count").asLong() <= 1 && reopened == 0 ? 1 : 0;
                postings.add(new Posting(day(ticket, "resolved_at"), dimensions,
                    new long[] {0, 0, 0, 0, 1, reopened, atFirst}, -1));
            }
            return postings;
        }

        private static List<Posting> interaction(JsonNode contact) {
            if (!contact.hasNonNull("agent_id")) {
                return List.of();
            }
            return List.of(new Posting(day(contact, "occurred_at"), served(contact, "ticket_kind"), new long[] {
                1, contact.get("talk_seconds").asLong(), contact.get("hold_seconds").asLong(),
                contact.get("wrap_up_seconds").asLong()}, -1));
        }

        private static List<Posting> survey(JsonNode survey) {
            String[] dimensions = served(survey, "ticket_kind");
            boolean answered = survey.hasNonNull("answered_at");
            List<Posting> postings = new ArrayList<>();
            postings.add(new Posting(
                day(survey, "sent_at"), dimensions, new long[] {1, answered ? 1 : 0, 0, 0, 0}, -1));
            if (answered) {
                long score = survey.get("score").asLong();
                postings.add(new Posting(day(survey, "answered_at"), dimensions,
                    new long[] {0, 0, 1, score >= 4 ? 1 : 0, score}, -1));
            }
            return postings;
        }

        private static String[] served(JsonNode state, String kind) {
            return dimensions(state, "region", "segment", "product", "channel", "agent_id", "team_id", "customer_id",
                "priority", kind);
        }

        private static String[] dimensions(JsonNode state, String... names) {
            String[] values = new String[names.length];
            for (int number = 0; number < names.length; number++) {
                JsonNode value = state.get(names[number]);
                values[number] = value == null || value.isNull() ? "" : value.asText();
            }
            return values;
        }

        /** The day in UTC, from 2025-08-10T03:08:17Z as 20250810: the log's times are all in UTC. */
        private static int day(JsonNode state, String name) {
            String moment = state.get(name).asText();
            return Integer.parseInt(moment, 0, 4, 10) * 10_000 + Integer.parseInt(moment, 5, 7, 10) * 100
                + Integer.parseInt(moment, 8, 10, 10);
        }

        private static long minorUnits(JsonNode money) {
            return new BigDecimal(money.get("amount").asText()).movePointRight(2).longValueExact();
        }
    }

    private static long[] longs(byte[] packed) {
        long[] sums = new long[packed.length / 8];
        ByteBuffer.wrap(packed).asLongBuffer().get(sums);
        return sums;
    }

    private static byte[] write(int sequence, List<Posting> postings) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(sequence);
        out.writeByte(postings.size());
        for (Posting posting : postings) {
            out.writeInt(posting.day);
            out.writeByte(posting.splitBy);
            out.writeByte(posting.dimensions.length);
            for (String value : posting.dimensions) {
                out.writeUTF(value);
            }
            out.writeByte(posting.measures.length);
            for (long measure : posting.measures) {
                out.writeLong(measure);
            }
        }
        return bytes.toByteArray();
    }

    private static List<Posting> read(byte[] packed) throws IOException {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(packed));
        in.readInt();
        Posting[] postings = new Posting[in.readByte()];
        for (int number = 0; number < postings.length; number++) {
            int day = in.readInt();
            int splitBy = in.readByte();
            String[] dimensions = new String[in.readByte()];
            for (int position = 0; position < dimensions.length; position++) {
                dimensions[position] = in.readUTF();
            }
            long[] measures = new long[in.readByte()];
            for (int position = 0; position < measures.length; position++) {
                measures[position] = in.readLong();
            }
            postings[number] = new Posting(day, dimensions, measures, splitBy);
        }
        return Arrays.asList(postings);
    }
}

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.Stores;

/**
 * The sums of the books on Kafka Streams, exactly once: what a benchmark compares the consumer with.
 *
 * Equal: every balance by dimension, value, day, month and year with every measure, every histogram, the customers'
 * stories that are derived from both topics, the subjects' newest states, and repeats removed by the event's id, which
 * the subject's state holds, and by the subject's sequence. Only the consumer keeps each change as a row that can be
 * asked for (explain, as of, combinations of filters; here the state is enough to reverse what it contributed), the
 * whole state, merges of customers, gaps in sequences, days of review, and one sum over all partitions. Only this keeps
 * a log of its state in the broker; a reader adds up the sums of six tasks.
 *
 * Both topics are partitioned by customer alike, leads by themselves: so one task sees a customer's whole story, and
 * nothing is sent through a repartition topic.
 *
 * Arguments: bootstrap servers, application id, state directory, threads, events, topics. Ends with a line of JSON:
 * seconds and CPU seconds from the first event until all are committed, peak memory in MiB, and the sums' hashes.
 */
public final class KafkaStreamsBooks {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static volatile long began;
    private static volatile double cpuBefore;

    public static void main(String[] arguments) throws Exception {
        String application = arguments[1];
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[2]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[3]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 4000);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", 4000);
        settings.put("max.partition.fetch.bytes", 4 * 1024 * 1024);
        settings.put("producer.compression.type", "lz4");
        settings.put("producer.linger.ms", 100);
        settings.put("producer.batch.size", 512 * 1024);
        settings.put("producer.buffer.memory", 128 * 1024 * 1024);
        long events = Long.parseLong(arguments[4]);

        KafkaStreams streams = new KafkaStreams(topology(arguments[5].split(",")), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            while (committed(admin, application) < events) {
                Thread.sleep(50);
                if (streams.state() == KafkaStreams.State.ERROR) {
                    System.exit(1);
                }
            }
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        double cpu = cpuSeconds() - cpuBefore;
        double peak = peakMebibytes();
        Map<String, String> digest = Digest.of(streams);
        streams.close();
        System.out.println(JSON.writeValueAsString(
            Map.of("seconds", seconds, "cpu_seconds", cpu, "peak_mib", peak, "digest", digest)));
    }

    private static Topology topology(String[] topics) {
        var bytes = Serdes.ByteArray();
        Topology topology = new Topology();
        topology.addSource("log", bytes.deserializer(), bytes.deserializer(), topics);
        topology.addProcessor("books", () -> new Books(KafkaStreamsBooks::begin), "log");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("names"), Serdes.Integer(), Serdes.String()),
            "books");
        topology.addStateStore(WriteBehind.builder("subjects", State.Form::new), "books");
        topology.addStateStore(WriteBehind.builder("stories", Story.Form::new), "books");
        topology.addStateStore(WriteBehind.builder("sums", Sums.Form::new), "books");
        return topology;
    }

    private static synchronized void begin() {
        if (began == 0) {
            cpuBefore = cpuSeconds();
            began = System.nanoTime();
        }
    }

    private static long committed(Admin admin, String application) throws Exception {
        return admin.listConsumerGroupOffsets(application).partitionsToOffsetAndMetadata().get().values().stream()
            .mapToLong(offset -> offset == null ? 0 : offset.offset()).sum();
    }

    private static double cpuSeconds() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    private static double peakMebibytes() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
            }
        }
        throw new IllegalStateException("this system does not say how much memory a process took");
    }
}

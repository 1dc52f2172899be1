import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * A store of objects over one of bytes and its changelog. What a transaction changes stays an object until it commits:
 * Kafka Streams calls `flushCache` before every commit, and each changed value is then packed and logged once. What
 * this and the last transaction touched is held, everything else is read from the bytes. That is the library's own
 * caching without packing at every step, and without its sorted map of bytes.
 */
final class WriteBehind<K, V> implements StateStore, CachedStateStore<K, V> {
    /** How keys and values become bytes. */
    interface Form<K, V> {
        byte[] key(K key);

        byte[] write(K key, V value);

        V read(K key, byte[] bytes);
    }

    final KeyValueStore<Bytes, byte[]> bytes;
    private final Form<K, V> form;
    private Map<K, V> changed = new HashMap<>();
    private Map<K, V> held = new HashMap<>();

    private WriteBehind(KeyValueStore<Bytes, byte[]> bytes, Form<K, V> form) {
        this.bytes = bytes;
        this.form = form;
    }

    V get(K key) {
        V value = changed.get(key);
        if (value == null && (value = held.get(key)) == null) {
            byte[] packed = bytes.get(Bytes.wrap(form.key(key)));
            value = packed == null ? null : form.read(key, packed);
        }
        return value;
    }

    void put(K key, V value) {
        changed.put(key, value);
    }

    /** The value, to be changed in place; a new one if there is none. */
    V change(K key, Function<K, V> create) {
        V value = changed.get(key);
        if (value == null) {
            value = get(key);
            if (value == null) {
                value = create.apply(key);
            }
            changed.put(key, value);
        }
        return value;
    }

    @Override
    public void flushCache() {
        changed.forEach((key, value) -> bytes.put(Bytes.wrap(form.key(key)), form.write(key, value)));
        Map<K, V> emptied = held;
        emptied.clear();
        held = changed;
        changed = emptied;
    }

    @Override
    public void clearCache() {
        changed.clear();
        held.clear();
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<K, V> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public String name() {
        return bytes.name();
    }

    @Override
    public void init(StateStoreContext context, StateStore root) {
        bytes.init(context, root);
    }

    @Override
    public void flush() {
        bytes.flush();
    }

    @Override
    public void close() {
        clearCache();
        bytes.close();
    }

    @Override
    public boolean persistent() {
        return bytes.persistent();
    }

    @Override
    public boolean isOpen() {
        return bytes.isOpen();
    }

    /** Builds one over a store of bytes in memory, with a changelog. */
    static <K, V> StoreBuilder<WriteBehind<K, V>> builder(String name, Supplier<Form<K, V>> form) {
        var supplier = Stores.inMemoryKeyValueStore(name);
        return new Builder<>(
            Stores.keyValueStoreBuilder(supplier, Serdes.Bytes(), Serdes.ByteArray()).withCachingDisabled(), form);
    }

    private record Builder<K, V>(StoreBuilder<KeyValueStore<Bytes, byte[]>> ofBytes, Supplier<Form<K, V>> form)
        implements StoreBuilder<WriteBehind<K, V>> {
        @Override
        public WriteBehind<K, V> build() {
            return new WriteBehind<>(ofBytes.build(), form.get());
        }

        @Override
        public StoreBuilder<WriteBehind<K, V>> withCachingEnabled() {
            return this;
        }

        @Override
        public StoreBuilder<WriteBehind<K, V>> withCachingDisabled() {
            throw new UnsupportedOperationException("it is a cache");
        }

        @Override
        public StoreBuilder<WriteBehind<K, V>> withLoggingEnabled(Map<String, String> config) {
            ofBytes.withLoggingEnabled(config);
            return this;
        }

        @Override
        public StoreBuilder<WriteBehind<K, V>> withLoggingDisabled() {
            ofBytes.withLoggingDisabled();
            return this;
        }

        @Override
        public Map<String, String> logConfig() {
            return ofBytes.logConfig();
        }

        @Override
        public boolean loggingEnabled() {
            return ofBytes.loggingEnabled();
        }

        @Override
        public String name() {
            return ofBytes.name();
        }
    }
}

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.UUID;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Books the events of one task's partitions, one of each topic. */
final class Books implements Processor<byte[], byte[], Void, Void> {
    private final Runnable begin;
    private ProcessorContext<Void, Void> context;
    private Event event;
    private WriteBehind<State.Key, State> subjects;
    private WriteBehind<UUID, Story> stories;
    private Sums sums;

    /** `begin` is told of the task's first event. */
    Books(Runnable begin) {
        this.begin = begin;
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        this.context = context;
        subjects = context.getStateStore("subjects");
        stories = context.getStateStore("stories");
        sums = new Sums(context.getStateStore("sums"));
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        if (event == null) {
            begin.run();
            // Not in `init`: the store of names is restored after that.
            event = new Event(new Names(context.getStateStore("names")));
        }
        try {
            book(event.read(record.value()));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        State contact = event.contact();
        if (contact != null) {
            book(contact);
        }
    }

    private void book(State state) {
        State.Key key = state.key();
        State before = subjects.get(key);
        // A repeat is known by its id, and by the sequence like everything that comes after something newer.
        if (before != null && (before.event.equals(state.event) || before.sequence >= state.sequence)) {
            return;
        }
        List<Posting> standing = before == null ? List.of() : Rules.postings(before);
        sums.add(state.kind, Posting.difference(standing, Rules.postings(state)));
        subjects.put(key, state);
        Fact stood = before == null ? null : Rules.fact(before), fact = Rules.fact(state);
        if (stood != null && !before.customer.equals(state.customer)) {
            tell(before, null);
            stood = null;
        }
        if (stood == null ? fact != null : !stood.equals(fact)) {
            tell(state, fact);
        }
    }

    private void tell(State state, Fact fact) {
        Story story = stories.change(state.customer, customer -> new Story());
        sums.add(Kind.RELATIONSHIP, story.tell(state.kind, state.id, fact));
    }
}

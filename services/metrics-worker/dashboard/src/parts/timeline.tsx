/** A customer's timeline: sales and service in one, the newest first, by days. */

import { createMemo, createSignal, For, Show } from "solid-js";
import { dayOf, fullDay, text, time } from "../format";
import { isMessage, t } from "../i18n";
import { createReading } from "../reading";
import { deedOf, GROUPS, readTimeline, SOURCES, type Entry, type Group, type Source } from "../timeline";
import { useShared } from "../view";
import { Mark } from "./marks";
import { Select } from "./select";
import { Failed, Nothing } from "./states";

const FIRST = 20;

export function TimelinePanel(props: { customer: string }) {
  const { live, shownZone } = useShared();
  const [source, setSource] = createSignal<Source | "both">("both");
  const [group, setGroup] = createSignal<Group | "all">("all");
  const [count, setCount] = createSignal(FIRST);
  const reading = createReading(
    () => ({ customer: props.customer, source: source(), group: group() }),
    // An answer of its own says that nothing may be seen: undefined is one that is awaited.
    async (asked) => ({ timeline: (await readTimeline(asked, count())) ?? null }),
    { moved: live.moved },
  );
  const found = () => reading.latest()?.timeline;
  const choose = (change: () => void) => {
    setCount(FIRST);
    change();
  };
  const days = createMemo(() => {
    const entries = found()?.entries ?? [];
    return entries.map((entry, index) => {
      const day = dayOf(new Date(entry.occurred_at), shownZone());
      const before = entries[index - 1];
      return { entry, day: before !== undefined && dayOf(new Date(before.occurred_at), shownZone()) === day ? "" : fullDay(day) };
    });
  });
  return (
    <section class="panel timeline" aria-labelledby="timeline">
      <header class="panel-head">
        <h2 id="timeline">{t("timeline.title")}</h2>
        <div class="timeline-filters">
          <div class="segments" role="group" aria-label={t("timeline.source")}>
            <For each={["both", ...SOURCES] as const}>
              {(name) => (
                <button type="button" class="button" aria-pressed={source() === name} onClick={() => choose(() => setSource(name))}>
                  <Show when={name !== "both"}><Mark of={name as Source} /></Show> {t(name === "both" ? "timeline.both" : `function.${name}`)}
                </button>
              )}
            </For>
          </div>
          <Select
            label={t("timeline.kind")}
            value={group()}
            choices={[{ value: "all", name: t("timeline.all") }, ...GROUPS.map((value) => ({ value, name: t(`kind.${value}`) }))]}
            onChange={(value) => choose(() => setGroup(value as Group | "all"))}
          />
        </div>
      </header>
      <Show when={reading.latest()} fallback={<Failed of={reading} />}>
        <Show when={found()} fallback={<p class="alert-do">{t("timeline.hidden")}</p>}>
          {(timeline) => (
            <Show when={timeline().entries.length > 0} fallback={<Nothing title={t("timeline.none")} text={t("timeline.noneText")} />}>
              <div class="table-scroll" tabindex="0" role="group" aria-labelledby="timeline">
                <table class="rows timeline-rows">
                  <thead>
                    <tr>
                      <th scope="col">{t("timeline.when")}</th>
                      <th scope="col"><span class="hidden">{t("timeline.time")}</span></th>
                      <th scope="col">{t("timeline.what")}</th>
                      <th scope="col">{t("waiting.owner")}</th>
                    </tr>
                  </thead>
                  <tbody>
                    <For each={days()}>
                      {({ entry, day }) => (
                        <tr data-entry={entry.id} classList={{ "first-of-day": day !== "" }}>
                          <th scope="row">{day}<Show when={day === ""}><span class="hidden">{fullDay(dayOf(new Date(entry.occurred_at), shownZone()))}</span></Show></th>
                          <td class="muted">{time(new Date(entry.occurred_at), shownZone())}</td>
                          <td class="timeline-what">
                            <Mark of={entry.source} named /> <b>{titleOf(entry)}</b> <span class="muted">{detailOf(entry)}</span>
                          </td>
                          <td class={entry.person?.name == null ? "muted" : ""}>{entry.person?.name ?? "–"}</td>
                        </tr>
                      )}
                    </For>
                  </tbody>
                </table>
              </div>
              <Show when={timeline().hasMore}>
                <p class="timeline-more">
                  <button
                    type="button"
                    class="button"
                    onClick={() => {
                      setCount(count() + FIRST);
                      reading.again();
                    }}
                  >
                    {t("explain.more")}
                  </button>
                </p>
              </Show>
            </Show>
          )}
        </Show>
      </Show>
    </section>
  );
}

/** Returns what happened; of a kind that is newer than the page, its name. */
function titleOf(entry: Entry): string {
  const known = deedOf(entry);
  return known === undefined ? entry.kind : `${t(`kind.${known.group}`)}: ${t(`deed.${known.deed}`)}`;
}

/** Returns what matters of it, in the reader's words; codes that the company declares as they are. */
function detailOf({ record, facts }: Entry): string {
  const said = (key: string): string | undefined => (isMessage(key) ? t(key as never) : undefined);
  const money = (amount: NonNullable<Entry["facts"]["amount"]>) => text(Number(amount.amount), { kpi: "", variant: "", unit: "money", currency: amount.currency }, true);
  const rating = (score: number) => `${score} ${t("unit.of5")}`;
  const parts = [
    record.title,
    facts.amount && (facts.previous_amount ? `${money(facts.previous_amount)} → ${money(facts.amount)}` : money(facts.amount)),
    facts.type && (said(`ticket.${facts.type}`) ?? said(`activity.${facts.type}`)),
    facts.priority && record.noun === "tickets" && said(`priority.${facts.priority}`),
    facts.previous_status && facts.status && said(`stage.${facts.status}`),
    facts.score != null && (facts.previous_score != null ? `${rating(facts.previous_score)} → ${rating(facts.score)}` : rating(facts.score)),
    facts.due_on && fullDay(facts.due_on),
    facts.due_at && record.noun !== "tickets" && fullDay(facts.due_at.slice(0, 10)),
    facts.products?.join(", "),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Why a number is so: what is above and below the line, what is left out, and the records and events behind it. */

import { dataOf } from "@tandem/client";
import { createEffect, createSignal, For, on, onMount, Show } from "solid-js";
import { api, eventAt, type Answer, type Explanation, type Kpi, type Posting } from "../api";
import { measuredOf } from "../figure";
import { decimal, moment, text } from "../format";
import { isMessage, t } from "../i18n";
import { useShared } from "../view";
import { nameOfDimension } from "./page";

const PAGE = 50;
const keyOf = (posting: Posting): string => [posting.event_id, posting.day, JSON.stringify([posting.dimensions, posting.measures])].join();

export function Explain(props: { title: string; kpi: Kpi; query: Record<string, string>; answer: Answer | undefined; close: () => void }) {
  const { shownZone } = useShared();
  const [found, setFound] = createSignal<Explanation>();
  const [items, setItems] = createSignal<Posting[]>([]);
  const [cursor, setCursor] = createSignal<string | null>(null);
  const [failed, setFailed] = createSignal(false);
  let heading: HTMLHeadingElement | undefined;

  async function read(more: boolean): Promise<void> {
    try {
      const query = { ...props.query, limit: PAGE, ...(more && cursor() !== null && { cursor: cursor()! }) };
      // A text only where CSV is asked for.
      const page = dataOf(await api.GET("/v1/kpis/{name}/explain", { params: { path: { name: props.kpi.name }, query } })) as Explanation;
      setFound(page);
      setItems((known) => {
        // What is there already stays the same, so that an opened one stays open.
        const by = new Map(known.map((each) => [keyOf(each), each]));
        return more ? [...known, ...page.items] : page.items.map((each) => by.get(keyOf(each)) ?? each);
      });
      setCursor(page.next_cursor ?? null);
      setFailed(false);
    } catch {
      setFailed(true);
    }
  }
  // Read again when the number has moved, so that both always agree.
  createEffect(on(() => [JSON.stringify(props.query), props.answer?.numerator, props.answer?.denominator], () => void read(false)));
  onMount(() => heading?.focus());

  const amount = (value: string | number | null | undefined): string => {
    if (value == null) return "–";
    return typeof value === "number" ? decimal(value) : text(Number(value), { kpi: "", variant: "", unit: "money", currency: currencyOf() }, true);
  };
  const currencyOf = () => found()?.currency ?? "EUR";

  return (
    <aside class="explain" aria-labelledby="explain" onKeyDown={(event) => event.key === "Escape" && props.close()}>
      <header class="panel-head">
        <h2 id="explain" ref={(element) => (heading = element)} tabindex="-1">
          {t("explain.title", {
            kpi: props.title,
            value: found()?.value == null ? "–" : text(Number(found()!.value), props.answer ? measuredOf(props.answer) : { kpi: props.kpi.name, variant: found()!.variant, unit: found()!.unit, currency: found()!.currency ?? null }, true),
          })}
        </h2>
        <button type="button" class="button quiet panel-end" onClick={props.close}>{t("explain.close")}</button>
      </header>
      <Show when={failed()}>
        <p class="explain-part" role="alert">{t("explain.failed")} <button type="button" class="button" onClick={() => void read(false)}>{t("state.tryNow")}</button></p>
      </Show>
      <Show when={found()}>
        {(explanation) => (
          <>
            <dl class="explain-part sums">
              <dt>{t("explain.numerator")}<span class="muted">{explanation().numerator_measures.join(" + ")}</span></dt>
              <dd>{amount(explanation().numerator)}</dd>
              <dt>
                {t("explain.denominator")}
                <span class="muted">{explanation().denominator == null ? t("explain.isSum") : explanation().denominator_measures.join(" + ")}</span>
              </dt>
              <dd>{amount(explanation().denominator)}</dd>
            </dl>
            <Show when={explanation().exclusions.some(({ count }) => count > 0)}>
              <section class="explain-part">
                <h3>{t("explain.leftOut")}</h3>
                <ul class="left-out">
                  <For each={explanation().exclusions.filter(({ count }) => count > 0)}>
                    {(each) => <li><b>{decimal(each.count)}</b> {isMessage(`exclusion.${each.reason}`) ? t(`exclusion.${each.reason}` as never) : <span lang="en">{each.says}</span>}</li>}
                  </For>
                </ul>
              </section>
            </Show>
            <section class="explain-part">
              <h3>{t("explain.records")}</h3>
              <ul class="postings">
                <For each={items()} fallback={<li class="muted">{t("kpi.nothing")}</li>}>
                  {(posting) => <Record posting={posting} zone={shownZone()} amount={amount} />}
                </For>
              </ul>
              <Show when={cursor() !== null}>
                <button type="button" class="button" onClick={() => void read(true)}>{t("explain.more")}</button>
              </Show>
            </section>
          </>
        )}
      </Show>
    </aside>
  );
}

/** One posting: what one event added, and on demand that event as it was published. */
function Record(props: { posting: Posting; zone: string; amount: (value: string | number | null | undefined) => string }) {
  const [event, setEvent] = createSignal<{ type: string; data: [string, string][] } | "failed">();
  const [open, setOpen] = createSignal(false);
  const { posting } = props;
  const kind = () => (isMessage(`kind.${posting.kind}`) ? t(`kind.${posting.kind}` as never) : posting.kind);
  const whose = () => posting.names.customer ?? posting.names.owner ?? posting.names.team;

  async function toggle(): Promise<void> {
    setOpen(!open());
    if (!open() || posting.links.event == null || (event() !== undefined && event() !== "failed")) return;
    setEvent(await eventAt(posting.links.event).catch(() => "failed" as const));
  }
  return (
    <li>
      <button type="button" class="posting" aria-expanded={open()} onClick={() => void toggle()}>
        <span class="muted">{moment(new Date(posting.event_time), props.zone)}</span>
        <span>
          <b>{kind()}</b>
          <Show when={whose()}>{(name) => <span class="posting-name">{name()}</span>}</Show>
        </span>
        <span class="number">{Object.values(posting.measures).map(props.amount).join(" · ")}</span>
      </button>
      <Show when={open()}>
        <dl class="event" data-event={posting.event_id}>
          <For each={Object.entries(posting.dimensions).filter(([, value]) => value !== null)}>
            {([dimension, value]) => (
              <>
                <dt>{nameOfDimension(dimension)}</dt>
                <dd>{posting.names[dimension] ?? value}</dd>
              </>
            )}
          </For>
          <dt>{t("explain.recorded")}</dt>
          <dd>{moment(new Date(posting.recorded_time), props.zone)}</dd>
          <dt>{t("explain.event")}</dt>
          <dd class="event-id">{posting.event_id}</dd>
          <Show when={event()}>
            {(read) => (
              <Show when={read() !== "failed" && (read() as { type: string; data: [string, string][] })} fallback={<dd>{t("explain.eventFailed")}</dd>}>
                {(published) => (
                  <>
                    <dt>{t("explain.type")}</dt>
                    <dd>{published().type}</dd>
                    <For each={published().data}>{([name, value]) => (<><dt>{name}</dt><dd>{value}</dd></>)}</For>
                  </>
                )}
              </Show>
            )}
          </Show>
        </dl>
      </Show>
    </li>
  );
}

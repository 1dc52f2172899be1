/** The books: up to when they are complete, whether they were proven, what they could not read, which periods are closed, and what changed since. */

import { dataOf, ProblemError, type Metrics } from "@tandem/client";
import { createMemo, createResource, createSignal, For, Show } from "solid-js";
import { api } from "./api";
import { createAlerts } from "./alert_groups";
import { day, decimal, moment, text, time } from "./format";
import { t } from "./i18n";
import { titleOf } from "./kpis";
import { Confirm } from "./parts/confirm";
import { Failed, Nothing } from "./parts/states";
import { Select } from "./parts/select";
import { addDays } from "./period";
import { createReading } from "./reading";
import { useShared } from "./view";

type Period = Metrics["ClosedPeriodRead"];
type Proof = Metrics["ProofRead"];

const MOST = 100;
const EVERY_MS = 30_000;
/** What proves the books; its name is the same in every language. */
const COMMAND = "metrics-verify";
/** How far back a period is offered for closing. */
const MONTHS = 12;

export default function Books() {
  const { may } = useShared();
  return (
    <div class="list-page">
      <h1>{t("books.title")}</h1>
      <Freshness />
      <Show when={may("list_proofs")}><LastProof /></Show>
      <Show when={may("list_dead_letters")}><DeadLetters /></Show>
      <Periods />
    </div>
  );
}

function Freshness() {
  const { live, shownZone, zone } = useShared();
  const alerts = createAlerts(live.alerts);
  const kinds = () => new Set((alerts() ?? []).map(({ kind }) => kind));
  const wrong = () => (["books-being-read", "sequence-conflict"] as const).filter((kind) => kinds().has(kind));
  return (
    <section class="panel" aria-labelledby="freshness">
      <header class="panel-head"><h2 id="freshness">{t("books.freshness")}</h2></header>
      <div class="books-fresh">
        <Show when={live.freshAsOf()} fallback={<span class="placeholder large" aria-hidden="true" />}>
          {(fresh) => <b class="value medium">{time(fresh(), shownZone(), true)}</b>}
        </Show>
        <span class="muted">{t("books.completeMeans", { zone: zone() })}</span>
        <For each={wrong()}>{(kind) => <p class="bad">{t(`alert.${kind}`)}: {t(`do.${kind}`)}</p>}</For>
      </div>
    </section>
  );
}

function LastProof() {
  const proofs = createReading(() => ({ limit: 1 }), async (query) => dataOf(await api.GET("/v1/proofs", { params: { query } })).items, { everyMs: EVERY_MS });
  return (
    <section class="panel" aria-labelledby="proof">
      <header class="panel-head"><h2 id="proof">{t("books.proof")}</h2></header>
      <Show when={proofs.latest()} fallback={<Failed of={proofs} />}>
        {(found) => (
          <Show when={found()[0]} fallback={<div class="nothing"><div><b>{t("books.neverProven")}</b><span class="muted">{t("books.proveBy", { command: COMMAND })}</span></div></div>}>
            {(last) => <Proven proof={last()} />}
          </Show>
        )}
      </Show>
    </section>
  );
}

function Proven(props: { proof: Proof }) {
  const { shownZone } = useShared();
  const at = (given: string) => moment(new Date(given), shownZone());
  const proven = () => {
    const { ended_at, fresh_as_of, release } = props.proof;
    if (fresh_as_of == null) return t("books.provenPartly", { ended: at(ended_at), release });
    return t("books.proven", { ended: at(ended_at), fresh: at(fresh_as_of), release });
  };
  return (
    <>
      <div class="books-fresh">
        <Show when={props.proof.result === "exact"} fallback={<b class="value medium bad">{t("books.differs", { count: props.proof.differences_found })}</b>}>
          <b class="value medium" classList={{ good: !props.proof.rebuilt_since, muted: props.proof.rebuilt_since }}>{t("books.exact")}</b>
        </Show>
        <span class="muted">{proven()}</span>
        <p class="muted">{t("books.covered", { count: props.proof.events, blocks: props.proof.blocks })} {t("books.proofMeans")}</p>
        <Show when={props.proof.rebuilt_since}><p class="bad">{t("books.rebuiltSince", { command: COMMAND })}</p></Show>
      </div>
      <Show when={props.proof.differences.length > 0}>
        <p class="alert-do bad">{t("books.differsDo")}</p>
        <div class="table-scroll" tabindex="0" role="group" aria-labelledby="proof">
          <table class="rows">
            <thead>
              <tr><th scope="col">{t("books.where")}</th><th scope="col">{t("books.which")}</th><th scope="col">{t("books.sides")}</th></tr>
            </thead>
            <tbody>
              <For each={props.proof.differences}>
                {(difference) => (
                  <tr>
                    <th scope="row" lang="en"><code>{difference.table}</code></th>
                    <td lang="en"><code>{difference.key.join(" ")}</code></td>
                    <td lang="en"><For each={Object.entries(difference.sides)}>{([side, holds]) => <div><span class="muted">{side}</span> <code>{holds}</code></div>}</For></td>
                  </tr>
                )}
              </For>
            </tbody>
          </table>
        </div>
      </Show>
    </>
  );
}

function DeadLetters() {
  const { shownZone } = useShared();
  const letters = createReading(
    () => ({ status: ["open" as const], limit: MOST }),
    async (query) => {
      const [page, halts] = await Promise.all([api.GET("/v1/dead-letters", { params: { query } }), api.GET("/v1/dead-letters/halts")]);
      return { items: dataOf(page).items, more: dataOf(page).next_cursor != null, halts: dataOf(halts).items };
    },
    { everyMs: EVERY_MS },
  );
  return (
    <section class="panel" aria-labelledby="letters">
      <header class="panel-head">
        <h2 id="letters">{t("books.letters")}</h2>
        <Show when={letters.latest()?.items.length}>{(count) => <span class="muted">{decimal(count())}{letters.latest()!.more ? "+" : ""}</span>}</Show>
      </header>
      <Show when={letters.latest()} fallback={<Failed of={letters} />}>
        {(found) => (
          <>
            <For each={found().halts}>
              {(halt) => <p class="alert-do bad">{t("books.halted", { consumer: halt.consumer, time: moment(new Date(halt.halted_at), shownZone()), count: halt.to_settle })}</p>}
            </For>
            <Show when={found().items.length > 0} fallback={<Nothing title={t("books.noLetters")} text={t("books.noLettersText")} />}>
              <div class="table-scroll" tabindex="0" role="group" aria-labelledby="letters">
                <table class="rows">
                  <thead>
                    <tr><th scope="col">{t("books.recorded")}</th><th scope="col">{t("books.reason")}</th><th scope="col">{t("books.topic")}</th></tr>
                  </thead>
                  <tbody>
                    <For each={found().items}>
                      {(letter) => (
                        <tr>
                          <th scope="row">{moment(new Date(letter.recorded_at), shownZone())}</th>
                          <td lang="en" title={letter.detail}><code>{letter.reason}</code></td>
                          <td class="muted">{letter.topic}</td>
                        </tr>
                      )}
                    </For>
                  </tbody>
                </table>
              </div>
              <p class="alert-do">{t("books.lettersDo")}</p>
            </Show>
          </>
        )}
      </Show>
    </section>
  );
}

/** Returns the months, quarters and years that are over, the latest first. */
export function overOn(today: string): string[] {
  const found: string[] = [];
  let last = addDays(`${today.slice(0, 7)}-01`, -1);
  for (let months = 0; months < MONTHS; months += 1) {
    const [year = "", month = ""] = last.split("-");
    found.push(`${year}-${month}`);
    if (Number(month) % 3 === 0) found.push(`${year}-Q${Number(month) / 3}`);
    if (month === "12") found.push(year);
    last = addDays(`${year}-${month}-01`, -1);
  }
  return found;
}

function Periods() {
  const { days, may, shownZone } = useShared();
  const [chosen, choose] = createSignal<string>();
  const [says, setSays] = createSignal("");
  const [closing, setClosing] = createSignal(false);
  const periods = createReading(() => ({ limit: MOST }), async (query) => dataOf(await api.GET("/v1/periods", { params: { query } })).items, { everyMs: EVERY_MS });
  const toClose = createMemo(() => {
    const closed = new Set((periods.latest() ?? []).map(({ period }) => period));
    return overOn(days().to).filter((period) => !closed.has(period));
  });
  const period = () => (toClose().includes(chosen() ?? "") ? chosen()! : toClose()[0]);

  async function close(): Promise<void> {
    setClosing(true);
    try {
      await api.POST("/v1/periods/{period}/close", { params: { path: { period: period()! } } });
      setSays(t("books.closed", { period: period()! }));
    } catch (error) {
      const slug = error instanceof ProblemError ? error.slug : "";
      setSays(t(slug === "period-already-closed" ? "books.closedAlready" : slug === "unavailable" ? "books.behind" : "target.failed"));
    }
    setClosing(false);
    periods.again();
  }
  return (
    <section class="panel" aria-labelledby="periods">
      <header class="panel-head">
        <h2 id="periods">{t("books.periods")}</h2>
        <Show when={may("close_period") && period()}>
          {(name) => (
            <span class="panel-end panel-choices">
              <Select label={t("filter.period")} choices={toClose().map((value) => ({ value, name: value }))} value={name()} onChange={choose} />
              <Confirm label={t("books.close")} asks={t("books.closeReally", { period: name() })} disabled={closing()} onConfirm={() => void close()} />
            </span>
          )}
        </Show>
      </header>
      <p class="alert-do">{t("books.closeMeans")} <span role="status">{says()}</span></p>
      <Show when={periods.latest()} fallback={<Failed of={periods} />}>
        {(found) => (
          <Show when={found().length > 0} fallback={<p class="alert-do muted">{t("books.noPeriods")}</p>}>
            <ul class="alert-list">
              <For each={found()}>{(each) => <ClosedPeriod period={each} zone={shownZone()} />}</For>
            </ul>
          </Show>
        )}
      </Show>
    </section>
  );
}

function ClosedPeriod(props: { period: Period; zone: string }) {
  const { may } = useShared();
  const [open, setOpen] = createSignal(false);
  const [changes] = createResource(open, async () =>
    dataOf(await api.GET("/v1/periods/{period}/restatements", { params: { path: { period: props.period.period }, query: { limit: MOST } } })).items,
  );
  const value = (change: Metrics["RestatementRead"], given: string | null | undefined) =>
    given == null ? "–" : text(Number(given), { kpi: change.kpi, variant: change.variant, unit: change.unit, currency: change.currency ?? null }, true);
  return (
    <li>
      <b>{props.period.period}</b>
      <span class="muted">{t("books.closedAt", { time: moment(new Date(props.period.closed_at), props.zone) })}</span>
      <p class="muted">
        {day(props.period.from)} – {day(props.period.to)}{" "}
        <Show when={may("list_restatements")}>
          <button type="button" class="quiet" aria-expanded={open()} onClick={() => setOpen(!open())}>{t("books.changes")}</button>
        </Show>
      </p>
      <Show when={open() && changes.state === "ready" && changes()} fallback={<Show when={open() && changes.error}><p role="alert">{t("state.failedLine")}</p></Show>}>
        {(found) => (
          <ul class="changes">
            <For each={found()} fallback={<li class="muted">{t("books.noChanges")}</li>}>
              {(change) => (
                <li>{t("books.change", { kpi: titleOf(change.kpi), before: value(change, change.as_closed.value), now: value(change, change.now.value) })}</li>
              )}
            </For>
          </ul>
        )}
      </Show>
    </li>
  );
}

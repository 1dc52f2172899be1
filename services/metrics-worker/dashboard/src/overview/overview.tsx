/** Sales left, service right, what both share between them; below, who waits and what needs attention. */

import { A } from "@solidjs/router";
import { dataOf } from "@tandem/client";
import { createMemo, createResource, For, Show } from "solid-js";
import { createAlerts, groupsOf, nameOf, titleOfKind } from "../alert_groups";
import { api, type Alert } from "../api";
import { Spark } from "../charts/spark";
import { Trend } from "../charts/trend";
import { aimOf, changeOf, measuredOf } from "../figure";
import { decimal, duration, moment, text, time } from "../format";
import { t } from "../i18n";
import { SALES, SERVICE, titleOf, TOGETHER, type Half, type Pick } from "../kpis";
import { keyOf } from "../live";
import { Bar, Change, Few, Target, Value } from "../parts/figures";
import { Mark, Warning, type FunctionName } from "../parts/marks";
import { Nothing } from "../parts/states";
import { WaitRows } from "../parts/waits";
import { addDays, daysBefore, daysBetween } from "../period";
import { plain, sevenDayAverage, type Point } from "../series";
import { numberAt, useShared } from "../view";
import { createWaits } from "../waits";
import { Questions } from "./questions";

const LONGEST = 5;
const NAMED = 3;
const GROUPS = 3;

export function Overview() {
  const { address } = useShared();
  const tabs = ["sales", "service", "both"] as const;
  return (
    <div class="overview" data-tab={address.tab()}>
      <h1 class="hidden">{t("app.description")}</h1>
      <div class="tabs" role="group" aria-label={t("nav.overview")}>
        <For each={tabs}>
          {(tab) => (
            <button type="button" aria-pressed={address.tab() === tab} onClick={() => address.set({ tab: tab === "sales" ? null : tab })}>
              <Show when={tab !== "both"}><Mark of={tab} size={10} /></Show> {t(`function.${tab}`)}
            </button>
          )}
        </For>
      </div>
      <HalfPanel of="sales" half={SALES} />
      <HalfPanel of="service" half={SERVICE} />
      <Together />
      <Questions />
      <Attention />
      <Source />
    </div>
  );
}

/** The answer of a KPI, with what the page says of it. */
function useFigure(pick: Pick) {
  const { live, kpi } = useShared();
  const known = () => kpi(pick.kpi);
  const answer = () => live.answers[keyOf(pick.kpi, pick.variant)];
  const direction = () => known()?.direction ?? "up";
  const change = createMemo(() => {
    const found = answer();
    return found === undefined ? null : changeOf(found, direction());
  });
  const aim = createMemo(() => {
    const found = answer();
    return found === undefined ? null : aimOf(found, direction());
  });
  return { known, answer, change, aim, title: () => titleOf(pick.kpi, known()?.title) };
}

function HalfPanel(props: { of: "sales" | "service"; half: Half }) {
  const { live, kpi } = useShared();
  const { half } = props;
  const picks = [half.headline, half.beside, ...half.tiles];
  const shown = () => picks.filter((pick) => kpi(pick.kpi) !== undefined);
  const aims = createMemo(() =>
    picks.flatMap((pick) => {
      const answer = live.answers[keyOf(pick.kpi, pick.variant)];
      const aim = answer && aimOf(answer, kpi(pick.kpi)?.direction ?? "up");
      return aim?.met == null ? [] : [aim];
    }),
  );
  return (
    <section class={`panel half ${props.of}`} aria-labelledby={`half-${props.of}`} hidden={kpi("revenue") !== undefined && shown().length === 0}>
      <header class="panel-head">
        <Mark of={props.of} size={10} />
        <h2 id={`half-${props.of}`}>{t(`function.${props.of}`)}</h2>
        <span class="panel-end">
          {aims().length === 0
            ? t("targets.none")
            : t("targets.met", { met: aims().filter((aim) => aim.met).length, count: aims().length })}
        </span>
      </header>
      <Headline of={props.of} half={half} />
      <div class="tiles">
        <For each={half.tiles}>{(pick) => <Tile pick={pick} of={props.of} />}</For>
      </div>
    </section>
  );
}

/** The dotted name leads to the number's own page. */
function Name(props: { title: string; pick: Pick }) {
  const { address } = useShared();
  const href = () => {
    // Read, so that the link follows what is chosen.
    void [address.period(), address.filters(), address.language(), address.theme()];
    return numberAt(props.pick);
  };
  return <A class="kpi-name" href={href()}>{props.title}</A>;
}

function Headline(props: { of: "sales" | "service"; half: Half }) {
  const { days, live, address, zone } = useShared();
  const { headline, beside } = props.half;
  const figure = useFigure(headline);
  const second = useFigure(beside);
  // The six days before the former period begin its average.
  const asked = createMemo(() => {
    const answer = figure.answer();
    if (answer === undefined) return undefined;
    const before = daysBefore(days());
    return { from: addDays(before.from, -6), to: before.to, filters: address.filters(), on: days().to };
  }, undefined, { equals: (one, other) => JSON.stringify(one) === JSON.stringify(other) });
  const [before] = createResource(asked, async ({ from, to, filters }) => {
    const query = { from, to, interval: "day" as const, ...(headline.variant && { variant: headline.variant }), ...filters };
    return dataOf(await api.GET("/v1/kpis/{name}", { params: { path: { name: headline.kpi }, query } })).series ?? [];
  });
  const daily = () => (figure.answer()?.series?.length ?? 0) > 0 && isDaily(figure.answer()!.series!);
  const earlier = (): readonly Point[] => (before.state === "ready" || before.state === "refreshing" ? (before.latest ?? []) : []);
  const points = createMemo(() => {
    const answer = figure.answer();
    if (!answer?.series) return [];
    return daily() ? sevenDayAverage(answer.series, answer.unit, earlier()) : plain(answer.series);
  });
  const previous = createMemo(() => {
    const answer = figure.answer();
    if (!answer || !daily()) return [];
    return sevenDayAverage(earlier().slice(6), answer.unit, earlier().slice(0, 6));
  });
  /** A target of an amount is due over all days: its line is one day's part of it. */
  const targetLine = () => {
    const aim = figure.aim();
    const answer = figure.answer();
    if (aim === null || answer === undefined) return null;
    const isSum = answer.denominator == null && (answer.unit === "money" || answer.unit === "count");
    return isSum ? aim.value / Math.max(points().length, 1) : aim.value;
  };
  const share = () => {
    const aim = figure.aim();
    const answer = figure.answer();
    if (!aim || !answer || aim.share === null || answer.unit !== "money") return undefined;
    return t("target.share", { share: `${decimal(aim.share * 100, 1)} %`, value: text(aim.value, measuredOf(answer)) });
  };
  return (
    <div class="headline">
      <div class="headline-words">
        <div class="line">
          <Name title={figure.title()} pick={headline} />
          <span class="indicator">{figure.known() && t(`kpi.${figure.known()!.indicator}`)}</span>
        </div>
        <Show when={figure.answer()} fallback={<Placeholder large waits={live.connection().state === "loading"} />}>
          {(answer) => (
            <>
              <Value answer={answer()} class="large" />
              <div class="line start"><Change of={figure.change()} /><Few answer={answer()} /></div>
              <div class="muted was">{figure.change()?.was ?? " "}</div>
              <Bar aim={figure.aim()} />
              <div class="line">
                <Target aim={figure.aim()} pick={headline} {...(share() !== undefined && { says: share()! })} />
                <A class="why" href={numberAt(headline, { why: "1" })} aria-label={t("kpi.whyNamed", { kpi: figure.title() })}>
                  {t("kpi.why")}
                </A>
              </div>
            </>
          )}
        </Show>
        <div class="beside">
          <Name title={second.title()} pick={beside} />
          <Show when={second.answer()} fallback={<Placeholder waits={live.connection().state === "loading"} />}>
            {(answer) => (
              <>
                <Value answer={answer()} class="small" />
                <Change of={second.change()} />
                <Target aim={second.aim()} pick={beside} />
              </>
            )}
          </Show>
        </div>
      </div>
      <div class="headline-chart">
        <Trend
          title={t(daily() || !figure.answer() ? "chart.perDayAverage" : "chart.perWeek", { kpi: figure.title() })}
          kpi={headline.kpi}
          points={points()}
          before={previous()}
          target={targetLine()}
          measured={figure.answer() ? measuredOf(figure.answer()!) : { kpi: headline.kpi, variant: "", unit: props.of === "sales" ? "money" : "ratio", currency: null }}
          of={props.of}
          height={178}
          today={days().to}
        />
      </div>
      <span class="hidden">{zone()}</span>
    </div>
  );
}

function isDaily(points: readonly Point[]): boolean {
  const [first, second] = points;
  return first === undefined || second === undefined || addDays(first.start, 1) === second.start;
}

/** Flat, and as large as what will be there: nothing moves when it comes. */
function Placeholder(props: { large?: boolean; waits: boolean }) {
  return (
    <Show when={props.waits} fallback={<span class="value none" title={t("filter.notBy")}>–<span class="hidden">{t("filter.notBy")}</span></span>}>
      <span class={props.large ? "placeholder large" : "placeholder"} aria-hidden="true" />
    </Show>
  );
}

function Tile(props: { pick: Pick; of: FunctionName }) {
  const { live, kpi, catalogue } = useShared();
  const figure = useFigure(props.pick);
  const points = createMemo(() => {
    const answer = figure.answer();
    if (!answer?.series) return [];
    return isDaily(answer.series) ? sevenDayAverage(answer.series, answer.unit) : plain(answer.series);
  });
  return (
    // What a role may not see is not there.
    <Show when={catalogue() === undefined || kpi(props.pick.kpi) !== undefined}>
      <div class="tile" data-kpi={props.pick.kpi}>
        <div class="line">
          <Name title={figure.title()} pick={props.pick} />
          <span class="indicator">{figure.known() && t(`kpi.${figure.known()!.indicator}`)}</span>
        </div>
        <Show when={figure.answer()} fallback={<Placeholder waits={live.connection().state === "loading"} />}>
          {(answer) => (
            <>
              <div class="line">
                <span class="line start"><Value answer={answer()} class="medium" /><Few answer={answer()} /></span>
                <Spark points={points()} measured={measuredOf(answer())} of={props.of} />
              </div>
              <div class="line"><Change of={figure.change()} /><Target aim={figure.aim()} pick={props.pick} /></div>
              <Bar aim={figure.aim()} />
            </>
          )}
        </Show>
      </div>
    </Show>
  );
}

function Together() {
  return (
    <section class="panel together" aria-labelledby="together">
      <div class="together-head">
        <Mark of="both" size={10} />
        <h2 id="together">{t("function.both")}</h2>
        <span class="muted">{t("together.explained")}</span>
      </div>
      <For each={TOGETHER}>{(pick) => <Shared pick={pick} />}</For>
    </section>
  );
}

function Shared(props: { pick: Pick }) {
  const { live, kpi, catalogue } = useShared();
  const figure = useFigure(props.pick);
  return (
    <Show when={catalogue() === undefined || kpi(props.pick.kpi) !== undefined}>
      <div class="shared" data-kpi={props.pick.kpi}>
        <div class="line"><Name title={figure.title()} pick={props.pick} /></div>
        <Show when={figure.answer()} fallback={<Placeholder waits={live.connection().state === "loading"} />}>
          {(answer) => (
            <>
              <Value answer={answer()} class="medium" />
              <div class="line">
                <Change of={figure.change()} />
                <span class="muted">{figure.aim()?.says ?? ofWhat(answer())}</span>
              </div>
            </>
          )}
        </Show>
      </div>
    </Show>
  );
}

/** Returns a share's cases: 87 of 94. */
function ofWhat(answer: { unit: string; numerator?: string | number | null; denominator?: string | number | null; value?: string | null }): string {
  if (answer.unit !== "ratio" || typeof answer.numerator !== "number" || typeof answer.denominator !== "number") return "";
  return t("target.share", { share: decimal(answer.numerator), value: decimal(answer.denominator) });
}

function Attention() {
  const { live } = useShared();
  const all = createAlerts(live.alerts);
  return (
    <div class="attention">
      <Waiting />
      <AlertsPanel alerts={all()} />
    </div>
  );
}

function Waiting() {
  const { address, live } = useShared();
  const waits = createWaits(LONGEST, () => address.filters() as Record<string, string>, () => live.answers.waiting_now?.numerator);
  const count = () => waits()?.summary.waiting ?? 0;
  return (
    <section class="panel waiting" aria-labelledby="waiting">
      <header class="panel-head">
        <h2 id="waiting">{t("waiting.title")}</h2>
        <Show when={count() > 0}>
          <span class="muted">{t("waiting.counts", { shown: Math.min(LONGEST, count()), count: count() })}</span>
          <span class="panel-end">{t("waiting.summary", { over: waits()!.summary.over, soon: waits()!.summary.warning })}</span>
          <A class="why" href={`/waiting${location.search}`}>{t("waiting.all", { count: count() })}</A>
        </Show>
      </header>
      <Show when={count() > 0} fallback={<Show when={waits()}><Nothing title={t("waiting.none")} text={t("waiting.noneText")} /></Show>}>
        <WaitRows waits={waits()!.items} />
      </Show>
    </section>
  );
}

function AlertsPanel(props: { alerts: readonly Alert[] | undefined }) {
  const { shownZone, now } = useShared();
  const groups = createMemo(() => groupsOf(props.alerts ?? []));
  const newest = createMemo(() => (props.alerts ?? []).map(({ since }) => since).sort().at(-1));
  /** The first by name, and how long the first customer has waited. */
  const says = (alerts: readonly Alert[]): string => {
    const [worst] = alerts;
    if (worst?.kind === "unattended" || worst?.kind === "kept-waiting") {
      return t("alerts.worst", { name: nameOf(worst), time: duration(now().getTime() - new Date(worst.since).getTime()) });
    }
    const names = [...new Set(alerts.map(nameOf))];
    const listed = names.slice(0, NAMED).join(", ");
    return names.length > NAMED ? t("alerts.and", { names: listed, more: names.length - NAMED }) : listed;
  };
  return (
    <section class="panel alerts" aria-labelledby="alerts">
      <header class="panel-head">
        <h2 id="alerts">{t("alerts.title")}</h2>
        <Show when={props.alerts?.length}>
          <span class="muted">{t("alerts.counts", { count: props.alerts!.length, groups: groups().length })}</span>
          <span class="panel-end">{newest() && t("alerts.newest", { time: moment(new Date(newest()!), shownZone()) })}</span>
          <A class="why" href={`/alerts${location.search}`}>{t("alerts.all", { count: props.alerts!.length })}</A>
        </Show>
      </header>
      <Show when={groups().length > 0} fallback={<Show when={props.alerts}><Nothing title={t("alerts.none")} text={t("alerts.noneText")} /></Show>}>
        <ul>
          <For each={groups().slice(0, GROUPS)}>
            {(group) => (
              <li class={group.alerts[0]!.severity}>
                <b class="count">{group.alerts.length}</b>
                <div>
                  <span class="alert-title">
                    <Show when={group.alerts[0]!.severity === "critical"}><span class="bad"><Warning /></span> </Show>
                    {titleOfKind(group.kind)}
                  </span>
                  <span class="alert-names">{says(group.alerts)}</span>
                </div>
                <A class="button" href={`/alerts${location.search}#${group.kind}`}>{t("alerts.look", { count: group.alerts.length })}</A>
              </li>
            )}
          </For>
        </ul>
      </Show>
    </section>
  );
}

function Source() {
  const { days, live, shownZone, zone } = useShared();
  return (
    <footer class="source">
      <Show when={live.freshAsOf()}>
        {(fresh) => <span>{t("source.complete", { time: time(fresh(), shownZone(), true), zone: zone() })}</span>}
      </Show>
      <span>{t("period.versus", { count: daysBetween(days().from, days().to) })}</span>
      <span class="panel-end">{t("legend")}</span>
    </footer>
  );
}

/** One KPI: its value, its course, who and what it consists of, what it means, what was known when, and why it is so. */

import { A, useParams, useSearchParams } from "@solidjs/router";
import { dataOf } from "@tandem/client";
import { createMemo, createResource, For, Show } from "solid-js";
import { api, type Answer, type Kpi } from "../api";
import { breakdownCsvOf, save } from "../charts/csv";
import { Trend } from "../charts/trend";
import { aimOf, changeOf, measuredOf } from "../figure";
import { day, decimal, moment, text } from "../format";
import { isMessage, t } from "../i18n";
import { definitionOf, meaningOf, titleOf } from "../kpis";
import { createLive, keyOf } from "../live";
import { Bar, Change, Few, Target, Value } from "../parts/figures";
import { Mark } from "../parts/marks";
import { Select } from "../parts/select";
import { addDays, daysBefore, daysBetween, intervalOf } from "../period";
import { plain, sevenDayAverage } from "../series";
import { useShared } from "../view";
import "../styles/explore.css";
import "../styles/kpi.css";
import { Explain } from "./explain";
import { TargetEditor } from "./target";

const MOST_GROUPS = 20;
const NO_SECOND = "*";

export const nameOfDimension = (dimension: string): string =>
  isMessage(`dimension.${dimension}`) ? t(`dimension.${dimension}` as never) : dimension;

export default function KpiPage() {
  const { kpi } = useShared();
  const parameters = useParams<{ kpi: string }>();
  return (
    <Show when={kpi(parameters.kpi)} keyed fallback={<Unknown />}>
      {(known) => <Page kpi={known} />}
    </Show>
  );
}

function Unknown() {
  const { catalogue } = useShared();
  return (
    <Show when={catalogue()}>
      <section class="panel message">
        <h1>{t("numbers.unknown")}</h1>
        <A class="why" href={`/numbers${location.search}`}>{t("numbers.title")}</A>
      </section>
    </Show>
  );
}

/** Returns the address where a number is beside another one: what leads comes first. */
function exploreAt(kpi: Kpi): string {
  const parameters = new URLSearchParams(location.search);
  parameters.set(kpi.indicator === "leading" ? "first" : "second", kpi.name);
  return `/explore?${parameters}`;
}

type Asked = { variant?: string; by?: string; and?: string; as_of?: string; why?: string; target?: string };

function Page(props: { kpi: Kpi }) {
  const { days, address, may, shownZone } = useShared();
  const { kpi } = props;
  const [asked, ask] = useSearchParams<Asked>();
  const one = (name: keyof Asked): string | undefined => (Array.isArray(asked[name]) ? asked[name][0] : asked[name]) as string | undefined;
  const set = (changed: Partial<Record<keyof Asked, string | null>>) => ask(changed, { replace: true, scroll: false });
  const variant = () => kpi.variants.find(({ name }) => name === one("variant")) ?? kpi.variants[0]!;
  const filters = createMemo(() =>
    Object.fromEntries(Object.entries(address.filters()).filter(([name]) => kpi.dimensions.includes(name))) as Record<string, string>,
  );
  const interval = () => intervalOf(days());
  const asOf = (): string | undefined => {
    const given = one("as_of");
    return given !== undefined && /^\d{4}-\d\d-\d\d$/.test(given) && given < days().to ? given : undefined;
  };
  const asOfMoment = () => (asOf() === undefined ? undefined : `${asOf()}T23:59:59Z`);

  const live = createLive(() => ({ kpis: [{ kpi: kpi.name, variant: variant().name }], ...days(), interval: interval(), filters: filters() }));
  const current = () => live.answers[keyOf(kpi.name, variant().name)];

  const path = { name: kpi.name };
  const [then] = createResource(
    () => (asOfMoment() === undefined ? undefined : { as_of: asOfMoment()!, variant: variant().name, ...days(), interval: interval(), ...filters() }),
    async (query) => dataOf(await api.GET("/v1/kpis/{name}", { params: { path, query } })),
  );
  const answer = (): Answer | undefined => (asOf() === undefined ? current() : then.state === "ready" ? then() : undefined);

  const [before] = createResource(
    () => {
      const earlier = daysBefore(days());
      return { from: addDays(earlier.from, -6), to: earlier.to, variant: variant().name, interval: "day" as const, ...filters() };
    },
    async (query) => dataOf(await api.GET("/v1/kpis/{name}", { params: { path, query } })).series ?? [],
  );
  const earlier = () => (before.state === "ready" ? before() : []);
  const smooths = () => interval() === "day" && (variant().unit === "ratio" || variant().unit === "money");
  const points = createMemo(() => {
    const series = answer()?.series;
    if (!series) return [];
    return smooths() ? sevenDayAverage(series, variant().unit, earlier()) : plain(series);
  });
  const previous = createMemo(() => {
    if (interval() !== "day") return [];
    const rest = earlier().slice(6);
    return smooths() ? sevenDayAverage(rest, variant().unit, earlier().slice(0, 6)) : plain(rest);
  });
  const change = () => (answer() === undefined ? null : changeOf(answer()!, kpi.direction));
  const aim = () => (answer() === undefined ? null : aimOf(answer()!, kpi.direction));
  const targetLine = () => {
    const found = answer();
    const sought = aim();
    if (found === undefined || sought === null) return null;
    return found.denominator == null && kpi.chart !== "area" && (found.unit === "money" || found.unit === "count")
      ? sought.value / daysBetween(days().from, days().to)
      : sought.value;
  };
  const title = () => titleOf(kpi.name, kpi.title);
  const chartKey = () => (smooths() ? "chart.perDayAverage" : interval() === "day" ? "chart.perDay" : "chart.perWeek");
  const explained = () => one("why") !== undefined;
  const sets = () => one("target") !== undefined && may("set_target") && Object.keys(filters()).length < 2;

  return (
    <div class="kpi-page" classList={{ explained: explained() }}>
      <div class="kpi-main">
        <nav class="crumbs" aria-label={t("crumbs.label")}>
          <A href={`/${location.search}`}>{t("nav.overview")}</A> <span aria-hidden="true">/</span>
          <span class="crumb"><Mark of={kpi.function} /> {t(`function.${kpi.function}`)}</span> <span aria-hidden="true">/</span>
          <h1>{title()}</h1>
          <span class="indicator">{t(kpi.indicator === "leading" ? "kpi.leadingMeans" : "kpi.laggingMeans")}</span>
          <A class="button explore-open" href={exploreAt(kpi)}>{t("explore.open")}</A>
        </nav>

        <section class="panel" aria-label={title()}>
          <div class="kpi-head">
            <div>
              <span class="muted">{title()}, {day(days().from)} – {day(days().to)}</span>
              <Show when={answer()} fallback={<span class="placeholder large" aria-hidden="true" />}>
                {(found) => <div class="line start"><Value answer={found()} class="large" exact /><Few answer={found()} /></div>}
              </Show>
            </div>
            <div class="kpi-change">
              <Change of={change()} />
              <span class="muted">{change()?.was}</span>
              <Show when={answer()?.now}>
                {(now) => (
                  <span class="as-of-now">
                    {t("asOf.now", { value: now().value == null ? "–" : text(Number(now().value), measuredOf(answer()!), true) })}
                  </span>
                )}
              </Show>
            </div>
            <div class="kpi-aim">
              <Target aim={aim()} />
              <Bar aim={aim()} />
              {/* A target is for one value of one dimension at most. */}
              <Show when={may("set_target") && Object.keys(filters()).length < 2}>
                <button type="button" class="button" aria-expanded={sets()} onClick={() => set({ target: sets() ? null : "1" })}>
                  {t(aim() === null ? "target.set" : "target.change")}
                </button>
              </Show>
            </div>
            <Show when={kpi.variants.length > 1}>
              <Select
                label={t("kpi.countedAs")}
                choices={kpi.variants.map((each) => ({ value: each.name, name: isMessage(`variant.${each.name}`) ? t(`variant.${each.name}` as never) : definitionOf(kpi, each) }))}
                value={variant().name}
                onChange={(name) => set({ variant: name === kpi.variants[0]!.name ? null : name })}
                class="select kpi-variant"
              />
            </Show>
            <button type="button" class="button" aria-expanded={explained()} onClick={() => set({ why: explained() ? null : "1" })}>
              {t("kpi.why")}
            </button>
          </div>
          <Show when={sets() && JSON.stringify([variant().name, filters()])} keyed>
            <TargetEditor
              kpi={kpi.name}
              title={title()}
              measured={{ kpi: kpi.name, variant: variant().name, unit: variant().unit, currency: current()?.currency ?? null }}
              query={{ variant: variant().name, ...filters() }}
              today={days().to}
              close={() => set({ target: null })}
            />
          </Show>
          <Trend
            title={t(chartKey(), { kpi: title() })}
            kpi={kpi.name}
            points={points()}
            before={previous()}
            target={targetLine()}
            measured={answer() ? measuredOf(answer()!) : { kpi: kpi.name, variant: variant().name, unit: variant().unit, currency: null }}
            of={kpi.function}
            today={days().to}
            height={248}
          />
          <AsOf from={days().from} to={days().to} value={asOf()} onChange={(value) => set({ as_of: value ?? null })} kpi={kpi} variant={variant().name} zone={shownZone()} />
        </section>

        <div class="kpi-below">
          <Breakdown kpi={kpi} variant={variant().name} filters={filters()} by={one("by")} and={one("and")} set={set} whole={answer()} asOf={asOfMoment()} />
          <section class="panel kpi-meaning" aria-labelledby="meaning">
            <header class="panel-head"><h2 id="meaning">{t("kpi.meaning")}</h2></header>
            <div class="kpi-words">
              <p>{meaningOf(kpi)}</p>
              <dl>
                <dt>{t("kpi.computed")}</dt><dd>{definitionOf(kpi, variant())}</dd>
                <dt>{t("kpi.goodIs")}</dt><dd>{t(kpi.direction === "up" ? "kpi.higher" : "kpi.lower")}</dd>
                <dt>{t("kpi.keptBy")}</dt><dd>{kpi.dimensions.map(nameOfDimension).join(", ")}</dd>
              </dl>
            </div>
          </section>
        </div>
      </div>
      <Show when={explained()}>
        <Explain
          title={title()}
          query={{ ...days(), variant: variant().name, ...filters(), ...(asOfMoment() !== undefined && { as_of: asOfMoment()! }) }}
          kpi={kpi}
          answer={answer()}
          close={() => set({ why: null })}
        />
      </Show>
    </div>
  );
}

/** What was known on a day: the same numbers from the ledger as of then, with marks where closed figures changed. */
function AsOf(props: { from: string; to: string; value: string | undefined; onChange: (day: string | undefined) => void; kpi: Kpi; variant: string; zone: string }) {
  const last = () => daysBetween(props.from, props.to) - 1;
  const index = () => (props.value === undefined ? last() : daysBetween(props.from, props.value) - 1);
  const [restated] = createResource(
    () => ({ from: props.from, to: props.to }),
    async ({ from, to }) => {
      const closed = dataOf(await api.GET("/v1/periods")).items.filter((each) => each.from <= to && each.to >= from);
      const pages = await Promise.all(
        closed.map((each) => api.GET("/v1/periods/{period}/restatements", { params: { path: { period: each.period }, query: { kpi: props.kpi.name } } })),
      );
      return pages.flatMap((page) => dataOf(page).items).filter((each) => each.variant === props.variant && each.restated_at != null);
    },
  );
  const marks = () => (restated.state === "ready" ? restated() : []);
  const at = (moment: string) => Math.min(100, Math.max(0, ((daysBetween(props.from, moment.slice(0, 10)) - 1) / Math.max(last(), 1)) * 100));
  return (
    <div class="as-of">
      <label for="as-of">{t("asOf.label")}</label>
      <span class="as-of-track">
        <input
          id="as-of"
          type="range"
          min="0"
          max={last()}
          value={index()}
          aria-valuetext={props.value === undefined ? t("asOf.today") : day(props.value)}
          onChange={(event) => {
            const chosen = Number(event.currentTarget.value);
            props.onChange(chosen >= last() ? undefined : addDays(props.from, chosen));
          }}
        />
        <For each={marks()}>
          {(each) => <i class="restated" style={{ left: `${at(each.restated_at!)}%` }} aria-hidden="true" />}
        </For>
      </span>
      <b>{props.value === undefined ? t("asOf.today") : day(props.value)}</b>
      <Show when={marks().length > 0}>
        <ul class="restatements">
          <For each={marks()}>
            {(each) => (
              <li>
                {t("asOf.restated", {
                  time: moment(new Date(each.restated_at!), props.zone),
                  change: each.change == null ? "–" : text(Number(each.change), { kpi: props.kpi.name, variant: each.variant, unit: each.unit, currency: each.currency ?? null }, true),
                })}
              </li>
            )}
          </For>
        </ul>
      </Show>
    </div>
  );
}

function Breakdown(props: {
  kpi: Kpi;
  variant: string;
  filters: Record<string, string>;
  by: string | undefined;
  and: string | undefined;
  set: (changed: { by?: string | null; and?: string | null }) => void;
  whole: Answer | undefined;
  asOf: string | undefined;
}) {
  const { days } = useShared();
  const dimensions = () => props.kpi.dimensions;
  const first = () => (props.by !== undefined && dimensions().includes(props.by) ? props.by : (dimensions().find((each) => each === "team") ?? dimensions()[0]));
  const second = () => (props.and !== undefined && props.and !== first() && dimensions().includes(props.and) ? props.and : undefined);
  const [answer] = createResource(
    () =>
      first() === undefined
        ? undefined
        : {
            ...days(),
            variant: props.variant,
            group_by: second() === undefined ? first()! : `${first()},${second()}`,
            top: MOST_GROUPS,
            ...props.filters,
            ...(props.asOf !== undefined && { as_of: props.asOf }),
            // Asked again when the whole has moved.
            moved: props.whole?.numerator,
          },
    async ({ moved, ...query }) => (void moved, dataOf(await api.GET("/v1/kpis/{name}", { params: { path: { name: props.kpi.name }, query } }))),
  );
  const latest = () => (answer.state === "errored" ? undefined : answer.latest);
  const groups = createMemo(() => (latest()?.groups ?? []).toSorted((one, other) => Number(one.keys == null) - Number(other.keys == null) || Number(other.value ?? -Infinity) - Number(one.value ?? -Infinity)));
  const most = () => Math.max(...groups().map(({ value }) => Number(value ?? 0)), 0);
  const total = () => Number(latest()?.value ?? 0);
  const shown = (value: string | null | undefined) => (value == null ? "–" : text(Number(value), measuredOf(latest()!), true));
  const named = (group: (typeof groups extends () => (infer Group)[] ? Group : never), dimension: string): string => {
    if (group.keys == null) return t("breakdown.others", { count: group.groups });
    const key = group.keys[dimension];
    return key == null ? t("breakdown.none") : (group.names?.[dimension] ?? key);
  };
  const cases = (value: string | number | null | undefined) => (typeof value === "number" ? decimal(value) : value == null ? "" : decimal(Number(value)));
  function saveCsv(): void {
    const by = [first()!, second()].filter((each) => each !== undefined);
    const rows = groups().map((group) => ({
      names: by.map((dimension, index) => (group.keys == null && index > 0 ? "" : named(group, dimension))),
      figures: [group.value, group.numerator, group.denominator],
    }));
    save(
      `${props.kpi.name} ${by.join(" ")} ${days().from} ${days().to}.csv`,
      breakdownCsvOf([...by, props.kpi.name, "numerator", "denominator"], rows),
    );
  }
  const options = (except: string | undefined) => dimensions().filter((each) => each !== except).map((value) => ({ value, name: nameOfDimension(value) }));
  return (
    <section class="panel" aria-labelledby="breakdown">
      <header class="panel-head">
        <h2 id="breakdown">{t("breakdown.by", { dimension: nameOfDimension(first() ?? "") })}</h2>
        <Show when={latest()?.groups_add_up}>
          <span class="muted">{t("breakdown.addUp", { count: groups().length, value: shown(latest()?.value) })}</span>
        </Show>
        <span class="panel-end panel-choices">
          <Select label={t("breakdown.first")} choices={options(second())} value={first() ?? ""} onChange={(by) => props.set({ by })} />
          <Select
            label={t("breakdown.second")}
            choices={[{ value: NO_SECOND, name: t("breakdown.nothing") }, ...options(first())]}
            value={second() ?? NO_SECOND}
            onChange={(and) => props.set({ and: and === NO_SECOND ? null : and })}
          />
          <button type="button" class="quiet" aria-label={t("chart.saveCsv")} title={t("chart.saveCsv")} disabled={groups().length === 0} onClick={saveCsv}>
            {t("chart.csv")}
          </button>
        </span>
      </header>
      <div class="table-scroll" tabindex="0" role="group" aria-labelledby="breakdown">
        <table class="rows breakdown">
          <thead>
            <tr>
              <th scope="col">{nameOfDimension(first() ?? "")}</th>
              <Show when={second()}>{(dimension) => <th scope="col">{nameOfDimension(dimension())}</th>}</Show>
              <th scope="col" class="number">{titleOf(props.kpi.name, props.kpi.title)}</th>
              <th scope="col"><span class="hidden">{t("breakdown.compared")}</span></th>
              <Show when={latest()?.groups_add_up}><th scope="col" class="number">{t("breakdown.share")}</th></Show>
              <Show when={latest()?.denominator != null}><th scope="col" class="number">{t("breakdown.of")}</th></Show>
            </tr>
          </thead>
          <tbody>
            <For each={groups()} fallback={<tr><td colspan="6" class="muted">{t("kpi.nothing")}</td></tr>}>
              {(group) => (
                <tr>
                  <th scope="row">{named(group, first()!)}</th>
                  <Show when={second()}>{(dimension) => <td>{group.keys == null ? "" : named(group, dimension())}</td>}</Show>
                  <td class="number">{shown(group.value)}</td>
                  <td class="group-bar">
                    <span class={`bar ${props.kpi.function}`} aria-hidden="true">
                      <i class="bar-reached" style={{ width: `${most() <= 0 ? 0 : Math.max(0, (Number(group.value ?? 0) / most()) * 100)}%` }} />
                    </span>
                  </td>
                  <Show when={latest()?.groups_add_up}>
                    <td class="number muted">{total() === 0 ? "" : `${decimal((Number(group.value ?? 0) / total()) * 100, 1)} %`}</td>
                  </Show>
                  <Show when={latest()?.denominator != null}>
                    <td class="number muted">{t("target.share", { share: cases(group.numerator), value: cases(group.denominator) })}</td>
                  </Show>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </div>
    </section>
  );
}

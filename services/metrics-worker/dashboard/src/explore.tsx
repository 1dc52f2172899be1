/** Any number beside any other: their courses, and how closely and with what lag the two move together. */

import { A, useSearchParams } from "@solidjs/router";
import { dataOf } from "@tandem/client";
import { createMemo, createSignal, createUniqueId, For, Match, Show, Switch } from "solid-js";
import { api, type Answer, type Kpi } from "./api";
import { save } from "./charts/csv";
import { Trend } from "./charts/trend";
import { changes, measure, type Agreement } from "./correlation";
import { measuredOf } from "./figure";
import { day, decimal } from "./format";
import { language, t } from "./i18n";
import { titleOf } from "./kpis";
import { Mark } from "./parts/marks";
import { Select } from "./parts/select";
import { Failed } from "./parts/states";
import { addDays, intervalOf } from "./period";
import { createReading } from "./reading";
import { plain, type Drawn } from "./series";
import { numberAt, useShared } from "./view";
import "./styles/kpi.css";
import "./styles/explore.css";

const FIRST = "leads_created";
const SECOND = "sales_volume";
/** New numbers move a correlation little. */
const REST_MS = 15_000;
/** Of days: what is compared with. A week before it is compared with the week before. */
const WEEK = 7;
/** Steps either way; never more than a third of what is shown. */
const MOST_LAG = { day: 21, week: 12, month: 6 } as const;

type Asked = { first?: string; second?: string };
type Place = keyof Asked;

export default function Explore() {
  const { catalogue, kpi, days } = useShared();
  const [asked, ask] = useSearchParams<Asked>();
  const chosen = (place: Place): Kpi | undefined => {
    const given = asked[place];
    return kpi((Array.isArray(given) ? given[0] : given) ?? (place === "first" ? FIRST : SECOND));
  };
  const choices = createMemo(() =>
    (catalogue()?.items ?? [])
      .map((each) => ({ value: each.name, name: titleOf(each.name, each.title) }))
      .sort((one, other) => one.name.localeCompare(other.name, language())),
  );
  return (
    <div class="list-page wide">
      <nav class="crumbs" aria-label={t("crumbs.label")}>
        <A href={`/numbers${location.search}`}>{t("numbers.title")}</A> <span aria-hidden="true">/</span> <h1>{t("explore.title")}</h1>
        <span class="muted">{day(days().from)} – {day(days().to)}</span>
      </nav>
      <Show when={catalogue()}>
        <div class="explore-choices">
          <For each={["first", "second"] as const}>
            {(place) => (
              <Select
                label={t(`explore.${place}`)}
                choices={choices()}
                value={chosen(place)?.name ?? ""}
                onChange={(name) => ask({ [place]: name }, { replace: true, scroll: false })}
                class="select explore-choice"
              />
            )}
          </For>
        </div>
        <Show
          when={chosen("first") !== undefined && chosen("second") !== undefined && chosen("first") !== chosen("second") && `${chosen("first")!.name} ${chosen("second")!.name}`}
          keyed
          fallback={
            <section class="panel message">
              <p>{t(chosen("first") === undefined || chosen("second") === undefined ? "numbers.unknown" : "explore.same")}</p>
            </section>
          }
        >
          {(_) => <Pair first={chosen("first")!} second={chosen("second")!} />}
        </Show>
      </Show>
    </div>
  );
}

function Pair(props: { first: Kpi; second: Kpi }) {
  const [one, other] = [createCourse(props.first), createCourse(props.second)];
  return (
    <>
      <div class="explore-pair">
        <Course kpi={props.first} of={one} />
        <Course kpi={props.second} of={other} />
      </div>
      <section class="panel" aria-labelledby="together">
        <header class="panel-head"><h2 id="together">{t("explore.measured")}</h2></header>
        <Show when={one.answer()} fallback={<Failed of={one.reading} />}>
          <Show when={other.answer()} fallback={<Failed of={other.reading} />}>
            <Together first={props.first} second={props.second} one={one} other={other} />
          </Show>
        </Show>
      </section>
    </>
  );
}

/** Reads a number's course, with what its first changes are counted from. */
function createCourse(kpi: Kpi) {
  const { days, address, live } = useShared();
  const interval = () => intervalOf(days());
  const reading = createReading(
    () => ({
      from: addDays(days().from, -WEEK),
      to: days().to,
      interval: interval(),
      ...Object.fromEntries(Object.entries(address.filters()).filter(([name]) => kpi.dimensions.includes(name))),
    }),
    async (query) => dataOf(await api.GET("/v1/kpis/{name}", { params: { path: { name: kpi.name }, query } })),
    { moved: live.moved, restMs: REST_MS },
  );
  const answer = (): Answer | undefined => reading.latest();
  const steps = () => (interval() === "day" ? WEEK : 1);
  const all = createMemo((): Drawn[] => plain(answer()?.series ?? []));
  return {
    reading,
    answer,
    interval,
    /** What is shown: without the lead-in. */
    points: () => all().slice(steps()),
    /** What is compared: the last one is not over. */
    changes: () => changes(all().slice(0, -1).map(({ value }) => value), steps()),
  };
}
type Course = ReturnType<typeof createCourse>;

function Course(props: { kpi: Kpi; of: Course }) {
  const { days } = useShared();
  const title = () => titleOf(props.kpi.name, props.kpi.title);
  const last = () => props.of.points().findLast(({ value }) => value !== null);
  const key = () => (props.of.interval() === "day" ? "chart.perDay" : "chart.perWeek");
  return (
    <section class="panel" aria-label={title()} data-course={props.kpi.name}>
      <header class="panel-head">
        <Mark of={props.kpi.function} size={10} />
        <h2><A class="kpi-link" href={numberAt({ kpi: props.kpi.name })}>{title()}</A></h2>
        <span class="indicator panel-end">{t(`kpi.${props.kpi.indicator}`)}</span>
      </header>
      <Show when={props.of.answer()} fallback={<Failed of={props.of.reading} />}>
        {(answer) => (
          <>
            <Show when={last() === undefined}><p class="alert-do muted">{t("kpi.nothing")}</p></Show>
            <Trend
              title={t(key(), { kpi: title() })}
              kpi={props.kpi.name}
              points={props.of.points()}
              before={[]}
              target={null}
              measured={measuredOf(answer())}
              of={props.kpi.function}
              today={days().to}
              height={220}
            />
          </>
        )}
      </Show>
    </section>
  );
}

const signed = (r: number): string => `${r > 0 ? "+" : ""}${decimal(r, 2)}`;

function Together(props: { first: Kpi; second: Kpi; one: Course; other: Course }) {
  const interval = () => props.one.interval();
  const found = createMemo(() => {
    const [one, other] = [props.one.changes(), props.other.changes()];
    return measure(one, other, Math.min(MOST_LAG[interval()], Math.floor(one.length / 3)));
  });
  const steps = (count: number): string => t(interval() === "day" ? "explore.days" : "explore.weeks", { count });
  const title = (kpi: Kpi) => titleOf(kpi.name, kpi.title);
  return (
    <Show when={found().best} fallback={<p class="alert-do">{t("explore.tooFew")}</p>}>
      {(best) => (
        <div class="explore-found">
          <div class="kpi-words">
            <dl data-lag={best().lag} data-clear={found().isClear}>
              <Show when={best().lag !== 0} fallback={<><dt>{t("explore.comesFirst")}</dt><dd>{t("explore.atOnce")}</dd></>}>
                <dt>{t("explore.comesFirst")}</dt>
                <dd>{title(best().lag > 0 ? props.first : props.second)}</dd>
                <dt>{t("explore.ahead")}</dt>
                <dd>{steps(Math.abs(best().lag))}</dd>
              </Show>
              <dt>{t("explore.correlation")}</dt>
              <dd>{signed(best().r)}</dd>
              <dt>{t("explore.pairs")}</dt>
              <dd>{decimal(best().pairs)}</dd>
            </dl>
            <p><b>{t(found().isClear ? "explore.clear" : "explore.chance")}</b> {t("explore.noCause")}</p>
            <p class="muted">{t("explore.how")}</p>
          </div>
          <ByLag lags={found().lags} best={best()} name={`${props.first.name} ${props.second.name}`} steps={steps} />
        </div>
      )}
    </Show>
  );
}

const WIDTH = 560;
const HEIGHT = 180;
const LEFT = 44;
const FOOT = 24;

/** A bar for each lag, from −1 to 1; the same as a table and a file. */
function ByLag(props: { lags: readonly Agreement[]; best: Agreement & { r: number }; name: string; steps: (count: number) => string }) {
  const [asTable, setAsTable] = createSignal(false);
  const id = createUniqueId();
  const middle = (HEIGHT - FOOT) / 2;
  const wide = () => (WIDTH - LEFT) / props.lags.length;
  const x = (index: number) => LEFT + index * wide();
  const height = (r: number) => Math.abs(r) * (middle - 8);
  const shown = (r: number | null) => (r === null ? "–" : signed(r));
  const ahead = (lag: number) => (lag === 0 ? decimal(0) : `${lag > 0 ? "+" : "−"}${props.steps(Math.abs(lag))}`);
  const ticks = () => props.lags.flatMap(({ lag }, index) => (lag === 0 || index === 0 || index === props.lags.length - 1 ? [{ lag, index }] : []));
  const file = () => ["lag,correlation,pairs", ...props.lags.map(({ lag, r, pairs }) => `${lag},${r ?? ""},${pairs}`), ""].join("\r\n");
  return (
    <div class="trend">
      <div class="trend-head">
        <span id={id}>{t("explore.byLag")}</span>
        <button type="button" class="quiet trend-csv" aria-label={t("chart.saveCsv")} title={t("chart.saveCsv")} onClick={() => save(`${props.name}.csv`, file())}>
          {t("chart.csv")}
        </button>
        <button type="button" class="quiet" aria-pressed={asTable()} onClick={() => setAsTable(!asTable())}>
          {t(asTable() ? "chart.asChart" : "chart.asTable")}
        </button>
      </div>
      <Switch>
        <Match when={!asTable()}>
          <svg
            class="by-lag"
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            role="img"
            aria-label={t("explore.label", { best: signed(props.best.r), lag: props.steps(Math.abs(props.best.lag)) })}
          >
            <For each={[1, 0, -1]}>
              {(r) => (
                <>
                  <path class="grid" d={`M${LEFT} ${middle - r * (middle - 8)}H${WIDTH}`} />
                  <text class="axis" x={LEFT - 8} y={middle - r * (middle - 8) + 4} text-anchor="end">{r === 0 ? decimal(0) : signed(r).replace(/[.,]00$/, "")}</text>
                </>
              )}
            </For>
            <For each={props.lags}>
              {({ lag, r }, index) => (
                <Show when={r !== null}>
                  <rect
                    class={lag === props.best.lag ? "lag best" : "lag"}
                    x={x(index()) + wide() * 0.15}
                    width={wide() * 0.7}
                    y={r! > 0 ? middle - height(r!) : middle}
                    height={Math.max(height(r!), 1)}
                  />
                </Show>
              )}
            </For>
            <For each={ticks()}>
              {({ lag, index }) => (
                <text class="axis" x={x(index) + wide() / 2} y={HEIGHT - 6} text-anchor={index === 0 ? "start" : index === props.lags.length - 1 ? "end" : "middle"}>
                  {ahead(lag)}
                </text>
              )}
            </For>
          </svg>
        </Match>
        <Match when={asTable()}>
          <div class="table-frame by-lag" tabindex="0" role="region" aria-labelledby={id}>
            <table class="plain" aria-labelledby={id}>
              <thead>
                <tr>
                  <th scope="col">{t("explore.lag")}</th>
                  <th scope="col" class="number">{t("explore.correlation")}</th>
                  <th scope="col" class="number">{t("explore.pairs")}</th>
                </tr>
              </thead>
              <tbody>
                <For each={props.lags}>
                  {({ lag, r, pairs }) => (
                    <tr>
                      <th scope="row">{ahead(lag)}</th>
                      <td class="number">{shown(r)}</td>
                      <td class="number">{decimal(pairs)}</td>
                    </tr>
                  )}
                </For>
              </tbody>
            </table>
          </div>
        </Match>
      </Switch>
    </div>
  );
}

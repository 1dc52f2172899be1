/** This period against the one before and the target: a line with an axis, a tooltip by pointer and keys, and a table. */

import { scaleLinear } from "d3-scale";
import { area, line } from "d3-shape";
import { createMemo, createSignal, createUniqueId, For, onCleanup, onMount, Show } from "solid-js";
import { day, short, text, weekday, type Measured } from "../format";
import { t } from "../i18n";
import type { FunctionName } from "../parts/marks";
import type { Drawn } from "../series";
import { csvOf, save } from "./csv";

export interface TrendProps {
  title: string;
  kpi: string;
  points: readonly Drawn[];
  before: readonly Drawn[];
  target: number | null;
  measured: Measured;
  of: FunctionName;
  /** The day that is not over yet, if the last point is one. */
  today?: string | undefined;
  height?: number;
}

/** At least; longer labels get more. */
const LEFT = 48;
const RIGHT = 104;
const CHARACTER = 6.6;
const TOP = 10;
const BOTTOM = 24;
const LABEL_HEIGHT = 14;
const DAYS_APART = 72;

export function Trend(props: TrendProps) {
  const [width, setWidth] = createSignal(460);
  const [hovered, setHovered] = createSignal<number>();
  const [asTable, setAsTable] = createSignal(false);
  const id = createUniqueId();
  const height = () => props.height ?? 200;
  let frame: HTMLDivElement | undefined;

  onMount(() => {
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(240, entry.contentRect.width)));
    if (frame) observer.observe(frame);
    onCleanup(() => observer.disconnect());
  });

  const values = createMemo(() => {
    const drawn = [...props.points, ...props.before].flatMap(({ value }) => (value === null ? [] : [value]));
    return props.target === null ? drawn : [...drawn, props.target];
  });
  // Money and counts are areas from zero; a rate is a line, which may begin higher.
  const fromZero = () => props.measured.unit === "money" || props.measured.unit === "count";
  const scale = createMemo(() => {
    const most = values().length === 0 ? 1 : Math.max(...values());
    const least = values().length === 0 ? 0 : Math.min(...values());
    const low = fromZero() ? Math.min(0, least) : least === most ? least * 0.9 : least;
    const made = scaleLinear([low, most === low ? low + 1 : most], [height() - BOTTOM, TOP]).nice(4);
    const [bottom = 0, top = 1] = made.domain();
    // A share has no more than the whole.
    return props.measured.unit === "ratio" && most <= 1 ? made.domain([bottom, Math.min(top, 1)]) : made;
  });
  const y = (value: number): number => scale()(value);
  const ticks = createMemo(() => scale().ticks(4));
  const lastKnown = createMemo(() => props.points.findLastIndex(({ value }) => value !== null));
  const end = () => props.points[lastKnown()];

  const ends = createMemo(() => {
    const found: { key: string; says: string; at: number }[] = [];
    const now = end()?.value;
    if (now != null) found.push({ key: "now", says: t("chart.now", { value: short(now, props.measured) }), at: y(now) });
    if (props.target !== null) {
      found.push({ key: "target", says: t("chart.target", { value: short(props.target, props.measured) }), at: y(props.target) });
    }
    const before = props.before.findLast(({ value }) => value !== null)?.value;
    if (before != null) found.push({ key: "before", says: t("chart.before", { value: short(before, props.measured) }), at: y(before) });
    return found;
  });
  const longest = (texts: readonly string[]): number => Math.max(0, ...texts.map((each) => each.length));
  const left = createMemo(() => Math.max(LEFT, longest(ticks().map((tick) => short(tick, props.measured))) * CHARACTER + 14));
  const right = createMemo(() => width() - Math.max(RIGHT, longest(ends().map(({ says }) => says)) * CHARACTER + 14));
  const x = (index: number): number => left() + (index * (right() - left())) / Math.max(props.points.length - 1, 1);
  const dayTicks = createMemo(() => {
    const last = props.points.length - 1;
    const step = Math.max(1, Math.ceil((DAYS_APART * last) / Math.max(right() - left(), 1)));
    // Whole weeks read best.
    const whole = step > 3 ? Math.ceil(step / 7) * 7 : step;
    const shown: number[] = [];
    for (let index = 0; index < last - whole / 2; index += whole) shown.push(index);
    return last >= 0 ? [...shown, last] : [];
  });

  const path = (points: readonly Drawn[]): string =>
    line<Drawn>()
      .defined(({ value }) => value !== null)
      .x((_, index) => x(index))
      .y(({ value }) => y(value ?? 0))([...points]) ?? "";
  const isToday = () => props.points.at(-1)?.day === props.today;
  const over = () => (isToday() ? props.points.slice(0, -1) : props.points);
  const lastStep = () => {
    const [from, to] = props.points.slice(-2);
    if (!isToday() || from?.value == null || to?.value == null) return "";
    const last = props.points.length - 1;
    return `M${x(last - 1)} ${y(from.value)}L${x(last)} ${y(to.value)}`;
  };
  const fill = createMemo(
    () =>
      area<Drawn>()
        .defined(({ value }) => value !== null)
        .x((_, index) => x(index))
        .y0(y(Math.max(0, scale().domain()[0] ?? 0)))
        .y1(({ value }) => y(value ?? 0))([...props.points]) ?? "",
  );
  /** The labels at the ends of the lines, apart from each other. */
  const labels = createMemo(() => {
    const found = ends().map((each) => ({ ...each }));
    found.sort((one, other) => one.at - other.at);
    found.forEach((each, index) => {
      const above = found[index - 1];
      if (above !== undefined) each.at = Math.max(each.at, above.at + LABEL_HEIGHT);
    });
    // The lowest may have been pushed below the axis.
    for (let index = found.length - 1, limit = height() - BOTTOM; index >= 0; index -= 1, limit -= LABEL_HEIGHT) {
      const each = found[index];
      if (each !== undefined) each.at = Math.min(each.at, limit);
    }
    return found;
  });

  const describes = () => {
    const known = props.points.flatMap(({ value }) => (value === null ? [] : [value]));
    if (known.length === 0) return props.title;
    const say = (value: number) => text(value, props.measured);
    return t("chart.label", {
      kpi: props.title,
      first: say(known[0] ?? 0),
      last: say(known.at(-1) ?? 0),
      least: say(Math.min(...known)),
      most: say(Math.max(...known)),
    });
  };

  function move(event: PointerEvent & { currentTarget: Element }): void {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - left()) / (right() - left());
    setHovered(Math.max(0, Math.min(props.points.length - 1, Math.round(share * (props.points.length - 1)))));
  }
  function keys(event: KeyboardEvent): void {
    const last = props.points.length - 1;
    const from = hovered() ?? last;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") setHovered(undefined);
    if (to === undefined) return;
    event.preventDefault();
    setHovered(Math.max(0, Math.min(last, to)));
  }

  const shownDay = () => (hovered() === undefined ? undefined : props.points[hovered()!]);

  return (
    <div class={`trend ${props.of}`}>
      <div class="trend-head">
        <span id={id}>
          {props.title}
          <Show when={!fromZero() && (scale().domain()[0] ?? 0) > 0}>
            {" "}
            ({t("chart.startsAt", { value: short(scale().domain()[0] ?? 0, props.measured) })})
          </Show>
        </span>
        <button
          type="button"
          class="quiet trend-csv"
          aria-label={t("chart.saveCsv")}
          title={t("chart.saveCsv")}
          disabled={props.points.length === 0}
          onClick={() => save(`${props.kpi} ${props.points[0]!.day} ${props.points.at(-1)!.day}.csv`, csvOf(props.kpi, props.points, props.before))}
        >
          {t("chart.csv")}
        </button>
        <button type="button" class="quiet" aria-pressed={asTable()} onClick={() => setAsTable(!asTable())}>
          {t(asTable() ? "chart.asChart" : "chart.asTable")}
        </button>
      </div>
      <div ref={(element) => (frame = element)} class="trend-frame" style={{ height: `${height()}px` }}>
        <Show
          when={!asTable()}
          fallback={<TrendTable {...props} labelledBy={id} />}
        >
          {/* Arrow keys go from day to day, which a screen reader hears below. */}
          <svg
            width={width()}
            height={height()}
            role="img"
            aria-label={describes()}
            tabindex="0"
            onPointerMove={move}
            onPointerLeave={() => setHovered(undefined)}
            onKeyDown={keys}
            onBlur={() => setHovered(undefined)}
          >
            <For each={ticks()}>
              {(tick) => (
                <>
                  <path class="grid" d={`M${left()} ${y(tick)}H${right()}`} />
                  <text class="axis" x={left() - 8} y={y(tick) + 4} text-anchor="end">
                    {short(tick, props.measured)}
                  </text>
                </>
              )}
            </For>
            <For each={dayTicks()}>
              {(index) => (
                <text
                  class="axis"
                  x={x(index)}
                  y={height() - 6}
                  text-anchor={index === 0 ? "start" : index === props.points.length - 1 ? "end" : "middle"}
                >
                  {props.points[index]?.day === props.today ? t("chart.today") : day(props.points[index]?.day ?? "")}
                </text>
              )}
            </For>
            <path class="base" d={`M${left()} ${height() - BOTTOM}H${right()}`} />
            <Show when={lastKnown() >= 0} fallback={<text class="axis" x={(left() + right()) / 2} y={height() / 2} text-anchor="middle">{t("chart.noLine")}</text>}>
              <Show when={fromZero()}>
                <path class="fill" d={fill()} />
              </Show>
              <path class="previous" d={path(props.before.slice(0, props.points.length))} />
              <Show when={props.target !== null}>
                <path class="aim-line" d={`M${left()} ${y(props.target!)}H${right()}`} />
              </Show>
              <path class="line" d={path(over())} />
              <path class="line unfinished" d={lastStep()} />
              <Show when={hovered() !== undefined}>
                <path class="cursor" d={`M${x(hovered()!)} ${TOP}V${height() - BOTTOM}`} />
              </Show>
              <Show when={end()?.value != null}>
                {props.of === "service" ? (
                  <circle class="end" cx={x(lastKnown())} cy={y(end()!.value!)} r="3.5" />
                ) : (
                  <rect class="end" x={x(lastKnown()) - 3} y={y(end()!.value!) - 3} width="6" height="6" />
                )}
              </Show>
              <For each={labels()}>
                {(label) => (
                  <text class={`end-label ${label.key}`} x={right() + 8} y={label.at + 4}>
                    {label.says}
                  </text>
                )}
              </For>
            </Show>
          </svg>
          <Show when={shownDay()}>
            {(point) => (
              <div
                class="tip card"
                role="status"
                style={{ left: `${Math.min(Math.max(x(hovered()!) - 84, 0), Math.max(width() - 176, 0))}px` }}
              >
                <b>{weekday(point().day)}</b>
                <Show when={point().day === props.today}> · {t("chart.notOver")}</Show>
                <dl>
                  <dt>{t("chart.thisPeriod")}</dt>
                  <dd>{point().value === null ? "–" : text(point().value!, props.measured)}</dd>
                  <Show when={props.before[hovered()!]}>
                    {(before) => (
                      <>
                        <dt>{day(before().day)}</dt>
                        <dd>{before().value === null ? "–" : text(before().value!, props.measured)}</dd>
                      </>
                    )}
                  </Show>
                </dl>
              </div>
            )}
          </Show>
        </Show>
      </div>
    </div>
  );
}

function TrendTable(props: TrendProps & { labelledBy: string }) {
  const cell = (value: number | null | undefined): string => (value == null ? "–" : text(value, props.measured));
  return (
    <div class="table-frame" tabindex="0" role="region" aria-labelledby={props.labelledBy}>
      <table class="plain" aria-labelledby={props.labelledBy}>
        <thead>
          <tr>
            <th scope="col">{t("chart.day")}</th>
            <th scope="col" class="number">{t("chart.thisPeriod")}</th>
            <th scope="col" class="number">{t("chart.previousPeriod")}</th>
          </tr>
        </thead>
        <tbody>
          <For each={props.points.toReversed()}>
            {(point, index) => (
              <tr>
                <th scope="row">{weekday(point.day)}</th>
                <td class="number">{cell(point.value)}</td>
                <td class="number">{cell(props.before[props.points.length - 1 - index()]?.value)}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </div>
  );
}

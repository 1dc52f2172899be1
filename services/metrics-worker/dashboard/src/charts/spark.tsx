/** A line the size of a word. Hovering shows each day; the KPI's page has it as a table. */

import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { createMemo, createSignal, Show } from "solid-js";
import { text, weekday, type Measured } from "../format";
import type { FunctionName } from "../parts/marks";
import type { Drawn } from "../series";

const WIDTH = 64;
const HEIGHT = 20;
const EDGE = 3;

export function Spark(props: { points: readonly Drawn[]; measured: Measured; of: FunctionName }) {
  const known = createMemo(() => props.points.flatMap(({ value }) => (value === null ? [] : [value])));
  const x = (index: number): number => EDGE + (index * (WIDTH - 2 * EDGE)) / Math.max(props.points.length - 1, 1);
  const y = createMemo(() =>
    scaleLinear([Math.min(...known()), Math.max(...known())], [HEIGHT - EDGE, EDGE]),
  );
  const height = (value: number): number => (Math.min(...known()) === Math.max(...known()) ? HEIGHT / 2 : y()(value));
  const path = createMemo(
    () =>
      line<Drawn>()
        .defined(({ value }) => value !== null)
        .x((_, index) => x(index))
        .y(({ value }) => height(value ?? 0))([...props.points]) ?? "",
  );
  const lastIndex = createMemo(() => props.points.findLastIndex(({ value }) => value !== null));
  const [hovered, setHovered] = createSignal<number>();
  const at = () => hovered() ?? lastIndex();
  const point = () => props.points[at()];

  function move(event: PointerEvent & { currentTarget: Element }): void {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const index = Math.round(share * (props.points.length - 1));
    setHovered(props.points[index]?.value == null ? undefined : index);
  }

  return (
    <span class={`spark ${props.of}`} onPointerMove={move} onPointerLeave={() => setHovered(undefined)}>
      <Show when={known().length > 1}>
        <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
          <path class="line" d={path()} />
          <Show when={point()?.value != null}>
            {props.of === "service" ? (
              <circle class="end" cx={x(at())} cy={height(point()!.value!)} r="2.5" />
            ) : (
              <rect class="end" x={x(at()) - 2.5} y={height(point()!.value!) - 2.5} width="5" height="5" />
            )}
          </Show>
        </svg>
        <Show when={hovered() !== undefined && point()}>
          {(found) => (
            <span class="tip" aria-hidden="true">
              {weekday(found().day)} <b>{text(found().value ?? 0, props.measured)}</b>
            </span>
          )}
        </Show>
      </Show>
    </span>
  );
}

/** Two series are compared by their changes; what follows the other is found with its lag, and chance is not taken for more. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { transformWithEsbuild } from "vite";

const path = new URL("../src/correlation.ts", import.meta.url);
const { code } = await transformWithEsbuild(readFileSync(path, "utf8"), "correlation.ts");
const { agreement, changes, LEAST_PAIRS, measure } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

/** Returns numbers between 0 and 1 that are the same in every run. */
function noise(seed, count) {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  });
}

test("what follows another number is found, with its lag and its sign", () => {
  const leading = noise(1, 120);
  const lagging = [...noise(2, 4).map((each) => each), ...leading.slice(0, -4)];
  const found = measure(leading, lagging, 14);
  assert.equal(found.best.lag, 4);
  assert.ok(Math.abs(found.best.r - 1) < 1e-9);
  assert.equal(found.best.pairs, 116);
  assert.ok(found.isClear);
  const turned = measure(lagging.map((each) => 5 - 2 * each), leading, 14);
  assert.deepEqual([turned.best.lag, Math.round(turned.best.r)], [-4, -1]);
  assert.deepEqual(found.lags.map(({ lag }) => lag), Array.from({ length: 29 }, (_, index) => index - 14));
});

test("it is Pearson's correlation", () => {
  const first = [43, 21, 25, 42, 57, 59, 31, 18, 66, 70, 35, 44];
  const second = [99, 65, 79, 75, 87, 81, 70, 60, 95, 98, 72, 80];
  // By correlation() of the statistics of Python.
  assert.ok(Math.abs(agreement(first, second, 0).r - 0.812_875_703_226_608) < 1e-12);
});

test("numbers without a connection are not taken for connected, however many lags are tried", () => {
  const clear = Array.from({ length: 200 }, (_, run) => measure(noise(run + 10, 90), noise(run + 9_000, 90), 14)).filter(({ isClear }) => isClear);
  assert.ok(clear.length <= 10, `${clear.length} of 200`);
});

test("growth and weekdays alone are no agreement", () => {
  const week = [1, 1, 1, 1, 1, 0, 0];
  const [one, other] = [7, 8].map((seed) => noise(seed, 91).map((each, day) => 3 * day + 50 * week[day % 7] + each));
  assert.ok(measure(one, other, 14).best.r > 0.99);
  assert.ok(!measure(changes(one, 7), changes(other, 7), 14).isClear);
  assert.deepEqual(changes([1, null, 4, 8], 2), [3, null]);
});

test("days without a value are left out, and too few say nothing", () => {
  const values = noise(3, 40);
  const gaps = values.map((each, day) => (day % 3 === 0 ? null : each));
  const { r, pairs } = agreement(values, gaps, 0);
  assert.deepEqual([Math.round(r * 1e9) / 1e9, pairs], [1, gaps.filter((each) => each !== null).length]);
  const few = values.slice(0, LEAST_PAIRS - 1);
  assert.deepEqual(agreement(few, few, 0), { lag: 0, r: null, pairs: LEAST_PAIRS - 1 });
  assert.equal(measure(few, few, 3).best, undefined);
  assert.equal(agreement(values, values.map(() => 0.1), 0).r, null);
});

/** How two series move together, and which of them comes first. Pure: no page, no clock. */

/** A value for each day or week, null where there is none; two series have the same ones. */
export type Values = readonly (number | null)[];

export interface Agreement {
  /** By how many steps the first series comes before the second; negative where it comes after. */
  lag: number;
  /** Pearson's, from −1 to 1; null where one of the two does not vary or there are too few pairs. */
  r: number | null;
  pairs: number;
}

export interface Measured {
  /** Every lag that was tried, by rising lag. */
  lags: Agreement[];
  /** The closest agreement of all. */
  best: (Agreement & { r: number }) | undefined;
  /** Whether it is closer than chance explains, in view of how many lags were tried. */
  isClear: boolean;
}

/** With fewer pairs a correlation says nothing. */
export const LEAST_PAIRS = 12;
/** How often two series without any connection may pass for connected. */
const CHANCE = 0.05;

/** Returns what has changed since `steps` before, in place of the values: growth and weekdays are no agreement. */
export const changes = (values: Values, steps: number): Values =>
  values.slice(steps).map((value, index) => {
    const before = values[index];
    return value === null || before == null ? null : value - before;
  });

/** Returns Pearson's correlation of the pairs that have both values, with `first` moved `lag` steps later. */
export function agreement(first: Values, second: Values, lag: number): Agreement {
  const pairs: [number, number][] = [];
  for (const [index, one] of first.entries()) {
    const other = second[index + lag];
    if (one !== null && other != null) pairs.push([one, other]);
  }
  const count = pairs.length;
  if (count < LEAST_PAIRS) return { lag, r: null, pairs: count };
  const mean = (of: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[of], 0) / count;
  const [x, y] = [mean(0), mean(1)];
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (const [one, other] of pairs) {
    xx += (one - x) ** 2;
    yy += (other - y) ** 2;
    xy += (one - x) * (other - y);
  }
  // Of equal values rounding leaves a little.
  const least = 1e-12 * count;
  const isFlat = xx <= least * Math.max(x * x, 1e-12) || yy <= least * Math.max(y * y, 1e-12);
  return { lag, r: isFlat ? null : Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy))), pairs: count };
}

/** Returns how two series agree at every lag up to `most` steps either way. */
export function measure(first: Values, second: Values, most: number): Measured {
  const lags = Array.from({ length: 2 * most + 1 }, (_, index) => agreement(first, second, index - most));
  const known = lags.filter((each): each is Agreement & { r: number } => each.r !== null);
  // Of equal ones the nearest: a rhythm agrees with itself again and again.
  const best = known.toSorted((one, other) => Math.abs(other.r) - Math.abs(one.r) || Math.abs(one.lag) - Math.abs(other.lag))[0];
  // A bound of the normal distribution's tail, for as many tries as there were.
  const needed = best === undefined ? 0 : Math.sqrt((2 * Math.log((2 * known.length) / CHANCE)) / best.pairs);
  return { lags, best, isClear: best !== undefined && Math.abs(best.r) > needed };
}

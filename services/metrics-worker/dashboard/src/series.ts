/** Series as they are drawn. */

import type { Answer } from "./api";

export type Point = NonNullable<Answer["series"]>[number];

export interface Drawn {
  day: string;
  value: number | null;
}

const number = (given: string | number | null | undefined): number | null => (given == null ? null : Number(given));

/** Returns the values as they are. */
export const plain = (points: readonly Point[]): Drawn[] =>
  points.map(({ start, value }) => ({ day: start, value: number(value) }));

/**
 * Returns the mean of each day and the six before: of a share the sums are added up and divided, so that a day with
 * many cases weighs more. `before` are points that come directly before the first.
 */
export function sevenDayAverage(points: readonly Point[], unit: string, before: readonly Point[] = []): Drawn[] {
  const all = [...before.slice(-6), ...points];
  const skipped = all.length - points.length;
  return points.map(({ start }, index) => {
    const week = all.slice(Math.max(0, index + skipped - 6), index + skipped + 1);
    if (unit === "ratio") {
      const below = week.reduce((sum, each) => sum + (number(each.denominator) ?? 0), 0);
      const above = week.reduce((sum, each) => sum + (number(each.numerator) ?? 0), 0);
      return { day: start, value: below === 0 ? null : above / below };
    }
    const values = week.map((each) => number(each.value)).filter((value) => value !== null);
    return { day: start, value: values.length === 0 ? null : values.reduce((sum, each) => sum + each, 0) / values.length };
  });
}

/** Periods as the address names them, as days of the reporting time zone. */

import { dayOf } from "./format";

export const PERIODS = ["7d", "30d", "90d", "365d", "month", "quarter", "year"] as const;
export type PeriodName = (typeof PERIODS)[number];
export const DEFAULT_PERIOD: PeriodName = "30d";

export interface Days {
  from: string;
  to: string;
}

const DAY_MS = 86_400_000;
const at = (day: string): Date => new Date(`${day}T00:00:00Z`);
const iso = (date: Date): string => date.toISOString().slice(0, 10);

export const addDays = (day: string, days: number): string => iso(new Date(at(day).getTime() + days * DAY_MS));
export const daysBetween = (from: string, to: string): number =>
  Math.round((at(to).getTime() - at(from).getTime()) / DAY_MS) + 1;

export const isPeriod = (text: string | undefined): text is PeriodName =>
  (PERIODS as readonly string[]).includes(text ?? "");

/** Returns the days of a period that ends today. */
export function daysOf(name: PeriodName, zone: string, now = new Date()): Days {
  const to = dayOf(now, zone);
  const [year = "", month = "01"] = to.split("-");
  switch (name) {
    case "month":
      return { from: `${year}-${month}-01`, to };
    case "quarter":
      return { from: `${year}-${String(Math.floor((Number(month) - 1) / 3) * 3 + 1).padStart(2, "0")}-01`, to };
    case "year":
      return { from: `${year}-01-01`, to };
    default:
      return { from: addDays(to, 1 - Number.parseInt(name, 10)), to };
  }
}

/** Returns as many days, directly before. */
export const daysBefore = ({ from, to }: Days): Days => ({
  from: addDays(from, -daysBetween(from, to)),
  to: addDays(from, -1),
});

/** Returns how finely a period is drawn. */
export function intervalOf({ from, to }: Days): "day" | "week" | "month" {
  const days = daysBetween(from, to);
  return days <= 92 ? "day" : "week";
}

/** Values of KPIs as people read them: in their unit, by the locale, with the unit apart from the number. */

import { locale, t } from "./i18n";
import { nounOf } from "./kpis";

/** What a value is measured in, as the API says, with the KPI that decides what is counted. */
export interface Measured {
  kpi: string;
  variant: string;
  unit: string;
  currency: string | null;
}

/** A value in two parts: the unit is lighter than the number, and empty where the number carries it. */
export interface Shown {
  number: string;
  unit: string;
}

const MINUTES: Record<string, number> = { seconds: 1 / 60, minutes: 1, hours: 60 };
/** From this amount on, money is shown in thousands or millions. */
const COMPACT_FROM = 10_000;

const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale()} ${JSON.stringify(options)}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(locale(), options);
    formats.set(key, format);
  }
  return format;
}

// U+2212 in place of the hyphen that most locales have.
const withMinus = (text: string): string => text.replace("-", "−");

export function decimal(value: number, digits = 0, least = digits): string {
  return withMinus(numberFormat({ minimumFractionDigits: least, maximumFractionDigits: digits }).format(value));
}

function money(value: number, currency: string, exact: boolean): string {
  const options: Intl.NumberFormatOptions = { style: "currency", currency };
  if (!exact && Math.abs(value) >= COMPACT_FROM) {
    const parts = numberFormat({ ...options, notation: "compact", maximumSignificantDigits: 3 }).formatToParts(value);
    // Some languages have no short form of thousands: three digits of five would look like all of them.
    if (parts.some(({ type }) => type === "compact")) {
      return withMinus(parts.map(({ type, value: part }) => (type === "compact" ? part.replace("K", "k") : part)).join(""));
    }
  }
  return withMinus(numberFormat(exact ? options : { ...options, maximumFractionDigits: 0 }).format(value));
}

function minutes(value: number): Shown {
  const rounded = Math.round(Math.abs(value));
  if (rounded >= 60) return { number: decimal(value / 60, 1), unit: t("unit.h") };
  // A handle time of seven minutes and a half is not eight.
  return { number: decimal(value, Math.abs(value) < 10 ? 1 : 0, 0), unit: t("unit.min") };
}

function score(value: number, measured: Measured): Shown {
  const unit = { csat: t("unit.of5"), review_score: t("unit.of5"), ces: t("unit.of7"), customer_health: t("unit.of100") };
  const digits = measured.kpi === "customer_health" ? 0 : 1;
  return { number: decimal(value, digits), unit: unit[measured.kpi as keyof typeof unit] ?? "" };
}

/** Returns a value of a KPI as it is shown. `exact` shows every digit of money. */
export function shown(value: number, measured: Measured, exact = false): Shown {
  switch (measured.unit) {
    case "ratio":
      return { number: decimal(value * 100, 1), unit: "%" };
    case "money":
      return { number: money(value, measured.currency ?? "EUR", exact), unit: "" };
    case "seconds":
    case "minutes":
    case "hours":
      return minutes(value * (MINUTES[measured.unit] ?? 1));
    case "days":
      return { number: decimal(value, 1), unit: t("unit.days", { count: Math.round(value * 10) / 10 }) };
    case "score":
      return score(value, measured);
    default:
      return { number: decimal(value, Number.isInteger(value) ? 0 : 1), unit: nounOf(measured, value) };
  }
}

/** Returns the same as one text. */
export function text(value: number, measured: Measured, exact = false): string {
  const { number, unit } = shown(value, measured, exact);
  return unit === "" ? number : `${number} ${unit}`;
}

/** Returns in what people enter a value of a KPI, and how many of that one of the API's unit is. */
export function inputUnit({ kpi, unit, currency }: Measured): { name: string; factor: number } {
  switch (unit) {
    case "ratio":
      return { name: "%", factor: 100 };
    case "money":
      return { name: currency ?? "", factor: 1 };
    case "seconds":
      return { name: t("unit.min"), factor: 1 / 60 };
    case "minutes":
      return { name: t("unit.min"), factor: 1 };
    case "hours":
      return { name: t("unit.h"), factor: 1 };
    case "days":
      return { name: t("unit.days", { count: 2 }), factor: 1 };
    case "score":
      return { name: score(1, { kpi, variant: "", unit, currency }).unit, factor: 1 };
    default:
      return { name: nounOf({ kpi, variant: "", unit, currency }, 2), factor: 1 };
  }
}

/** Returns a value for an axis or a target, where the unit is known from beside: percent keeps its sign. */
export function short(value: number, measured: Measured): string {
  if (measured.unit === "count") return decimal(value, Math.abs(value) < 10 ? 1 : 0, 0);
  if (measured.unit === "score") return decimal(value, 1, 0);
  if (measured.unit === "ratio") return `${decimal(value * 100, 1, 0)} %`;
  return text(value, measured);
}

/** Returns how far a value is from the one before: percent in points, money in percent, all else in the unit. */
export function difference(value: number, before: number, measured: Measured): string {
  const change = Math.abs(value - before);
  if (measured.unit === "ratio") return t("change.points", { value: decimal(change * 100, 1) });
  if (measured.unit === "money") {
    return before === 0 ? text(change, measured) : `${decimal((change / Math.abs(before)) * 100, 1)} %`;
  }
  if (measured.unit === "count" || measured.unit === "score") return decimal(change, 1, 0);
  return text(change, measured);
}

const dates = new Map<string, Intl.DateTimeFormat>();

function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale()} ${JSON.stringify(options)}`;
  let format = dates.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(locale(), options);
    dates.set(key, format);
  }
  return format;
}

/** Returns a day, given as YYYY-MM-DD: 14 Jul. */
export const day = (date: string): string =>
  dateFormat({ day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${date}T00:00:00Z`));

/** Returns a day with its year: 14 Jul 2026. */
export const fullDay = (date: string): string =>
  dateFormat({ day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(`${date}T00:00:00Z`));

/** Returns a day with its weekday: Tue 14 Jul. */
export const weekday = (date: string): string =>
  dateFormat({ weekday: "short", day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${date}T00:00:00Z`));

/** Returns a time of the day in a zone; with seconds where it says how fresh something is. */
export const time = (moment: Date, zone: string, seconds = false): string =>
  dateFormat({ hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }), timeZone: zone }).format(moment);

/** Returns a moment as its time today, and with its day otherwise. */
export function moment(at: Date, zone: string): string {
  const isToday = dayOf(at, zone) === dayOf(new Date(), zone);
  return isToday ? time(at, zone) : dateFormat({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: zone }).format(at);
}

/** Returns the day of a moment in a zone, as YYYY-MM-DD. */
export const dayOf = (at: Date, zone: string): string =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: zone }).format(at);

/** Returns how long a customer has waited: 54 min, 1 h 24, 2 days 3 h. */
export function duration(milliseconds: number): string {
  const whole = Math.max(0, Math.floor(milliseconds / 60_000));
  if (whole < 60) return t("duration.minutes", { minutes: whole });
  const hours = Math.floor(whole / 60);
  if (hours < 24) return t("duration.hours", { hours, minutes: String(whole % 60).padStart(2, "0") });
  return t("duration.days", { days: Math.floor(hours / 24), hours: hours % 24 });
}

/** What the page says of one KPI's answer: value, change, target, and which of it is good. */

import type { Answer, Kpi } from "./api";
import { difference, short, text, type Measured } from "./format";
import { t } from "./i18n";

/** A value that rests on fewer is a hint. */
export const FEW = 20;

export interface Change {
  way: "up" | "down" | "same";
  meaning: "good" | "bad" | "none";
  says: string;
  was: string;
}

export interface Aim {
  says: string;
  value: number;
  met: boolean | null;
  /** The value as a share of the target; null where either is missing or the target is zero. */
  share: number | null;
  lowerIsBetter: boolean;
}

const numeric = (given: string | number | null | undefined): number | null => (given == null ? null : Number(given));

/** What is shown of a number, wherever it was answered. */
export type Figure = Pick<Answer, "kpi" | "variant" | "unit" | "currency" | "value" | "numerator" | "denominator" | "previous" | "target">;

export const measuredOf = (answer: Pick<Figure, "kpi" | "variant" | "unit" | "currency">): Measured => ({
  kpi: answer.kpi,
  variant: answer.variant,
  unit: answer.unit,
  currency: answer.currency ?? null,
});

/** Returns the change to the period before, or null where there is nothing to compare with. */
export function changeOf(answer: Figure, direction: Kpi["direction"]): Change | null {
  const value = numeric(answer.value);
  const before = numeric(answer.previous?.value);
  if (value === null || before === null) return null;
  const measured = measuredOf(answer);
  const amount = difference(value, before, measured);
  const was = t("kpi.was", { value: text(before, measured) });
  // What is shown as the same is the same.
  if (value === before || amount === difference(value, value, measured)) {
    return { way: "same", meaning: "none", says: t("change.same"), was };
  }
  const way = value > before ? "up" : "down";
  const isBetter = way === direction;
  return {
    way,
    meaning: isBetter ? "good" : "bad",
    says: t(isBetter ? "change.better" : "change.worse", { amount }),
    was,
  };
}

/** Returns what is aimed at, or null without a target. */
export function aimOf(answer: Figure, direction: Kpi["direction"]): Aim | null {
  const target = numeric(answer.target?.value);
  if (target === null || answer.target == null) return null;
  const value = numeric(answer.value);
  const lowerIsBetter = direction === "down";
  return {
    value: target,
    met: answer.target.met,
    share: value === null || target === 0 ? null : value / target,
    lowerIsBetter,
    says: t(lowerIsBetter ? "target.atMost" : "target.atLeast", { value: short(target, measuredOf(answer)) }),
  };
}

/** Returns how many cases a share, mean or time rests on; null for sums. */
export function casesOf(answer: Figure): number | null {
  if (answer.denominator == null || answer.unit === "money") return null;
  return typeof answer.denominator === "number" ? answer.denominator : null;
}

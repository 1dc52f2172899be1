/** Alerts by what is wrong: the gravest kind first, each with its count and the worst of it by name. */

import { dataOf } from "@tandem/client";
import { createEffect, createSignal, on, type Accessor } from "solid-js";
import { api, type Alert } from "./api";
import { decimal, duration, text } from "./format";
import { isMessage, t } from "./i18n";
import { titleOf } from "./kpis";
import type { Alerts } from "./live";

const RANK = { critical: 0, warning: 1, info: 2 } as const;
/** One page of the list; an overview needs no more. */
const MOST = 200;

export interface Group {
  kind: Alert["kind"];
  alerts: Alert[];
}

/** Returns every alert: read again whenever the stream says that they have changed. */
export function createAlerts(streamed: Accessor<Alerts | undefined>) {
  const [all, setAll] = createSignal<Alert[]>();
  createEffect(
    on(streamed, async (found) => {
      if (found === undefined) return;
      if (found.critical + found.warning + found.info <= found.items.length) {
        setAll(found.items);
        return;
      }
      // The stream carries the first of them.
      setAll((known) => known ?? found.items);
      const page = await api.GET("/v1/alerts", { params: { query: { limit: MOST } } }).catch(() => undefined);
      if (page !== undefined) setAll(dataOf(page).items);
    }),
  );
  return all;
}

export function groupsOf(alerts: readonly Alert[]): Group[] {
  const groups = new Map<Alert["kind"], Alert[]>();
  for (const alert of alerts) groups.set(alert.kind, [...(groups.get(alert.kind) ?? []), alert]);
  return [...groups]
    .map(([kind, of]) => ({ kind, alerts: of }))
    .sort((one, other) => RANK[one.alerts[0]!.severity] - RANK[other.alerts[0]!.severity]);
}

export const titleOfKind = (kind: string): string => (isMessage(`alert.${kind}`) ? t(`alert.${kind}` as never) : kind);

/** Returns what to do about alerts of a kind. */
export const toDo = (kind: string): string => (isMessage(`do.${kind}`) ? t(`do.${kind}` as never) : "");

const dimensionOf = (name: string): string => (isMessage(`dimension.${name}`) ? t(`dimension.${name}` as never) : name);

const shareOf = ({ subject, numerator, denominator }: NonNullable<Alert["facts"]["shares"]>[number]): string =>
  t("says.share", {
    subject: t(`subject.${subject}`),
    share: `${decimal((numerator / denominator) * 100)} %`,
    carried: decimal(numerator),
    count: decimal(denominator),
  });

/** Returns what is wrong, with its figures; as the API says it where the page is older than the rule. */
export function saysOf(alert: Alert, now: Date): string {
  const { facts } = alert;
  const { weeks = [], shares = [], values = [] } = facts;
  const dimension = dimensionOf(facts.dimension ?? "");
  const measured = { kpi: alert.kpi ?? "", variant: facts.variant ?? "", unit: facts.unit ?? "count", currency: facts.currency ?? null };
  const value = (given: string | null | undefined): string => (given == null ? "–" : text(Number(given), measured));
  switch (facts.rule) {
    case "unattended":
      return t("says.unattended", { name: nameOf(alert), time: duration(now.getTime() - new Date(alert.since).getTime()), tickets: alert.tickets.length });
    case "rating-waits":
    case "promise-waits":
    case "call-back-waits":
      return t(`says.${facts.rule}`, { name: nameOf(alert), time: duration(now.getTime() - new Date(alert.since).getTime()) });
    case "overdue-work":
      return t("says.overdue-work", { what: nameOf(alert), count: facts.overdue_count ?? 0, time: duration(now.getTime() - new Date(alert.since).getTime()) });
    case "target-missed":
      return t(facts.direction === "down" ? "says.target-missed.down" : "says.target-missed.up", { what: nameOf(alert), target: value(facts.target) });
    case "beyond-usual-spread":
    case "three-weeks-in-a-row":
      return t(`says.${facts.rule}`, { what: nameOf(alert), weeks: weeks.map((week) => value(week.value)).join(", ") });
    case "missing-dimension":
      return t("says.missing-dimension", { dimension, shares: shares.map(shareOf).join(", ") });
    case "unasked-values":
      return t("says.unasked-values", { dimension, values: values.join(", "), more: (facts.values_count ?? 0) - values.length });
    case "sequence-conflict":
    case "books-being-read":
    case "history-being-loaded":
      return t(`says.${facts.rule}`);
    default:
      return alert.says;
  }
}

/** Returns whom or what an alert is about, by name. */
export function nameOf(alert: Alert): string {
  const { dimension, dimension_value } = alert.facts;
  const names = Object.values(alert.names ?? {});
  // A region is its own name.
  if (names.length === 0 && alert.kind === "target-missed" && dimension != null) names.push(dimension_value ?? t("breakdown.none"));
  if (alert.kind === "unattended" || alert.kind === "kept-waiting") return names[0] ?? t("waiting.unnamed");
  const kpi = alert.kpi == null ? "" : titleOf(alert.kpi);
  if (alert.kind === "thin-coverage") return dimensionOf(alert.facts.dimension ?? alert.subject);
  return [kpi, ...names].filter(Boolean).join(", ") || alert.subject;
}

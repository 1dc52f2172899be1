/** Alerts by what is wrong: the gravest kind first, each with its count and the worst of it by name. */

import { dataOf } from "@tandem/client";
import { createEffect, createSignal, on, type Accessor } from "solid-js";
import { api, type Alert } from "./api";
import { isMessage, prose, t } from "./i18n";
import { titleOf } from "./kpis";
import type { Alerts } from "./live";

const RANK = { critical: 0, warning: 1, info: 2 } as const;
/** One page of the list; more than that nobody reads on an overview. */
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

function dimensionOf(alert: Alert): string {
  const [, dimension = alert.subject] = alert.subject.split("/");
  return isMessage(`dimension.${dimension}`) ? t(`dimension.${dimension}` as never) : dimension;
}

// Two rules have one kind, and differ by what they are about.
const ruleOf = ({ kind, kpi }: Alert): string => (kind === "thin-coverage" && kpi === "survey_response_rate" ? "unasked" : kind);

/** Returns what is wrong. Other languages than the API's say it without the figures, which explain has. */
export const saysOf = (alert: Alert): string => prose(`alert.${ruleOf(alert)}.says`, alert.says);

/** Returns whom or what an alert is about, by name. */
export function nameOf(alert: Alert): string {
  const names = Object.values(alert.names ?? {});
  if (alert.kind === "unattended") return names[0] ?? t("waiting.unnamed");
  const kpi = alert.kpi == null ? "" : titleOf(alert.kpi);
  if (alert.kind === "thin-coverage") return dimensionOf(alert);
  return [kpi, ...names].filter(Boolean).join(", ") || alert.subject;
}

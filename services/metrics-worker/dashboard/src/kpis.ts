/** Which KPIs the overview shows and where, and what a count counts. */

import { isMessage, prose, t } from "./i18n";
import type { Kpi } from "./api";
import type { Measured } from "./format";

/** A KPI and the variant that the page shows of it; the first of its variants without one. */
export interface Pick {
  kpi: string;
  variant?: string;
}

export interface Half {
  headline: Pick;
  beside: Pick;
  tiles: readonly Pick[];
}

export const SALES: Half = {
  headline: { kpi: "revenue" },
  beside: { kpi: "sales_volume" },
  tiles: [
    { kpi: "win_rate" },
    { kpi: "quota_attainment" },
    { kpi: "pipeline_value" },
    { kpi: "lead_conversion_rate" },
    { kpi: "lead_response_minutes" },
    { kpi: "follow_ups_on_time" },
  ],
};

export const SERVICE: Half = {
  headline: { kpi: "answered_within_hour", variant: "service" },
  beside: { kpi: "first_response_minutes" },
  tiles: [
    { kpi: "csat", variant: "mean" },
    { kpi: "resolution_rate" },
    { kpi: "first_contact_resolution" },
    { kpi: "average_handle_time" },
    { kpi: "backlog" },
    { kpi: "sla_attainment" },
  ],
};

export const TOGETHER: readonly Pick[] = [
  { kpi: "customers_at_risk" },
  { kpi: "revenue_at_risk" },
  { kpi: "net_revenue_retention" },
  { kpi: "promises_kept" },
  { kpi: "waiting_now" },
];

const halves = [SALES, SERVICE];
/** Everything that the overview shows, as the stream is asked for it. */
export const OVERVIEW: readonly Pick[] = [
  ...halves.flatMap((half) => [half.headline, half.beside, ...half.tiles]),
  ...TOGETHER,
];

const NOUNS = {
  sales_volume: "unit.deals",
  backlog: "unit.tickets",
  tickets_opened: "unit.tickets",
  tickets_resolved: "unit.tickets",
  unattended_now: "unit.tickets",
  waiting_now: "unit.waits",
  customers_at_risk: "unit.customers",
  new_customers: "unit.customers",
  referral_customers: "unit.customers",
  leads_created: "unit.leads",
} as const;

/** Returns what a count counts, in the form that the number takes; empty where the name of the KPI says it. */
export function nounOf(measured: Measured, count: number): string {
  const key = NOUNS[measured.kpi as keyof typeof NOUNS];
  return key === undefined ? "" : t(key, { count });
}

/** Returns the KPI's name in the reader's language, or the API's where the page is older than the KPI. */
export function titleOf(kpi: string, given?: string): string {
  const key = `kpi.${kpi}`;
  return isMessage(key) ? t(key) : (given ?? kpi);
}

/** Returns what a KPI tells and what to beware of, without the marks of names that the API gives it. */
export const meaningOf = (kpi: Kpi): string => prose(`kpi.${kpi.name}`, kpi.description).replaceAll("`", "");

/** Returns the definition of a variant in words. */
export const definitionOf = (kpi: Kpi, variant: Kpi["variants"][number]): string =>
  prose(`kpi.${kpi.name}.${variant.name}`, variant.formula).replaceAll("`", "");

/** What happened with a customer in both functions: each part from its own API, which has the names. */

import { dataOf, type Sales, type SalesPaths } from "@tandem/client";
import { isForbidden, isMissing, salesApi, serviceApi } from "./api";

export type Entry = Sales["TimelineEntryRead"];
export type Kind = NonNullable<NonNullable<SalesPaths["/v1/accounts/{account_id}/timeline"]["get"]["parameters"]["query"]>["kind"]>[number];
export type Source = Sales["TimelineSource"];
export const SOURCES = ["sales", "service"] as const;
/** The kinds of records, as they can be chosen. */
export const GROUPS = [
  "customer", "lead", "deal", "activity", "referral", "ticket", "survey", "step", "delivery", "training", "check_in", "maintenance", "review", "suggestion",
] as const;
export type Group = (typeof GROUPS)[number];
export type Deed = Exclude<(typeof DEEDS)[Kind][1], "contact"> | "won" | "lost" | "contactIn" | "contactOut" | "note";

/** Each kind's record, and what was done. That none is missing, the types of the client say. */
export const DEEDS = {
  "sales.account-registered": ["customer", "new"],
  "sales.account-updated": ["customer", "changed"],
  "sales.account-merged": ["customer", "merged"],
  "sales.account-unmerged": ["customer", "unmerged"],
  "sales.account-erased": ["customer", "erased"],
  "sales.lead-created": ["lead", "new"],
  "sales.lead-assigned": ["lead", "assigned"],
  "sales.lead-contacted": ["lead", "contacted"],
  "sales.lead-qualified": ["lead", "qualified"],
  "sales.lead-disqualified": ["lead", "givenUp"],
  "sales.lead-converted": ["lead", "converted"],
  "sales.lead-amended": ["lead", "corrected"],
  "sales.lead-erased": ["lead", "erased"],
  "sales.deal-opened": ["deal", "new"],
  "sales.deal-stage-changed": ["deal", "stage"],
  "sales.proposal-sent": ["deal", "proposal"],
  "sales.deal-closed": ["deal", "closed"],
  "sales.deal-reopened": ["deal", "reopened"],
  "sales.deal-amended": ["deal", "corrected"],
  "sales.deal-erased": ["deal", "erased"],
  "sales.activity-planned": ["activity", "planned"],
  "sales.activity-completed": ["activity", "done"],
  "sales.activity-moved": ["activity", "moved"],
  "sales.activity-missed": ["activity", "missed"],
  "sales.activity-cancelled": ["activity", "cancelled"],
  "sales.activity-amended": ["activity", "corrected"],
  "sales.planned-activity-amended": ["activity", "corrected"],
  "sales.referral-recorded": ["referral", "new"],
  "sales.referral-amended": ["referral", "corrected"],
  "service.customer-registered": ["customer", "new"],
  "service.customer-updated": ["customer", "changed"],
  "service.customer-linked": ["customer", "merged"],
  "service.customer-unlinked": ["customer", "unmerged"],
  "service.customer-erased": ["customer", "erased"],
  "service.ticket-opened": ["ticket", "new"],
  "service.ticket-assigned": ["ticket", "assigned"],
  "service.interaction-logged": ["ticket", "contact"],
  "service.interaction-amended": ["ticket", "corrected"],
  "service.ticket-first-responded": ["ticket", "answered"],
  "service.ticket-resolved": ["ticket", "resolved"],
  "service.ticket-reopened": ["ticket", "reopened"],
  "service.ticket-closed": ["ticket", "closed"],
  "service.ticket-escalated": ["ticket", "escalated"],
  "service.ticket-merged": ["ticket", "merged"],
  "service.ticket-absorbed": ["ticket", "merged"],
  "service.ticket-cancelled": ["ticket", "cancelled"],
  "service.ticket-reinstated": ["ticket", "reopened"],
  "service.ticket-amended": ["ticket", "corrected"],
  "service.ticket-erased": ["ticket", "erased"],
  "service.sla-breached": ["ticket", "late"],
  "service.survey-sent": ["survey", "sent"],
  "service.survey-answered": ["survey", "rated"],
  "service.survey-revised": ["survey", "changed"],
  "service.survey-followed-up": ["survey", "followedUp"],
  "service.survey-amended": ["survey", "corrected"],
  "service.survey-erased": ["survey", "erased"],
  "service.onboarding-step-planned": ["step", "planned"],
  "service.onboarding-step-completed": ["step", "done"],
  "service.onboarding-step-moved": ["step", "moved"],
  "service.onboarding-step-missed": ["step", "missed"],
  "service.onboarding-step-cancelled": ["step", "cancelled"],
  "service.onboarding-step-amended": ["step", "corrected"],
  "service.planned-onboarding-step-amended": ["step", "corrected"],
  "service.training-planned": ["training", "planned"],
  "service.training-delivered": ["training", "done"],
  "service.training-moved": ["training", "moved"],
  "service.training-missed": ["training", "missed"],
  "service.training-cancelled": ["training", "cancelled"],
  "service.training-amended": ["training", "corrected"],
  "service.planned-training-amended": ["training", "corrected"],
  "service.check-in-planned": ["check_in", "planned"],
  "service.check-in-completed": ["check_in", "done"],
  "service.check-in-moved": ["check_in", "moved"],
  "service.check-in-missed": ["check_in", "missed"],
  "service.check-in-cancelled": ["check_in", "cancelled"],
  "service.check-in-amended": ["check_in", "corrected"],
  "service.planned-check-in-amended": ["check_in", "corrected"],
  "service.maintenance-planned": ["maintenance", "planned"],
  "service.maintenance-performed": ["maintenance", "done"],
  "service.maintenance-moved": ["maintenance", "moved"],
  "service.maintenance-missed": ["maintenance", "missed"],
  "service.maintenance-cancelled": ["maintenance", "cancelled"],
  "service.maintenance-amended": ["maintenance", "corrected"],
  "service.planned-maintenance-amended": ["maintenance", "corrected"],
  "service.delivery-accepted": ["delivery", "accepted"],
  "service.delivery-amended": ["delivery", "corrected"],
  "service.review-recorded": ["review", "rated"],
  "service.review-amended": ["review", "corrected"],
  "service.upsell-suggested": ["suggestion", "new"],
  "service.upsell-outcome-changed": ["suggestion", "outcome"],
  "service.upsell-amended": ["suggestion", "corrected"],
} as const satisfies Record<Kind, readonly [Group, string]>;

/** Pages of an API are as long at most. */
const PAGE = 200;

interface Asked {
  customer: string;
  source: Source | "both";
  group: Group | "all";
}

export interface Timeline {
  entries: Entry[];
  hasMore: boolean;
}

const kindsOf = (group: Group | "all"): Kind[] | undefined =>
  group === "all" ? undefined : (Object.keys(DEEDS) as Kind[]).filter((kind) => DEEDS[kind][0] === group);

/** Returns what was done, by what the event says too: a closed deal was won or lost. */
export function deedOf({ kind, facts }: Entry): { group: Group; deed: Deed } | undefined {
  const known = DEEDS[kind as Kind] as (typeof DEEDS)[Kind] | undefined;
  if (known === undefined) return undefined;
  const [group, deed] = known;
  if (group === "deal" && deed === "closed") return { group, deed: facts.status === "won" ? "won" : "lost" };
  if (deed === "contact") return { group, deed: facts.visibility === "internal" ? "note" : facts.direction === "inbound" ? "contactIn" : "contactOut" };
  return { group, deed };
}

/** Asks one API for one part; undefined where the caller does not see the customer there. */
async function part(from: Source, source: Source, { customer, group }: Asked, count: number): Promise<Timeline | undefined> {
  const entries: Entry[] = [];
  let cursor: string | null = null;
  try {
    do {
      const query = { source: [source], limit: Math.min(count - entries.length, PAGE), ...(kindsOf(group) && { kind: kindsOf(group)! }), ...(cursor !== null && { cursor }) };
      const page: Sales["TimelinePage"] =
        from === "sales"
          ? dataOf(await salesApi!.GET("/v1/accounts/{account_id}/timeline", { params: { path: { account_id: customer }, query } }))
          : dataOf(await serviceApi!.GET("/v1/customers/{customer_id}/timeline", { params: { path: { customer_id: customer }, query } }));
      entries.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null && entries.length < count);
  } catch (error) {
    if (isMissing(error) || isForbidden(error)) return undefined;
    throw error;
  }
  return { entries, hasMore: cursor !== null };
}

/** Returns the newest of both functions; undefined where the caller sees the customer in neither. */
export async function readTimeline(asked: Asked, count: number): Promise<Timeline | undefined> {
  const there = SOURCES.filter((name) => (name === "sales" ? salesApi : serviceApi) !== undefined);
  const wanted = SOURCES.filter((name) => asked.source === "both" || asked.source === name);
  const parts = await Promise.all(
    wanted.map(async (source) => {
      // What its own API does not show, the other one tells.
      for (const from of [source, ...SOURCES.filter((each) => each !== source)].filter((each) => there.includes(each))) {
        const found = await part(from, source, asked, count);
        if (found !== undefined) return found;
      }
      return undefined;
    }),
  );
  const found = parts.filter((each) => each !== undefined);
  if (found.length === 0) return undefined;
  const all = found.flatMap(({ entries }) => entries).toSorted((one, other) => (one.occurred_at === other.occurred_at ? 0 : Date.parse(other.occurred_at) - Date.parse(one.occurred_at)));
  return { entries: all.slice(0, count), hasMore: all.length > count || found.some(({ hasMore }) => hasMore) };
}

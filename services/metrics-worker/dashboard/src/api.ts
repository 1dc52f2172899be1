/** The API that serves this page, by the shipped client. */

import { metrics, ProblemError, sales, service, type Metrics } from "@tandem/client";
import { accessToken, given, renew } from "./session";

export type Answer = Metrics["AnswerRead"];
export type Alert = Metrics["AlertRead"];
export type Kpi = Metrics["KpiRead"];
export type Catalogue = Metrics["CatalogueRead"];
export type Scorecard = Metrics["ScorecardRead"];
export type Score = Metrics["ScoreRead"];

const PATIENCE_MS = 10_000;

const options = {
  token: accessToken,
  fetch: async (request: Request) => {
    const answer = await fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]) });
    if (answer.status === 401) void renew();
    return answer;
  },
};

export const api = metrics({ ...options, url: location.origin });

/** Undefined where metrics-api does not have the address: what needs it is not there. */
const other = <Client>(name: string, connect: (of: typeof options & { url: string }) => Client): Client | undefined => {
  const url = given(`${name}-api`).replace(/\/$/, "");
  return url === "" ? undefined : connect({ ...options, url });
};
export const salesApi = other("sales", sales);
export const serviceApi = other("service", service);

export type Explanation = Metrics["ExplanationRead"];
export type Posting = Metrics["ExplainedPostingRead"];

/** Returns an event of sales or service, by the link that an explanation has: its type, and what it says, flat. */
export async function eventAt(link: string): Promise<{ type: string; data: [string, string][] }> {
  const answer = await fetch(link, {
    headers: { Authorization: `Bearer ${accessToken()}` },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const { event } = (await answer.json()) as { event: { type: string; data: Record<string, unknown> } };
  const data = Object.entries(event.data)
    .filter(([, value]) => value !== null)
    .map(([name, value]): [string, string] => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  return { type: event.type, data };
}

/** Returns whether there is no such record, or none that the caller sees. */
export const isMissing = (failure: unknown): boolean => failure instanceof ProblemError && failure.status === 404;

/** Returns whether the caller's role is what is missing. */
export const isForbidden = (failure: unknown): boolean => failure instanceof ProblemError && failure.status === 403;

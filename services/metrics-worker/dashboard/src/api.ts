/** The API that serves this page, by the shipped client. */

import { metrics, ProblemError, type Metrics } from "@tandem/client";
import { accessToken, renew } from "./session";

export type Answer = Metrics["AnswerRead"];
export type Alert = Metrics["AlertRead"];
export type Kpi = Metrics["KpiRead"];
export type Catalogue = Metrics["CatalogueRead"];

const PATIENCE_MS = 10_000;

export const api = metrics({
  url: location.origin,
  token: accessToken,
  fetch: async (request) => {
    const answer = await fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]) });
    if (answer.status === 401) void renew();
    return answer;
  },
});

/** Returns whether the caller's role is what is missing. */
export const isForbidden = (failure: unknown): boolean => failure instanceof ProblemError && failure.status === 403;

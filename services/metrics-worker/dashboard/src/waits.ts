/** Who waits for us now, longest first: read again when the business has moved, and by the clock. */

import { dataOf, type Metrics } from "@tandem/client";
import type { Accessor } from "solid-js";
import { api } from "./api";
import { createReading } from "./reading";

export type Wait = Metrics["WaitRead"];
export type WaitingSummary = Metrics["WaitingSummaryRead"];

/** Waits grow without an event: what is over its limit changes by the clock. */
const EVERY_MS = 30_000;

export interface Waits {
  items: Wait[];
  summary: WaitingSummary;
}

/** Returns who waits: undefined before the first answer. `again` reads it anew, where an action has changed it. */
export function createWaits(limit: number, filters: Accessor<Readonly<Record<string, string>>>, moved: Accessor<unknown>) {
  const read = async (query: Readonly<Record<string, string>>): Promise<Waits> => {
    const [page, summary] = await Promise.all([
      api.GET("/v1/waiting", { params: { query: { ...query, limit } } }),
      api.GET("/v1/waiting/summary", { params: { query } }),
    ]);
    return { items: dataOf(page).items, summary: dataOf(summary) };
  };
  const { latest, again } = createReading(filters, read, { moved, everyMs: EVERY_MS });
  return Object.assign(latest, { again });
}

/** Returns how long a wait is, how much of its limit that is, and by how much it is over, in minutes. */
export const overBy = (wait: Wait): number => -(wait.minutes_left ?? 0);

/** Who waits for us now, longest first: read again when the business has moved, and by the clock. */

import { dataOf, type Metrics } from "@tandem/client";
import { createEffect, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { api } from "./api";

export type Wait = Metrics["WaitRead"];
export type WaitingSummary = Metrics["WaitingSummaryRead"];

/** Waits grow without an event: what is over its limit changes by the clock. */
const EVERY_MS = 30_000;

export interface Waits {
  items: Wait[];
  summary: WaitingSummary;
}

export function createWaits(limit: number, filters: Accessor<Readonly<Record<string, string>>>, moved: Accessor<unknown>) {
  const [waits, setWaits] = createSignal<Waits>();
  let turn = 0;
  async function read(): Promise<void> {
    const mine = ++turn;
    const query = filters();
    try {
      const [page, summary] = await Promise.all([
        api.GET("/v1/waiting", { params: { query: { ...query, limit } } }),
        api.GET("/v1/waiting/summary", { params: { query } }),
      ]);
      if (mine === turn) setWaits({ items: dataOf(page).items, summary: dataOf(summary) });
    } catch {
      // The line about the connection says so; what was read last stays.
    }
  }
  createEffect(on([filters, moved], () => void read()));
  const clock = setInterval(() => void read(), EVERY_MS);
  onCleanup(() => clearInterval(clock));
  return waits;
}

/** Returns how long a wait is, how much of its limit that is, and by how much it is over, in minutes. */
export const overBy = (wait: Wait): number => -(wait.minutes_left ?? 0);

/** The numbers as they move: one stream of server-sent events, opened again by itself where it left off. */

import { dataOf } from "@tandem/client";
import { createEffect, createSignal, onCleanup, type Accessor } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import { api, isForbidden, type Alert, type Answer } from "./api";
import type { Pick } from "./kpis";

/** What to stream: parameters of GET /v1/stream. */
export interface Wanted {
  kpis: readonly Pick[];
  from: string;
  to: string;
  /** Whether `to` is today, and the stream's days move with the calendar. */
  interval: "day" | "week" | "month";
  filters: Readonly<Record<string, string>>;
}

export type Connection =
  | { state: "loading" }
  | { state: "live" }
  | { state: "offline"; since: Date; retryAt: Date; failed: boolean }
  | { state: "forbidden" };

export interface Alerts {
  critical: number;
  warning: number;
  info: number;
  items: Alert[];
}

/** The stream sends something every five seconds: one that is silent for longer is dead. */
const SILENCE_MS = 12_000;
const WATCH_MS = 1_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

export const keyOf = (kpi: string, variant?: string): string => (variant === undefined ? kpi : `${kpi}:${variant}`);

export function createLive(wanted: Accessor<Wanted | undefined>) {
  const [answers, setAnswers] = createStore<Record<string, Answer>>({});
  const [alerts, setAlerts] = createSignal<Alerts>();
  const [connection, setConnection] = createSignal<Connection>({ state: "loading" });
  const [freshAsOf, setFreshAsOf] = createSignal<Date>();
  let source: EventSource | undefined;
  let request: Wanted | undefined;
  let position = "";
  let heardAt = 0;
  let lostAt: Date | undefined;
  let attempts = 0;
  let retry: number | undefined;
  let turn = 0;

  function heard(event?: MessageEvent<string>): void {
    heardAt = Date.now();
    attempts = 0;
    lostAt = undefined;
    if (event?.lastEventId) position = event.lastEventId;
    if (connection().state !== "live") setConnection({ state: "live" });
  }

  function close(): void {
    turn += 1;
    source?.close();
    source = undefined;
    clearTimeout(retry);
  }

  function lost(failure?: unknown): void {
    close();
    if (isForbidden(failure)) {
      setConnection({ state: "forbidden" });
      return;
    }
    lostAt ??= new Date(heardAt || Date.now());
    const wait = Math.min(FIRST_RETRY_MS * 2 ** attempts, LONGEST_RETRY_MS);
    attempts += 1;
    setConnection({ state: "offline", since: lostAt, retryAt: new Date(Date.now() + wait), failed: heardAt === 0 });
    retry = setTimeout(() => void open(), wait);
  }

  async function open(): Promise<void> {
    close();
    if (request === undefined) return;
    const mine = turn;
    try {
      // The address of a stream may be logged: it carries a ticket of some seconds, never the token.
      const { ticket } = dataOf(await api.POST("/v1/stream-tickets"));
      if (mine !== turn) return;
      const parameters = new URLSearchParams({
        ...request.filters,
        kpis: request.kpis.map((each) => keyOf(each.kpi, each.variant)).join(","),
        from: request.from,
        to: request.to,
        interval: request.interval,
        compare: "previous",
        alerts: "true",
        ticket,
      });
      if (position) parameters.set("last_event_id", position);
      source = new EventSource(`/v1/stream?${parameters}`);
      heardAt ||= Date.now();
      source.addEventListener("kpi", (event: MessageEvent<string>) => {
        heard(event);
        const answer = JSON.parse(event.data) as Answer;
        const pick = request?.kpis.find((each) => each.kpi === answer.kpi);
        // Only what differs is set anew, so that nothing else is drawn again.
        setAnswers(keyOf(answer.kpi, pick?.variant), reconcile(answer, { key: "start" }));
        if (answer.fresh_as_of) setFreshAsOf(new Date(answer.fresh_as_of));
      });
      source.addEventListener("alerts", (event: MessageEvent<string>) => {
        heard(event);
        setAlerts(JSON.parse(event.data) as Alerts);
      });
      source.addEventListener("fresh", (event: MessageEvent<string>) => {
        heard(event);
        const moment = JSON.parse(event.data) as string | null;
        if (moment !== null) setFreshAsOf(new Date(moment));
      });
      // Not left to the browser: it would come back with the ticket that has expired.
      source.addEventListener("error", () => lost());
    } catch (failure) {
      if (mine === turn) lost(failure);
    }
  }

  createEffect(() => {
    request = wanted();
    // What was asked for before is no answer to this.
    position = "";
    setAnswers(reconcile({}));
    setConnection({ state: "loading" });
    heardAt = 0;
    void open();
  });

  // A laptop that slept finds a stream that is silent; one that was hidden may find it closed.
  const watch = setInterval(() => {
    if (source !== undefined && Date.now() - heardAt > SILENCE_MS) lost();
  }, WATCH_MS);
  const wake = (): void => {
    if (!document.hidden && connection().state === "offline") void open();
  };
  document.addEventListener("visibilitychange", wake);
  addEventListener("online", wake);
  const cut = (): void => lost();
  addEventListener("offline", cut);
  onCleanup(() => {
    close();
    clearInterval(watch);
    document.removeEventListener("visibilitychange", wake);
    removeEventListener("online", wake);
    removeEventListener("offline", cut);
  });

  /** Changes when anything does that was counted. */
  const moved = () => Object.values(answers).map(({ numerator, denominator }) => [numerator, denominator]);
  return { answers, moved, alerts, connection, freshAsOf, tryNow: () => void open() };
}

export type Live = ReturnType<typeof createLive>;

/** What a page reads of the API beside the stream: read again when the business moves, and kept while it cannot be. */

import { createEffect, createSignal, on, onCleanup, type Accessor } from "solid-js";
import { createStore, reconcile } from "solid-js/store";

/** Business may move many times a second; what is read beside the stream need not. */
const REST_MS = 2_000;

interface When {
  /** Reads again when this changes. */
  moved?: Accessor<unknown>;
  /** How long it rests after a reading, however much moves. */
  restMs?: number;
  /** Reads again by the clock too: what is due changes without an event. */
  everyMs?: number;
}

/** Returns what `read` answers to what is asked, undefined before the first answer to it; nothing is read for undefined. */
export function createReading<Asked, Found>(asked: Accessor<Asked | undefined>, read: (asked: Asked) => Promise<Found>, when: When = {}) {
  const [state, setState] = createStore<{ latest?: Found }>({});
  const [failure, setFailure] = createSignal<unknown>();
  let turn = 0;
  let readAt = 0;
  let later: number | undefined;

  async function now(): Promise<void> {
    clearTimeout(later);
    later = undefined;
    const mine = ++turn;
    const wanted = asked();
    if (wanted === undefined) return;
    readAt = Date.now();
    try {
      const found = await read(wanted);
      if (mine !== turn) return;
      // Only what differs is set anew: what has the focus keeps it.
      setState("latest" as never, reconcile(found as never, { key: "id" }) as never);
      setFailure(undefined);
    } catch (error) {
      // What was read last stays; the line about the connection says what is wrong with it.
      if (mine === turn) setFailure(error);
    }
  }

  const soon = (): void => {
    const wait = readAt + (when.restMs ?? REST_MS) - Date.now();
    if (wait <= 0) void now();
    else later ??= setTimeout(() => void now(), wait);
  };

  createEffect(
    on(() => JSON.stringify(asked()), (question, before) => {
      if (before !== undefined && question !== before) setState("latest" as never, undefined as never);
      void now();
    }),
  );
  if (when.moved !== undefined) createEffect(on(when.moved, soon, { defer: true }));
  const clock = when.everyMs === undefined ? undefined : setInterval(() => void now(), when.everyMs);
  onCleanup(() => {
    turn += 1;
    clearTimeout(later);
    clearInterval(clock);
  });
  return { latest: () => state.latest, failure, again: () => void now() };
}

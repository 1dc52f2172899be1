/** Rows of who waits: on the overview the longest, on their own page all. */

import { A } from "@solidjs/router";
import { For, Show } from "solid-js";
import { duration } from "../format";
import { isMessage, t } from "../i18n";
import type { Person } from "../assignment";
import { overBy, type Wait } from "../waits";
import { Clock, Mark, Warning } from "./marks";

const MINUTE_MS = 60_000;
/** A bar runs to one and a half times the limit: its mark, at two thirds, is the limit. */
const WIDTH = 120;
const MARK = 80;

const reasonOf = (wait: Wait): string => (isMessage(`reason.${wait.reason}`) ? t(`reason.${wait.reason}` as never) : wait.reason);

/** Returns who waits, by name where there is one. */
export const nameOf = (wait: Wait): string => wait.names?.customer ?? t(wait.reason === "lead" ? "kind.lead" : "waiting.unnamed");

const ownerOf = (wait: Wait): string => wait.names?.owner ?? wait.names?.team ?? t("waiting.noOwner");

function Owner(props: { wait: Wait; people: readonly Person[]; onAssign: (wait: Wait, person: Person) => Promise<boolean> }) {
  const isListed = () => props.people.some(({ id }) => id === props.wait.owner_id);
  return (
    <select
      class="field wait-assign"
      aria-label={t("waiting.assign", { name: nameOf(props.wait) })}
      onChange={async (event) => {
        const choice = event.currentTarget;
        const person = props.people.find(({ id }) => id === choice.value);
        // What is chosen stays chosen until the list is read again, unless it was refused.
        if (person !== undefined && !(await props.onAssign({ ...props.wait }, person))) choice.value = props.wait.owner_id ?? "";
      }}
    >
      <Show when={!isListed()}><option value={props.wait.owner_id ?? ""} selected>{ownerOf(props.wait)}</option></Show>
      <For each={props.people}>{(person) => <option value={person.id} selected={person.id === props.wait.owner_id}>{person.name}</option>}</For>
    </select>
  );
}

export interface WaitRowsProps {
  waits: readonly Wait[];
  heads?: boolean;
  /** Whom the record of a wait may be assigned to by the caller; nothing can be assigned where it is left out. */
  peopleFor?: (wait: Wait) => readonly Person[];
  onAssign?: (wait: Wait, person: Person) => Promise<boolean>;
}

export function WaitRows(props: WaitRowsProps) {
  const reached = (wait: Wait): number => (wait.limit_minutes > 0 ? (wait.business_minutes / wait.limit_minutes) * MARK : 0);
  return (
    <table class="rows waits">
      <Show when={props.heads}>
        <thead>
          <tr>
            <th scope="col">{t("waiting.customer")}</th>
            <th scope="col" class="wait-why">{t("waiting.why")}</th>
            <th scope="col" class="number">{t("waiting.waits")}</th>
            <th scope="col" class="wait-bar"><span class="hidden">{t("breakdown.compared")}</span></th>
            <th scope="col">{t("waiting.limit")}</th>
            <th scope="col" class="wait-owner">{t("waiting.owner")}</th>
          </tr>
        </thead>
      </Show>
      <tbody>
        <For each={props.waits}>
          {(wait) => (
            <tr data-wait={wait.record}>
              <th scope="row">
                <Mark of={wait.function} named />{" "}
                <Show when={wait.customer_id} fallback={nameOf(wait)}>
                  {(id) => <A class="kpi-link" href={`/customers/${id()}${location.search}`}>{nameOf(wait)}</A>}
                </Show>
              </th>
              <td class="muted wait-why">{reasonOf(wait)}</td>
              <td class="number">{duration(wait.elapsed_minutes * MINUTE_MS)}</td>
              <td class="wait-bar">
                <svg viewBox={`0 0 ${WIDTH} 16`} width={WIDTH} height="16" aria-hidden="true">
                  <rect class="track" y="4" width={WIDTH} height="8" rx="2" />
                  <rect class="reached" y="4" width={Math.min(MARK, reached(wait))} height="8" rx="2" />
                  <rect class="over" x={MARK} y="4" height="8" width={Math.min(WIDTH - MARK, Math.max(0, reached(wait) - MARK))} />
                  <path class="mark-line" d={`M${MARK} 0v16`} />
                </svg>
              </td>
              <td class={`change ${wait.state === "over" ? "bad" : ""}`}>
                {wait.state === "over" ? <Warning /> : <Clock />}{" "}
                {t(wait.state === "over" ? "waiting.over" : "waiting.left", { time: duration(Math.abs(overBy(wait)) * MINUTE_MS) })}
              </td>
              <td class={wait.names?.owner === undefined ? "muted wait-owner" : "wait-owner"}>
                <Show when={(props.peopleFor?.(wait).length ?? 0) > 0} fallback={ownerOf(wait)}>
                  <Owner wait={wait} people={props.peopleFor!(wait)} onAssign={props.onAssign!} />
                </Show>
              </td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}

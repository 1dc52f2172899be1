/** Who waits for us now, whatever for: longest first. */

import { createSignal, Show } from "solid-js";
import { createAssignment, type Person } from "./assignment";
import { t } from "./i18n";
import { Nothing } from "./parts/states";
import { nameOf, WaitRows } from "./parts/waits";
import { useShared } from "./view";
import { createWaits, type Wait } from "./waits";

const MOST = 200;

export default function Waiting() {
  const { address, live } = useShared();
  const waits = createWaits(MOST, () => address.filters() as Record<string, string>, () => live.answers.waiting_now?.numerator);
  const { peopleFor, assign } = createAssignment();
  const [says, setSays] = createSignal("");

  /** Returns whether it was assigned. */
  async function assigned(wait: Wait, person: Person): Promise<boolean> {
    const failed = await assign(wait, person).then(() => undefined, () => "waiting.assignFailed" as const);
    setSays(failed === undefined ? t("waiting.assigned", { name: nameOf(wait), owner: person.name }) : t(failed));
    waits.again();
    return failed === undefined;
  }
  return (
    <div class="list-page wide">
      <h1>{t("waiting.title")}</h1>
      <Show when={waits()}>
        {(found) => (
          <Show when={found().items.length > 0} fallback={<section class="panel"><Nothing title={t("waiting.none")} text={t("waiting.noneText")} /></section>}>
            <section class="panel" aria-label={t("waiting.title")}>
              <header class="panel-head">
                <b>{found().summary.waiting}</b>
                <span class="muted">{t("waiting.summary", { over: found().summary.over, soon: found().summary.warning })}</span>
                <span class="panel-end" role="status">{says()}</span>
              </header>
              <div class="table-scroll" tabindex="0" role="group" aria-label={t("waiting.title")}>
                <WaitRows waits={found().items} heads peopleFor={peopleFor} onAssign={assigned} />
              </div>
            </section>
          </Show>
        )}
      </Show>
    </div>
  );
}

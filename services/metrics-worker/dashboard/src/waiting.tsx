/** Who waits for us now, whatever for: longest first. */

import { Show } from "solid-js";
import { t } from "./i18n";
import { Nothing } from "./parts/states";
import { WaitRows } from "./parts/waits";
import { useShared } from "./view";
import { createWaits } from "./waits";

const MOST = 200;

export default function Waiting() {
  const { address, live } = useShared();
  const waits = createWaits(MOST, () => address.filters() as Record<string, string>, () => live.answers.waiting_now?.numerator);
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
              </header>
              <div class="table-scroll" tabindex="0" role="group" aria-label={t("waiting.title")}>
                <WaitRows waits={found().items} heads />
              </div>
            </section>
          </Show>
        )}
      </Show>
    </div>
  );
}

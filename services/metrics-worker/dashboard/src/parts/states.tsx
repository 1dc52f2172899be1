/** What stands where there is nothing: nothing to show, not read yet, or not readable. */

import { Show } from "solid-js";
import { t } from "../i18n";
import { Check } from "./marks";

/** Nothing is left to do: that is good news, and says what would be here. */
export function Nothing(props: { title: string; text: string }) {
  return (
    <div class="nothing">
      <div><b>{props.title}</b><span class="muted">{props.text}</span></div>
      <span class="good"><Check /></span>
    </div>
  );
}

/** What could not be read and is tried again; a flat place while it is being read. */
export function Failed(props: { of: { failure: () => unknown; again: () => void } }) {
  return (
    <Show when={props.of.failure()} fallback={<div class="nothing"><span class="placeholder" aria-hidden="true" /><span class="hidden" role="status">{t("state.loading")}</span></div>}>
      <div class="nothing" role="alert">
        <span>{t("state.failedLine")}</span>
        <button type="button" class="button" onClick={props.of.again}>{t("state.tryNow")}</button>
      </div>
    </Show>
  );
}

/** A step that cannot be taken back: the first press asks, the second does. */

import { createSignal } from "solid-js";

export function Confirm(props: { label: string; asks: string; onConfirm: () => void; disabled?: boolean }) {
  const [asked, ask] = createSignal(false);
  return (
    <button
      type="button"
      class="button"
      classList={{ primary: asked() }}
      disabled={props.disabled}
      onBlur={() => ask(false)}
      onClick={() => {
        if (asked()) props.onConfirm();
        ask(!asked());
      }}
    >
      {asked() ? props.asks : props.label}
    </button>
  );
}

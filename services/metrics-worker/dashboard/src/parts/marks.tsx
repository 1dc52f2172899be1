/** The shapes and signs that go with colours, so that none depends on colour alone. */

import type { JSX } from "solid-js";
import { t } from "../i18n";

export type FunctionName = "sales" | "service" | "both";

function Sign(props: { size?: number; class?: string; children: JSX.Element }) {
  return (
    <svg class={props.class ?? "sign"} width={props.size ?? 12} height={props.size ?? 12} viewBox="0 0 12 12" aria-hidden="true">
      {props.children}
    </svg>
  );
}

/** Sales is a square and service a circle, wherever they are named or drawn. */
export function Mark(props: { of: FunctionName; size?: number; named?: boolean }) {
  const shape = (name: "sales" | "service") => (
    <svg
      class={`mark ${name}`}
      width={props.size ?? 8}
      height={props.size ?? 8}
      viewBox="0 0 8 8"
      {...(props.named ? { role: "img", "aria-label": t(`function.${name}`) } : { "aria-hidden": "true" })}
    >
      {name === "sales" ? <rect width="8" height="8" rx="1" /> : <circle cx="4" cy="4" r="4" />}
    </svg>
  );
  return (
    <span class="marks">
      {props.of !== "service" && shape("sales")}
      {props.of !== "sales" && shape("service")}
    </span>
  );
}

export const Up = () => <Sign size={8}><path d="M6 2 11 10H1z" fill="currentColor" /></Sign>;
export const Down = () => <Sign size={8}><path d="M6 10 1 2h10z" fill="currentColor" /></Sign>;
export const Same = () => <Sign size={8}><path d="M2 5h8v2H2z" fill="currentColor" /></Sign>;
export const Check = () => <Sign><path d="m2 6.4 2.6 2.6L10 3.4" fill="none" stroke="currentColor" stroke-width="1.7" /></Sign>;
export const Cross = () => <Sign><path d="m3 3 6 6m0-6-6 6" fill="none" stroke="currentColor" stroke-width="1.5" /></Sign>;
export const Chevron = () => <Sign size={8}><path d="m1.5 4 4.5 4.5L10.5 4" fill="none" stroke="currentColor" stroke-width="1.8" /></Sign>;
export const Warning = () => (
  <Sign>
    <path d="M6 1.2 11.3 10.8H.7z" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round" />
    <path d="M6 4.6v2.8M6 8.4v1.1" stroke="currentColor" stroke-width="1.3" />
  </Sign>
);
export const Clock = () => (
  <Sign>
    <circle cx="6" cy="6" r="4.8" fill="none" stroke="currentColor" stroke-width="1.2" />
    <path d="M6 3.2V6l2 1.4" fill="none" stroke="currentColor" stroke-width="1.2" />
  </Sign>
);
export const Contrast = () => (
  <Sign size={14}>
    <circle cx="6" cy="6" r="4.8" fill="none" stroke="currentColor" stroke-width="1.2" />
    <path d="M6 1.2a4.8 4.8 0 0 1 0 9.6z" fill="currentColor" />
  </Sign>
);
export const Cut = () => (
  <Sign>
    <circle cx="6" cy="6" r="4.6" fill="none" stroke="currentColor" stroke-width="1.2" />
    <path d="m2.8 9.2 6.4-6.4" stroke="currentColor" stroke-width="1.2" />
  </Sign>
);

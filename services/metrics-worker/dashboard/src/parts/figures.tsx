/** Value, change and target of a KPI, the same everywhere. */

import { A } from "@solidjs/router";
import { Show } from "solid-js";
import { casesOf, FEW, measuredOf, type Aim, type Change as ChangeOf, type Figure } from "../figure";
import { shown, text } from "../format";
import { t } from "../i18n";
import type { Pick } from "../kpis";
import { numberAt, useShared } from "../view";
import { Check, Cross, Down, Same, Up } from "./marks";

/** A text of more characters does not fit in the largest size. */
const LONG = 8;

/** A value with its unit lighter than the number; the exact amount on hover. A dash with its reason where there is none. */
export function Value(props: { answer: Figure; class?: string; exact?: boolean }) {
  const measured = () => measuredOf(props.answer);
  const isLong = () => shown(Number(props.answer.value), measured(), props.exact).number.length > LONG;
  return (
    <Show
      when={props.answer.value != null}
      fallback={
        <span class={`value none ${props.class ?? ""}`} title={t("kpi.noValue")}>
          <span aria-hidden="true">–</span>
          <span class="hidden">{t("kpi.noValue")}</span>
        </span>
      }
    >
      <span class={`value ${props.class ?? ""} ${isLong() ? "long" : ""}`} title={text(Number(props.answer.value), measured(), true)}>
        <span data-value>{shown(Number(props.answer.value), measured(), props.exact).number}</span>
        <Show when={shown(Number(props.answer.value), measured()).unit}>
          {(unit) => <span class="unit"> {unit()}</span>}
        </Show>
      </span>
    </Show>
  );
}

export function Change(props: { of: ChangeOf | null }) {
  return (
    <Show when={props.of} fallback={<span class="change none">{t("change.none")}</span>}>
      {(change) => (
        <span class={`change ${change().meaning}`} title={change().was}>
          {change().way === "up" ? <Up /> : change().way === "down" ? <Down /> : <Same />}
          <Show when={change().way !== "same"}>
            <span class="hidden">{t(change().way === "up" ? "direction.up" : "direction.down")}</span>
          </Show>
          {change().says}
        </span>
      )}
    </Show>
  );
}

/** The target and whether it is met; who may change it is led by it to where one does. */
export function Target(props: { aim: Aim | null; says?: string; pick?: Pick }) {
  const { may } = useShared();
  const inner = (
    <Show when={props.aim} fallback={t(props.pick !== undefined && may("set_target") ? "target.set" : "target.unset")}>
      {(aim) => (
        <>
          <Show when={aim().met !== null}>
            {aim().met ? <Check /> : <Cross />}
            <span class="hidden">{t(aim().met ? "target.met" : "target.missed")}</span>
          </Show>
          {props.says ?? aim().says}
        </>
      )}
    </Show>
  );
  const kind = () => `aim ${props.aim === null ? "none" : props.aim.met ? "met" : "missed"}`;
  return (
    <Show when={props.pick !== undefined && may("set_target") && props.pick} fallback={<span class={kind()}>{inner}</span>}>
      {(pick) => <A class={kind()} href={numberAt(pick(), { target: "1" })} title={t("target.change")}>{inner}</A>}
    </Show>
  );
}

/** The target's mark is at four fifths: a bar may pass it, and what passes a limit is hatched. */
const MARK = 80;

export function Bar(props: { aim: Aim | null }) {
  const reached = () => (props.aim?.share == null ? 0 : Math.max(0, Math.min(100, props.aim.share * MARK)));
  const isOver = () => props.aim?.lowerIsBetter === true && reached() > MARK;
  return (
    <span class="bar" aria-hidden="true">
      <Show when={props.aim}>
        <i class="bar-reached" style={{ width: `${isOver() ? MARK : reached()}%` }} />
        <Show when={isOver()}>
          <i class="bar-over" style={{ width: `${reached() - MARK}%` }} />
        </Show>
        <i class="bar-mark" />
      </Show>
    </span>
  );
}

export function Few(props: { answer: Figure }) {
  const cases = () => casesOf(props.answer);
  return (
    <Show when={cases() !== null && cases()! < FEW && props.answer.value != null}>
      <span class="tag" title={t("kpi.fewExplained", { count: cases()! })}>
        {t("kpi.few")}
      </span>
    </Show>
  );
}

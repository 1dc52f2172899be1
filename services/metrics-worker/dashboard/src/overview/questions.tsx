/** The six questions that people ask of sales and of service, each with both replies and, when opened, what they rest on. */

import { A } from "@solidjs/router";
import { dataOf } from "@tandem/client";
import { createSignal, For, Show } from "solid-js";
import { api, type Score, type Scorecard } from "../api";
import { aimOf, changeOf } from "../figure";
import { isMessage, t } from "../i18n";
import { titleOf } from "../kpis";
import { Change, Target, Value } from "../parts/figures";
import { Check, Cross, Mark } from "../parts/marks";
import { createReading } from "../reading";
import { numberAt, useShared } from "../view";

type Row = Scorecard["rows"][number];
type Side = Row["sales"];

const SIDES = ["sales", "service"] as const;
/** What each asks for, as metrics-api orders them: the names are there before the replies. */
const QUESTIONS = ["new-customers", "referred-customers", "sales-target", "happy-customer-target", "contact-before", "questions-after"] as const;
type Question = (typeof QUESTIONS)[number];
/** Thirty numbers are behind the replies, which seldom change. */
const REST_MS = 10_000;
const EVERY_MS = 60_000;

export function Questions() {
  const { days, live, address } = useShared();
  const card = createReading(
    () => days(),
    async (query) => dataOf(await api.GET("/v1/scorecard", { params: { query: { ...query, compare: "previous" } } })),
    // Replies follow from more numbers than are streamed.
    { moved: live.moved, restMs: REST_MS, everyMs: EVERY_MS },
  );
  const [opened, setOpened] = createSignal<Question>();
  const rowOf = (question: Question): Row | undefined => card.latest()?.rows.find((row) => row.question === question);
  const isFiltered = () => Object.keys(address.filters()).length > 0;
  return (
    <section class="panel questions" aria-labelledby="questions">
      <div class="together-head">
        <h2 id="questions">{t("questions.title")}</h2>
        <span class="muted">{t(isFiltered() ? "questions.unfiltered" : "questions.explained")}</span>
      </div>
      <For each={QUESTIONS}>
        {(question) => (
          <button
            type="button"
            class="question"
            data-question={question}
            aria-expanded={opened() === question}
            aria-controls="replies"
            title={t(`asks.${question}`)}
            onClick={() => setOpened(opened() === question ? undefined : question)}
          >
            <span class="question-name">{t(`question.${question}`)}</span>
            <span class="line start">
              <For each={SIDES}>{(side) => <Reply of={side} side={rowOf(question)?.[side]} />}</For>
            </span>
          </button>
        )}
      </For>
      <div id="replies" class="replies" hidden={opened() === undefined}>
        <Show when={opened()}>
          {(question) => (
            <>
              <h3>{t(`asks.${question()}`)}</h3>
              <Show when={rowOf(question())}>
                {(row) => <For each={SIDES}>{(side) => <Figures of={side} side={row()[side]} />}</For>}
              </Show>
            </>
          )}
        </Show>
      </div>
    </section>
  );
}

function says(side: Side): string {
  if (side.reply !== "unknown") return t(`reply.${side.reply}`);
  return t(side.figures.length === 0 ? "reply.unseen" : side.has_target ? "reply.unknown" : "target.unset");
}

/** A function's reply: by its shape, a sign and a word. */
function Reply(props: { of: "sales" | "service"; side: Side | undefined }) {
  return (
    <span class="reply" classList={{ met: props.side?.reply === "yes", missed: props.side?.reply === "no" }}>
      <Mark of={props.of} named />
      <Show when={props.side} fallback={<span class="placeholder short" aria-hidden="true" />}>
        {(side) => (
          <>
            {side().reply === "yes" ? <Check /> : side().reply === "no" ? <Cross /> : null}
            <span class="reply-says">{says(side())}</span>
          </>
        )}
      </Show>
    </span>
  );
}

function Figures(props: { of: "sales" | "service"; side: Side }) {
  const name = (score: Score): string => {
    const kinds = Object.values(score.filters).map((value) => (isMessage(`value.${value}`) ? t(`value.${value}` as never) : value));
    const variant = isMessage(`variant.${score.variant}`) ? [t(`variant.${score.variant}` as never)] : [];
    return [titleOf(score.kpi, score.title), ...variant, ...kinds].join(", ");
  };
  return (
    <table class="rows scores">
      <caption class="line start"><Mark of={props.of} /> {t(`function.${props.of}`)}</caption>
      <tbody>
        <For each={props.side.figures} fallback={<tr><td class="muted">{t("reply.unseen")}</td></tr>}>
          {(score) => (
            <tr>
              <th scope="row"><A class="kpi-link" href={numberAt(score)}>{name(score)}</A></th>
              <td class="number"><Value answer={score} class="small" /></td>
              <td><Change of={changeOf(score, score.direction)} /></td>
              <td class="number"><Target aim={aimOf(score, score.direction)} pick={score} /></td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}

/** Sets, changes and removes the target of one number, in place: only who may do so gets here. */

import { dataOf, etagOf, ProblemError, type Metrics } from "@tandem/client";
import { createEffect, createResource, createSignal, Show } from "solid-js";
import { api } from "../api";
import { decimal, inputUnit } from "../format";
import { t } from "../i18n";
import { Confirm } from "../parts/confirm";
import { Select } from "../parts/select";

type Target = Metrics["TargetRead"];
type Period = NonNullable<Target["period"]>;

const PERIODS: readonly Period[] = ["day", "week", "month", "quarter", "year"];
const SINCE = "since";
/** The version of what is not there. */
const NONE = '"0"';

interface Found {
  target: Target | null;
  etag: string;
}

export function TargetEditor(props: {
  kpi: string;
  title: string;
  measured: Parameters<typeof inputUnit>[0];
  query: Record<string, string>;
  today: string;
  close: () => void;
}) {
  const unit = () => inputUnit(props.measured);
  const [value, setValue] = createSignal("");
  const [due, setDue] = createSignal<Period | typeof SINCE>("month");
  const [since, setSince] = createSignal(props.today);
  const [says, setSays] = createSignal<{ text: string; detail?: string }>();
  let input: HTMLInputElement | undefined;

  const parameters = () => ({ path: { kpi: props.kpi }, query: props.query });

  async function read(): Promise<Found> {
    try {
      const answer = await api.GET("/v1/targets/{kpi}", { params: parameters(), cache: "no-store" });
      return { target: dataOf(answer), etag: etagOf(answer) };
    } catch (error) {
      if (error instanceof ProblemError && error.slug === "no-target") return { target: null, etag: NONE };
      throw error;
    }
  }

  const show = ({ target }: Found): void => {
    setValue(target === null ? "" : String(Number((Number(target.value) * unit().factor).toFixed(6))));
    setDue(target?.period ?? (target === null ? "month" : SINCE));
    setSince(target?.since ?? props.today);
  };
  const [found, { mutate }] = createResource(async () => {
    const now = await read();
    show(now);
    return now;
  });
  // Not before what is set is known: it would overwrite what was typed.
  createEffect(() => found.state === "ready" && input?.focus());

  /** Says what went wrong; after another person's change, with what is set now. */
  async function failed(error: unknown): Promise<void> {
    if (error instanceof ProblemError && (error.status === 412 || error.slug === "no-target")) {
      const now = await read().catch(() => undefined);
      if (now !== undefined) {
        mutate(now);
        const given = now.target === null ? t("target.unset") : `${decimal(Number(now.target.value) * unit().factor, 2, 0)} ${unit().name}`;
        setSays({ text: t("target.conflict", { value: given }) });
        return;
      }
    }
    const detail = error instanceof ProblemError && error.status === 422 ? (error.errors[0]?.detail ?? error.message) : undefined;
    setSays({ text: t("target.failed"), ...(detail !== undefined && { detail }) });
  }

  async function save(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const given = Number(value());
    if (value().trim() === "" || !Number.isFinite(given)) {
      setSays({ text: t("target.noNumber") });
      input?.focus();
      return;
    }
    const body = {
      value: String(Number((given / unit().factor).toFixed(props.measured.unit === "money" ? 2 : 6))),
      ...(due() === SINCE ? { since: since() } : { period: due() as Period }),
    };
    try {
      await api.PUT("/v1/targets/{kpi}", { params: { ...parameters(), header: { "If-Match": found()?.etag ?? NONE } }, body });
      props.close();
    } catch (error) {
      await failed(error);
    }
  }

  async function remove(): Promise<void> {
    try {
      await api.DELETE("/v1/targets/{kpi}", { params: { ...parameters(), header: { "If-Match": found()?.etag ?? NONE } } });
      props.close();
    } catch (error) {
      await failed(error);
    }
  }

  return (
    <form class="target-form" aria-label={t("target.of", { kpi: props.title })} onSubmit={(event) => void save(event)} onKeyDown={(event) => event.key === "Escape" && props.close()} novalidate>
      <fieldset class="target-fields" disabled={found.state !== "ready"}>
        <label>
          <span>{t("target.value")} <span class="muted">{unit().name}</span></span>
          <input ref={(element) => (input = element)} class="field" type="number" step="any" required value={value()} onInput={(event) => setValue(event.currentTarget.value)} aria-describedby="target-says" />
        </label>
        <Select
          label={t("target.due")}
          choices={[...PERIODS.map((each) => ({ value: each, name: t(`target.each.${each}`) })), { value: SINCE, name: t("target.each.since") }]}
          value={due()}
          onChange={(chosen) => setDue(chosen as Period)}
        />
        <Show when={due() === SINCE}>
          <label>
            <span>{t("target.sinceDay")}</span>
            <input class="field" type="date" required value={since()} onInput={(event) => setSince(event.currentTarget.value)} />
          </label>
        </Show>
        <span class="target-buttons">
          <button type="submit" class="button primary">{t("target.save")}</button>
          <Show when={found.state === "ready" && found().target}>
            <Confirm label={t("target.remove")} asks={t("target.removeReally")} onConfirm={() => void remove()} />
          </Show>
        </span>
      </fieldset>
      <button type="button" class="button quiet" onClick={props.close}>{t("target.cancel")}</button>
      <p id="target-says" class="target-says" role="status">
        <Show when={says()} fallback={<Show when={found.state === "errored"}>{t("state.failedLine")}</Show>}>
          {(said) => <>{said().text} <Show when={said().detail}>{(detail) => <span lang="en">{detail()}</span>}</Show></>}
        </Show>
      </p>
    </form>
  );
}

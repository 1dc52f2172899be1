/** Customers: who may leave and what that would cost, found by name; each with health, its reasons, and what they wait for. */

import { A, useParams, useSearchParams } from "@solidjs/router";
import { dataOf } from "@tandem/client";
import { createMemo, createSignal, For, onCleanup, Show } from "solid-js";
import { api, isMissing, salesApi, serviceApi, type Answer } from "./api";
import { measuredOf } from "./figure";
import { duration, fullDay, text } from "./format";
import { isMessage, t } from "./i18n";
import { titleOf } from "./kpis";
import { Failed, Nothing } from "./parts/states";
import { TimelinePanel } from "./parts/timeline";
import { WaitRows } from "./parts/waits";
import { createReading } from "./reading";
import { useShared } from "./view";
import { createWaits } from "./waits";
import "./styles/customers.css";

const MOST = 50;
/** While the user types, nothing is asked. */
const TYPING_MS = 250;
const FEWEST_LETTERS = 2;
/** Who waits and who has not bought for long changes by the clock. */
const EVERY_MS = 60_000;
const FULL_HEALTH = 100;

export default function Customers() {
  return (
    <div class="list-page">
      <h1>{t("customers.title")}</h1>
      <Show when={serviceApi}><Search /></Show>
      <AtRisk />
    </div>
  );
}

function Search() {
  const [asked, ask] = useSearchParams<{ q?: string }>();
  const given = () => String(asked.q ?? "");
  const [typed, type] = createSignal(given());
  let pause: number | undefined;
  onCleanup(() => clearTimeout(pause));
  const found = createReading(
    () => (typed().trim().length < FEWEST_LETTERS ? undefined : typed().trim()),
    async (q) => dataOf(await serviceApi!.GET("/v1/customers", { params: { query: { q, limit: MOST } } })).items,
  );
  return (
    <section class="panel" aria-label={t("customers.search")}>
      <form role="search" class="customer-search" onSubmit={(event) => event.preventDefault()}>
        <label for="customer-search" class="hidden">{t("customers.search")}</label>
        <input
          id="customer-search"
          class="field"
          type="search"
          placeholder={t("customers.search")}
          value={given()}
          autocomplete="off"
          onInput={(event) => {
            const { value } = event.currentTarget;
            clearTimeout(pause);
            pause = setTimeout(() => {
              type(value);
              ask({ q: value || null }, { replace: true, scroll: false });
            }, TYPING_MS);
          }}
        />
      </form>
      <div role="status">
        <Show when={typed().trim().length >= FEWEST_LETTERS}>
          <Show when={found.latest()} fallback={<Failed of={found} />}>
            {(customers) => (
              <ul class="number-list">
                <For each={customers()} fallback={<li class="muted">{t("customers.notFound")}</li>}>
                  {(customer) => (
                    <li>
                      <A class="kpi-link" href={`/customers/${customer.id}${location.search}`}>{customer.name ?? t("waiting.unnamed")}</A>
                      <span class="muted">{[customer.region, customer.segment].filter(Boolean).join(", ")}</span>
                    </li>
                  )}
                </For>
              </ul>
            )}
          </Show>
        </Show>
      </div>
    </section>
  );
}

/** Whose revenue is at risk, the most first. */
function AtRisk() {
  const { address, live, kpi } = useShared();
  const kept = () => kpi("revenue_at_risk") !== undefined;
  const risk = createReading(
    () => (kept() ? (address.filters() as Record<string, string>) : undefined),
    async (filters) => {
      const asked = Object.fromEntries(Object.entries(filters).filter(([name]) => kpi("revenue_at_risk")!.dimensions.includes(name)));
      return dataOf(await api.GET("/v1/kpis/{name}", { params: { path: { name: "revenue_at_risk" }, query: { group_by: "customer", top: MOST, ...asked } } }));
    },
    { moved: () => [live.answers.revenue_at_risk?.numerator, live.answers.customers_at_risk?.numerator] },
  );
  const groups = createMemo(() => (risk.latest()?.groups ?? []).filter((group) => group.keys?.customer && Number(group.value ?? 0) > 0));
  const most = () => Math.max(...groups().map(({ value }) => Number(value)), 1);
  const shown = (answer: Answer, value: string | null | undefined) => (value == null ? "–" : text(Number(value), measuredOf(answer), true));
  return (
    <Show when={kept()}>
      <section class="panel" aria-labelledby="at-risk">
        <header class="panel-head">
          <h2 id="at-risk">{titleOf("revenue_at_risk")}</h2>
          <Show when={risk.latest()}>{(answer) => <span class="panel-end">{shown(answer(), answer().value)}</span>}</Show>
        </header>
        <Show when={risk.latest()} fallback={<Failed of={risk} />}>
          {(answer) => (
            <Show when={groups().length > 0} fallback={<Nothing title={t("customers.noRisk")} text={t("customers.noRiskText")} />}>
              <table class="rows">
                <thead>
                  <tr>
                    <th scope="col">{t("dimension.customer")}</th>
                    <th scope="col" class="number">{titleOf("revenue_at_risk")}</th>
                    <th scope="col"><span class="hidden">{t("breakdown.compared")}</span></th>
                  </tr>
                </thead>
                <tbody>
                  <For each={groups()}>
                    {(group) => (
                      <tr>
                        <th scope="row"><A class="kpi-link" href={`/customers/${group.keys!.customer}${location.search}`}>{group.names?.customer ?? t("waiting.unnamed")}</A></th>
                        <td class="number">{shown(answer(), group.value)}</td>
                        <td class="group-bar"><span class="bar" aria-hidden="true"><i class="bar-reached" style={{ width: `${(Number(group.value) / most()) * 100}%` }} /></span></td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </table>
            </Show>
          )}
        </Show>
      </section>
    </Show>
  );
}

export function Customer() {
  const { live, now } = useShared();
  const parameters = useParams<{ id: string }>();
  const health = createReading(
    () => parameters.id,
    async (id) => dataOf(await api.GET("/v1/customers/{customer_id}/health", { params: { path: { customer_id: id } } })),
    { moved: live.moved, everyMs: EVERY_MS },
  );
  const waits = createWaits(MOST, () => ({ customer: parameters.id }), () => live.answers.waiting_now?.numerator);
  const name = () => health.latest()?.names.customer ?? t("waiting.unnamed");
  const money = (value: string) => text(Number(value), { kpi: "", variant: "", unit: "money", currency: health.latest()!.currency }, true);
  const reason = (code: string, given: string) => (isMessage(`health.${code}`) ? t(`health.${code}` as never) : given);
  return (
    <div class="list-page">
      <nav class="crumbs" aria-label={t("crumbs.label")}>
        <A href={`/customers${location.search}`}>{t("customers.title")}</A> <span aria-hidden="true">/</span> <h1>{name()}</h1>
      </nav>
      <Show
        when={health.latest()}
        fallback={
          <section class="panel">
            <Show when={isMissing(health.failure())} fallback={<Failed of={health} />}><p class="alert-do">{t("customers.unknown")}</p></Show>
          </section>
        }
      >
        {(found) => (
          <>
            <section class="panel customer-facts" aria-label={name()}>
              <Fact name={titleOf("customer_health")} note={t(found().at_risk ? "customers.atRisk" : "customers.well")} bad={found().at_risk}>
                {found().score == null ? "–" : found().score}
                <Show when={found().score != null}><span class="unit"> {t("unit.of100")}</span></Show>
              </Fact>
              <Fact name={t("customers.wonYear")} note={t("customers.wonYearMeans")}>{money(found().revenue_365_days)}</Fact>
              <Fact name={t("customers.openDeals")}>{money(found().open_deals)}</Fact>
              <Fact name={t("waiting.title")} bad={found().waiting_since != null}>
                {found().waiting_since == null ? t("customers.noWait") : duration(now().getTime() - new Date(found().waiting_since!).getTime())}
              </Fact>
            </section>
            <section class="panel" aria-labelledby="reasons">
              <header class="panel-head">
                <h2 id="reasons">{t("customers.why", { score: found().score ?? "–" })}</h2>
                <Show when={found().score != null}>
                  <span class="panel-end">{[FULL_HEALTH, ...found().reasons.map(({ points }) => `− ${points}`)].join(" ")} = <b>{found().score}</b></span>
                </Show>
              </header>
              <Show when={found().reasons.length > 0} fallback={<Nothing title={t("customers.noReasons")} text="" />}>
                <ul class="alert-list">
                  <For each={found().reasons}>
                    {(each) => (
                      <li>
                        <span><b class="points">−{each.points}</b> {reason(each.reason, each.says)}</span>
                        <span class="muted">
                          {t("alerts.since", { time: fullDay(each.since) })}
                          {each.until != null && `, ${t("customers.until", { time: fullDay(each.until) })}`}
                        </span>
                      </li>
                    )}
                  </For>
                </ul>
              </Show>
            </section>
          </>
        )}
      </Show>
      <Show when={waits()?.items.length}>
        <section class="panel" aria-labelledby="waits">
          <header class="panel-head"><h2 id="waits">{t("waiting.title")}</h2></header>
          <div class="table-scroll" tabindex="0" role="group" aria-labelledby="waits"><WaitRows waits={waits()!.items} heads /></div>
        </section>
      </Show>
      <Show when={(salesApi ?? serviceApi) && health.latest()}><TimelinePanel customer={parameters.id} /></Show>
    </div>
  );
}

function Fact(props: { name: string; note?: string; bad?: boolean; children: unknown }) {
  return (
    <div class="fact">
      <span class="muted">{props.name}</span>
      <b class="value medium" classList={{ bad: props.bad === true }}>{props.children as never}</b>
      <Show when={props.note}>{(note) => <span classList={{ bad: props.bad === true, muted: props.bad !== true }}>{note()}</span>}</Show>
    </div>
  );
}

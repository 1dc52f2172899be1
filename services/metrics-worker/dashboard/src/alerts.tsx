/** Every alert by kind: since when, and what to do. */

import { A } from "@solidjs/router";
import { createMemo, For, Show } from "solid-js";
import { createAlerts, groupsOf, nameOf, saysOf, titleOfKind, toDo } from "./alert_groups";
import { moment } from "./format";
import { t } from "./i18n";
import { titleOf } from "./kpis";
import { useShared } from "./view";

export default function Alerts() {
  const { live, now, shownZone } = useShared();
  const all = createAlerts(live.alerts);
  const groups = createMemo(() => groupsOf(all() ?? []));
  return (
    <div class="list-page">
      <h1>{t("alerts.title")}</h1>
      <Show when={all() !== undefined && groups().length === 0}>
        <p>{t("alerts.none")}</p>
      </Show>
      <For each={groups()}>
        {(group) => (
          <section class="panel" id={group.kind} aria-labelledby={`of-${group.kind}`}>
            <header class="panel-head">
              <h2 id={`of-${group.kind}`}>{titleOfKind(group.kind)}</h2>
              <span class="muted">{group.alerts.length}</span>
              <span class={`panel-end severity ${group.alerts[0]!.severity}`}>{t(`severity.${group.alerts[0]!.severity}`)}</span>
            </header>
            <p class="alert-do">{toDo(group.kind)}</p>
            <ul class="alert-list">
              <For each={group.alerts}>
                {(alert) => (
                  <li>
                    <b>
                      <Show when={alert.facts.dimension === "customer" && alert.facts.dimension_value} fallback={nameOf(alert)}>
                        {(id) => <A class="kpi-link" href={`/customers/${id()}${location.search}`}>{nameOf(alert)}</A>}
                      </Show>
                    </b>
                    <span class="muted">{t("alerts.since", { time: moment(new Date(alert.since), shownZone()) })}</span>
                    <p>{saysOf(alert, now())}</p>
                    <Show when={alert.kpi}>{(kpi) => <A class="kpi-link" href={`/numbers/${kpi()}${location.search}`}>{titleOf(kpi())}</A>}</Show>
                  </li>
                )}
              </For>
            </ul>
          </section>
        )}
      </For>
    </div>
  );
}

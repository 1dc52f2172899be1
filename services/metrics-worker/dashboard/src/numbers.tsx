/** Every KPI there is, by function. */

import { A } from "@solidjs/router";
import { createMemo, For } from "solid-js";
import { language, t } from "./i18n";
import { titleOf } from "./kpis";
import { Mark } from "./parts/marks";
import { useShared } from "./view";
import "./styles/explore.css";

export default function Numbers() {
  const { catalogue } = useShared();
  const groups = createMemo(() =>
    (["sales", "service", "both"] as const).map((of) => ({
      of,
      kpis: (catalogue()?.items ?? [])
        .filter((each) => each.function === of)
        .map((each) => ({ ...each, shown: titleOf(each.name, each.title) }))
        .sort((one, other) => one.shown.localeCompare(other.shown, language())),
    })),
  );
  return (
    <div class="list-page wide">
      <nav class="crumbs" aria-label={t("crumbs.label")}>
        <h1>{t("numbers.title")}</h1>
        <A class="button explore-open" href={`/explore${location.search}`}>{t("explore.open")}</A>
      </nav>
      <div class="numbers">
        <For each={groups()}>
          {(group) => (
            <section class="panel" aria-labelledby={`numbers-${group.of}`}>
              <header class="panel-head">
                <Mark of={group.of} size={10} />
                <h2 id={`numbers-${group.of}`}>{t(`function.${group.of}`)}</h2>
                <span class="panel-end">{group.kpis.length}</span>
              </header>
              <ul class="number-list">
                <For each={group.kpis}>
                  {(each) => (
                    <li>
                      <A class="kpi-link" href={`/numbers/${each.name}${location.search}`}>{each.shown}</A>
                      <span class="indicator">{t(`kpi.${each.indicator}`)}</span>
                    </li>
                  )}
                </For>
              </ul>
            </section>
          )}
        </For>
      </div>
    </div>
  );
}

/** Numbers of both functions, as they change. */

import { dataOf } from "@tandem/client";
import { attempt, metricsApi, metricsUrl } from "./apis";
import { byId, element } from "./elements";

const KPIS = { revenue: "Revenue", sales_volume: "Deals won", tickets_resolved: "Tickets resolved" };
const RETRY_MILLISECONDS = 2_000;

interface Answer {
  kpi: keyof typeof KPIS;
  value: string | null;
}

export function startNumbers(): void {
  const shown = new Map<string, HTMLElement>();
  const list = byId("numbers");
  for (const [name, label] of Object.entries(KPIS)) {
    const value = element("dd", { id: `kpi-${name}` }, "…");
    shown.set(name, value);
    list.append(element("div", {}, element("dt", {}, label), value));
  }
  void attempt(() => follow(shown, ""));
}

async function follow(shown: Map<string, HTMLElement>, position: string): Promise<void> {
  const { ticket } = dataOf(await metricsApi.POST("/v1/stream-tickets"));
  const query = new URLSearchParams({ kpis: Object.keys(KPIS).join(","), ticket });
  if (position) query.set("last_event_id", position);
  const stream = new EventSource(`${metricsUrl}/v1/stream?${query}`);
  stream.addEventListener("kpi", (event) => {
    const answer = JSON.parse(event.data) as Answer;
    position = event.lastEventId;
    const place = shown.get(answer.kpi);
    if (place) place.textContent = answer.value ?? "–";
  });
  stream.onerror = () => {
    // A ticket opens streams for half a minute: a later one needs another.
    stream.close();
    setTimeout(() => void attempt(() => follow(shown, position)), RETRY_MILLISECONDS);
  };
}

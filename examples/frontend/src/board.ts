/** Open deals in columns; a card is dragged, or moved by its menu, to another stage. */

import { type Sales, dataOf } from "@tandem/client";
import { attempt, salesApi } from "./apis";
import { byId, element, money } from "./elements";

type Deal = Sales["DealRead"];
type Stage = Sales["OpenDealStage"];

export async function showBoard(): Promise<void> {
  const query = { by: "stage" as const, cards: 20, sort: "-amount" as const };
  const board = dataOf(await salesApi.GET("/v1/deals/board", { params: { query } }));
  const stages = board.columns.map((column) => column.key as Stage);
  const columns = board.columns.map((column) => {
    const sums = column.sums.map((sum) => money(sum.amount, sum.currency)).join(", ");
    const shown = element(
      "section",
      { className: "column" },
      element("h3", {}, `${column.key} · ${column.total.count}`),
      element("p", {}, sums),
      ...column.items.map((deal) => card(deal, stages)),
    );
    shown.dataset.stage = column.key ?? "";
    shown.addEventListener("dragover", (event) => event.preventDefault());
    shown.addEventListener("drop", (event) => {
      event.preventDefault();
      const [id, version] = (event.dataTransfer?.getData("text/plain") ?? "").split(" ");
      if (id && version) void move(id, Number(version), column.key as Stage);
    });
    return shown;
  });
  byId("board").replaceChildren(...columns);
}

function card(deal: Deal, stages: Stage[]): HTMLElement {
  const title = deal.title ?? "Deal";
  const choice = element(
    "select",
    { ariaLabel: `Stage of ${title}` },
    ...stages.map((stage) => element("option", { value: stage, selected: stage === deal.stage }, stage)),
  );
  choice.addEventListener("change", () => void move(deal.id, deal.version, choice.value as Stage));
  const shown = element(
    "article",
    { draggable: true, className: "card" },
    element("h4", {}, title),
    element("p", {}, money(deal.amount, deal.currency)),
    choice,
  );
  shown.addEventListener("dragstart", (event) => event.dataTransfer?.setData("text/plain", `${deal.id} ${deal.version}`));
  return shown;
}

async function move(id: string, version: number, stage: Stage): Promise<void> {
  await attempt(async () => {
    // By the version that is shown: another person's change is not overwritten.
    const params = { path: { deal_id: id }, header: { "If-Match": `"${version}"` } };
    try {
      await salesApi.POST("/v1/deals/{deal_id}/stage", { params, body: { stage } });
    } finally {
      await showBoard();
    }
  });
}

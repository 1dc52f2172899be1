/** Two boards beside each other: what sales is working on by stage, and what service is by status; each card leads to its customer. */

import { A } from "@solidjs/router";
import { dataOf, type Sales, type Service } from "@tandem/client";
import { createSignal, For, Show } from "solid-js";
import { salesApi, serviceApi } from "./api";
import { decimal, duration, text } from "./format";
import { t, type MessageKey } from "./i18n";
import { Mark } from "./parts/marks";
import { Failed } from "./parts/states";
import { createReading } from "./reading";
import { useShared } from "./view";
import "./styles/boards.css";

const CARDS = 20;
/** A card that only changes its column may move no number. */
const EVERY_MS = 15_000;
const REST_MS = 3_000;
/** Records are asked for by as many ids at once. */
const IDS = 200;
const OPEN_STAGES = ["prospecting", "qualification", "presentation", "proposal", "negotiation"] as const;
const STATUSES = ["open", "resolved"] as const;

interface Card {
  id: string;
  version: number;
  customer: string;
  title: string;
  /** What it is worth or how grave it is, and whose it is. */
  says: string;
  who: string;
  since: string;
  isLate: boolean;
}

interface Column {
  key: string;
  name: string;
  count: number;
  isExact: boolean;
  sums: string;
  cards: Card[];
}

const money = (amount: string, currency: string): string => text(Number(amount), { kpi: "", variant: "", unit: "money", currency });

/** Returns names by id, of as many records as one request may name. */
async function namesOf(ids: Iterable<string | null>, read: (ids: string[]) => Promise<{ id: string; name: string | null }[]>): Promise<Map<string, string>> {
  const wanted = [...new Set(ids)].filter((id): id is string => id !== null).slice(0, IDS);
  const found = wanted.length === 0 ? [] : await read(wanted);
  return new Map(found.flatMap(({ id, name }): [string, string][] => (name === null ? [] : [[id, name]])));
}

async function readPipeline(filters: Record<string, string>): Promise<Column[]> {
  const query = { cards: CARDS, stage: [...OPEN_STAGES], ...listed(filters, "team_id") };
  const board = dataOf(await salesApi!.GET("/v1/deals/board", { params: { query } }));
  const deals = board.columns.flatMap(({ items }) => items);
  const [accounts, reps] = await Promise.all([
    namesOf(deals.map((deal) => deal.account_id), async (ids) => dataOf(await salesApi!.GET("/v1/accounts", { params: { query: { ids, limit: IDS } } })).items),
    namesOf(deals.map((deal) => deal.owner_id), async (ids) => dataOf(await salesApi!.GET("/v1/reps", { params: { query: { ids, limit: IDS } } })).items),
  ]);
  const today = new Date().toISOString().slice(0, 10);
  const cardOf = (deal: Sales["DealRead"]): Card => ({
    id: deal.id,
    version: deal.version,
    customer: deal.account_id,
    title: accounts.get(deal.account_id) ?? t("waiting.unnamed"),
    says: money(deal.amount, deal.currency),
    who: reps.get(deal.owner_id ?? "") ?? t("waiting.noOwner"),
    since: deal.stage_entries.at(-1)?.entered_at ?? deal.opened_at,
    isLate: deal.expected_close_on !== null && deal.expected_close_on < today,
  });
  return columnsOf(board.columns, OPEN_STAGES, "stage", cardOf);
}

async function readQueue(filters: Record<string, string>): Promise<Column[]> {
  const query = { cards: CARDS, status: [...STATUSES], ...listed(filters, "team_id") };
  const board = dataOf(await serviceApi!.GET("/v1/tickets/board", { params: { query } }));
  const tickets = board.columns.flatMap(({ items }) => items);
  const [customers, agents] = await Promise.all([
    namesOf(tickets.map((ticket) => ticket.customer_id), async (ids) => dataOf(await serviceApi!.GET("/v1/customers", { params: { query: { ids, limit: IDS } } })).items),
    namesOf(tickets.map((ticket) => ticket.agent_id), async (ids) => dataOf(await serviceApi!.GET("/v1/agents", { params: { query: { ids, limit: IDS } } })).items),
  ]);
  const now = new Date().toISOString();
  const cardOf = (ticket: Service["TicketRead"]): Card => ({
    id: ticket.id,
    version: ticket.version,
    customer: ticket.customer_id,
    title: customers.get(ticket.customer_id) ?? t("waiting.unnamed"),
    says: `${t(`ticket.${ticket.kind}`)}, ${t(`priority.${ticket.priority}`)}`,
    who: agents.get(ticket.agent_id ?? "") ?? t("waiting.noOwner"),
    since: ticket.opened_at,
    isLate: ticket.resolved_at === null && ticket.resolution_due_at !== null && ticket.resolution_due_at < now,
  });
  return columnsOf(board.columns, STATUSES, "status", cardOf);
}

/** The lists filter by id of the team and by region, several values each. */
const listed = ({ region, team }: Record<string, string>, ofTeam: "team_id") => ({
  ...(region !== undefined && { region: [region] }),
  ...(team !== undefined && { [ofTeam]: [team] }),
});

interface Given<Item> {
  key: string | null;
  total: { count: number; is_exact: boolean };
  sums: { currency: string; amount: string }[];
  items: Item[];
}

function columnsOf<Item>(given: readonly Given<Item>[], keys: readonly string[], kind: "stage" | "status", cardOf: (item: Item) => Card): Column[] {
  return keys.flatMap((key) => {
    const column = given.find((each) => each.key === key);
    return column === undefined
      ? []
      : [{
          key,
          name: t(`${kind}.${key}` as MessageKey),
          count: column.total.count,
          isExact: column.total.is_exact,
          sums: column.sums.map(({ amount, currency }) => money(amount, currency)).join(" + "),
          cards: column.items.map(cardOf),
        }];
  });
}

const changeStage = async (card: Card, stage: string): Promise<void> => {
  await salesApi!.POST("/v1/deals/{deal_id}/stage", {
    params: { path: { deal_id: card.id }, header: { "If-Match": `"${card.version}"` } },
    body: { stage: stage as (typeof OPEN_STAGES)[number] },
  });
};

export default function Boards() {
  const caller = createReading(() => salesApi && "me", async () => dataOf(await salesApi!.GET("/v1/me")));
  const moves = () => Object.hasOwn(caller.latest()?.operations ?? {}, "change_deal_stage");
  return (
    <div class="list-page wide">
      <h1>{t("boards.title")}</h1>
      <Show when={salesApi}><Board of="sales" read={readPipeline} {...(moves() && { move: changeStage })} /></Show>
      <Show when={serviceApi}><Board of="service" read={readQueue} /></Show>
    </div>
  );
}

interface BoardProps {
  of: "sales" | "service";
  read: (filters: Record<string, string>) => Promise<Column[]>;
  /** Moves a card to another column; left out where the caller may not, or it takes more than that. */
  move?: (card: Card, key: string) => Promise<void>;
}

function Board(props: BoardProps) {
  const { address, live, now } = useShared();
  const board = createReading(
    () => ({ ...address.filters() }) as Record<string, string>,
    props.read,
    { moved: live.moved, restMs: REST_MS, everyMs: EVERY_MS },
  );
  const age = (since: string) => duration(now().getTime() - new Date(since).getTime());
  const columns = () => board.latest() ?? [];
  const [says, setSays] = createSignal("");
  const [over, setOver] = createSignal<string>();
  let dragged: Card | undefined;

  async function move(card: Card, to: Column): Promise<void> {
    try {
      await props.move!({ ...card }, to.key);
      setSays(t("boards.moved", { name: card.title, column: to.name }));
    } catch {
      setSays(t("boards.moveFailed"));
    }
    board.again();
  }
  return (
    <section class="panel" aria-labelledby={`board-${props.of}`}>
      <header class="panel-head">
        <Mark of={props.of} size={10} />
        <h2 id={`board-${props.of}`}>{t(props.of === "sales" ? "boards.pipeline" : "boards.queue")}</h2>
        <span class="panel-end" role="status">{says()}</span>
      </header>
      <Show when={board.latest()} fallback={<Failed of={board} />}>
        <div class="board" tabindex="0" role="group" aria-labelledby={`board-${props.of}`}>
          <For each={columns()}>
            {(column) => (
              <section
                class="column"
                classList={{ over: over() === column.key }}
                aria-label={column.name}
                onDragOver={(event) => {
                  if (dragged === undefined) return;
                  event.preventDefault();
                  setOver(column.key);
                }}
                onDrop={(event) => {
                  event.preventDefault();
                  if (dragged !== undefined && !column.cards.includes(dragged)) void move(dragged, column);
                }}
              >
                <h3>{column.name} <span class="muted">{decimal(column.count)}{column.isExact ? "" : "+"}</span></h3>
                <p class="muted column-sum">{column.sums || " "}</p>
                <ul>
                  <For each={column.cards} fallback={<li class="muted">{t("boards.none")}</li>}>
                    {(card) => (
                      <li
                        class="card"
                        data-record={card.id}
                        draggable={props.move !== undefined}
                        onDragStart={() => (dragged = card)}
                        onDragEnd={() => {
                          dragged = undefined;
                          setOver(undefined);
                        }}
                      >
                        <A class="kpi-link" href={`/customers/${card.customer}${location.search}`}>{card.title}</A>
                        <span>{card.says}</span>
                        <span class="card-end"><span class="muted">{card.who}</span> <span class={card.isLate ? "bad" : "muted"}>{card.isLate ? t("boards.late", { time: age(card.since) }) : age(card.since)}</span></span>
                        <Show when={props.move}>
                          <select
                            class="field card-move"
                            aria-label={t("boards.move", { name: card.title })}
                            onChange={(event) => {
                              const to = columns()[event.currentTarget.selectedIndex]!;
                              // Where it is until it has been moved.
                              event.currentTarget.value = column.key;
                              void move(card, to);
                            }}
                          >
                            <For each={columns()}>{(to) => <option value={to.key} selected={to.key === column.key}>{to.name}</option>}</For>
                          </select>
                        </Show>
                      </li>
                    )}
                  </For>
                </ul>
                <Show when={column.count > column.cards.length}>
                  <p class="muted">{t("breakdown.others", { count: column.count - column.cards.length })}</p>
                </Show>
              </section>
            )}
          </For>
        </div>
      </Show>
    </section>
  );
}

/** Tickets that are not resolved, the longest waiting first; one is read, answered and resolved. */

import { type Service, dataOf } from "@tandem/client";
import { attempt, say, serviceApi } from "./apis";
import { byId, element } from "./elements";

type Ticket = Service["TicketRead"];

export async function showQueue(): Promise<void> {
  const query = { resolved_at_is_null: true, closed_at_is_null: true, sort: "opened_at" as const, limit: 20 };
  const page = dataOf(
    await serviceApi.GET("/v1/tickets", { params: { query: { ...query, include: ["customer" as const] } } }),
  );
  const customers = page.included?.customer ?? {};
  const waiting = page.items.map((ticket) => {
    const name = customers[ticket.customer_id]?.name ?? "A customer";
    const open = element("button", { type: "button" }, `${ticket.subject ?? ticket.kind} · ${name}`);
    open.addEventListener("click", () => void attempt(() => showTicket(ticket)));
    return element("li", {}, open);
  });
  byId("queue").replaceChildren(...(waiting.length ? waiting : [element("li", {}, "No customer waits.")]));
}

async function showTicket(ticket: Ticket): Promise<void> {
  const path = { ticket_id: ticket.id };
  const contacts = dataOf(await serviceApi.GET("/v1/tickets/{ticket_id}/interactions", { params: { path } }));
  const note = element("textarea", { name: "note", required: true, maxLength: 10_000 });
  const form = element(
    "form",
    {},
    element("label", {}, "Answer ", note),
    element("button", { value: "answer" }, "Send"),
    element("button", { value: "resolve" }, "Send and resolve"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const resolves = (event.submitter as HTMLButtonElement | null)?.value === "resolve";
    void attempt(() => answer(ticket, note.value, resolves));
  });
  const shown = byId("ticket");
  shown.hidden = false;
  shown.replaceChildren(
    element("h3", {}, ticket.subject ?? ticket.kind),
    element("p", {}, ticket.description ?? ""),
    element("ol", {}, ...contacts.items.map((each) => element("li", {}, `${each.direction}: ${each.note ?? ""}`))),
    form,
  );
  note.focus();
}

async function answer(ticket: Ticket, note: string, resolves: boolean): Promise<void> {
  const params = { path: { ticket_id: ticket.id } };
  await serviceApi.POST("/v1/tickets/{ticket_id}/interactions", { params, body: { direction: "outbound", note } });
  if (resolves) await serviceApi.POST("/v1/tickets/{ticket_id}/resolve", { params, body: {} });
  say(resolves ? "Answered and resolved." : "Answered.");
  await showQueue();
  if (resolves) byId("ticket").hidden = true;
  else await showTicket(ticket);
}

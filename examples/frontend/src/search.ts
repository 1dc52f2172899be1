/** Finds customers by words, as one types. */

import { dataOf } from "@tandem/client";
import { attempt, salesApi } from "./apis";
import { byId, element } from "./elements";

const PAUSE_MILLISECONDS = 150;

export function startSearch(): void {
  const input = byId<HTMLInputElement>("search");
  let asked = 0;
  let waiting: ReturnType<typeof setTimeout>;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      asked += 1;
      void attempt(() => find(input.value.trim(), asked, () => asked));
    }, PAUSE_MILLISECONDS);
  });
}

async function find(words: string, number: number, newest: () => number): Promise<void> {
  if (words === "") {
    byId("found").replaceChildren();
    return;
  }
  const query = { q: words, limit: 10, include: ["owner" as const] };
  const page = dataOf(await salesApi.GET("/v1/accounts", { params: { query } }));
  // Answers may overtake each other.
  if (number !== newest()) return;
  const owners = page.included?.owner ?? {};
  const found = page.items.map((account) => {
    const owner = account.owner_id ? owners[account.owner_id]?.name : undefined;
    return element("li", {}, account.name ?? account.id, owner ? ` · ${owner}` : "");
  });
  byId("found").replaceChildren(...(found.length ? found : [element("li", {}, "No one of this name.")]));
}

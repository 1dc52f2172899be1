/** The client against running APIs, which the environment names. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ProblemError, dataOf, etagOf, metrics, records, sales, service } from "../src/index.js";

function given(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const token = () => given("TANDEM_TOKEN");
const salesApi = sales({ url: given("TANDEM_SALES_URL"), token });
const serviceApi = service({ url: given("TANDEM_SERVICE_URL"), token });
const metricsApi = metrics({ url: given("TANDEM_METRICS_URL"), token });
const unique = crypto.randomUUID().slice(0, 8);

async function newDeal(): Promise<{ id: string; etag: string }> {
  const account = dataOf(await salesApi.POST("/v1/accounts", { body: { name: `Bakery ${unique}` } }));
  const product = `ts-${crypto.randomUUID().slice(0, 8)}`;
  await salesApi.POST("/v1/products", { body: { code: product, name: "Oven" } });
  const opened = await salesApi.POST("/v1/deals", {
    body: {
      account_id: account.id,
      currency: "EUR",
      lines: [{ product, quantity: 2, unit_price: "1299.00" }],
    },
  });
  const deal = dataOf(opened);
  assert.equal(deal.amount, "2598.00");
  assert.equal(opened.response.headers.get("Location"), `/v1/deals/${deal.id}`);
  return { id: deal.id, etag: etagOf(opened) };
}

async function problemOf(request: Promise<unknown>): Promise<ProblemError> {
  const error = await request.then(
    () => assert.fail("the request was not refused"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ProblemError, String(error));
  return error;
}

test("a record is created, read, changed by its version, and refused by an old one", async () => {
  const { id, etag } = await newDeal();
  const params = { path: { deal_id: id }, header: { "If-Match": etag } };
  const moved = dataOf(await salesApi.POST("/v1/deals/{deal_id}/stage", { params, body: { stage: "proposal" } }));
  assert.equal(moved.stage, "proposal");

  const stale = await problemOf(salesApi.POST("/v1/deals/{deal_id}/stage", { params, body: { stage: "negotiation" } }));
  assert.equal(stale.status, 412);
  assert.equal(stale.slug, "stale-version");

  const read = await salesApi.GET("/v1/deals/{deal_id}", { params: { path: { deal_id: id } } });
  assert.equal(dataOf(read).version, 2);
  assert.equal(etagOf(read), '"2"');
});

test("what the state does not allow is a conflict with a name", async () => {
  const { id } = await newDeal();
  const close = () =>
    salesApi.POST("/v1/deals/{deal_id}/close", { params: { path: { deal_id: id } }, body: { outcome: "won" } });
  assert.equal(dataOf(await close()).stage, "won");
  const conflict = await problemOf(close());
  assert.equal(conflict.status, 409);
  assert.equal(conflict.slug, "deal-already-closed");
  assert.ok(conflict.requestId);
});

test("a repeat with the same key changes nothing twice", async () => {
  const key = crypto.randomUUID();
  const send = () =>
    salesApi.POST("/v1/accounts", {
      params: { header: { "Idempotency-Key": key } },
      body: { name: `Repeated ${unique}` },
    });
  const first = await send();
  const second = await send();
  assert.equal(dataOf(second).id, dataOf(first).id);
  assert.equal(second.response.headers.get("Idempotent-Replayed"), "true");
});

test("an invalid request names its places", async () => {
  const account = dataOf(await salesApi.POST("/v1/accounts", { body: { name: `Checked ${unique}` } }));
  const refused = await problemOf(
    salesApi.POST("/v1/deals", {
      body: { account_id: account.id, currency: "EUR", lines: [{ product: "none", quantity: 0, unit_price: "1.00" }] },
    }),
  );
  assert.equal(refused.status, 422);
  assert.deepEqual(
    refused.errors.map((error) => error.pointer),
    ["#/lines/0/quantity"],
  );
});

test("a list is read to its end, page by page", async () => {
  const region = `ts-${crypto.randomUUID().slice(0, 8)}`;
  const made = new Set<string>();
  for (let number = 0; number < 5; number++) {
    made.add(dataOf(await salesApi.POST("/v1/accounts", { body: { name: `Listed ${number}`, region } })).id);
  }
  const found = new Set<string>();
  const read = (cursor: string | undefined) =>
    salesApi.GET("/v1/accounts", { params: { query: { region: [region], limit: 2, ...(cursor && { cursor }) } } });
  for await (const account of records(read)) {
    assert.equal(account.region, region);
    found.add(account.id);
  }
  assert.deepEqual(found, made);
});

test("the other two APIs answer by the same rules", async () => {
  const customer = dataOf(await serviceApi.POST("/v1/customers", { body: { name: `Caller ${unique}` } }));
  const ticket = dataOf(
    await serviceApi.POST("/v1/tickets", { body: { customer_id: customer.id, kind: "problem", channel: "phone", priority: "high" } }),
  );
  assert.equal(ticket.status, "open");
  const catalogue = dataOf(await metricsApi.GET("/v1/kpis"));
  assert.ok(catalogue.items.some((kpi) => kpi.name === "win_rate"));
  const answer = dataOf(await metricsApi.GET("/v1/kpis/{name}", { params: { path: { name: "win_rate" } } }));
  assert.equal(answer.unit, "ratio");
});

test("a token that is not valid is refused", async () => {
  const stranger = sales({ url: given("TANDEM_SALES_URL"), token: () => "no-token" });
  const refused = await problemOf(stranger.GET("/v1/accounts"));
  assert.equal(refused.status, 401);
  assert.equal(refused.slug, "unauthenticated");
});

/** The built page in Chromium, against running APIs: what is done in it is seen in the APIs, and the other way round. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { dataOf, sales, service } from "@tandem/client";
import { chromium } from "playwright-core";

function given(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const WAIT = 60_000;
const token = () => given("TANDEM_TOKEN");
const salesApi = sales({ url: given("TANDEM_SALES_URL"), token });
const serviceApi = service({ url: given("TANDEM_SERVICE_URL"), token });
const unique = crypto.randomUUID().slice(0, 8);
const customer = `Bäckerei ${unique}`;
const errors = [];
let browser, page, account, product;

before(async () => {
  account = dataOf(await salesApi.POST("/v1/accounts", { body: { name: customer } }));
  product = `oven-${unique}`;
  await salesApi.POST("/v1/products", { body: { code: product, name: "Oven" } });
  browser = await chromium.launch({ executablePath: given("CHROMIUM"), args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(WAIT);
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(given("EXAMPLE_URL"));
});

after(async () => {
  await browser?.close();
});

async function openDeal(title) {
  const body = { account_id: account.id, title, currency: "EUR", lines: [{ product, quantity: 1, unit_price: "999999.00" }] };
  return dataOf(await salesApi.POST("/v1/deals", { body }));
}

const stageOf = async (deal) =>
  dataOf(await salesApi.GET("/v1/deals/{deal_id}", { params: { path: { deal_id: deal.id } } })).stage;

test("a wrong token is refused with words, and a right one opens the page", async () => {
  await page.getByLabel("Access token").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("status").filter({ hasText: /token/i }).waitFor();
  await page.getByLabel("Access token").fill(token());
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Pipeline" }).waitFor();
});

test("a customer is found without an accent, as one types", async () => {
  await page.getByLabel("Search").pressSequentially(`backerei ${unique.slice(0, 6)}`);
  await page.locator("#found").getByText(customer).waitFor();
});

test("a deal that is dragged to another column has that stage", async () => {
  const deal = await openDeal(`Dragged ${unique}`);
  await page.reload();
  const card = page.locator(".card", { hasText: deal.title });
  await card.dragTo(page.locator('.column[data-stage="proposal"]'));
  await page.locator('.column[data-stage="proposal"] .card', { hasText: deal.title }).waitFor();
  assert.equal(await stageOf(deal), "proposal");
});

test("a deal that another person has moved meanwhile is not overwritten", async () => {
  const deal = await openDeal(`Contested ${unique}`);
  await page.reload();
  const choice = page.getByLabel(`Stage of ${deal.title}`);
  await choice.waitFor();
  const params = { path: { deal_id: deal.id } };
  await salesApi.POST("/v1/deals/{deal_id}/stage", { params, body: { stage: "negotiation" } });
  await choice.selectOption("proposal");
  await page.getByRole("status").filter({ hasText: /\S/ }).waitFor();
  await page.locator('.column[data-stage="negotiation"] .card', { hasText: deal.title }).waitFor();
  assert.equal(await stageOf(deal), "negotiation");
});

test("a ticket is answered and resolved", async () => {
  const subject = `Cold oven ${unique}`;
  const opened = dataOf(await serviceApi.POST("/v1/customers", { body: { name: `Café ${unique}` } }));
  const body = { customer_id: opened.id, kind: "problem", channel: "email", subject, occurred_at: "2000-01-01T09:00:00Z" };
  const ticket = dataOf(await serviceApi.POST("/v1/tickets", { body }));
  await page.reload();
  await page.getByRole("button", { name: subject }).click();
  await page.getByRole("textbox", { name: "Answer" }).fill("Press the red button.");
  await page.getByRole("button", { name: "Send and resolve" }).click();
  await page.getByRole("status").filter({ hasText: "resolved" }).waitFor();
  const path = { ticket_id: ticket.id };
  assert.equal(dataOf(await serviceApi.GET("/v1/tickets/{ticket_id}", { params: { path } })).status, "resolved");
  const contacts = dataOf(await serviceApi.GET("/v1/tickets/{ticket_id}/interactions", { params: { path } }));
  assert.deepEqual(contacts.items.map((each) => each.note), ["Press the red button."]);
  assert.equal(await page.getByRole("button", { name: subject }).count(), 0);
});

test("a number moves without a reload when a deal is won", async () => {
  const volume = page.locator("#kpi-sales_volume");
  await volume.filter({ hasText: /^\d+$/ }).waitFor();
  const before = Number(await volume.textContent());
  const deal = await openDeal(`Won ${unique}`);
  await salesApi.POST("/v1/deals/{deal_id}/close", { params: { path: { deal_id: deal.id } }, body: { outcome: "won" } });
  await page.waitForFunction(
    (earlier) => Number(document.getElementById("kpi-sales_volume")?.textContent) > earlier,
    before,
  );
});

test("the page has met no error", () => {
  assert.deepEqual(errors, []);
});

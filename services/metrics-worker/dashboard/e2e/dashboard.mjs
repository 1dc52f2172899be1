/** The dashboard in Chromium against the running stack: what happens in the business is seen on the page. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";

function given(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const WAIT = 60_000;
const AT_ONCE_MS = 1_000;
const MOST_SCRIPT = 200_000;
const unique = crypto.randomUUID().slice(0, 8);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
let browser, page;
/** The page of a customer with a timeline. */
let customer = "";

async function send(method, api, path, body) {
  const answer = await fetch(`${given(`TANDEM_${api}_URL`)}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${given("TANDEM_TOKEN")}`,
      "Content-Type": "application/json",
      "Idempotency-Key": crypto.randomUUID(),
    },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}
const post = (api, path, body) => send("POST", api, path, body);

async function openDeal(amount) {
  const account = await post("SALES", "/v1/accounts", { name: `Bäckerei ${unique}` });
  const product = `oven-${crypto.randomUUID().slice(0, 8)}`;
  await post("SALES", "/v1/products", { code: product, name: "Oven" });
  const lines = [{ product, quantity: 1, unit_price: amount }];
  return post("SALES", "/v1/deals", { account_id: account.id, title: `Oven ${unique}`, currency: "EUR", lines });
}

const win = (deal) => post("SALES", `/v1/deals/${deal.id}/close`, { outcome: "won" });

function watched(opened) {
  opened.setDefaultTimeout(WAIT);
  opened.on("pageerror", (error) => problems.push(String(error)));
  // A breach of the page's own policy is an error of the console too.
  opened.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) problems.push(message.text());
  });
  return opened;
}

const address = (path = "/") => `${given("TANDEM_METRICS_URL")}${path}`;

/** Goes to another page of the dashboard as its links do, without loading it anew. */
const go = (opened, path) =>
  opened.evaluate((to) => {
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate", { state: null }));
  }, path);

/** Opens a page of the dashboard without having signed in, which leads over the issuer's page. */
async function signIn(opened, who, path = "/") {
  await opened.goto(address(path));
  await opened.getByRole("heading", { name: "Sign in to Tandem" }).waitFor();
  await opened.getByRole("button", { name: who }).click();
  await opened.waitForURL((url) => url.href.startsWith(given("TANDEM_METRICS_URL")) && url.pathname !== "/signed-in");
}
const volume = () => page.locator(".sales .beside [data-value]");

before(async () => {
  browser = await chromium.launch({ executablePath: given("CHROMIUM"), args: ["--no-sandbox"] });
  page = watched(await browser.newPage({ viewport: { width: 1440, height: 900 } }));
  await signIn(page, "Robin Okafor", "/?period=30d");
});
after(() => browser?.close());

test("a deal that is won is seen within a second, without a reload", async () => {
  await volume().filter({ hasText: /^\d+$/ }).waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  const deal = await openDeal("9000.00");
  // The best of some: what is measured is the system, not a moment at which the machine was busy.
  const took = [];
  for (let attempt = 0; attempt < 12 && Math.min(...took, Infinity) > AT_ONCE_MS; attempt += 1) {
    const known = Number(await volume().textContent());
    const closed = attempt === 0 ? deal : await openDeal("9000.00");
    const began = performance.now();
    await win(closed);
    await page.waitForFunction(
      (earlier) => Number(document.querySelector(".sales .beside [data-value]")?.textContent) > earlier,
      known,
      { polling: "raf" },
    );
    took.push(performance.now() - began);
  }
  console.log(`# seen after ${took.map((each) => each.toFixed(0)).join(", ")} ms`);
  assert.ok(Math.min(...took) < AT_ONCE_MS, `${took}`);
});

test("no token is to be seen: it is in no address and no storage, and a reload asks for no name again", async () => {
  assert.equal(page.url(), address("/?period=30d"));
  await page.reload();
  await volume().filter({ hasText: /^\d+$/ }).waitFor();
  assert.equal(page.url(), address("/?period=30d"));
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.equal(kept, JSON.stringify([{}, {}, ""]));
});

test("what a role may not see is not there, and who has signed out sees nothing", async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const opened = watched(await context.newPage());
  await post("SALES", "/v1/reps", { name: `Ada ${unique}`, subject: `ada-${unique}` });
  await signIn(opened, `Ada ${unique}`);
  await opened.locator("[data-kpi=win_rate] .value").waitFor();
  const kpis = await opened.evaluate(async () => (await fetch("/v1/kpis")).status);
  assert.equal(kpis, 401, "no cookie stands for the token");
  await opened.getByRole("button", { name: "Sign out" }).click();
  await opened.getByText("You are signed out.").waitFor();
  await opened.goBack().catch(() => undefined);
  assert.equal(await opened.locator("[data-value]").count(), 0);
  await opened.goto(address());
  await opened.getByRole("heading", { name: "Sign in to Tandem" }).waitFor();
  await context.close();
});

test("all that the overview says is above the fold of a desktop", async () => {
  await page.getByRole("heading", { name: "Alerts" }).waitFor();
  assert.ok((await page.evaluate(() => document.documentElement.scrollHeight)) <= 900);
});

test("what the address says is what is shown, and what is chosen is in the address", async () => {
  await page.goto(address("/?period=7d&theme=dark"));
  await page.getByRole("button", { name: /Last 7 days/ }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.getByRole("button", { name: /Last 7 days/ }).press("Enter");
  await page.getByRole("option", { name: "Last 90 days" }).click();
  await page.waitForURL(/period=90d/);
});

test("every chart can be read as a table", async () => {
  await page.locator(".sales.half").getByRole("button", { name: "Table" }).click();
  await page.getByRole("rowheader").first().waitFor();
  assert.ok((await page.locator(".sales.half .trend tbody tr").count()) > 5);
});

test("every chart can be saved for a spreadsheet", async () => {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator(".sales.half").getByRole("button", { name: "Save as CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^revenue \d{4}-\d\d-\d\d \d{4}-\d\d-\d\d\.csv$/);
  const [head, ...rows] = readFileSync(await download.path(), "utf8").trim().split("\r\n");
  assert.equal(head, "from,revenue,revenue_before");
  assert.ok(rows.length > 5 && rows.every((row) => /^\d{4}-\d\d-\d\d,[\d.]*,[\d.]*$/.test(row)), rows.join("; "));
});

test("every breakdown can be saved for a spreadsheet, by the names that are shown", async () => {
  await go(page, "/numbers/revenue?period=30d&by=region&and=team");
  const panel = page.getByRole("region", { name: /^By region$/i });
  const shown = panel.locator("tbody tr");
  await shown.first().getByRole("rowheader").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), panel.getByRole("button", { name: "Save as CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^revenue region team \d{4}-\d\d-\d\d \d{4}-\d\d-\d\d\.csv$/);
  const [head, ...rows] = readFileSync(await download.path(), "utf8").trim().split("\r\n");
  assert.equal(head, "region,team,revenue,numerator,denominator");
  assert.equal(rows.length, await shown.count());
  assert.ok(rows[0].startsWith(await shown.first().getByRole("rowheader").textContent()), rows[0]);
  assert.ok(rows.some((row) => Number(row.split(",").at(-3)) >= 9000), rows.join("; "));
});

test("both functions reply to the six questions, and each reply leads to the numbers that it rests on", async () => {
  await page.goto(address("/?period=30d"));
  // A deal was won for a new customer, above.
  await page.locator("[data-question=new-customers] .reply.met").first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".question .reply-says").length === 12);
  await page.locator("[data-question=new-customers]").press("Enter");
  await page.getByRole("heading", { name: "Who brings new customers?" }).waitFor();
  await page.locator(".scores").getByRole("link", { name: "New customers" }).click();
  await page.waitForURL(/numbers\/new_customers/);
});

test("a manager sets, changes and removes a target in place, and learns when another person did meanwhile", async () => {
  await page.goto(address("/?period=30d"));
  await page.locator("[data-kpi=win_rate]").getByRole("link", { name: "set a target" }).click();
  const value = page.getByRole("spinbutton", { name: /Value to reach/ });
  await value.fill("55");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator(".kpi-aim", { hasText: "target 55 %" }).waitFor();
  await page.getByRole("button", { name: "Change the target" }).click();
  await page.getByRole("button", { name: "Remove" }).waitFor();
  await send("PUT", "METRICS", "/v1/targets/win_rate", { value: "0.6", period: "month" });
  await value.fill("70");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Someone else changed it meanwhile, now it is: 60 %.").waitFor();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.locator(".kpi-aim", { hasText: "target 70 %" }).waitFor();
  await page.getByRole("button", { name: "Change the target" }).click();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Really remove?" }).click();
  await page.getByRole("button", { name: "set a target" }).waitFor();
  const context = await browser.newContext();
  const analyst = watched(await context.newPage());
  await signIn(analyst, "Yuki Tanaka");
  await analyst.locator("[data-kpi=win_rate] .aim", { hasText: "no target" }).waitFor();
  assert.equal(await analyst.locator("a.aim").count(), 0);
  await context.close();
});

test("a period is closed once it was confirmed, by who may, and then stands among the closed ones", async () => {
  await go(page, "/books");
  await page.getByRole("heading", { name: "Books" }).waitFor();
  await page.getByText("Every record was processed").waitFor();
  const close = page.getByRole("button", { name: /^Close/ });
  await close.click();
  await page.getByRole("button", { name: /^Close \d{4}-\d\d for good\?$/ }).click();
  const [, period] = /(\d{4}-\d\d) is closed/.exec(await page.getByText(/is closed\.$/).first().textContent());
  const closed = page.getByRole("listitem").filter({ hasText: period });
  await closed.getByRole("button", { name: "What has changed since?" }).click();
  await closed.getByText("Nothing has changed since.").waitFor();
  const context = await browser.newContext();
  const analyst = watched(await context.newPage());
  await signIn(analyst, "Yuki Tanaka", "/books");
  await analyst.getByRole("listitem").filter({ hasText: period }).waitFor();
  assert.equal(await analyst.getByRole("button", { name: /^Close/ }).count(), 0);
  await context.close();
});

test("the books show their last proof: exact, with differences, of another ledger, or that there is none", async () => {
  await go(page, "/books");
  const panel = page.getByRole("region", { name: "Compared with the log" });
  await panel.getByText("Exact", { exact: true }).waitFor();
  await panel.getByText(/release \d/).waitFor();
  const { items: [proof] } = await send("GET", "METRICS", "/v1/proofs?limit=1");
  const answered = async (...items) => {
    await page.route("**/v1/proofs?*", (route) => route.fulfill({ json: { items, next_cursor: null, total: null } }));
    await go(page, "/numbers");
    await panel.waitFor({ state: "detached" });
    await go(page, "/books");
  };
  await answered({ ...proof, rebuilt_since: true });
  await panel.getByText("The books were made anew since: compare them again with metrics-verify.").waitFor();
  const difference = { table: "block", key: ["deal", "region"], sides: { log: '{"cells":{"1":2}}', blocks: '{"cells":{"1":3}}' } };
  await answered({ ...proof, result: "differs", differences_found: 1200, differences: [difference] });
  await panel.getByText("1,200 differences").waitFor();
  await panel.getByRole("row", { name: "deal region" }).getByText('{"cells":{"1":3}}').waitFor();
  await answered();
  await panel.getByText("The books were never compared with the log").waitFor();
  await page.unroute("**/v1/proofs?*");
});

test("a customer is found by name, with health and its reasons", async () => {
  const deal = await openDeal("4000.00");
  await win(deal);
  await go(page, "/customers");
  await page.getByRole("searchbox", { name: "Find a customer by name" }).fill(unique);
  await page.locator(`a[href^="/customers/${deal.account_id}"]`).first().click();
  await page.getByRole("heading", { name: `Bäckerei ${unique}` }).waitFor();
  await page.locator(".fact", { hasText: "100 of 100" }).waitFor();
  await page.getByText("Nothing takes points away").waitFor();
  await go(page, `/customers/${crypto.randomUUID()}`);
  await page.getByText("There is no such customer, or your role does not see them").waitFor();
});

test("a customer's timeline has sales and service in one, filtered, and goes on where it ended", async () => {
  const deal = await openDeal("3100.00");
  for (let number = 0; number < 20; number += 1) await post("SALES", "/v1/activities", { account_id: deal.account_id, kind: "call" });
  await win(deal);
  customer = `/customers/${deal.account_id}`;
  await go(page, customer);
  const rows = page.locator("[data-entry]");
  await rows.filter({ hasText: /Deal: won.*Oven .*€3,100\.00/ }).waitFor();
  // Until service knows them.
  for (let tries = 0; ; tries += 1) {
    const opening = { customer_id: deal.account_id, kind: "complaint", channel: "phone", subject: `Cold ${unique}` };
    const ticket = await post("SERVICE", "/v1/tickets", opening).catch((error) => (tries < 120 ? undefined : Promise.reject(error)));
    if (ticket !== undefined) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  // Without a reload.
  await rows.filter({ hasText: `Ticket: new Cold ${unique} · Complaint` }).waitFor();
  assert.equal(await rows.count(), 20);
  await page.getByRole("button", { name: "Show more" }).click();
  await rows.filter({ hasText: "Customer: new" }).waitFor();
  assert.ok((await rows.count()) > 20);
  await page.getByRole("button", { name: "Service", exact: true }).click();
  await rows.filter({ hasText: "Customer: new" }).waitFor({ state: "detached" });
  await rows.filter({ hasText: `Cold ${unique}` }).waitFor();
  await page.getByRole("button", { name: "Both", exact: true }).click();
  await page.locator(".timeline").getByRole("button", { name: /^About/ }).press("Enter");
  await page.getByRole("option", { name: "Deal", exact: true }).click();
  await rows.filter({ hasText: "Deal: won" }).waitFor();
  await rows.filter({ hasText: "Ticket" }).first().waitFor({ state: "detached" });
  const context = await browser.newContext();
  const analyst = watched(await context.newPage());
  await signIn(analyst, "Yuki Tanaka", customer);
  await analyst.locator("[data-entry]", { hasText: "Deal: won" }).waitFor();
  assert.equal(await analyst.getByText(`Cold ${unique}`).count(), 0, "a role that serves no customers sees no names");
  await context.close();
});

test("a deal is moved on the board of sales by keyboard and by drag, and is gone from it once it is won", async () => {
  const deal = await openDeal("7100.00");
  await go(page, "/boards");
  const card = page.locator(`[data-record="${deal.id}"]`);
  await card.getByRole("link", { name: `Bäckerei ${unique}` }).waitFor();
  await card.getByText("€7,100.00").or(card.getByText("€7,100")).first().waitFor();
  const column = (name) => page.getByRole("region", { name, exact: true }).locator(`[data-record="${deal.id}"]`);
  await card.getByRole("combobox", { name: `Stage of Bäckerei ${unique}` }).selectOption("Proposal");
  await column("Proposal").waitFor();
  await page.getByText(`Bäckerei ${unique} is now in Proposal.`).waitFor();
  await column("Proposal").dragTo(page.getByRole("region", { name: "Qualification", exact: true }));
  await column("Qualification").waitFor();
  await win(deal);
  await card.waitFor({ state: "detached" });
});

test("what a customer waits for is given to a person, by who may, and the record has them", async () => {
  const { id } = await post("SERVICE", "/v1/customers", { name: `Molkerei ${unique}` });
  const agent = await post("SERVICE", "/v1/agents", { name: `Ira ${unique}` });
  const ticket = await post("SERVICE", "/v1/tickets", { customer_id: id, kind: "problem", channel: "email" });
  const rep = await post("SALES", "/v1/reps", { name: `Noa ${unique}` });
  await go(page, "/waiting");
  const row = page.locator(`[data-wait="tickets/${ticket.id}"]`);
  await row.getByRole("link", { name: `Molkerei ${unique}` }).waitFor();
  const choice = row.getByRole("combobox", { name: `Who acts for Molkerei ${unique}` });
  assert.equal(await choice.getByRole("option", { name: rep.name }).count(), 0, "a ticket is no salesperson's");
  await choice.selectOption({ label: agent.name });
  await page.getByText(`Molkerei ${unique} is now with ${agent.name}.`).waitFor();
  assert.equal((await send("GET", "SERVICE", `/v1/tickets/${ticket.id}`)).agent_id, agent.id);
  await page.reload();
  await page.waitForFunction(([wait, name]) => document.querySelector(`[data-wait="${wait}"] select`)?.selectedOptions[0]?.text === name, [`tickets/${ticket.id}`, agent.name]);
  const context = await browser.newContext();
  const analyst = watched(await context.newPage());
  await signIn(analyst, "Yuki Tanaka", "/waiting");
  await analyst.locator(`[data-wait="tickets/${ticket.id}"]`).waitFor();
  assert.equal(await analyst.getByRole("combobox", { name: /^Who acts for/ }).count(), 0, "who may not assign is offered no one");
  await context.close();
});

test("the explanation of a number leads to the event that has just moved it", async () => {
  await page.goto(address("/numbers/revenue?why=1"));
  await page.getByRole("heading", { name: /^Why is Revenue €/ }).waitFor();
  // An amount that no other deal has.
  const amount = 1_000 + Math.floor(Math.random() * 800_000) / 100;
  const deal = await openDeal(amount.toFixed(2));
  await win(deal);
  const posting = page.locator(".posting", { hasText: new Intl.NumberFormat("en-GB", { minimumFractionDigits: 2 }).format(amount) });
  await posting.click();
  await page.locator(".event dd", { hasText: "sales.deal-closed" }).waitFor();
  await page.locator(".event dd", { hasText: deal.id }).first().waitFor();
});

test("a number is broken down by two dimensions, and shows what was known on an earlier day", async () => {
  await page.goto(address("/numbers/revenue"));
  await page.getByRole("button", { name: /^and / }).press("Enter");
  await page.getByRole("option", { name: "Region" }).click();
  await page.getByRole("columnheader", { name: "Region" }).waitFor();
  await page.getByRole("slider", { name: "As of" }).press("Home");
  await page.getByText(/today it is €/).waitFor();
  assert.match(page.url(), /as_of=\d{4}-\d\d-\d\d/);
});

test("two numbers are explored together: their lag is measured, a table has it, and the address keeps them", async () => {
  await page.goto(address("/numbers/leads_created?period=90d"));
  await page.getByRole("link", { name: "Compare two numbers" }).click();
  await page.getByRole("heading", { name: "Explore" }).waitFor();
  assert.match(page.url(), /first=leads_created/);
  for (const kpi of ["leads_created", "sales_volume"]) await page.locator(`[data-course=${kpi}] svg[role=img]`).waitFor();
  await page.getByText(/no proof of a cause|too few days/).waitFor();
  await page.getByRole("button", { name: /Another number/ }).click();
  await page.getByRole("option", { name: "Tickets opened", exact: true }).click();
  await page.waitForURL(/second=tickets_opened/);
  await page.locator("[data-course=tickets_opened] svg[role=img]").waitFor();
  const together = page.getByRole("region", { name: "How the two move together" });
  await together.locator("dl[data-lag], .alert-do").waitFor();
  if (await together.locator("dl[data-lag]").count()) {
    await together.getByRole("button", { name: "Table" }).click();
    assert.ok((await together.getByRole("row").count()) > 10);
    const [file] = await Promise.all([page.waitForEvent("download"), together.getByRole("button", { name: "Save as CSV" }).click()]);
    assert.match(file.suggestedFilename(), /leads_created tickets_opened/);
  }
  await go(page, "/explore?first=backlog&second=backlog");
  await page.getByText("Choose two different numbers.").waitFor();
});

test("every language is spoken throughout, and nothing stays English", async () => {
  page = watched(await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage());
  await signIn(page, "Marta Lindqvist");
  const folder = new URL("../src/i18n/messages/", import.meta.url);
  const read = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
  const english = read("en.json");
  const found = [];
  for (const name of readdirSync(folder).filter((each) => each !== "en.json")) {
    const language = name.replace(".json", "");
    const messages = read(name);
    const own = Object.values(messages).join("\n");
    // What is as English in that language, and what is part of its own messages, is no mistake.
    const foreign = Object.entries(english).filter(([key, text]) => text !== messages[key] && text.length > 6 && !/[{}]/.test(text) && !own.includes(text));
    for (const path of ["/", "/waiting", "/numbers", "/numbers/win_rate?why=1", "/books", "/customers", customer, "/boards", "/explore?period=year"]) {
      await go(page, `${path}${path.includes("?") ? "&" : "?"}lang=${language}`);
      await page.locator("main .panel").first().waitFor();
      await page.getByText(messages["state.live"], { exact: true }).waitFor();
      await page.locator(`html[lang=${language}]`).waitFor();
      const said = await page.evaluate(() => {
        const labels = [...document.querySelectorAll("[aria-label], [title]")].map((each) => `${each.ariaLabel ?? ""} ${each.title ?? ""}`);
        const seen = document.body.cloneNode(true);
        for (const each of seen.querySelectorAll("main [lang]")) each.remove();
        return `${seen.textContent}\n${labels.join("\n")}`;
      });
      found.push(...foreign.filter(([, text]) => said.includes(text)).map(([key, text]) => `${language} ${path}: ${key}: ${text}`));
    }
  }
  await page.goto(address());
  assert.deepEqual(found, []);
});

test("lost and found again: the page says so, and goes on by itself", async () => {
  await page.getByText("Live", { exact: true }).waitFor();
  await page.context().setOffline(true);
  await page.getByText(/No connection since/).waitFor();
  await page.context().setOffline(false);
  await page.getByText("Live", { exact: true }).waitFor();
});

test("axe finds nothing: light and dark, desktop and phone", async () => {
  const pages = {
    "/": "Alerts",
    "/waiting": "Waiting for us",
    "/alerts": "Alerts",
    "/numbers": "Numbers",
    "/numbers/win_rate?why=1&target=1": "Records and events behind it",
    "/books": "Books",
    "/customers": "Customers",
    [customer]: "Timeline",
    "/boards": "Boards",
    "/explore": "How the two move together",
  };
  const context = await browser.newContext({ bypassCSP: true });
  const opened = watched(await context.newPage());
  await signIn(opened, "Marta Lindqvist");
  await opened.evaluate(axe);
  const found = [];
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      await opened.setViewportSize({ width, height });
      await opened.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const [path, heading] of Object.entries(pages)) {
        await go(opened, path);
        await opened.getByRole("heading", { name: heading, exact: true }).first().waitFor();
        await opened.getByText("Live", { exact: true }).waitFor();
        await opened.waitForFunction(() => document.querySelectorAll("main .placeholder").length === 0);
        const { violations } = await opened.evaluate(() => globalThis.axe.run());
        found.push(...violations.map(({ id, nodes }) => `${path} ${width} ${colorScheme}: ${id}: ${nodes[0].html} ${nodes[0].failureSummary}`));
        const wide = await opened.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) found.push(`${path} ${width}: ${wide} px too wide`);
      }
    }
  }
  await context.close();
  assert.deepEqual(found, []);
});

test("in no language is a name cut off on a desktop", async () => {
  const wrong = [];
  for (const [lang, alerts] of Object.entries({ cs: "Upozornění", de: "Warnungen", it: "Avvisi", lt: "Įspėjimai", ru: "Оповещения", vi: "Cảnh báo" })) {
    await go(page, `/?period=30d&lang=${lang}`);
    await page.getByRole("heading", { name: alerts }).waitFor();
    await page.locator("[data-kpi=win_rate] .value").waitFor();
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll(".tile .kpi-name, .shared .kpi-name, .panel-head h2")]
        .filter((each) => each.offsetParent !== null && each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
        .map((each) => each.textContent),
    );
    wrong.push(...cut.map((text) => `${lang}: ${text}`));
  }
  await page.goto(address());
  assert.deepEqual(wrong, []);
});

test("the overview takes less than 200 kB of script, in whichever language", async () => {
  const context = await browser.newContext();
  const opened = watched(await context.newPage());
  const loaded = new Map();
  opened.on("response", (answer) => {
    const name = new URL(answer.url()).pathname;
    if (name.startsWith("/assets/") && name.endsWith(".js")) loaded.set(name, gzipSync(readFileSync(`${given("DASHBOARD_BUILT")}${name}`)).length);
  });
  await signIn(opened, "Marta Lindqvist", "/?lang=ru");
  await opened.locator("[data-kpi=win_rate] .value").waitFor();
  const all = [...loaded.values()].reduce((sum, each) => sum + each, 0);
  console.log(`# scripts: ${loaded.size}, ${all} bytes compressed`);
  assert.ok(all > 10_000 && all < MOST_SCRIPT, `${all} bytes`);
  await context.close();
});

test("the page has met no error", () => assert.deepEqual(problems, []));

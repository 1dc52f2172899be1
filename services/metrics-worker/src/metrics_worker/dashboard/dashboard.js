// Shows the eight KPIs and the alerts from the stream, and the scorecard. Everything from the API is set as text, never as markup.
"use strict";

const SHOWN = [
  "sales_volume", "revenue", "lead_conversion_rate", "quota_attainment",
  "csat", "resolution_rate", "first_contact_resolution", "average_handle_time",
];
const AGAIN_MS = 1000;
const PATIENCE_MS = 5000;
// The stream sends something every five seconds; one that is silent for longer is dead.
const SILENCE_MS = 12000;
const SCORE_MS = 15000;
const TOKEN = "tandem-token";

const byId = (id) => document.getElementById(id);
const cards = new Map();

let source = null;
let heard = 0;
let position = "";
let timezone = "";
let scored = 0;
let moved = true;

class Refused extends Error {}

function takeTokenFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    // The token must not stay in the history or in a copied address.
    history.replaceState(null, "", location.pathname + location.search);
  }
}

async function ask(path, method = "GET") {
  const answer = await fetch(path, {
    method,
    headers: { Authorization: `Bearer ${sessionStorage.getItem(TOKEN) ?? ""}` },
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.status === 401 || answer.status === 403) throw new Refused();
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

function showState(text, state) {
  const line = byId("state");
  // Screen readers repeat a changed status: only write what is new.
  if (line.textContent !== text) line.textContent = text;
  line.className = state;
}

function number(text, digits) {
  return Number(text).toLocaleString(undefined, { maximumFractionDigits: digits });
}

function shown(value, answer) {
  if (value === null) return "–";
  switch (answer.unit) {
    case "ratio":
      return Number(value).toLocaleString(undefined, { style: "percent", maximumFractionDigits: 1 });
    case "money":
      return Number(value).toLocaleString(undefined, { style: "currency", currency: answer.currency });
    case "seconds": {
      const seconds = Math.round(Number(value));
      return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min`;
    }
    default:
      return number(value, 2);
  }
}

function line(series) {
  const values = series.map((point) => (point.value === null ? null : Number(point.value)));
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return "";
  const top = Math.max(...known);
  const bottom = Math.min(0, ...known);
  const height = top - bottom || 1;
  let pen = "M";
  return values
    .map((value, index) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const x = (index * 290) / Math.max(values.length - 1, 1);
      const y = 58 - ((value - bottom) / height) * 56;
      const step = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
      return step;
    })
    .join("");
}

function build(registry) {
  for (const name of SHOWN) {
    const kpi = registry.items.find((item) => item.name === name);
    if (!kpi || cards.has(name)) continue;
    const card = byId("card").content.firstElementChild.cloneNode(true);
    card.querySelector("h3").textContent = kpi.title;
    card.querySelector(".formula").textContent = kpi.variants[0].formula;
    card.querySelector(".sparkline").setAttribute("aria-label", `${kpi.title}, day by day over 30 days`);
    byId(kpi.function === "service" ? "service" : "sales").querySelector(".cards").append(card);
    cards.set(name, card);
  }
  for (const id of ["sales", "service"]) byId(id).hidden = false;
}

function show(answer) {
  const card = cards.get(answer.kpi);
  const value = card.querySelector(".value");
  const text = shown(answer.value, answer);
  if (value.textContent && value.textContent !== text) {
    card.classList.remove("changed");
    void card.offsetWidth; // so that the animation begins anew
    card.classList.add("changed");
  }
  value.textContent = text;
  card.querySelector(".sums").textContent =
    answer.denominator === null ? "" : `${number(answer.numerator, 2)} ÷ ${number(answer.denominator, 2)}`;
  card.querySelector("path").setAttribute("d", line(answer.series));
}

function put(parent, name, text, className = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = className;
  parent.append(element);
  return element;
}

function ago(moment) {
  const minutes = Math.max(0, Math.round((Date.now() - new Date(moment)) / 60000));
  if (minutes < 120) return `${minutes} minutes`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1440)} days`;
}

function showAlerts(answer) {
  const counts = ["critical", "warning", "info"].map((severity) => `${answer[severity]} ${severity}`);
  const text = answer.critical + answer.warning === 0 ? "Nothing needs attention." : `${counts.join(", ")}. The gravest come first.`;
  if (byId("alerts-count").textContent !== text) byId("alerts-count").textContent = text;
  const attention = byId("attention");
  const information = byId("information").querySelector(".alerts");
  // What somebody has opened stays open when the list is made anew.
  const open = new Set([...attention.children].filter((li) => li.querySelector("[open]")).map((li) => li.dataset.id));
  attention.replaceChildren();
  information.replaceChildren();
  for (const alert of answer.items) {
    const item = byId("alert").content.firstElementChild.cloneNode(true);
    item.dataset.id = alert.id;
    item.classList.add(alert.severity);
    item.querySelector(".severity").textContent = alert.severity;
    item.querySelector(".says").textContent = alert.says;
    item.querySelector(".since").textContent = `For ${ago(alert.since)}.`;
    item.querySelector(".do").textContent = alert.do;
    const details = item.querySelector("details");
    details.hidden = alert.tickets.length === 0;
    details.open = open.has(alert.id);
    const one = alert.tickets.length === 1;
    details.querySelector("summary").textContent = `${alert.tickets.length} ${one ? "ticket" : "tickets"} of ${alert.subject}`;
    for (const ticket of alert.tickets) put(details.querySelector("ul"), "li", ticket);
    (alert.severity === "info" ? information : attention).append(item);
  }
  byId("information").hidden = information.children.length === 0;
  byId("alerts").hidden = false;
}

const REPLIES = { yes: "Yes", no: "No", unknown: "Not known" };
const OF_WHAT = { presales_question: "questions before a purchase", problem: "problems", complaint: "complaints" };

function scoreLine(figure) {
  const of = Object.values(figure.filters).map((value) => OF_WHAT[value] ?? value);
  const name = of.length === 0 ? figure.title : `${figure.title}: ${of.join(", ")}`;
  const sums = figure.denominator === null ? "" : ` (${number(figure.numerator, 2)} ÷ ${number(figure.denominator, 2)})`;
  return `${name} ${shown(figure.value, figure)}${sums}`;
}

function showSide(row, side) {
  const cell = document.createElement("td");
  const reply = side.reply === "unknown" && !side.has_target ? "No target set" : REPLIES[side.reply];
  put(cell, "span", reply, `reply ${side.reply}`);
  const list = put(cell, "ul", "");
  for (const figure of side.figures) {
    const item = put(list, "li", scoreLine(figure));
    if (!figure.target) continue;
    const { value, met } = figure.target;
    const state = met === null ? "" : met ? ", met" : ", missed";
    put(item, "span", `, target ${shown(value, figure)}${state}`, met === null ? "" : met ? "met" : "missed");
  }
  row.append(cell);
}

function showScorecard(answer) {
  const body = byId("scorecard").querySelector("tbody");
  body.replaceChildren();
  for (const line of answer.rows) {
    const row = document.createElement("tr");
    put(row, "th", line.asks).scope = "row";
    showSide(row, line.sales);
    showSide(row, line.service);
    body.append(row);
  }
  byId("scorecard").hidden = false;
}

async function score() {
  // Two dozen questions in one: when something has moved, and not at every move.
  if (!moved || Date.now() - scored < SCORE_MS) return;
  moved = false;
  scored = Date.now();
  showScorecard(await ask("/v1/scorecard"));
}

function fresh(moment) {
  const time = moment ? new Date(moment).toLocaleTimeString() : "not known yet";
  showState(`Live · ledger complete to ${time} · days in ${timezone}`, "live");
}

async function open() {
  const registry = await ask("/v1/kpis");
  timezone = registry.timezone;
  if (cards.size === 0) build(registry);
  // The address of a stream may be written to a log: it carries a ticket of a few seconds, never the token.
  const { ticket } = await ask("/v1/stream-tickets", "POST");
  const kpis = [...cards.keys()].join(",");
  const parameters = new URLSearchParams({ kpis, interval: "day", alerts: "true", ticket });
  if (position) parameters.set("last_event_id", position);
  source = new EventSource(`/v1/stream?${parameters}`);
  heard = Date.now();
  source.addEventListener("kpi", (event) => {
    heard = Date.now();
    position = event.lastEventId;
    const answer = JSON.parse(event.data);
    show(answer);
    moved = true;
    fresh(answer.fresh_as_of);
    document.body.classList.remove("stale");
  });
  source.addEventListener("alerts", (event) => {
    heard = Date.now();
    position = event.lastEventId;
    moved = true;
    showAlerts(JSON.parse(event.data));
  });
  source.addEventListener("fresh", (event) => {
    heard = Date.now();
    fresh(JSON.parse(event.data));
    document.body.classList.remove("stale");
  });
  // Not left to the browser: it would come back with the ticket that has expired.
  source.addEventListener("error", () => close());
}

function close() {
  source?.close();
  source = null;
}

function lost() {
  showState("Connection lost; trying again. The numbers below are old.", "lost");
  document.body.classList.add("stale");
}

async function keepOpen() {
  for (;;) {
    const wanted = !document.hidden && byId("sign-in").hidden;
    if (source && (!wanted || Date.now() - heard > SILENCE_MS)) close();
    if (wanted && !source) {
      if (heard) lost();
      try {
        await open();
      } catch (failure) {
        close();
        if (failure instanceof Refused) {
          sessionStorage.removeItem(TOKEN);
          byId("sign-in").hidden = false;
          showState("A valid token is needed", "lost");
          document.body.classList.add("stale");
        } else {
          lost();
        }
      }
    }
    // The numbers go on without it: the scorecard is asked for again in a while.
    if (source) await score().catch(() => (moved = true));
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token").value.trim());
  byId("token").value = "";
  byId("sign-in").hidden = true;
  showState("Connecting …", "");
});
window.addEventListener("hashchange", () => {
  takeTokenFromAddress();
  byId("sign-in").hidden = true;
});
takeTokenFromAddress();
if (sessionStorage.getItem(TOKEN) === null) {
  byId("sign-in").hidden = false;
  showState("A token is needed", "");
}
keepOpen();

/** Every language says everything that English says, with the same arguments. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse, TYPE } from "@formatjs/icu-messageformat-parser";

const source = fileURLToPath(new URL("../src/", import.meta.url));
const folder = `${source}i18n/messages/`;
const read = (language) => JSON.parse(readFileSync(`${folder}${language}.json`, "utf8"));
const LANGUAGES = /LANGUAGES = \{([^}]*)\}/.exec(readFileSync(`${source}i18n/index.ts`, "utf8"))[1].match(/\w+(?=:)/g);
const languages = readdirSync(folder).map((name) => name.replace(".json", ""));
const english = read("en");

/** What is the same word, name or unit in another language as in English. */
const SAME = {
  cs: ["filter.region", "state.offline", "waiting.limit", "dimension.region", "dimension.segment", "kind.lead"],
  de: [
    "function.service", "nav.boards", "boards.title", "boards.pipeline", "ticket.installation", "ticket.problem", "priority.normal", "filter.region", "filter.team", "state.live", "state.offline", "waiting.limit", "dimension.region",
    "dimension.segment", "dimension.team", "variant.median", "kind.deal", "kind.lead", "kind.account", "kind.ticket",
  ],
  it: ["filter.team", "reply.no", "state.offline", "dimension.team", "kind.lead", "kind.ticket", "kind.quota", "kpi.net_revenue_retention"],
  vi: ["kind.lead"],
};
const NAMES_AND_UNITS = ["app.title", "chart.csv", "unit.min", "unit.h", "duration.minutes", "duration.hours"];

/** Returns the arguments of a message, those of its plural forms included. */
function argumentsOf(text) {
  const names = new Set();
  const visit = (elements) => {
    for (const element of elements) {
      if (element.type !== TYPE.literal && element.type !== TYPE.pound) names.add(element.value);
      for (const option of Object.values(element.options ?? {})) visit(option.value);
    }
  };
  visit(parse(text));
  return [...names].sort();
}

test("the menu has the languages that there are, each with its prose", () => {
  assert.deepEqual(LANGUAGES.toSorted(), languages.toSorted());
  const proses = readdirSync(`${source}i18n/prose/`).filter((name) => /^[a-z]{2}\.json$/.test(name)).map((name) => name.replace(".json", ""));
  assert.deepEqual(["en", ...proses].toSorted(), languages.toSorted());
});

test("every language has every message, with the arguments of the English one", () => {
  const wrong = [];
  for (const language of languages) {
    const messages = read(language);
    for (const key of new Set([...Object.keys(english), ...Object.keys(messages)])) {
      if (!(key in messages) || !(key in english)) wrong.push(`${language}: ${key}`);
      else if (String(argumentsOf(messages[key])) !== String(argumentsOf(english[key]))) wrong.push(`${language}: ${key}: other arguments`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("what is said in English is translated, unless it is the same word", () => {
  const wrong = [];
  for (const language of languages.filter((each) => each !== "en")) {
    const same = new Set([...NAMES_AND_UNITS, ...(SAME[language] ?? [])]);
    for (const [key, text] of Object.entries(read(language))) {
      if (text === english[key] && !same.has(key)) wrong.push(`${language}: ${key}: ${text}`);
    }
    for (const key of SAME[language] ?? []) {
      if (read(language)[key] !== english[key]) wrong.push(`${language}: ${key} is not the same any more`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("plurals have the forms that their language needs", () => {
  const wrong = [];
  for (const language of languages) {
    // Amounts here are whole or have a decimal place: the categories that these can have.
    const needed = new Set([0, 1, 2, 3, 5, 11, 21, 100, 1.5].map((count) => new Intl.PluralRules(language).select(count)));
    for (const [key, text] of Object.entries(read(language))) {
      const visit = (elements) => {
        for (const element of elements) {
          if (element.type === TYPE.plural) {
            for (const form of needed) if (!(form in element.options)) wrong.push(`${language}: ${key}: no ${form}`);
          }
        }
      };
      visit(parse(text));
    }
  }
  assert.deepEqual(wrong, []);
});

test("no text stands in the components: all of it comes from the catalogues", () => {
  const files = readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".tsx"));
  const found = [];
  for (const file of files) {
    const code = readFileSync(source + file, "utf8");
    // Words between tags, or in an attribute that people read; the product's own name is one in every language.
    for (const match of code.matchAll(/>\s*([A-Z][a-z]+(?: [A-Za-z]+)*)\s*<\/|(?:aria-label|title|placeholder|alt)="([^"]+)"/g)) {
      const text = match[1] ?? match[2];
      if (text !== "Tandem") found.push(`${file}: ${text}`);
    }
  }
  assert.ok(files.length > 5);
  assert.deepEqual(found, []);
});

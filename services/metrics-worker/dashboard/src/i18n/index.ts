/** Messages in the reader's language: ICU, compiled by the build, one catalogue a language and loaded when needed. */

import { IntlMessageFormat } from "intl-messageformat";
import { createSignal } from "solid-js";
import type english from "./messages/en.json";

export type MessageKey = keyof typeof english;
export type Values = Record<string, string | number | Date>;
type Catalogue = Record<string, ConstructorParameters<typeof IntlMessageFormat>[0]>;

/** The languages there are, each named in itself. */
export const LANGUAGES = {
  en: "English",
  cs: "Čeština",
  de: "Deutsch",
  it: "Italiano",
  lt: "Lietuvių",
  ru: "Русский",
  vi: "Tiếng Việt",
} as const;
export type Language = keyof typeof LANGUAGES;

// The literal paths let Vite make a file of each catalogue.
const LOADERS: Record<Language, () => Promise<unknown>> = {
  en: () => import("./messages/en.json"),
  cs: () => import("./messages/cs.json"),
  de: () => import("./messages/de.json"),
  it: () => import("./messages/it.json"),
  lt: () => import("./messages/lt.json"),
  ru: () => import("./messages/ru.json"),
  vi: () => import("./messages/vi.json"),
};

/** Definitions, which the API answers in English: only some pages need so much text. */
const PROSE_LOADERS: Partial<Record<Language, () => Promise<{ default: Record<string, string> }>>> = {
  cs: () => import("./prose/cs.json"),
  de: () => import("./prose/de.json"),
  it: () => import("./prose/it.json"),
  lt: () => import("./prose/lt.json"),
  ru: () => import("./prose/ru.json"),
  vi: () => import("./prose/vi.json"),
};

const [loaded, setLoaded] = createSignal<{ language: Language; messages: Map<string, IntlMessageFormat> }>();
const [proses, setProses] = createSignal<Partial<Record<Language, Record<string, string>>>>({});

export const isLanguage = (text: string): text is Language => Object.hasOwn(LANGUAGES, text);

/** Returns the first language that the browser prefers and the page has. */
export function preferredLanguage(): Language {
  for (const tag of navigator.languages) {
    const [base = ""] = tag.split("-");
    if (isLanguage(base)) return base;
  }
  return "en";
}

let wanted: Language | undefined;

/** Loads a language and shows it from then on. */
export async function speak(language: Language): Promise<void> {
  wanted = language;
  const { default: catalogue } = (await LOADERS[language]()) as { default: Catalogue };
  // Another was chosen while this one was under way.
  if (wanted !== language) return;
  const messages = new Map(
    Object.entries(catalogue).map(([key, message]) => [key, new IntlMessageFormat(message, localeOf(language))]),
  );
  document.documentElement.lang = language;
  setLoaded({ language, messages });
}

/** English numbers and dates are those of Europe: 14 Jul, and a day begins with its hour of 24. */
export const localeOf = (language: Language): string => (language === "en" ? "en-GB" : language);

/** The language that is shown. */
export const language = (): Language => loaded()?.language ?? "en";
export const locale = (): string => localeOf(language());

/** Returns a message in the language that is shown. */
export function t(key: MessageKey, values?: Values): string {
  const message = loaded()?.messages.get(key);
  return message === undefined ? key : String(message.format(values));
}

/** Returns whether there is such a message: keys that are made of what the API answers may be newer than the page. */
export const isMessage = (key: string): key is MessageKey => loaded()?.messages.has(key) ?? false;

/**
 * Returns prose in the language that is shown, loading it when it is first asked for: empty until it is there, so that
 * no English flashes up, and as the API gave it where the page does not know it.
 */
export function prose(key: string, given: string): string {
  const current = language();
  const load = PROSE_LOADERS[current];
  if (load === undefined) return given;
  const known = proses()[current];
  if (known !== undefined) return known[key] ?? given;
  void load()
    .then(({ default: texts }) => texts, () => ({}))
    .then((texts) => setProses((all) => (current in all ? all : { ...all, [current]: texts })));
  return "";
}

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
  ru: "Русский",
  it: "Italiano",
  vi: "Tiếng Việt",
  cs: "Čeština",
  lt: "Lietuvių",
  de: "Deutsch",
} as const;
export type Language = keyof typeof LANGUAGES;

// The literal paths let Vite make a file of each catalogue.
const LOADERS: Record<Language, () => Promise<unknown>> = {
  en: () => import("./messages/en.json"),
  ru: () => import("./messages/ru.json"),
  it: () => import("./messages/it.json"),
  vi: () => import("./messages/vi.json"),
  cs: () => import("./messages/cs.json"),
  lt: () => import("./messages/lt.json"),
  de: () => import("./messages/de.json"),
};

const [loaded, setLoaded] = createSignal<{ language: Language; messages: Map<string, IntlMessageFormat> }>();

export const isLanguage = (text: string): text is Language => Object.hasOwn(LANGUAGES, text);

/** Returns the first language that the browser prefers and the page has. */
export function preferredLanguage(): Language {
  for (const tag of navigator.languages) {
    const [base = ""] = tag.split("-");
    if (isLanguage(base)) return base;
  }
  return "en";
}

/** Loads a language and shows it from then on. */
export async function speak(language: Language): Promise<void> {
  const { default: catalogue } = (await LOADERS[language]()) as { default: Catalogue };
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

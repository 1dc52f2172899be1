/** What the address says: period, filters, zone, language and appearance; and what the whole page shares. */

import { useSearchParams } from "@solidjs/router";
import { createContext, createMemo, useContext, type Accessor } from "solid-js";
import type { Catalogue, Kpi } from "./api";
import { isLanguage, preferredLanguage, type Language } from "./i18n";
import type { Live } from "./live";
import { DEFAULT_PERIOD, daysOf, isPeriod, type Days, type PeriodName } from "./period";

export const FILTERS = ["region", "team"] as const;
export type FilterName = (typeof FILTERS)[number];
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

type Parameters = { [name in "period" | "region" | "team" | "lang" | "theme" | "zone" | "tab"]?: string };

const one = (given: string | string[] | undefined): string | undefined => (Array.isArray(given) ? given[0] : given);

/** Returns the state that the address holds, and how to change it. */
export function useAddress() {
  const [parameters, set] = useSearchParams<Parameters>();
  const period = (): PeriodName => {
    const given = one(parameters.period);
    return isPeriod(given) ? given : DEFAULT_PERIOD;
  };
  const filters = createMemo(() =>
    Object.fromEntries(FILTERS.flatMap((name) => (one(parameters[name]) ? [[name, one(parameters[name])!]] : []))),
  );
  const language = (): Language => {
    const given = one(parameters.lang) ?? "";
    return isLanguage(given) ? given : preferredLanguage();
  };
  const theme = (): Theme => {
    const given = one(parameters.theme) as Theme;
    return THEMES.includes(given) ? given : "system";
  };
  return {
    period,
    filters: filters as Accessor<Readonly<Partial<Record<FilterName, string>>>>,
    language,
    theme,
    zone: () => one(parameters.zone),
    tab: () => one(parameters.tab) ?? "sales",
    set: (changed: Partial<Record<keyof Parameters, string | null>>) => set(changed, { replace: true, scroll: false }),
  };
}

export interface Shared {
  catalogue: Accessor<Catalogue | undefined>;
  kpi: (name: string) => Kpi | undefined;
  /** Whether the caller's roles allow an operation of the API: what one may not do is not there. */
  may: (operation: string) => boolean;
  live: Live;
  days: Accessor<Days>;
  /** The reporting time zone, in which days begin. */
  zone: Accessor<string>;
  /** The zone in which times are shown. */
  shownZone: Accessor<string>;
  now: Accessor<Date>;
  address: ReturnType<typeof useAddress>;
  /** Names by dimension and value, for filters. */
  choices: Accessor<Record<FilterName, { value: string; name: string }[]>>;
}

const SharedContext = createContext<Shared>();
export const SharedProvider = SharedContext.Provider;

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (shared === undefined) throw new Error("used outside of the page's shell");
  return shared;
}

/** Returns the address of a number's own page, with all that is chosen. */
export function numberAt({ kpi, variant }: { kpi: string; variant?: string }, more: Readonly<Record<string, string>> = {}): string {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries({ ...(variant !== undefined && { variant }), ...more })) parameters.set(name, value);
  const text = parameters.toString();
  return `/numbers/${kpi}${text ? `?${text}` : ""}`;
}

export const daysShown = (period: PeriodName, zone: string): Days => daysOf(period, zone);

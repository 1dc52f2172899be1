/** What surrounds every page: the top bar, the state of the connection, and what a page needs to be shown at all. */

import { A, type RouteSectionProps } from "@solidjs/router";
import { dataOf } from "@tandem/client";
import { createEffect, createMemo, createResource, createSignal, For, Match, onCleanup, Show, Switch } from "solid-js";
import { api, isForbidden, type Answer } from "./api";
import { duration, time } from "./format";
import { language, LANGUAGES, speak, t, type Language } from "./i18n";
import { OVERVIEW } from "./kpis";
import { createLive, type Wanted } from "./live";
import { Clock, Contrast, Cut, Mark } from "./parts/marks";
import { Select } from "./parts/select";
import { intervalOf, PERIODS } from "./period";
import { personName, signedIn, signIn, signOut } from "./session";
import { daysShown, SharedProvider, THEMES, useAddress, useShared, type FilterName, type Shared } from "./view";

/** The ledger is some seconds behind while all is well. */
const BEHIND_MS = 60_000;
/** No code and no id. */
const ALL = "*";

export function Shell(props: RouteSectionProps) {
  const address = useAddress();
  const [ready, setReady] = createSignal(false);
  createEffect(() => void speak(address.language()).then(() => setReady(true)));
  createEffect(() => {
    const theme = address.theme();
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  });
  return (
    <Show when={ready()}>
      <Show when={signedIn() === "in"} fallback={<SignedOut />}>
        <SignedIn address={address}>{props.children}</SignedIn>
      </Show>
    </Show>
  );
}

function SignedIn(props: { address: Shared["address"]; children: RouteSectionProps["children"] }) {
  const { address } = props;
  const [now, setNow] = createSignal(new Date());
  const clock = setInterval(() => setNow(new Date()), 1_000);
  onCleanup(() => clearInterval(clock));

  const [catalogue, { refetch }] = createResource(async () => dataOf(await api.GET("/v1/kpis")));
  const [caller] = createResource(async () => dataOf(await api.GET("/v1/me")));
  const zone = () => catalogue.latest?.timezone ?? "UTC";
  const kpis = createMemo(() => new Map((catalogue.state === "errored" ? [] : (catalogue.latest?.items ?? [])).map((each) => [each.name, each])));
  const days = createMemo(
    () => (now(), daysShown(address.period(), zone())),
    undefined,
    { equals: (one, other) => one?.from === other?.from && one?.to === other?.to },
  );
  const wanted = createMemo((): Wanted | undefined => {
    if (kpis().size === 0) return undefined;
    const filters = address.filters();
    // What is not kept by a filter's dimension is not asked for.
    const kept = OVERVIEW.filter(({ kpi }) => {
      const found = kpis().get(kpi);
      return found !== undefined && Object.keys(filters).every((name) => found.dimensions.includes(name));
    });
    return { kpis: kept, ...days(), interval: intervalOf(days()), filters: filters as Record<string, string> };
  });
  const live = createLive(wanted);

  const [choices] = createResource(
    () => kpis().size > 0,
    async () => {
      const groups = async (kpi: string, by: FilterName): Promise<Answer["groups"]> =>
        kpis().get(kpi)?.dimensions.includes(by)
          ? (dataOf(await api.GET("/v1/kpis/{name}", { params: { path: { name: kpi }, query: { group_by: by } } })).groups ?? [])
          : [];
      const of = async (by: FilterName) => {
        const found = (await Promise.all([groups("revenue", by), groups("tickets_opened", by)])).flat();
        const named = new Map(found.flatMap((each) => (each?.key ? [[each.key, each.names?.[by] ?? each.key]] : [])));
        return [...named]
          .map(([value, name]) => ({ value, name }))
          .sort((one, other) => one.name.localeCompare(other.name, language()));
      };
      return { region: await of("region"), team: await of("team") };
    },
  );

  const shared: Shared = {
    catalogue: () => (catalogue.state === "errored" ? undefined : catalogue.latest),
    kpi: (name) => kpis().get(name),
    may: (operation) => caller.state === "ready" && Object.hasOwn(caller().operations, operation),
    live,
    days,
    zone,
    shownZone: () => address.zone() ?? zone(),
    now,
    address,
    choices: () => (choices.state === "ready" ? choices() : { region: [], team: [] }),
  };

  const isAllowed = () => !isForbidden(catalogue.error) && live.connection().state !== "forbidden";
  return (
    <SharedProvider value={shared}>
      <a class="skip" href="#main">{t("app.skip")}</a>
      <TopBar />
      <Notice retry={() => void refetch()} failed={catalogue.state === "errored"} />
      <main id="main" tabindex="-1">
        <Show when={isAllowed()} fallback={<NoPermission />}>
          {props.children}
        </Show>
      </main>
      <BottomBar />
      <Patterns />
    </SharedProvider>
  );
}

/** What marks and bars are filled with: hatching is the only pattern. */
function Patterns() {
  return (
    <svg class="hidden" aria-hidden="true">
      <defs>
        <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch-ground" width="5" height="5" />
          <rect class="hatch-line" width="2" height="5" />
        </pattern>
      </defs>
    </svg>
  );
}

function Pages() {
  const { address } = useShared();
  const search = () => {
    const parameters = new URLSearchParams(location.search);
    // Read, so that the links follow what is chosen.
    void [address.period(), address.filters(), address.language(), address.theme(), address.zone()];
    const text = parameters.toString();
    return text ? `?${text}` : "";
  };
  const pages = [
    ["/", "nav.overview"],
    ["/waiting", "nav.waiting"],
    ["/customers", "nav.customers"],
    ["/boards", "nav.boards"],
    ["/numbers", "nav.numbers"],
    ["/alerts", "nav.alerts"],
  ] as const;
  return (
    <For each={pages}>
      {([path, key]) => (
        <A class="page-link" activeClass="current" end={path === "/"} href={`${path}${search()}`}>
          {t(key)}
        </A>
      )}
    </For>
  );
}

function TopBar() {
  const { address, choices } = useShared();
  const all = () => ({ value: ALL, name: t("filter.all") });
  return (
    <header class="top">
      <A class="brand" href="/">
        <Mark of="both" size={10} />
        <span>Tandem</span>
      </A>
      <nav class="pages" aria-label={t("nav.label")}>
        <Pages />
      </nav>
      <div class="filters">
        <Select
          label={t("filter.period")}
          choices={PERIODS.map((value) => ({ value, name: t(`period.${value}`) }))}
          value={address.period()}
          class="select period"
          onChange={(period) => address.set({ period })}
        />
        <For each={["region", "team"] as const}>
          {(name) => (
            <Show when={choices()[name].length > 1 || address.filters()[name]}>
              <Select
                label={t(`filter.${name}`)}
                choices={[all(), ...choices()[name]]}
                value={address.filters()[name] ?? ALL}
                onChange={(value) => address.set({ [name]: value === ALL ? null : value })}
              />
            </Show>
          )}
        </For>
      </div>
      <div class="top-end">
        <Freshness />
        <Select
          quiet
          label={t("filter.theme")}
          choices={THEMES.map((value) => ({ value, name: t(`theme.${value}`) }))}
          value={address.theme()}
          icon={<Contrast />}
          onChange={(theme) => address.set({ theme: theme === "system" ? null : theme })}
          class="select theme"
        />
        <Select
          quiet
          label={t("filter.language")}
          choices={Object.entries(LANGUAGES).map(([value, name]) => ({ value, name }))}
          value={address.language()}
          shows={(address.language() as Language).toUpperCase()}
          onChange={(lang) => address.set({ lang })}
        />
        <span class="person">{personName()}</span>
        <button type="button" class="button quiet" onClick={() => void signOut()}>{t("person.signOut")}</button>
      </div>
    </header>
  );
}

function BottomBar() {
  return (
    <nav class="bottom" aria-label={t("nav.label")}>
      <Pages />
    </nav>
  );
}

const isBehind = (freshAsOf: Date | undefined, now: Date): boolean =>
  freshAsOf !== undefined && now.getTime() - freshAsOf.getTime() > BEHIND_MS;

/** Live, behind, offline or loading, always in the same place, each with a mark and a time. */
function Freshness() {
  const { live, now, shownZone } = useShared();
  const at = (moment: Date) => time(moment, shownZone(), true);
  const offline = () => {
    const connection = live.connection();
    return connection.state === "offline" ? connection : undefined;
  };
  return (
    <A class="freshness" href={`/books${location.search}`} title={t("books.title")}>
      <Switch>
        <Match when={offline()}>
          {(connection) => (
            <>
              <span class="dot open" />
              <b>{t("state.offline")}</b> <span class="muted">{t("state.since", { time: at(connection().since) })}</span>
            </>
          )}
        </Match>
        <Match when={live.connection().state === "loading"}>
          <span class="dot dashed" />
          <b>{t("state.loading")}</b>
        </Match>
        <Match when={isBehind(live.freshAsOf(), now())}>
          <Clock />
          <b>{t("state.behind")}</b> <span class="muted">{t("state.complete", { time: at(live.freshAsOf()!) })}</span>
        </Match>
        <Match when={live.connection().state === "live"}>
          <span class="dot" />
          <b>{t("state.live")}</b>{" "}
          <Show when={live.freshAsOf()}>
            {(moment) => <span class="muted">{t("state.complete", { time: at(moment()) })}</span>}
          </Show>
        </Match>
      </Switch>
    </A>
  );
}

/** One line below the top bar, seen wherever one has scrolled: what is wrong, what it affects, and what to do. */
function Notice(props: { failed: boolean; retry: () => void }) {
  const { live, now, shownZone } = useShared();
  const offline = () => {
    const connection = live.connection();
    return connection.state === "offline" ? connection : undefined;
  };
  const seconds = (until: Date) => Math.max(0, Math.ceil((until.getTime() - now().getTime()) / 1000));
  return (
    <div role="status" class="notices">
      <Switch>
        <Match when={props.failed || offline()?.failed}>
          <p class="notice">
            <Cut />
            <span>
              <b>{t("state.failedLine")}</b>{" "}
              <Show when={offline()}>{(found) => t("state.retrying", { seconds: seconds(found().retryAt) })}</Show>
            </span>
            <button type="button" class="button" onClick={() => (props.failed ? props.retry() : live.tryNow())}>{t("state.tryNow")}</button>
          </p>
        </Match>
        <Match when={offline()}>
          {(found) => (
            <p class="notice">
              <Cut />
              <span>
                <b>{t("state.offlineLine", { time: time(found().since, shownZone()) })}</b> {t("state.offlineMeans")}{" "}
                <span aria-hidden="true">{t("state.retrying", { seconds: seconds(found().retryAt) })}</span>
              </span>
              <button type="button" class="button" onClick={live.tryNow}>{t("state.tryNow")}</button>
            </p>
          )}
        </Match>
        <Match when={live.connection().state === "live" && isBehind(live.freshAsOf(), now())}>
          <p class="notice">
            <Clock />
            <span>
              <b>{t("state.behindLine", { age: duration(now().getTime() - live.freshAsOf()!.getTime()) })}</b>{" "}
              {t("state.behindMeans", { time: time(live.freshAsOf()!, shownZone()) })}
            </span>
          </p>
        </Match>
      </Switch>
    </div>
  );
}

function NoPermission() {
  return (
    <section class="panel message">
      <h1>{t("state.permissionTitle")}</h1>
      <p>{t("state.permissionText")}</p>
    </section>
  );
}

function SignedOut() {
  return (
    <main class="signed-out">
      <section class="panel message">
        <Mark of="both" size={16} />
        <h1>Tandem</h1>
        <p>{t(signedIn() === "failed" ? "state.signInFailed" : "state.signInText")}</p>
        <button type="button" class="button" onClick={() => void signIn("/")}>{t("state.signInTitle")}</button>
      </section>
    </main>
  );
}

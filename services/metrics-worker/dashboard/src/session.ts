/**
 * Who uses the page: signed in at the issuer by OpenID Connect with PKCE.
 *
 * Tokens are in memory only. What has to outlive the way to the issuer and back is not secret by itself: it is kept in
 * the tab until then. A reload asks the issuer again, which knows its own cookie and sends the browser straight back.
 */

import * as oauth from "oauth4webapi";
import { createSignal } from "solid-js";

export type SignedIn = "starting" | "in" | "out" | "failed";

interface Pending {
  state: string;
  nonce: string;
  verifier: string;
  returnTo: string;
}

const PENDING = "tandem-sign-in";
const CALLBACK = "/signed-in";
const SIGNED_OUT = "/signed-out";
/** The token is renewed when so much of its life is over. */
const RENEW_AT = 0.8;
const AGAIN_MS = 5_000;
const PATIENCE_MS = 10_000;

/** What metrics-api has written into the page. */
export const given = (name: string): string => document.querySelector<HTMLMetaElement>(`meta[name="tandem-${name}"]`)?.content ?? "";

const [state, setState] = createSignal<SignedIn>("starting");
const [name, setName] = createSignal("");
let access = "";
let refresh: string | undefined;
let identity: string | undefined;
let renewal: number | undefined;
let renewing: Promise<void> | undefined;
let server: oauth.AuthorizationServer | undefined;

export const signedIn = state;
/** What the issuer calls the person. */
export const personName = name;
export const accessToken = (): string => access;

const client = (): oauth.Client => ({ client_id: given("client-id") });
/** The local issuer speaks HTTP, on this machine; any other has to speak HTTPS. */
const transport = () => ({
  [oauth.allowInsecureRequests]: new URL(given("issuer")).hostname === "127.0.0.1",
  signal: AbortSignal.timeout(PATIENCE_MS),
});

async function discovered(): Promise<oauth.AuthorizationServer> {
  if (server === undefined) {
    const issuer = new URL(given("issuer"));
    server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, transport()));
  }
  return server;
}

/** Goes to the issuer, which comes back to `returnTo`: by itself where the person is signed in there. */
export async function signIn(returnTo = location.pathname + location.search + location.hash): Promise<void> {
  const { authorization_endpoint } = await discovered();
  if (authorization_endpoint === undefined) throw new Error("the issuer has no authorization endpoint");
  const pending: Pending = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    returnTo: returnTo.startsWith(SIGNED_OUT) || returnTo.startsWith(CALLBACK) ? "/" : returnTo,
  };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const address = new URL(authorization_endpoint);
  address.search = new URLSearchParams({
    client_id: client().client_id,
    redirect_uri: location.origin + CALLBACK,
    response_type: "code",
    scope: given("scopes"),
    // Some providers issue tokens for an API only where it is named.
    audience: given("audience"),
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: "S256",
  }).toString();
  location.replace(address);
}

function accept(tokens: oauth.TokenEndpointResponse): void {
  access = tokens.access_token;
  refresh = tokens.refresh_token ?? refresh;
  identity = tokens.id_token ?? identity;
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  if (typeof claims?.name === "string") setName(claims.name);
  clearTimeout(renewal);
  renewal = setTimeout(() => void renew(), (tokens.expires_in ?? 300) * 1000 * RENEW_AT);
}

async function complete(): Promise<string> {
  const kept = sessionStorage.getItem(PENDING);
  sessionStorage.removeItem(PENDING);
  if (kept === null) throw new Error("this tab has not asked to sign in");
  const pending = JSON.parse(kept) as Pending;
  const issuer = await discovered();
  const parameters = oauth.validateAuthResponse(issuer, client(), new URL(location.href), pending.state);
  const answer = await oauth.authorizationCodeGrantRequest(
    issuer, client(), oauth.None(), parameters, location.origin + CALLBACK, pending.verifier, transport(),
  );
  accept(await oauth.processAuthorizationCodeResponse(issuer, client(), answer, { expectedNonce: pending.nonce, requireIdToken: true }));
  return pending.returnTo;
}

/** Gets a new access token; goes to the issuer where that is refused. */
export function renew(): Promise<void> {
  renewing ??= (async () => {
    try {
      if (refresh === undefined) return await signIn();
      const issuer = await discovered();
      const answer = await oauth.refreshTokenGrantRequest(issuer, client(), oauth.None(), refresh, transport());
      accept(await oauth.processRefreshTokenResponse(issuer, client(), answer));
    } catch (failure) {
      // Only the issuer's word ends the session: without a network it is asked again.
      if (failure instanceof oauth.ResponseBodyError) await signIn();
      else renewal = setTimeout(() => void renew(), AGAIN_MS);
    } finally {
      renewing = undefined;
    }
  })();
  return renewing;
}

/** Settles who uses the page before it is shown; may leave it for the issuer's. */
export async function start(): Promise<void> {
  // A page that the browser kept from before must not show what was on it.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  try {
    if (location.pathname === CALLBACK) {
      history.replaceState(null, "", await complete());
      setState("in");
    } else if (location.pathname === SIGNED_OUT) setState("out");
    else await signIn();
  } catch {
    setState("failed");
  }
}

/** Signs out here and at the issuer. */
export async function signOut(): Promise<void> {
  clearTimeout(renewal);
  const hint = identity;
  access = "";
  refresh = identity = undefined;
  setState("out");
  const { end_session_endpoint } = await discovered();
  const after = location.origin + SIGNED_OUT;
  if (end_session_endpoint === undefined) location.replace(after);
  else {
    const address = new URL(end_session_endpoint);
    address.search = new URLSearchParams({
      client_id: client().client_id,
      post_logout_redirect_uri: after,
      ...(hint !== undefined && { id_token_hint: hint }),
    }).toString();
    location.replace(address);
  }
}

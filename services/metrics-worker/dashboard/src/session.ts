/** Who uses the page: the access token, in memory only. */

import { createSignal } from "solid-js";

const [token, setToken] = createSignal(takeTokenFromAddress());

function takeTokenFromAddress(): string | undefined {
  const given = new URLSearchParams(location.hash.slice(1)).get("token") ?? undefined;
  // It must not stay in the history or in a copied address.
  if (given !== undefined) history.replaceState(null, "", location.pathname + location.search);
  return given;
}

export const isSignedIn = (): boolean => token() !== undefined;
export const accessToken = (): string => token() ?? "";
export const signOut = (): void => void setToken(undefined);

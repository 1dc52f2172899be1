/** The three APIs with the token of who has signed in, and what goes wrong shown in one place. */

import { ProblemError, metrics, sales, service } from "@tandem/client";

const KEY = "tandem-token";
const env = import.meta.env as Record<string, string | undefined>;

export const metricsUrl = env.VITE_METRICS_URL ?? "http://127.0.0.1:8003";
const token = (): string => sessionStorage.getItem(KEY) ?? "";

export const salesApi = sales({ url: env.VITE_SALES_URL ?? "http://127.0.0.1:8001", token });
export const serviceApi = service({ url: env.VITE_SERVICE_URL ?? "http://127.0.0.1:8002", token });
export const metricsApi = metrics({ url: metricsUrl, token });

export const isSignedIn = (): boolean => token() !== "";

export function signIn(given: string): void {
  sessionStorage.setItem(KEY, given);
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
}

export function say(text: string): void {
  const message = document.getElementById("message");
  if (message) message.textContent = text;
}

/** Runs what a person asked for; says why it was refused. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    say("");
    await action();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    say(error.message);
  }
}

/** Signs in, then shows everything. */

import { attempt, isSignedIn, signIn, signOut } from "./apis";
import { showBoard } from "./board";
import { byId } from "./elements";
import { startNumbers } from "./numbers";
import { showQueue } from "./queue";
import { startSearch } from "./search";

async function begin(): Promise<void> {
  try {
    await Promise.all([showBoard(), showQueue()]);
  } catch (error) {
    signOut();
    throw error;
  }
  byId("sign-in").hidden = true;
  document.querySelector("main")?.removeAttribute("hidden");
  startSearch();
  startNumbers();
}

byId<HTMLFormElement>("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(String(new FormData(event.target as HTMLFormElement).get("token")).trim());
  void attempt(begin);
});
if (isSignedIn()) void attempt(begin);

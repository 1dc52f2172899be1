/** Names of records are free text: a file of them keeps its columns, and gives a spreadsheet nothing to compute. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { transformWithEsbuild } from "vite";

const path = new URL("../src/charts/csv.ts", import.meta.url);
const { code } = await transformWithEsbuild(readFileSync(path, "utf8"), "csv.ts");
const { breakdownCsvOf } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

const lineOf = (name, figures = []) => breakdownCsvOf(["team", "revenue"], [{ names: [name], figures }]).split("\r\n").slice(1, -1).join("\r\n");

test("a name with commas, quotes or lines stays in one column", () => {
  assert.equal(lineOf('North, "old"'), '"North, ""old"""');
  assert.equal(lineOf("two\nlines"), '"two\nlines"');
});

test("a name that begins like a formula is text", () => {
  for (const sign of ["=", "+", "-", "@"]) assert.equal(lineOf(`${sign}SUM(A1)`), `'${sign}SUM(A1)`);
});

test("figures keep their sign, and one that is unknown is empty", () => {
  assert.equal(lineOf("North", ["-12.50", 0, null]), "North,-12.50,0,");
});

/** Charts and tables as files for spreadsheets. */

import type { Drawn } from "../series";

/** Returns rows of day, value and value of the period before, in the API's unit and with a decimal point, whatever the language. */
export function csvOf(kpi: string, points: readonly Drawn[], before: readonly Drawn[]): string {
  const rows = points.map((point, index) => [point.day, point.value ?? "", before[index]?.value ?? ""]);
  return [["from", kpi, `${kpi}_before`], ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

/** What a spreadsheet would take for a formula begins so. */
const BEGINS_A_FORMULA = /^[=+\-@\t\r\n]/;

/** Returns a name as one field of RFC 4180, which no spreadsheet takes for a formula. */
function field(name: string): string {
  const safe = BEGINS_A_FORMULA.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What a breakdown has in one row: names by dimension, and figures in the API's unit. */
export interface BreakdownRow {
  names: readonly string[];
  figures: readonly (string | number | null | undefined)[];
}

/** Returns rows of names and figures below their heads; figures have a decimal point, whatever the language. */
export function breakdownCsvOf(heads: readonly string[], rows: readonly BreakdownRow[]): string {
  const lines = rows.map(({ names, figures }) => [...names.map(field), ...figures.map((figure) => figure ?? "")]);
  return [heads.map(field), ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

export function save(name: string, content: string): void {
  const address = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

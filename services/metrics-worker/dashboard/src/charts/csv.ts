/** A chart as a file for spreadsheets. */

import type { Drawn } from "../series";

/** Returns rows of day, value and value of the period before, in the API's unit and with a decimal point, whatever the language. */
export function csvOf(kpi: string, points: readonly Drawn[], before: readonly Drawn[]): string {
  const rows = points.map((point, index) => [point.day, point.value ?? "", before[index]?.value ?? ""]);
  return [["from", kpi, `${kpi}_before`], ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

export function save(name: string, content: string): void {
  const address = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

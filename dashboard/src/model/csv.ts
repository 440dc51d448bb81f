// Drift as CSV (RFC 4180), safe to open in a spreadsheet.

import type { Difference, Drift } from "../api/types.ts";
import { value } from "./format.ts";

const COLUMNS = [
  "first_seen_at",
  "last_seen_at",
  "closed_at",
  "severity",
  "type",
  "owner",
  "stripe_subscription_id",
  "stripe_customer_id",
  "livemode",
  "issue",
  "differences",
  "action",
  "action_taken",
  "id",
] as const;

/**
 * One cell. A leading `=`, `+`, `-`, `@`, tab or return would make a spreadsheet run it as a formula
 * (OWASP, "CSV Injection"), so an apostrophe goes in front.
 */
export function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Whether a detail is a pair of values that differ. */
export function isDifference(detail: unknown): detail is Difference {
  return typeof detail === "object" && detail !== null && "database" in detail && "stripe" in detail;
}

function differences(details: Drift["details"]): string {
  return Object.entries(details)
    .map(([name, detail]) =>
      isDifference(detail) ? `${name}: ${value(detail.database)} -> ${value(detail.stripe)}` : `${name}: ${value(detail)}`,
    )
    .join("; ");
}

/** The head line, with its line end. */
export function header(): string {
  return `${COLUMNS.join(",")}\r\n`;
}

/** The lines of some entries, each with its line end. */
export function lines(drift: Drift[]): string {
  return drift
    .map((entry) =>
      COLUMNS.map((column) => {
        if (column === "differences") return cell(differences(entry.details));
        const raw = entry[column];
        return raw === null || raw === undefined ? "" : cell(String(raw));
      }).join(","),
    )
    .map((line) => `${line}\r\n`)
    .join("");
}

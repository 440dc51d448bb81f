// Exports: from the Drift and Runs pages into one file, however many pages it takes.

import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { seedHistory, sql } from "./stack.ts";
import { expect, test } from "./test.ts";

/** Entries of January 2026, which is long ago, an event for each. */
function seedMany(entries: number): void {
  sql(`with made as (
      insert into public.drift (drift_key, type, severity, owner, stripe_subscription_id, issue, action, first_seen_at, last_seen_at,
        first_run_id, last_run_id)
      select 'many_' || n, 'price_mismatch', 'info', case n when 7 then '=1+1' end, 'sub_many' || n, 'One, "two"', 'observed',
        timestamptz '2026-01-10Z' + make_interval(secs => n), now(), gen_random_uuid(), gen_random_uuid()
      from generate_series(1, ${entries}) n returning id, first_seen_at)
    insert into public.drift_events (drift_id, event, note, created_at) select id, 'observed', 'why', first_seen_at from made`);
}

async function open(page: Page): Promise<ReturnType<Page["getByRole"]>> {
  await page.getByRole("button", { name: "Export…" }).click();
  const dialog = page.getByRole("dialog", { name: "Export" });
  await expect(dialog).toBeVisible();
  return dialog;
}

test.beforeEach(seedHistory);

test("a span of drift comes as one CSV, however many pages it takes", async ({ page, admin }) => {
  seedMany(2300);
  await admin("/?view=drift");
  const dialog = await open(page);
  await dialog.getByLabel("First day").fill("2026-01-01");
  await dialog.getByLabel("Last day").fill("2026-01-31");
  const downloading = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Export", exact: true }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe("billing-ops_drift_from_2026-01-01_through_2026-01-31.csv");
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n");
  expect(lines).toHaveLength(2301);
  expect(lines[0]).toMatch(/^first_seen_at,.*,id$/);
  expect(new Set(lines).size).toBe(2301);
  expect(lines[7]).toContain(",'=1+1,");
  await expect(dialog.getByRole("status")).toContainText("2,300 rows saved.");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Export…" })).toBeFocused();
});

test("history and runs, as lines of JSON", async ({ page, admin }) => {
  seedMany(3);
  await admin("/?view=drift");
  let dialog = await open(page);
  await dialog.getByRole("radio", { name: "History" }).check({ force: true });
  await dialog.getByRole("radio", { name: "NDJSON" }).check({ force: true });
  await dialog.getByLabel("Last day").fill("2026-01-31");
  let downloading = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Export", exact: true }).click();
  let text = await readFile(await (await downloading).path(), "utf8");
  const events = text.trimEnd().split("\n").map((line) => JSON.parse(line) as { note: string; stripe_subscription_id: string });
  expect(events.map((event) => event.stripe_subscription_id)).toEqual(["sub_many1", "sub_many2", "sub_many3"]);
  expect(events[0]!.note).toBe("why");

  await page.goto("/?view=runs&status=error");
  dialog = await open(page);
  await expect(dialog.getByRole("radio", { name: "History" })).toHaveCount(0);
  await dialog.getByRole("radio", { name: "NDJSON" }).check({ force: true });
  downloading = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Export", exact: true }).click();
  text = await readFile(await (await downloading).path(), "utf8");
  expect(text.trimEnd().split("\n"), "the list's filter does not apply").toHaveLength(45);
});

test("it says how far it is, and a page that fails loses nothing", async ({ page, admin }) => {
  seedMany(2300);
  await admin("/?view=drift");
  let calls = 0;
  let release = () => undefined as void;
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/api/admin/export?*", async (route) => {
    calls += 1;
    if (calls === 2) return route.fulfill({ status: 503, json: { error: "Not now.", code: "database_unavailable", request_id: "r" } });
    if (calls === 4) await held;
    return route.continue();
  });
  const dialog = await open(page);
  await dialog.getByLabel("Last day").fill("2026-01-31");
  await dialog.getByRole("button", { name: "Export", exact: true }).click();
  await expect(dialog.getByRole("alert")).toContainText("The database can't be reached");
  await expect(dialog).toContainText("goes on after the 1,000 rows that have come");
  const downloading = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Try again" }).click();
  await expect(dialog.getByRole("progressbar")).toBeVisible();
  await expect(dialog).toContainText("2,000 of 2,300");
  release();
  const lines = (await readFile(await (await downloading).path(), "utf8")).trimEnd().split("\r\n");
  expect(new Set(lines).size).toBe(2301);
  expect(calls).toBe(4);
});

test("it can be cancelled, by a key too, and then nothing is saved", async ({ page, admin }) => {
  await admin("/?view=runs");
  let downloads = 0;
  page.on("download", () => (downloads += 1));
  await page.route("**/api/admin/export?*", () => new Promise(() => undefined));
  const dialog = await open(page);
  await dialog.getByRole("button", { name: "Export", exact: true }).click();
  await expect(dialog).toContainText("Starting");
  await page.keyboard.press("Escape");
  await expect(dialog.getByRole("progressbar")).toHaveCount(0);
  await expect(dialog, "the first Escape cancels the export").toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  expect(downloads).toBe(0);
});

test("what is wrong with the days is said before anything is asked", async ({ page, admin }) => {
  await admin("/?view=runs");
  const dialog = await open(page);
  await dialog.getByLabel("First day").fill("2026-02-01");
  await dialog.getByLabel("Last day").fill("2026-01-31");
  await expect(dialog).toContainText("The last day must not be before the first.");
  await expect(dialog.getByRole("button", { name: "Export", exact: true })).toBeDisabled();
});

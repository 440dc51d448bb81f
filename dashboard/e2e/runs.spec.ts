// Runs: the list, one run with its drift, progress, CSV.

import { readFile } from "node:fs/promises";
import { seedHistory, seedPasses, sql } from "./stack.ts";
import { expect, test } from "./test.ts";

test.beforeEach(seedHistory);

function runId(where: string): string {
  return sql(`select id from public.reconciliation_logs where ${where} order by started_at desc limit 1`);
}

test("the list filters by status and leads to the run", async ({ page, admin }) => {
  await admin("/?view=runs");
  await expect(page.locator(".runs tbody tr")).toHaveCount(45);
  await page.getByLabel("Status").selectOption("error");
  await expect(page.locator(".runs tbody tr")).toHaveCount(1);
  await expect(page.locator(".runs tbody tr")).toContainText("Stripe did not answer within the deadline.");
  await page.locator(".runs tbody a").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^scheduled_/);
  await expect(page.getByText("Nothing after this point was checked.")).toBeVisible();
  await page.goBack();
  await expect(page.getByLabel("Status")).toHaveValue("error");
});

test("passes do not bury the runs, and are one choice away", async ({ page, admin }) => {
  seedPasses();
  const rows = page.locator(".runs tbody tr");
  await admin("/?view=runs");
  await expect(rows).toHaveCount(45);
  await expect(page.locator(".is-pass")).toHaveCount(0);
  await expect(rows.nth(3)).toContainText("What changed");
  await expect(rows.nth(4)).toContainText("Everything");

  await page.getByRole("link", { name: "Show them, too" }).click();
  await expect(page).toHaveURL(/scope=any/);
  await expect(page.locator(".is-pass").first()).toContainText("What was due");
  await expect(page.getByText("Passes over what was due are left out.")).toHaveCount(0);

  await page.getByLabel("Looks at").selectOption("due");
  await expect(page).toHaveURL(/scope=due/);
  await expect(rows).toHaveCount(50);
  await expect(page.locator(".is-pass")).toHaveCount(50);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(rows).toHaveCount(100);

  await page.getByLabel("Looks at").selectOption("changed");
  await expect(rows).toHaveCount(1);
  await page.reload();
  await expect(page.getByLabel("Looks at")).toHaveValue("changed");
  await expect(rows).toHaveCount(1);
  await page.getByLabel("Looks at").selectOption("");
  await expect(page).not.toHaveURL(/scope/);
  await expect(rows).toHaveCount(45);

  // The filters go together, in either list.
  await page.getByLabel("Status").selectOption("error");
  await expect(rows).toHaveCount(1);
  await expect(rows).not.toContainText("Pass");
  await page.getByLabel("Looks at").selectOption("any");
  await expect(rows).toHaveCount(2);
});

test("what looked at less than everything claims no more than that", async ({ page, admin }) => {
  seedPasses();
  sql("truncate public.drift cascade");
  await admin(`/?view=run&id=${runId("scope = 'due' and scanned_count = 3")}`);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^due_/);
  await expect(page.getByText("A pass over what was due: 3 subscriptions were read. It says nothing about any other.")).toBeVisible();
  await expect(page.locator(".run-line")).not.toContainText("looks back");
  await expect(page.locator("main")).not.toContainText("Everything");

  await page.goto(`/?view=run&id=${runId("scope = 'due' and status = 'partial'")}`);
  await expect(page.getByText("The rest is still due: the next pass reads it.")).toBeVisible();
  await expect(page.getByText("Nothing was read")).toBeVisible();
  await expect(page.getByText("No drift")).toHaveCount(0);

  await page.goto(`/?view=run&id=${runId("scope = 'changed'")}`);
  await expect(page.getByText("A run over what Stripe's events spoke of: 14 subscriptions were read.")).toBeVisible();

  await page.goto(`/?view=run&id=${runId("scope = 'due' and triggered_by = 'event' and status = 'success'")}`);
  await expect(page.locator(".run-line")).toContainText("Pass, started by an event of Stripe's");
});

test("drift says what was wrong, what was done and what needs a person", async ({ page, admin }) => {
  await admin(`/?view=run&id=${runId("true")}`);
  await expect(page.locator(".finding")).toHaveCount(7);
  const repaired = page.locator(".finding").filter({ hasText: "The status is past_due at Stripe" }).first();
  await expect(repaired.getByRole("cell", { name: "past_due" })).toBeVisible();
  await expect(repaired).toContainText("Repaired");
  await expect(repaired).not.toContainText("Needs a person");
  const missing = page.locator(".finding").filter({ hasText: "Stripe does not know the subscription" }).first();
  await expect(missing).toContainText("Not repaired");
  await expect(missing).toContainText("Needs a person");

  await page.getByRole("navigation", { name: "Drift by type" }).getByRole("link", { name: /Missing in Stripe/ }).click();
  await expect(page).toHaveURL(/type=missing_in_stripe/);
  await expect(page.locator(".finding")).toHaveCount(2);

  await page.getByRole("navigation", { name: "Drift of this run" }).getByRole("link", { name: /Ended in it 4/ }).click();
  await expect(page).toHaveURL(/show=ended/);
  await expect(page.locator(".finding")).toHaveCount(4);
  await expect(page.locator(".finding").filter({ hasText: "Needs a person" })).toHaveCount(0);
});

test("much drift comes page by page, and all of it as CSV", async ({ page, admin }) => {
  const id = runId("total_issues = 130");
  await admin(`/?view=run&id=${id}`);
  await expect(page.locator(".finding")).toHaveCount(50);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(page.locator(".finding")).toHaveCount(100);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(page.locator(".finding")).toHaveCount(130);
  await expect(page.getByRole("button", { name: "Show more" })).toHaveCount(0);

  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download CSV" }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toMatch(/^scheduled_.*\.csv$/);
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n");
  expect(lines).toHaveLength(131);
  expect(lines[0]).toContain("stripe_subscription_id");
  expect(lines.filter((line) => line.includes("status: active -> past_due"))).toHaveLength(21);
});

test("a run under way is followed to its end", async ({ page, admin }) => {
  await page.clock.install();
  // Nothing that earlier runs saw stands any more.
  sql("truncate public.drift cascade");
  const id = sql(`insert into public.reconciliation_logs (run_key, run_type, started_at, heartbeat_at, lease_expires_at, scanned_count, triggered_by)
    values ('manual_test', 'manual', now() - interval '10 seconds', now(), now() + interval '330 seconds', 4200, 'admin') returning id`);
  await admin(`/?view=run&id=${id}`);
  await expect(page.locator(".progress")).toContainText("4,200 subscriptions checked so far");
  sql(`update public.reconciliation_logs set scanned_count = 9000, heartbeat_at = now() where id = '${id}'`);
  await page.clock.runFor(3100);
  await expect(page.locator(".progress")).toContainText("9,000 subscriptions checked so far");
  sql(`update public.reconciliation_logs set status = 'success', finished_at = now(), scanned_count = 12600 where id = '${id}'`);
  await page.clock.runFor(3100);
  await expect(page.locator(".progress")).toHaveCount(0);
  await expect(page.getByText("No drift")).toBeVisible();
  await expect(page.getByText("agreed on 12,600 subscriptions")).toBeVisible();
});

test("a run whose lease ran out is called dead", async ({ page, admin }) => {
  const id = sql(`insert into public.reconciliation_logs (run_key, run_type, started_at, heartbeat_at, lease_expires_at)
    values ('manual_dead', 'manual', now() - interval '20 minutes', now() - interval '19 minutes', now() - interval '14 minutes') returning id`);
  await admin(`/?view=run&id=${id}`);
  await expect(page.getByText(/No sign of life: its lease ran out 14 min ago/)).toBeVisible();
});

test("a run that does not exist", async ({ page, admin }) => {
  await admin("/?view=run&id=00000000-0000-4000-8000-000000000000");
  await expect(page.getByText("Not found")).toBeVisible();
});

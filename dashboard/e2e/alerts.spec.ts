// Alerts: finding one, knowing it, resolving it.

import { seedHistory, sql, stack } from "./stack.ts";
import { expect, test } from "./test.ts";

test.beforeEach(seedHistory);

test("filters live in the address", async ({ page, admin }) => {
  await admin("/?view=alerts");
  await expect(page.locator(".alert")).toHaveCount(3);
  await page.getByLabel("Severity").selectOption("warning");
  await expect(page).toHaveURL(/severity=warning/);
  await expect(page.locator(".alert")).toHaveCount(1);
  await page.getByLabel("Severity").selectOption("");
  await page.getByLabel("Status").selectOption("all");
  await expect(page.locator(".alert")).toHaveCount(5);
  await page.getByLabel("Severity").selectOption("info");
  await expect(page.locator(".alert")).toHaveCount(1);
  await page.reload();
  await expect(page.locator(".alert")).toHaveCount(1);
  await expect(page.getByLabel("Severity")).toHaveValue("info");
  await page.getByLabel("Type").selectOption("reconcile_stale");
  await expect(page.getByText("Nothing matches")).toBeVisible();
});

test("finds an alert by a subscription among its samples", async ({ page, admin }) => {
  await admin("/?view=alerts");
  await page.getByLabel("Find in this list").fill("SUB_1QxAbCdEfGhIjKlMp");
  await expect(page.locator(".alert")).toHaveCount(1);
  await expect(page.locator(".alert")).toContainText("belongs to no known owner");
});

test("an alert tells its story: times, samples at Stripe, its run, earlier episodes", async ({ page, admin, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await admin("/?view=alerts");
  const alert = page.locator(".alert").filter({ hasText: "2 rows name subscriptions" });
  await alert.getByRole("button").first().click();
  await expect(page).toHaveURL(/alert=/);
  await expect(alert).toContainText("5 times");
  await expect(alert.getByRole("link", { name: /sub_1QxAbCdEfGhIjKlMn/ })).toHaveAttribute(
    "href",
    "https://dashboard.stripe.com/test/subscriptions/sub_1QxAbCdEfGhIjKlMn",
  );
  await expect(alert.getByText("Leftovers of the load test, deleted by hand.")).toBeVisible();
  await expect(alert.locator(".episodes li")).toHaveCount(2);

  await alert.getByRole("button", { name: "Copy ID" }).click();
  await expect(alert.getByText("Copied")).toBeVisible();
  const id = sql("select id from public.billing_alerts where alert_key = 'drift_missing_in_stripe' and not resolved");
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(id);

  await alert.getByRole("link", { name: "Open the run that last saw it" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^scheduled_/);
  await page.goBack();
  await expect(alert.getByText("Leftovers of the load test")).toBeVisible();
});

test("resolving takes a note, says first what it does, and is kept", async ({ page, admin }) => {
  await admin("/?view=alerts");
  const alert = page.locator(".alert").filter({ hasText: "belongs to no known owner" });
  await alert.getByRole("button").first().click();
  await alert.getByRole("button", { name: "Resolve…" }).click();
  const dialog = page.getByRole("dialog", { name: "Resolve this alert?" });
  await expect(dialog).toContainText("If the next run still finds this drift, a new alert opens, linked to this one.");

  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(alert.getByRole("button", { name: "Resolve…" })).toBeFocused();

  await alert.getByRole("button", { name: "Resolve…" }).click();
  await dialog.getByLabel(/Note/).fill("x".repeat(2001));
  await expect(dialog.getByText("1 character too long")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Resolve" })).toBeDisabled();
  await dialog.getByLabel(/Note/).fill("Metadata added at Stripe.");
  await dialog.getByRole("button", { name: "Resolve" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.locator(".alert")).toHaveCount(2);
  expect(sql("select resolution, resolution_note from public.billing_alerts where alert_key = 'drift_organization_unknown'")).toBe(
    "manual|Metadata added at Stripe.",
  );

  await page.getByLabel("Status").selectOption("resolved");
  const resolved = page.locator(".alert").filter({ hasText: "belongs to no known owner" });
  if ((await resolved.getByRole("button").first().getAttribute("aria-expanded")) === "false") {
    await resolved.getByRole("button").first().click();
  }
  await expect(resolved).toContainText("by you");
  await expect(resolved).toContainText("Metadata added at Stripe.");
});

test("a condition of the monitor: says when a new alert would open", async ({ page, admin }) => {
  sql(`insert into public.billing_alerts (alert_key, alert_type, severity, message)
    values ('reconcile_stale', 'reconcile_stale', 'warning', 'No reconcile run has finished for 3 h.');`);
  await admin("/?view=alerts&type=reconcile_stale");
  await page.locator(".alert").getByRole("button").first().click();
  await page.getByRole("button", { name: "Resolve…" }).click();
  await expect(page.getByRole("dialog")).toContainText(
    /If the condition still holds, a new alert opens at the next check \(.*\d\d:47 UTC, in \d+ min\), linked to this one\./,
  );
});

test("someone else was quicker: the page says so and changes nothing", async ({ page, admin }) => {
  await admin("/?view=alerts");
  const alert = page.locator(".alert").filter({ hasText: "had a different status" });
  await alert.getByRole("button").first().click();
  await alert.getByRole("button", { name: "Resolve…" }).click();
  const id = sql("select id from public.billing_alerts where alert_key = 'drift_status_mismatch'");
  const first = await fetch(`${stack().base_url}/api/admin/billing-alerts/${id}/resolve`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack().admin_token}`, "content-type": "application/json" },
    body: JSON.stringify({ note: "mine" }),
  });
  expect(first.status).toBe(200);
  await page.getByRole("dialog").getByLabel(/Note/).fill("too late");
  await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
  await expect(page.getByRole("dialog", { name: "Already resolved" })).toBeVisible();
  await page.getByRole("button", { name: "Close" }).click();
  await expect(page.locator(".alert")).toHaveCount(2);
  expect(sql(`select resolution_note from public.billing_alerts where id = '${id}'`)).toBe("mine");
});

test("a new alert appears by itself", async ({ page, admin }) => {
  await page.clock.install();
  await admin("/?view=alerts");
  await expect(page.locator(".alert")).toHaveCount(3);
  sql(`insert into public.billing_alerts (alert_key, alert_type, severity, message)
    values ('reconcile_failing', 'reconcile_failing', 'critical', 'The last 3 runs ended in error.');`);
  await page.clock.runFor(16_000);
  await expect(page.locator(".alert").first()).toContainText("The last 3 runs ended in error.");
  await expect(page.getByRole("link", { name: "Alerts 4 open" })).toBeVisible();
});

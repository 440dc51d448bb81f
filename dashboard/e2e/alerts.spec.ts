// Alerts: finding one, knowing it, resolving it.

import type { Page } from "@playwright/test";
import { actElsewhere, seedDeliveries, seedHistory, sql, stack } from "./stack.ts";
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

test("events that are not taken, or not followed, say where to look", async ({ page, admin }) => {
  sql(`insert into public.billing_alerts (alert_key, alert_type, severity, message, metadata) values
    ('stripe_deliveries_failing', 'stripe_deliveries_failing', 'warning', '3 events of Stripe''s have not been taken.', '{"failing": 3, "oldest_at": "2026-11-23T09:00:00Z"}'),
    ('events_backlog', 'events_backlog', 'warning', 'A subscription has waited for 20 minutes to be read.', '{"oldest_due_at": "2026-11-23T09:00:00Z"}');`);
  await admin("/?view=alerts");
  await page.getByLabel("Type").selectOption("Stripe's events are not taken");
  await expect(page.locator(".alert")).toHaveCount(1);
  const deliveries = page.locator(".alert").filter({ hasText: "have not been taken" });
  await deliveries.getByRole("button").first().click();
  await expect(deliveries.getByRole("link", { name: /Webhooks at Stripe/ })).toHaveAttribute("href", "https://dashboard.stripe.com/webhooks");
  await deliveries.getByRole("button", { name: "Resolve…" }).click();
  await expect(page.getByRole("dialog")).toContainText("Where Stripe does not say, that check changes nothing.");
  await page.keyboard.press("Escape");

  await page.getByLabel("Type").selectOption("events_backlog");
  const backlog = page.locator(".alert").filter({ hasText: "to be read" });
  await expect(backlog).toContainText("Events are followed too late");
  await backlog.getByRole("button").first().click();
  await backlog.getByRole("link", { name: "Passes over what was due" }).click();
  await expect(page).toHaveURL(/view=runs.*scope=due|scope=due.*view=runs/);
  await expect(page.getByLabel("Looks at")).toHaveValue("due");
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

const CRITICAL = "2 rows name subscriptions";
const row = (page: Page, text: string) => page.locator(".alert").filter({ hasText: text });

function openId(key: string): string {
  return sql(`select id from public.billing_alerts where alert_key = '${key}' and not resolved`);
}

/** For how many hours from now on something holds, to a tenth. */
function hoursLeft(column: string, key: string): string {
  return sql(`select round((extract(epoch from ${column} - now()) / 3600)::numeric, 1) from public.billing_alerts where alert_key = '${key}' and not resolved`);
}

test("one key acknowledges, one snoozes: for the usual time, with the way back beside it", async ({ page, admin }) => {
  await admin("/?view=alerts");
  const critical = row(page, CRITICAL);
  await critical.locator("[data-row]").focus();
  await page.keyboard.press("a");
  await expect(critical.locator(".outcome")).toContainText("Acknowledged. No reminders until");
  await expect(critical.locator(".attended")).toContainText("Acknowledged by you until");
  expect(hoursLeft("acknowledged_until", "drift_missing_in_stripe")).toBe("4.0");
  await expect(critical.locator("[data-row]")).toBeFocused();
  await expect(critical.locator("[data-row]"), "it can be done without unfolding").toHaveAttribute("aria-expanded", "false");

  await page.keyboard.press("a");
  await expect(critical.locator(".outcome")).toContainText("Already acknowledged.");
  await page.keyboard.press("s");
  await expect(critical.locator(".outcome")).toContainText("Snoozed. Nothing is sent until");
  expect(hoursLeft("snoozed_until", "drift_missing_in_stripe")).toBe("1.0");
  await critical.getByRole("button", { name: "Undo" }).click();
  await expect(critical.locator(".outcome")).toContainText("No longer snoozed.");
  await expect(critical.locator(".attended")).toHaveCount(1);
  await critical.getByRole("button", { name: "Dismiss" }).click();
  await expect(critical.locator(".outcome")).toHaveCount(0);

  const warning = row(page, "belongs to no known owner");
  await warning.locator("[data-row]").focus();
  await page.keyboard.press("a");
  await expect(warning.locator(".attended")).toContainText("Acknowledged by you");
  expect(hoursLeft("acknowledged_until", "drift_organization_unknown")).toBe("24.0");
});

test("the keys stand on the buttons and in the help, and go with the switch", async ({ page, admin }) => {
  await admin("/?view=alerts");
  await row(page, CRITICAL).getByRole("button").first().click();
  const button = page.getByRole("button", { name: "Acknowledge for 4 h" });
  await expect(button.locator("kbd")).toHaveText("a");
  await expect(page.getByRole("button", { name: "Snooze for 1 h" }).locator("kbd")).toHaveText("s");
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog")).toContainText("Snooze the alert for an hour");
  await page.getByLabel("Single-key shortcuts are on").uncheck();
  await page.keyboard.press("Escape");
  await expect(button.locator("kbd")).toHaveCount(0);
  await page.keyboard.press("a");
  await expect(page.locator(".outcome")).toHaveCount(0);
});

test("snoozed for another time, with a note that stays in the history", async ({ page, admin }) => {
  await admin("/?view=alerts");
  const critical = row(page, CRITICAL);
  await critical.getByRole("button").first().click();
  await critical.getByRole("button", { name: "Snooze for another time…" }).click();
  const dialog = page.getByRole("dialog", { name: "Snooze this alert?" });
  await expect(dialog.getByRole("radio")).toHaveCount(6);
  await expect(dialog.getByRole("radio", { name: /^1 hour/ })).toBeChecked();
  await expect(dialog.getByRole("radio", { name: /^(This morning|Tomorrow), 9:00/ })).toBeVisible();
  await dialog.getByText("4 hours", { exact: true }).click();
  await dialog.getByLabel(/Note/).fill("Mara looks at it after lunch.");
  await dialog.getByRole("button", { name: "Snooze", exact: true }).click();
  await expect(dialog).toHaveCount(0);
  await expect(critical.locator(".outcome")).toContainText("Snoozed.");
  expect(hoursLeft("snoozed_until", "drift_missing_in_stripe")).toBe("4.0");
  await expect(critical.locator(".timeline li").first()).toContainText("Snoozed by you");
  await expect(critical.locator(".timeline li").first()).toContainText("Mara looks at it after lunch.");
  await expect(critical.locator(".details")).toContainText("by you");

  await critical.getByRole("button", { name: "Unsnooze" }).click();
  await expect(critical.locator(".outcome")).toContainText("No longer snoozed.");
  await expect(critical.locator(".timeline li").first()).toContainText("Snooze ended by you");
  await expect(critical.getByRole("button", { name: "Snooze for 1 h" })).toBeVisible();
});

test("acknowledged for another time, taken back, and noted", async ({ page, admin }) => {
  await admin("/?view=alerts");
  const critical = row(page, CRITICAL);
  await critical.getByRole("button").first().click();
  await critical.getByRole("button", { name: "Acknowledge for another time…" }).click();
  const dialog = page.getByRole("dialog", { name: "Acknowledge this alert?" });
  await expect(dialog.getByRole("radio", { name: /^4 h/ })).toBeChecked();
  await dialog.getByText("3 days", { exact: true }).click();
  await dialog.getByRole("button", { name: "Acknowledge" }).click();
  await expect(critical.locator(".attended")).toContainText("Acknowledged by you until");
  expect(hoursLeft("acknowledged_until", "drift_missing_in_stripe")).toBe("72.0");
  await critical.getByRole("button", { name: "Unacknowledge" }).click();
  await expect(critical.locator(".outcome")).toContainText("No longer acknowledged. Reminders are sent again.");
  await expect(critical.locator(".attended")).toHaveCount(0);

  await critical.getByRole("button", { name: "Add note…" }).click();
  const note = page.getByRole("dialog", { name: "Add a note" });
  await expect(note.getByRole("button", { name: "Add note" })).toBeDisabled();
  await note.getByLabel(/Note/).fill("The load test left them.");
  await note.getByRole("button", { name: "Add note" }).click();
  await expect(critical.locator(".outcome")).toContainText("Noted.");
  await expect(critical.locator(".timeline li").first()).toContainText("The load test left them.");
});

test("a filter for what nobody attends to keeps what was just done in sight", async ({ page, admin }) => {
  await actElsewhere(openId("drift_organization_unknown"), "snooze", { minutes: 60 });
  await admin("/?view=alerts");
  await page.getByLabel("Attention").selectOption("unattended");
  await expect(page).toHaveURL(/state=unattended/);
  await expect(page.locator(".alert")).toHaveCount(2);
  const critical = row(page, CRITICAL);
  await critical.locator("[data-row]").focus();
  const asked = page.waitForResponse(/billing-alerts\?.*state=unattended/);
  await page.keyboard.press("a");
  await asked;
  await expect(critical.locator(".outcome")).toContainText("Acknowledged.");
  await expect(page.locator(".alert")).toHaveCount(2);
  await page.getByLabel("Attention").selectOption("acknowledged");
  await expect(page.locator(".alert")).toHaveCount(1);
  await page.getByLabel("Attention").selectOption("snoozed");
  await expect(page.locator(".alert")).toContainText("belongs to no known owner");
  await page.reload();
  await expect(page.getByLabel("Attention")).toHaveValue("snoozed");
  await page.getByLabel("Status").selectOption("all");
  await expect(page, "only open alerts are attended to").not.toHaveURL(/state=/);
});

test("what runs out is in force no longer, by the clock alone", async ({ page, admin }) => {
  sql(`update public.billing_alerts set acknowledged_at = now(), acknowledged_by = gen_random_uuid(), acknowledged_until = now() + interval '90 seconds'
    where alert_key = 'drift_missing_in_stripe' and not resolved`);
  await page.clock.install();
  await admin(`/?view=alerts&alert=${openId("drift_missing_in_stripe")}`);
  const critical = row(page, CRITICAL);
  await expect(critical.locator(".attended")).toContainText("Acknowledged by someone else until");
  await expect(critical.getByRole("button", { name: "Unacknowledge" })).toBeVisible();
  await page.clock.runFor(92_000);
  await expect(critical.locator(".attended")).toHaveCount(0);
  await expect(critical.locator(".details")).toContainText("ran out");
  await expect(critical.getByRole("button", { name: "Acknowledge for 4 h" })).toBeVisible();
});

test("an alert that is resolved meanwhile: the page says so and changes nothing", async ({ page, admin }) => {
  const id = openId("drift_missing_in_stripe");
  await admin(`/?view=alerts&alert=${id}`);
  await expect(page.getByRole("button", { name: "Snooze for 1 h" })).toBeVisible();
  sql(`update public.billing_alerts set resolved = true, resolved_at = now(), resolution = 'auto' where id = '${id}'`);
  // Whoever comes by a link needs no click first.
  await page.keyboard.press("s");
  await expect(page.locator(".outcome")).toContainText("Already resolved. It was resolved automatically");
  expect(sql(`select snoozed_until is null from public.billing_alerts where id = '${id}'`)).toBe("t");
});

test("an alert says who was told, and why the others were not", async ({ page, admin }) => {
  seedDeliveries();
  await admin(`/?view=alerts&alert=${openId("drift_missing_in_stripe")}`);
  const told = row(page, CRITICAL).locator(".told li");
  await expect(told).toHaveCount(5);
  await expect(told.first(), "newest first").toContainText("Failed 3 times: 503: service_unavailable. Next attempt in");
  await expect(told.first()).toContainText("Retrying");
  await expect(told.filter({ hasText: "Reminder" })).toContainText("The alert was snoozed.");
  await expect(told.filter({ hasText: "PagerDuty" })).toContainText("gave up after 24 h: 503");
  await expect(told.filter({ hasText: "Webhook" })).toContainText("The channel was not set up.");
  await row(page, "belongs to no known owner").getByRole("button").first().click();
  await expect(row(page, "belongs to no known owner").locator(".told li").filter({ hasText: "Email" })).toContainText(
    "This channel is told of severity high and above.",
  );
  await row(page, "had a different status").getByRole("button").first().click();
  await expect(row(page, "had a different status")).toContainText("There is no delivery of this alert to any channel.");
});

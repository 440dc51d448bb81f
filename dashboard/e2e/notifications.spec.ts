// Who is told: the channels, tests of them, what became of each delivery, and another attempt at one.

import type { Page } from "@playwright/test";
import { slackAnswers, slackMessages } from "./receiver.ts";
import { monitor, seedDeliveries, seedHistory, seedNothing, sql } from "./stack.ts";
import { expect, test } from "./test.ts";

const channel = (page: Page, name: string) => page.locator(".channel").filter({ has: page.getByRole("heading", { name, exact: true }) });
const delivery = (page: Page, text: string | RegExp) => page.locator(".deliveries tbody tr").filter({ hasText: text });

/** As if no setting named a channel. */
async function withoutChannels(page: Page): Promise<void> {
  await page.route(/\/api\/admin\/notifications(\?|$)/, async (route) => {
    const response = await route.fetch();
    const body = (await response.json()) as { channels: { status: string }[] };
    for (const each of body.channels) Object.assign(each, { status: "not_configured", reason: null, last_success_at: null, last_failure_at: null });
    await route.fulfill({ response, json: { ...body, deliveries: [] } });
  });
}

/** Makes the monitor raise an alert of its own; what it raises is sent after its answer. */
async function raiseStale(): Promise<void> {
  sql(`update public.reconciliation_logs set started_at = started_at - interval '4 hours', finished_at = finished_at - interval '4 hours',
    heartbeat_at = heartbeat_at - interval '4 hours'`);
  await monitor();
}

/** Nothing is left to be sent; what the monitor raised beside the alert that a test is about is done with, too. */
async function quiet(): Promise<void> {
  await expect.poll(() => sql("select count(*) from public.notification_deliveries where channel = 'slack' and status = 'due'")).toBe("0");
}

const staleDelivery = (column: string) =>
  sql(`select d.${column} from public.notification_deliveries d join public.billing_alerts a on a.id = d.alert_id
    where a.alert_key = 'reconcile_stale' and d.channel = 'slack' and d.kind = 'raised'`);

test.beforeEach(async () => {
  await slackAnswers();
  seedNothing();
  // The channel is known from here on: a channel that is new is told of all that is open.
  await monitor("deliver");
  seedHistory();
});

test.afterEach(async () => {
  await slackAnswers();
  sql("update public.notification_channels set off_at = null, off_reason = null, wait_until = null");
});

test("every channel is there: what it is told of, or what it takes to set it up", async ({ page, admin }) => {
  await admin("/?view=notifications");
  await expect(page.locator(".channel h3")).toHaveText(["PagerDuty", "Slack", "Discord", "Email", "Webhook"]);
  await expect(channel(page, "Slack")).toContainText("Told of severity warning and above");
  await expect(channel(page, "Slack").getByRole("button", { name: "Test Slack" })).toBeVisible();
  const email = channel(page, "Email");
  await expect(email).toContainText("Not set up");
  await expect(email).toContainText("Set RESEND_API_KEY, NOTIFY_EMAIL_FROM and NOTIFY_EMAIL_TO.");
  await expect(email).toContainText("“Who is told” in docs/OPERATIONS.md");
  await expect(email.getByRole("button")).toHaveCount(0);
  await expect(page.getByText("No channel is set up")).toHaveCount(0);
});

test("a test says what the receiver said", async ({ page, admin }) => {
  await admin("/?view=notifications");
  const slack = channel(page, "Slack");
  await slack.getByRole("button", { name: "Test Slack" }).click();
  await expect(slack.locator(".outcome")).toContainText("Sent. Slack answered 200: ok");
  expect(await slackMessages()).toHaveLength(1);
  await expect(slack.getByRole("button", { name: "Test Slack" })).toBeFocused();
  await expect(slack).toContainText("last sent");
  await expect(delivery(page, /^Sent.*Test/)).toHaveCount(1);

  await slackAnswers({ status: 503, body: "service_unavailable" });
  await slack.getByRole("button", { name: "Test Slack" }).click();
  await expect(slack.locator(".outcome")).toContainText("Failed. Slack answered 503: service_unavailable");
  await slackAnswers({ status: 404, body: "no_service" });
  await slack.getByRole("button", { name: "Test Slack" }).click();
  await expect(slack.locator(".outcome")).toContainText("Refused. Slack answered 404: no_service");
});

test("a channel that is off says why, and a test that passes switches it on again", async ({ page, admin }) => {
  sql("update public.notification_channels set off_at = now(), off_reason = '404: no_service' where channel = 'slack'");
  await admin("/?view=notifications");
  const slack = channel(page, "Slack");
  await expect(slack).toContainText("Off");
  await expect(slack).toContainText("404: no_service");
  await slack.getByRole("button", { name: "Test Slack" }).click();
  await expect(slack.locator(".outcome")).toContainText("Sent.");
  await expect(slack.locator(".badge").first()).toHaveText("OK");
  expect(sql("select off_at is null from public.notification_channels where channel = 'slack'")).toBe("t");
});

test("no channel at all: the page and the overview say that nobody is told", async ({ page, admin }) => {
  await withoutChannels(page);
  await admin();
  await expect(page.getByText("No channel is set up: alerts are seen only here.")).toBeVisible();
  await page.getByRole("link", { name: "Set one up" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Notifications");
  await expect(page.getByText("No channel is set up: alerts are seen only here.")).toBeVisible();
  await expect(page.getByRole("button", { name: /^Test/ })).toHaveCount(0);
  await expect(page.getByText("No deliveries yet")).toBeVisible();
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("deliveries with their fate, and filters that live in the address", async ({ page, admin }) => {
  seedDeliveries();
  await admin("/?view=notifications");
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(7);
  await expect(page.locator(".deliveries tbody tr").first(), "newest first").toContainText("New members · Drift: missing in Stripe");
  await expect(delivery(page, "New members")).toContainText("Failed 3 times: 503: service_unavailable. Next attempt in");
  await expect(delivery(page, "Reminder")).toContainText("The alert was snoozed.");
  await expect(delivery(page, "PagerDuty")).toContainText("gave up after 24 h: 503");
  await page.getByLabel("Channel", { exact: true }).selectOption("slack");
  await expect(page).toHaveURL(/channel=slack/);
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(4);
  await page.getByLabel("Status").selectOption("suppressed");
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(1);
  await page.reload();
  await expect(page.getByLabel("Status")).toHaveValue("suppressed");
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(1);
  await page.getByLabel("Status").selectOption("dead");
  await expect(page.getByText("Nothing matches")).toBeVisible();
  await page.getByRole("link", { name: "Show all deliveries" }).click();
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(7);
  await page.getByLabel("Find in this list").fill("unknown owner");
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(2);
});

test("many are shown fifty at a time", async ({ page, admin }) => {
  sql(`insert into public.notification_deliveries (alert_id, channel, kind, severity, status, attempts, due_since, message_id, created_at, last_attempt_at, sent_at)
    select a.id, 'slack', 'repeated', a.severity, 'sent', 1, at, gen_random_uuid(), at, at, at
    from public.billing_alerts a cross join generate_series(1, 70) n cross join lateral (select now() - make_interval(mins => 71 - n) as at) t
    where a.alert_key = 'drift_missing_in_stripe' and not a.resolved order by n`);
  await admin("/?view=notifications");
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(50);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(70);
  await expect(page.getByText("All 70 shown.")).toBeVisible();
});

test("a delivery leads to its alert, without a mouse", async ({ page, admin }) => {
  seedDeliveries();
  await admin();
  await page.keyboard.press("5");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Notifications");
  await expect(page.locator(".deliveries tbody tr")).toHaveCount(7);
  // Five channels come first.
  for (let steps = 0; steps < 6; steps += 1) await page.keyboard.press("j");
  await expect(page.locator(".deliveries [data-row]").first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Alerts");
  const alert = page.locator(".alert.is-open");
  await expect(alert).toContainText("2 rows name subscriptions");
  await expect(alert).toBeInViewport();
});

test("what the monitor raises is sent, and seen to be", async ({ page, admin }) => {
  await raiseStale();
  await expect.poll(() => staleDelivery("status")).toBe("sent");
  const messages = await slackMessages();
  expect(messages.map(({ body }) => body).join("\n")).toMatch(/reconcil/i);
  await admin("/?view=alerts&type=reconcile_stale");
  await page.locator(".alert").getByRole("button").first().click();
  await expect(page.locator(".told li").filter({ hasText: "Slack" })).toContainText("Sent");
});

test("what was refused for good can be retried, and says what came of it", async ({ page, admin }) => {
  await slackAnswers({ status: 400, body: "invalid_blocks" });
  await raiseStale();
  await expect.poll(() => staleDelivery("status")).toBe("dead");
  await quiet();
  await admin("/?view=notifications&status=dead");
  const dead = delivery(page, "Reconciliation is stale");
  await expect(dead).toContainText("Given up");
  await expect(dead).toContainText("400: invalid_blocks");
  await dead.getByRole("button", { name: "Retry Slack" }).click();
  await expect(dead.locator(".outcome")).toContainText("Refused. Slack answered 400: invalid_blocks");

  await slackAnswers();
  await dead.getByRole("button", { name: "Retry Slack" }).click();
  await expect(dead.locator(".outcome")).toContainText("Sent. Slack answered 200: ok");
  await expect(dead.locator("[data-row]"), "the button is gone, the focus is not").toBeFocused();
  await expect(dead.getByRole("button", { name: "Retry Slack" })).toHaveCount(0);
  expect(staleDelivery("status")).toBe("sent");
  expect(await slackMessages()).toHaveLength(1);
});

test("somebody else has retried it: the page says so", async ({ page, admin }) => {
  await slackAnswers({ status: 400, body: "invalid_blocks" });
  await raiseStale();
  await expect.poll(() => staleDelivery("status")).toBe("dead");
  await quiet();
  await admin("/?view=notifications");
  const dead = delivery(page, "Reconciliation is stale");
  await expect(dead.getByRole("button", { name: "Retry Slack" })).toBeVisible();
  sql(`update public.notification_deliveries set status = 'sent', sent_at = now() where id = ${staleDelivery("id")}`);
  await slackAnswers();
  await dead.getByRole("button", { name: "Retry Slack" }).click();
  await expect(dead.locator(".outcome")).toContainText("Something has changed.");
  await expect(dead.locator(".badge").first()).toHaveText("Sent");
  await expect(dead.getByRole("button", { name: "Retry Slack" })).toHaveCount(0);
  expect(await slackMessages(), "nothing is sent twice").toEqual([]);
});

test("an acknowledgement quiets the reminders, and a critical alert that is acknowledged stays in the list", async ({ page, admin }) => {
  await raiseStale();
  await expect.poll(() => staleDelivery("status")).toBe("sent");
  await admin("/?view=alerts&type=reconcile_stale");
  await page.locator(".alert [data-row]").focus();
  await page.keyboard.press("a");
  await expect(page.locator(".alert .outcome")).toContainText("Acknowledged.");
  await page.keyboard.press("Enter");
  const told = page.locator(".told li");
  await expect(told.filter({ hasText: "Acknowledged" }).filter({ hasText: "Slack" })).toContainText("Only PagerDuty is told of an acknowledgement.");
  await expect(page.locator(".timeline li")).toHaveText([/^Acknowledged by you/, /^Raised as (warning|critical)/]);
});

test("on a phone the way there is in the menu", async ({ page, admin }) => {
  await page.setViewportSize({ width: 360, height: 780 });
  await admin();
  await page.getByRole("button", { name: "Account and settings" }).click();
  await page.locator("#menu").getByRole("link", { name: "Notifications" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Notifications");
  await expect(page.locator(".channel")).toHaveCount(5);
});

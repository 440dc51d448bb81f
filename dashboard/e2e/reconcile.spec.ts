// Reconcile Now, with real drift between the simulated Stripe and the real database.

import { control, reconcile, seedNothing, sql, stack } from "./stack.ts";
import { expect, test } from "./test.ts";

/** Three wrong statuses, a missing row, and a row of a subscription that Stripe doesn't know: all older than two minutes. */
const DRIFT = `
  insert into public.organizations (id, name) values (gen_random_uuid(), 'Gone at Stripe');
  update public.subscriptions set status = 'unpaid', updated_at = now() - interval '1 hour'
  where id in (select id from public.subscriptions where status = 'active' order by stripe_subscription_id limit 3);
  delete from public.subscriptions
  where id in (select id from public.subscriptions where status = 'active' order by stripe_subscription_id desc limit 1);
  insert into public.subscriptions (organization_id, stripe_customer_id, stripe_subscription_id, status, created_at, updated_at)
  select id, 'cus_gone', 'sub_gone', 'active', now() - interval '30 days', now() - interval '1 hour'
  from public.organizations where name = 'Gone at Stripe';`;

test.beforeEach(() => {
  sql("delete from public.organizations where name = 'Gone at Stripe'");
  seedNothing();
});

test.afterEach(async () => {
  await control(stack().stripe_url, "DELETE", "/faults");
});

/** A manual run's key is its minute: what needs two calls in one minute must not begin at its end. */
async function earlyInTheMinute(): Promise<void> {
  await expect.poll(() => new Date().getUTCSeconds(), { timeout: 40_000 }).toBeLessThan(40);
}

test("finds the drift, repairs it, raises its alerts; a second click gets the same run", async ({ page, admin }) => {
  // What other tests have left in the table is put right first.
  await reconcile();
  seedNothing();
  sql(DRIFT);
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("No run yet.");
  await earlyInTheMinute();
  const report = page.locator(".report");
  await page.getByRole("button", { name: "Reconcile now" }).click();
  await expect(report).toContainText(/Finished\. 120 subscriptions checked, 5 issues found, 1 created, 3 repaired, in .+s\./);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  await expect(page.locator(".alert")).toHaveCount(3);
  expect(sql("select count(*) from public.subscriptions where status = 'unpaid' and updated_at < now() - interval '50 minutes'")).toBe("0");

  await page.getByRole("button", { name: "Reconcile now" }).click();
  await expect(report).toContainText(/Finished (just now|\d+ s ago)\. At most one manual run starts each minute/);
  expect(sql("select count(*) from public.reconciliation_logs")).toBe("1");

  await report.getByRole("link", { name: "Open the run" }).click();
  await expect(page.locator(".finding")).toHaveCount(5);
  await expect(page.locator(".finding").filter({ hasText: "sub_gone" })).toContainText("Needs a person");
  await expect(page.getByRole("link", { name: /sub_gone/ })).toHaveAttribute(
    "href",
    "https://dashboard.stripe.com/test/subscriptions/sub_gone",
  );
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(report).toHaveCount(0);
});

test("someone else's run is under way: says so, and leads to it", async ({ page, admin }) => {
  const id = sql(`insert into public.reconciliation_logs (run_key, run_type, started_at, heartbeat_at, lease_expires_at, triggered_by)
    values ('scheduled_other', 'scheduled', now() - interval '40 seconds', now(), now() + interval '300 seconds', 'cron') returning id`);
  await admin();
  await page.getByRole("button", { name: "Reconcile now" }).click();
  const report = page.locator(".report");
  await expect(report).toContainText(/Another run is under way\. scheduled_other has been running for 4\d s\. Runs never overlap/);
  await report.getByRole("link", { name: "Open the run" }).click();
  await expect(page).toHaveURL(new RegExp(`id=${id}`));
  await expect(page.locator(".progress")).toContainText("Under way for");
});

test("while it runs the button counts, and the run is seen on the way", async ({ page, admin }) => {
  await control(stack().stripe_url, "POST", "/faults", { kind: { latency: { milliseconds: 3000 } } });
  await admin();
  const button = page.locator(".reconcile");
  await button.click();
  await expect(button).toHaveText(/Reconciling… \d+ s/);
  await expect(button).toHaveAttribute("aria-disabled", "true");
  await expect(page.getByText("Running now")).toBeVisible();
  await expect(page.locator(".report")).toContainText("Finished", { timeout: 45_000 });
  await expect(button).toHaveText("Reconcile now");
});

test("a run that fails says why and where to read on", async ({ page, admin }) => {
  await control(stack().stripe_url, "PUT", "/missing_permissions", ["rak_subscription_read"]);
  try {
    await admin();
    await page.getByRole("button", { name: "Reconcile now" }).click();
    const report = page.locator(".report");
    await expect(report).toContainText("The run failed. Stripe refused the request: ");
    await report.getByRole("link", { name: "Open the run" }).click();
    await expect(page.getByText("Nothing after this point was checked.")).toBeVisible();
  } finally {
    await control(stack().stripe_url, "PUT", "/missing_permissions", []);
  }
});

test("beyond ten calls a minute it says when the next is possible", async ({ page, admin }) => {
  await admin();
  const button = page.locator(".reconcile");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("No run yet.");
  for (let calls = 0; calls < 10; calls += 1) {
    const answered = page.waitForResponse(/billing-alerts\/reconcile$/);
    await button.click();
    await answered;
    await expect(button).toHaveText("Reconcile now");
  }
  await button.click();
  await expect(page.locator(".report")).toContainText(/Not so fast\..*You can try again in \d+ s \(.*UTC\)/);
  await expect(button).toHaveText(/Wait \d+ s/);
  await expect(button).toHaveAttribute("aria-disabled", "true");
});

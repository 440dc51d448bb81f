// One glance: the sentence, the tab, the numbers, the chart.

import { seedHistory, seedNothing, seedPasses, sql } from "./stack.ts";
import { expect, test } from "./test.ts";

test("says what is wrong, in the page, the tab's title and its icon", async ({ page, admin }) => {
  seedHistory();
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  await expect(page).toHaveTitle("■ 1 critical alert · Billing operations");
  await expect(page.locator("link[rel=icon]")).toHaveAttribute("href", "/icons/critical.svg");
  await expect(page.getByText(/The next run is due at (\w{3} \d+ \w{3} )?\d\d:17 UTC\./)).toBeVisible();
  await expect(page.locator(".severities")).toHaveText("1 critical1 warning1 info");
  await expect(page.getByRole("link", { name: "Alerts 3 open" })).toBeVisible();
});

test("says that all is clear when it is", async ({ page, admin }) => {
  seedHistory();
  sql("update public.billing_alerts set resolved = true, resolved_at = now(), resolution = 'auto' where not resolved;");
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("All clear.");
  await expect(page).toHaveTitle("✓ All clear · Billing operations");
  await expect(page.locator("link[rel=icon]")).toHaveAttribute("href", "/icons/ok.svg");
  await expect(page.getByText("No open alerts")).toBeVisible();
});

test("a project without any run is shown what to do", async ({ page, admin }) => {
  seedNothing();
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("No run yet.");
  await expect(page.getByText("No runs yet").first()).toBeVisible();
  await expect(page.getByText("No open alerts")).toBeVisible();
});

test("runs that keep failing are the headline, with the reason", async ({ page, admin }) => {
  seedHistory();
  sql(`update public.reconciliation_logs set status = 'error', error_code = 'stripe_error',
    error_message = 'Stripe refused the key: no permission to read subscriptions.'
    where id in (select id from public.reconciliation_logs order by started_at desc limit 3);`);
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("The last 3 runs failed.");
  await expect(page.locator(".hero")).toContainText("Stripe refused the key: no permission to read subscriptions.");
});

const CALM = "update public.billing_alerts set resolved = true, resolved_at = now(), resolution = 'auto' where not resolved;";

test("passes over what was due are no runs: neither good ones, nor failures, nor hours that were not missed", async ({ page, admin }) => {
  seedHistory();
  seedPasses();
  sql(CALM);
  sql("update public.reconciliation_logs set status = 'error', error_message = 'No answer.' where scope = 'due'");
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("All clear.");
  await expect(page.locator(".chart-svg .gap")).toHaveCount(2);
  await expect(page.getByRole("slider", { name: /Runs of the last 48 hours/ })).toHaveAttribute("aria-valuemax", "44");
  await expect(page.locator(".passes")).toContainText(/In between, since .+ UTC: \d\d passes over what was due, .+ \d\d failed\./);
  await expect(page.locator(".runs-brief tbody tr")).toHaveCount(6);
  await expect(page.locator(".runs-brief .is-pass")).toHaveCount(0);

  sql("update public.reconciliation_logs set status = 'success', error_message = null where scope = 'due'");
  sql("delete from public.reconciliation_logs where scope <> 'due' and started_at > now() - interval '5 hours'");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^No good run for \d h/);
  await page.locator(".passes").getByRole("link", { name: "See them" }).click();
  await expect(page.getByLabel("Looks at")).toHaveValue("due");
});

test("a pass under way is not the run that comes next", async ({ page, admin }) => {
  seedHistory();
  sql(CALM);
  sql(`insert into public.reconciliation_logs (run_key, run_type, scope, started_at, heartbeat_at, lease_expires_at, triggered_by)
    values ('due_test', 'scheduled', 'due', now() - interval '2 seconds', now(), now() + interval '300 seconds', 'event')`);
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("All clear.");
  await expect(page.getByText(/The next run is due at/)).toBeVisible();
  await expect(page.getByText("Running now")).toHaveCount(0);
});

test("the chart is one tab stop: arrows walk, Enter opens", async ({ page, admin }) => {
  seedHistory();
  await admin();
  const chart = page.getByRole("slider", { name: /Runs of the last 48 hours/ });
  await chart.focus();
  await expect(chart).toHaveAttribute("aria-valuetext", /^Success, \d\d:17 UTC, 7 found, 5 repaired, took/);
  await page.keyboard.press("ArrowLeft");
  await expect(chart).toHaveAttribute("aria-valuetext", /no drift/);
  await page.keyboard.press("Home");
  await expect(chart).toHaveAttribute("aria-valuenow", "0");
  await page.keyboard.press("End");
  for (let step = 0; step < 9; step += 1) await page.keyboard.press("ArrowLeft");
  await expect(chart).toHaveAttribute("aria-valuetext", /^Error, .*Stripe did not answer within the deadline/);
  await expect(page.locator(".readout")).toContainText("Error");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/view=run&id=/);
  await expect(page.locator("main")).toContainText("Stripe did not answer within the deadline.");
});

test("hours in which nothing ran are marked", async ({ page, admin }) => {
  seedHistory();
  await admin();
  await expect(page.locator(".chart-svg .gap")).toHaveCount(2);
  await expect(page.locator(".legend")).toContainText("No run");
});

test("is served under a Content-Security-Policy that lets nothing run but its own files", async ({ page }) => {
  const answer = await page.goto("/");
  const policy = answer!.headers()["content-security-policy"] ?? "";
  const of = (name: string) => policy.split(";").map((part) => part.trim()).find((part) => part.startsWith(`${name} `));
  expect(of("default-src")).toBe("default-src 'none'");
  expect(of("script-src")).toBe("script-src 'self'");
  expect(of("style-src")).toBe("style-src 'self'");
  expect(of("frame-ancestors")).toBe("frame-ancestors 'none'");
  expect(policy).not.toContain("unsafe");
  const inline = await page.evaluate(() => document.querySelectorAll("[style], style, script:not([src])").length);
  expect(inline).toBe(0);
});

test("the first paint does not wait for the sign-in library or for data", async ({ page }) => {
  const later: string[] = [];
  await page.route(/auth-client|\/api\//, async (route) => {
    later.push(route.request().url());
    // Never answered: the form must be there all the same.
  });
  await page.goto("/");
  await expect(page.getByLabel("Email")).toBeVisible();
  expect(later.length).toBeGreaterThan(0);
});

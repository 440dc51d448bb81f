// How it looks and whether everyone can use it: axe finds nothing in any view, theme and width, nothing overflows, and
// screenshots of all of it are written to test-results/screenshots.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";
import type { AxeResults } from "axe-core";
import { control, seedDecisions, seedDeliveries, seedHistory, seedNothing, seedPasses, sql, stack } from "./stack.ts";
import { expect, signIn, test } from "./test.ts";

const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SHOTS = fileURLToPath(new URL("../test-results/screenshots/", import.meta.url));
const WIDTHS = [360, 1440];

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async (rules) => {
    const { axe } = window as unknown as { axe: { run: (context: Document, options: object) => Promise<AxeResults> } };
    const { violations } = await axe.run(document, { runOnly: rules });
    return violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.target.join(" ")}`));
  }, RULES);
}

/** Checks and photographs what is shown, at each width, in each theme. */
async function look(page: Page, name: string): Promise<void> {
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width === 360 ? 780 : 900 });
      const at = `${name}, ${scheme}, ${width} px`;
      await expect(async () => {
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect(over, `${at}: wider than the screen`).toBeLessThanOrEqual(0);
      }).toPass({ timeout: 5000 });
      expect(await violations(page), at).toEqual([]);
      await page.screenshot({ path: `${SHOTS}${name}-${scheme}-${width}.png`, fullPage: true });
    }
  }
}

// By far the longest file: its tests are dealt out to the workers one by one. Each of them brings its own data.
test.describe.configure({ mode: "parallel" });

test("sign-in", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByText("Accounts are managed at")).toBeVisible();
  await look(page, "sign-in");
  await signIn(page, stack().admin_email, "wrong");
  await expect(page.getByText("Wrong email or password.")).toBeVisible();
  await look(page, "sign-in-refused");
});

test("admins only", async ({ page }) => {
  await page.goto("/");
  await signIn(page, stack().member_email, stack().member_password);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Admins only");
  await look(page, "admins-only");
});

test("overview, with trouble", async ({ page, admin }) => {
  seedHistory();
  await admin();
  await expect(page.locator(".chart-svg")).toBeVisible();
  await look(page, "overview");
});

test("overview, all clear", async ({ page, admin }) => {
  seedHistory();
  sql("update public.billing_alerts set resolved = true, resolved_at = now(), resolution = 'auto' where not resolved;");
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("All clear.");
  await look(page, "all-clear");
});

test("overview, nothing yet", async ({ page, admin }) => {
  seedNothing();
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("No run yet.");
  await look(page, "nothing-yet");
});

test("alerts, one unfolded; and the dialog", async ({ page, admin }) => {
  seedHistory();
  await admin("/?view=alerts");
  await page.locator(".alert").filter({ hasText: "2 rows name subscriptions" }).getByRole("button").first().click();
  await expect(page.locator(".episodes li")).toHaveCount(2);
  await look(page, "alerts");
  await page.getByRole("button", { name: "Resolve…" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await look(page, "resolve");
});

test("runs; one with drift; one under way", async ({ page, admin }) => {
  seedHistory();
  await admin("/?view=runs");
  await expect(page.locator(".runs tbody tr")).toHaveCount(45);
  await look(page, "runs");
  await page.getByRole("button", { name: "Export…" }).click();
  await expect(page.getByRole("dialog")).toContainText("Every run that started in these days");
  await look(page, "export-runs");
  await page.keyboard.press("Escape");
  await page.locator(".runs tbody a").first().click();
  await expect(page.locator(".finding")).toHaveCount(7);
  await look(page, "run");
  const id = sql(`insert into public.reconciliation_logs (run_key, run_type, started_at, heartbeat_at, lease_expires_at, scanned_count, triggered_by)
    values ('manual_2026-11-23_10:31', 'manual', now() - interval '10 seconds', now(), now() + interval '330 seconds', 4200, 'admin') returning id`);
  await page.goto(`/?view=run&id=${id}`);
  await expect(page.locator(".progress")).toBeVisible();
  await look(page, "run-under-way");
});

test("runs and passes; a pass; the overview with passes", async ({ page, admin }) => {
  seedHistory();
  seedPasses();
  await admin();
  await expect(page.locator(".passes")).toBeVisible();
  await look(page, "overview-passes");
  await page.goto("/?view=runs");
  await expect(page.locator(".runs tbody tr")).toHaveCount(45);
  await look(page, "runs-without-passes");
  await page.goto("/?view=runs&scope=any");
  await expect(page.locator(".is-pass").first()).toBeVisible();
  await look(page, "runs-passes");
  await page.locator(".is-pass a").nth(5).click();
  await expect(page.getByText("A pass over what was due:")).toBeVisible();
  await look(page, "pass");
});

test("drift, some of it chosen; and its dialogs", async ({ page, admin }) => {
  seedHistory();
  seedDecisions();
  await admin("/?view=drift");
  await expect(page.getByRole("heading", { name: /Tier differs 3/ })).toBeVisible();
  await look(page, "drift");
  await page.getByRole("checkbox", { name: /^All \d+ shown/ }).check();
  await look(page, "drift-chosen");
  await page.getByRole("button", { name: "Export…" }).click();
  await expect(page.getByRole("dialog")).toContainText("Every entry that was first seen in these days");
  await page.getByLabel("First day").fill("2026-02-01");
  await page.getByLabel("Last day").fill("2026-01-31");
  await look(page, "export-drift");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Approve \d+…$/ }).click();
  await look(page, "drift-approve");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Except…" }).first().click();
  await look(page, "drift-except");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Allow all held ones…" }).click();
  await expect(page.getByRole("dialog")).toContainText("3 entries are held back.");
  await look(page, "drift-allow");
  await page.goto("/?view=drift&state=closed");
  await page.getByRole("button", { name: "Take back…" }).first().click();
  await look(page, "drift-take-back");
});

test("an alert that somebody attends to, with all that was told; and the dialogs", async ({ page, admin }) => {
  seedHistory();
  seedDeliveries();
  await admin("/?view=alerts");
  const row = page.locator(".alert").filter({ hasText: "2 rows name subscriptions" });
  await row.getByRole("button").first().click();
  await expect(row.locator(".told li")).toHaveCount(5);
  await page.keyboard.press("a");
  await expect(row.locator(".outcome")).toContainText("Acknowledged.");
  await page.keyboard.press("s");
  await expect(row.locator(".outcome")).toContainText("Snoozed.");
  await expect(row.locator(".timeline li")).not.toHaveCount(0);
  await look(page, "alert-attended");
  await row.getByRole("button", { name: "Acknowledge for another time…" }).click();
  await look(page, "acknowledge");
  await page.keyboard.press("Escape");
  await row.getByRole("button", { name: "Snooze for another time…" }).click();
  await look(page, "snooze");
  await page.keyboard.press("Escape");
  await row.getByRole("button", { name: "Add note…" }).click();
  await look(page, "note");
});

test("notifications, after a test; and before any", async ({ page, admin }) => {
  seedHistory();
  await admin("/?view=notifications");
  await expect(page.getByText("No deliveries yet")).toBeVisible();
  await look(page, "notifications-none");
  seedDeliveries();
  await page.getByRole("button", { name: "Test Slack" }).click();
  await expect(page.locator(".channel .outcome")).toBeVisible();
  await expect(page.locator(".deliveries tbody tr").first()).toBeVisible();
  await look(page, "notifications");
});

test("policies, one about to be switched", async ({ page, admin }) => {
  seedHistory();
  await admin("/?view=policies");
  await expect(page.locator(".policy")).toHaveCount(8);
  await page.locator(".policy").first().getByText("observe", { exact: true }).click();
  await look(page, "policies");
});

test("menu and help", async ({ page, admin }) => {
  seedHistory();
  await admin();
  await expect(page.locator(".chart-svg")).toBeVisible();
  await page.getByRole("button", { name: "Account and settings" }).click();
  await look(page, "menu");
  await page.getByRole("button", { name: /Keyboard/ }).click();
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await look(page, "help");
});

test("no database", async ({ page, admin }) => {
  seedHistory();
  await admin();
  await expect(page.locator(".chart-svg")).toBeVisible();
  await control(stack().supabase_url, "PUT", "/faults", { outage: "unavailable" });
  try {
    await page.keyboard.press("r");
    await expect(page.locator(".lost")).toBeVisible();
    await look(page, "stale");
    await page.goto("/?view=runs");
    await expect(page.locator(".failure")).toBeVisible();
    await look(page, "no-database");
  } finally {
    await control(stack().supabase_url, "PUT", "/faults", {});
  }
});

test("the chosen theme holds from the first paint on", async ({ page, admin }) => {
  seedHistory();
  await page.emulateMedia({ colorScheme: "light" });
  await admin();
  await page.getByRole("button", { name: "Account and settings" }).click();
  await page.getByText("Dark", { exact: true }).click();
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await expect.poll(ground).toBe("rgb(18, 20, 22)");
  await page.route("**/*.js", (route) => (route.request().url().includes("theme.js") ? route.continue() : undefined));
  await page.reload({ waitUntil: "commit" });
  await expect(page.getByText("Loading…")).toBeVisible();
  await expect.poll(ground).toBe("rgb(18, 20, 22)");
});

test("between the widths nothing overflows", async ({ page, admin }) => {
  seedHistory();
  await admin();
  await expect(page.locator(".chart-svg")).toBeVisible();
  for (const path of ["/", "/?view=alerts", "/?view=runs", "/?view=drift", "/?view=policies", "/?view=notifications"]) {
    await page.goto(path);
    await expect(page.locator("[data-row]").first()).toBeVisible();
    for (const width of [320, 360, 414, 600, 768, 820, 960, 961, 1024, 1079, 1080, 1280, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      await expect
        .poll(() => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth), { message: `${path} at ${width} px` })
        .toBeLessThanOrEqual(0);
    }
  }
});

// The whole page without a mouse.

import { seedHistory } from "./stack.ts";
import { expect, test } from "./test.ts";

test.beforeEach(seedHistory);

test("find, walk the rows, open one, come back", async ({ page, admin }) => {
  await admin();
  await expect(page.locator(".alert")).toHaveCount(3);
  await page.keyboard.press("/");
  await expect(page).toHaveURL(/view=alerts/);
  await expect(page.getByLabel("Find in this list")).toBeFocused();
  await page.keyboard.type("rows");
  await expect(page.locator(".alert")).toHaveCount(1);
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  const row = page.locator(".alert [data-row]").first();
  await expect(row).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(row).toHaveAttribute("aria-expanded", "true");
  await page.keyboard.press("Enter");
  await expect(row).toHaveAttribute("aria-expanded", "false");

  await page.keyboard.press("3");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Runs");
  await expect(page.locator(".runs tbody tr").first()).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await expect(page.locator(".runs [data-row]").nth(1)).toBeFocused();
  await page.keyboard.press("k");
  await expect(page.locator(".runs [data-row]").first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/view=run&id=/);
  await expect(page.locator("main")).toBeFocused();
  await expect(page.locator(".finding")).toHaveCount(7);
  await page.keyboard.press("j");
  await expect(page.locator(".finding").first()).toBeFocused();
});

test("r asks the server at once", async ({ page, admin }) => {
  await admin();
  await expect(page.locator(".alert")).toHaveCount(3);
  const asked = page.waitForRequest(/\/api\/admin\/billing-alerts\?/);
  await page.keyboard.press("r");
  await asked;
});

test("the help lists the keys and can switch them off", async ({ page, admin }) => {
  await admin();
  await expect(page.locator(".alert")).toHaveCount(3);
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await expect(help).toContainText("Find in the list");
  await help.getByLabel("Single-key shortcuts are on").uncheck();
  await page.keyboard.press("Escape");
  await expect(help).toHaveCount(0);
  await page.keyboard.press("3");
  await page.reload();
  await expect(page.locator(".alert")).toHaveCount(3);
  await page.keyboard.press("3");
  await expect(page).not.toHaveURL(/view=runs/);
});

test("Tab reaches everything in a sensible order, beginning with a way past the bar", async ({ page, admin }) => {
  await admin();
  await page.reload();
  await expect(page.locator(".alert")).toHaveCount(3);
  await expect(page.locator(".mode")).toBeVisible();
  const seen: string[] = [];
  for (let tabs = 0; tabs < 15; tabs += 1) {
    await page.keyboard.press("Tab");
    seen.push(
      await page.evaluate(() => {
        const element = document.activeElement!;
        const box = element.getBoundingClientRect();
        if (box.width === 0 || box.height === 0) return "invisible";
        return (element.getAttribute("aria-label") ?? element.textContent ?? "").trim().slice(0, 24);
      }),
    );
  }
  expect(seen.slice(0, 8)).toEqual([
    "Skip to content", "Billing operations", "Overview", "Alerts33 open", "Runs", "Drift", "Notifications", "Mode: auto",
  ]);
  expect(seen[9]).toBe("Reconcile now");
  expect(seen).toContain("Runs of the last 48 hour");
  expect(seen).not.toContain("invisible");
});

test("the skip link moves the focus into the content", async ({ page, admin }) => {
  await admin();
  await page.reload();
  await expect(page.locator(".alert")).toHaveCount(3);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
});

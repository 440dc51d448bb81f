// Who gets in, and how.

import { control, seedHistory, stack } from "./stack.ts";
import { expect, signIn, test } from "./test.ts";

test.beforeAll(seedHistory);

interface Mail {
  to: string;
  link: string;
}

async function lastLink(to: string): Promise<string> {
  const mails = (await control(stack().supabase_url, "GET", "/inbox")) as Mail[];
  return mails.filter((mail) => mail.to === to).at(-1)!.link;
}

test("a wrong password is refused in words, the right one opens the page and lasts", async ({ page }) => {
  await page.goto("/");
  await signIn(page, stack().admin_email, "not the password");
  await expect(page.getByRole("alert")).toContainText("Wrong email or password.");
  await signIn(page, stack().admin_email, stack().admin_password);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  await expect(page.getByLabel("Email")).toHaveCount(0);

  await page.getByRole("button", { name: "Account and settings" }).click();
  await expect(page.getByText(stack().admin_email)).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("an empty form says what is missing", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("Enter your email address.");
  await expect(page.getByLabel("Email")).toBeFocused();
});

test("a sign-in link from the mail works once, and keeps no code in the address", async ({ page }) => {
  await page.goto("/");
  await page.getByLabel("Email").fill(stack().admin_email);
  await page.getByRole("button", { name: "Email me a sign-in link" }).click();
  await expect(page.getByText("a link is on its way")).toBeVisible();
  const link = await lastLink(stack().admin_email);

  await page.goto(link);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  await expect(page).toHaveURL(`${stack().base_url}/`);

  await page.getByRole("button", { name: "Account and settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(link);
  await expect(page.locator(".notice")).toContainText("expired");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("the page does not tell who has an account", async ({ page }) => {
  await page.goto("/");
  await page.getByLabel("Email").fill("nobody@example.test");
  await page.getByRole("button", { name: "Email me a sign-in link" }).click();
  await expect(page.getByText("If nobody@example.test has an account, a link is on its way")).toBeVisible();
});

test("a member is told that this is for admins, and can sign in as someone else", async ({ page }) => {
  await page.goto("/");
  await signIn(page, stack().member_email, stack().member_password);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Admins only");
  await expect(page.getByText(stack().member_email)).toBeVisible();
  await expect(page.getByText("critical")).toHaveCount(0);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Admins only");
  await page.getByRole("button", { name: "Sign in as someone else" }).click();
  await signIn(page, stack().admin_email, stack().admin_password);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
});

test("a deep link survives the sign-in", async ({ page, admin }) => {
  await admin("/?view=alerts&status=all&severity=critical");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Alerts");
  await expect(page.getByLabel("Severity")).toHaveValue("critical");
  await expect(page.locator(".alert")).toHaveCount(3);
});

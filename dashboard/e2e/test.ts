// What every test gets: a client address of its own (rate limits count by it), a sign-in, and no error overlooked.

import { test as base, expect, type Page } from "@playwright/test";
import { stack } from "./stack.ts";

export { expect };

let clients = 0;

interface Fixtures {
  /** Signs in as the admin and waits for the first data. */
  admin: (path?: string) => Promise<void>;
  /** What the console or the Content-Security-Policy complained of; must be empty at the end. */
  complaints: string[];
}

export const test = base.extend<Fixtures>({
  baseURL: async ({}, use) => {
    await use(stack().base_url);
  },
  extraHTTPHeaders: async ({}, use) => {
    clients += 1;
    await use({ "x-devstack-client-ip": `10.7.${process.pid % 250}.${(clients % 250) + 1}` });
  },
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        // A refused or failed call is the API's to say and the page's to show; the browser logs it anyway.
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
          complaints.push(message.text());
        }
      });
      await use(complaints);
      expect(complaints, "errors in the console").toEqual([]);
    },
    { auto: true },
  ],
  admin: async ({ page }, use) => {
    await use(async (path = "/") => {
      await page.goto(path);
      await signIn(page, stack().admin_email, stack().admin_password);
      await expect(page.getByRole("navigation", { name: "Views" })).toBeVisible();
    });
  },
});

/** Fills in the form and sends it. */
export async function signIn(page: Page, email: string, password: string): Promise<void> {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

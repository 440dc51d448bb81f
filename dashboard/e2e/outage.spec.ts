// The server gone and back, and the database behind it.

import { createServer, connect, type Server, type Socket } from "node:net";
import { control, seedHistory, stack } from "./stack.ts";
import { expect, signIn, test } from "./test.ts";

test.beforeEach(seedHistory);

/** A door in front of the stack that can be shut: then connections are refused, as when a server is gone. */
class Door {
  private server: Server | null = null;
  private readonly sockets = new Set<Socket>();
  port = 0;

  async open(): Promise<void> {
    const target = new URL(stack().base_url);
    this.server = createServer((socket) => {
      const onward = connect(Number(target.port), target.hostname);
      for (const each of [socket, onward]) {
        this.sockets.add(each);
        each.on("error", () => undefined);
        each.on("close", () => {
          this.sockets.delete(each);
          socket.destroy();
          onward.destroy();
        });
      }
      socket.pipe(onward).pipe(socket);
    });
    await new Promise<void>((resolve) => this.server!.listen(this.port, "127.0.0.1", resolve));
    const address = this.server.address();
    if (typeof address === "object" && address !== null) this.port = address.port;
  }

  async shut(): Promise<void> {
    const closed = new Promise((resolve) => this.server!.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

test("the server goes and comes back: what is shown is called stale, then fresh again", async ({ page }) => {
  const door = new Door();
  await door.open();
  await page.goto(`http://127.0.0.1:${door.port}/`);
  await signIn(page, stack().admin_email, stack().admin_password);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");

  await door.shut();
  await page.keyboard.press("r");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Can't reach the server.");
  await expect(page.locator(".lost")).toContainText("Stale since");
  await expect(page.locator(".lost")).toContainText("Retrying in");
  await expect(page).toHaveTitle("? Can't reach the server · Billing operations");
  await expect(page.locator("link[rel=icon]")).toHaveAttribute("href", "/icons/unknown.svg");
  await expect(page.getByText("2 rows name subscriptions that Stripe does not know."), "the old data stays").toBeVisible();

  await door.open();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.", { timeout: 30_000 });
  await expect(page.locator(".lost")).toHaveCount(0);
  await door.shut();
});

test("the database is gone: every panel says so, and the page recovers", async ({ page, admin }) => {
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  await control(stack().supabase_url, "PUT", "/faults", { outage: "unavailable" });
  try {
    await page.keyboard.press("r");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("The database can't be reached.");
    await page.goto("/?view=runs");
    await expect(page.locator(".failure")).toContainText("The database can't be reached");
    await expect(page.locator(".failure")).toContainText("Request");
  } finally {
    await control(stack().supabase_url, "PUT", "/faults", {});
  }
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator(".runs tbody tr")).toHaveCount(45);
});

test("polling rests while the tab is hidden", async ({ page, admin }) => {
  await page.clock.install();
  await admin();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("1 critical alert open.");
  const calls: string[] = [];
  page.on("request", (request) => request.url().includes("/api/admin/") && calls.push(request.url()));
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.clock.runFor(120_000);
  expect(calls).toEqual([]);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => false });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await expect.poll(() => calls.length).toBeGreaterThan(0);
});

// Drift: finding what stands, deciding about it, and what the policies let happen.

import type { Page } from "@playwright/test";
import { reconcile, seedDecisions, seedHistory, seedNothing, sql, stack } from "./stack.ts";
import { expect, test } from "./test.ts";

const CLASS = "status_mismatch";

async function setPolicy(type: string, mode: string): Promise<void> {
  const headers = {
    authorization: `Bearer ${stack().admin_token}`,
    "content-type": "application/json",
    "x-devstack-client-ip": `10.9.${Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250) + 1}`,
  };
  const url = `${stack().base_url}/api/admin/policies`;
  const now = (await (await fetch(url, { headers })).json()) as { policies: { type: string; version: number }[] };
  const version = now.policies.find((policy) => policy.type === type)!.version;
  const answer = await fetch(url, { method: "PUT", headers, body: JSON.stringify({ type, mode, if_version: version }) });
  if (!answer.ok) throw new Error(`${type} → ${mode}: ${answer.status} ${await answer.text()}`);
}

/** Gives rows that are active at Stripe another status, which a run then finds; the subscriptions they are of. */
function wrongStatus(status: string, rows: number): string[] {
  return sql(`with wrong as (
      select id from public.subscriptions where status = 'active' order by stripe_subscription_id limit ${rows})
    update public.subscriptions set status = '${status}', updated_at = now() - interval '1 hour'
    where id in (select id from wrong) returning stripe_subscription_id`).split("\n");
}

function statusOf(id: string): string {
  return sql(`select status from public.subscriptions where stripe_subscription_id = '${id}'`);
}

const entry = (page: Page, text: string) => page.locator(".drift-item").filter({ hasText: text });

test.beforeEach(async () => {
  sql("delete from public.organizations where name = 'Gone at Stripe'; delete from public.drift_policies;");
  seedNothing();
  // What an earlier test has left different is put right.
  await reconcile();
  seedNothing();
});

test.afterEach(() => {
  sql("delete from public.drift_policies");
});

test("filters live in the address, and the class's counts are of all that fits", async ({ page, admin }) => {
  seedHistory();
  const standing = (type: string) => sql(`select count(*) from public.drift where closed_at is null and type = '${type}'`);
  await admin("/?view=drift");
  await expect(page.getByRole("heading", { level: 2, name: `Missing in Stripe ${standing("missing_in_stripe")}` })).toBeVisible();
  await page.getByLabel("Type").selectOption("organization_unknown");
  await expect(page).toHaveURL(/type=organization_unknown/);
  await expect(page.getByRole("heading", { level: 2 })).toHaveText([`Unknown owner ${standing("organization_unknown")}`]);
  await page.getByLabel("State").selectOption("all");
  await page.getByLabel("Severity").selectOption("critical");
  await expect(page.getByText("Nothing matches")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Severity")).toHaveValue("critical");
  await page.getByRole("link", { name: "Show all that stands" }).click();
  await expect(page.getByLabel("Type")).toHaveValue("");

  await page.getByLabel("State").selectOption("closed");
  await expect(page.locator(".drift-item")).toHaveCount(50);
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(page.locator(".drift-item")).toHaveCount(100);
  await page.getByLabel("Action").selectOption("created");
  await expect(page).toHaveURL(/action=created/);
  await page.getByLabel("State").selectOption("");
  await expect(page, "nothing that stands was created").not.toHaveURL(/action=/);

  const owner = sql("select owner from public.drift where closed_at is null and owner is not null limit 1");
  await page.getByRole("textbox", { name: "Owner" }).fill(owner);
  await page.getByRole("textbox", { name: "Owner" }).press("Enter");
  await expect(page.locator(".drift-item")).toHaveCount(1);
});

test("what waits is approved one by one and many at once, and shows what came of it where it stands", async ({ page, admin }) => {
  await setPolicy(CLASS, "approve");
  const [first, ...rest] = wrongStatus("unpaid", 4) as [string, ...string[]];
  await reconcile();
  await admin(`/?view=drift&type=${CLASS}`);
  await expect(page.locator(".drift-item")).toHaveCount(4);
  const one = entry(page, first);
  await expect(one).toContainText("Waits for approval");
  await expect(one.getByRole("row", { name: "status unpaid active" })).toBeVisible();
  await one.getByRole("button", { name: "Approve", exact: true }).click();
  await expect(one.locator(".outcome")).toContainText("Repaired.");
  await expect(one, "the button is gone, the focus is not").toBeFocused();
  expect(statusOf(first)).toBe("active");
  await expect(page.locator(".drift-item")).toHaveCount(4);

  await page.getByRole("checkbox", { name: "All 3 shown that can be approved" }).check();
  await page.getByRole("button", { name: "Approve 3" }).click();
  await expect(page.locator(".drift-outcomes")).toContainText("4 repaired.");
  expect(rest.map(statusOf)).toEqual(["active", "active", "active"]);
  await expect(one).toContainText("by you");
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByText("Nothing matches")).toBeVisible();
});

test("what takes access asks once more, and names whose", async ({ page, admin }) => {
  seedHistory();
  seedDecisions();
  await admin(`/?view=drift&type=${CLASS}`);
  const losing = entry(page, "canceled at Stripe and active");
  await expect(losing).toContainText("Takes access away");
  await losing.getByRole("button", { name: "Approve…" }).click();
  const dialog = page.getByRole("dialog", { name: "Take access from 1 customer?" });
  await expect(dialog).toContainText("cus_waits_3");
  await expect(dialog).toContainText("owner_3");
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(losing.getByRole("button", { name: "Approve…" })).toBeFocused();

  await page.getByRole("checkbox", { name: /^All 3 shown/ }).check();
  await page.getByRole("button", { name: "Approve 3…" }).click();
  await expect(dialog).toContainText("The other 2 repairs you have chosen take nothing away.");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toHaveCount(0);
  expect(sql("select count(*) from public.drift where decided_at is not null")).toBe("0");
});

test("a row that has changed since is not written: the new proposal is shown, and can be approved", async ({ page, admin }) => {
  await setPolicy(CLASS, "approve");
  const [id] = wrongStatus("unpaid", 1) as [string];
  await reconcile();
  await admin(`/?view=drift&type=${CLASS}`);
  const one = entry(page, id);
  await expect(one.getByRole("row", { name: "status unpaid active" })).toBeVisible();
  sql(`update public.subscriptions set status = 'past_due' where stripe_subscription_id = '${id}'`);
  await one.getByRole("button", { name: "Approve", exact: true }).click();
  await expect(one.locator(".outcome")).toContainText("Not what was shown.");
  await expect(one.getByRole("row", { name: "status past_due active" })).toBeVisible();
  expect(statusOf(id)).toBe("past_due");
  await one.getByRole("button", { name: "Approve", exact: true }).click();
  await expect(one.locator(".outcome")).toContainText("Repaired.");
  expect(statusOf(id)).toBe("active");
});

test("a repair is taken back with a reason, and may then stand for seven days", async ({ page, admin }) => {
  const [id] = wrongStatus("unpaid", 1) as [string];
  await reconcile();
  expect(statusOf(id)).toBe("active");
  await admin("/?view=drift&state=closed");
  const one = entry(page, id);
  await one.getByRole("button", { name: "Take back…" }).click();
  const dialog = page.getByRole("dialog", { name: "Take this repair back?" });
  await expect(dialog).toContainText("status becomes unpaid again");
  await expect(dialog.getByRole("button", { name: "Take back" })).toBeDisabled();
  await dialog.getByLabel(/Why/).fill("They pay by invoice.");
  await dialog.getByRole("button", { name: "Take back" }).click();
  await expect(one.locator(".outcome")).toContainText("Taken back.");
  await expect(one).toContainText("They pay by invoice.");
  expect(statusOf(id)).toBe("unpaid");

  await page.getByLabel("State").selectOption("");
  await expect(entry(page, id)).toContainText("Excepted");
  await reconcile();
  expect(statusOf(id)).toBe("unpaid");
});

test("an exception takes a reason and a number of days, and can be ended", async ({ page, admin }) => {
  await setPolicy(CLASS, "approve");
  const [id] = wrongStatus("unpaid", 1) as [string];
  await reconcile();
  await admin(`/?view=drift&type=${CLASS}`);
  const one = entry(page, id);
  await one.getByRole("button", { name: "Except…" }).click();
  const dialog = page.getByRole("dialog", { name: "Let this difference stand?" });
  await dialog.getByLabel("For how many days").fill("366");
  await dialog.getByLabel("Why it may stay").fill("Paid by invoice until January.");
  await expect(dialog.getByText("From 1 to 365 days.")).toBeVisible();
  await expect(dialog.getByRole("button", { name: "Except" })).toBeDisabled();
  await dialog.getByLabel("For how many days").fill("10");
  await dialog.getByRole("button", { name: "Except" }).click();
  await expect(one).toContainText("Paid by invoice until January.");
  await expect(one).toContainText("by you");
  expect(sql(`select action, excepted_until::date - current_date from public.drift where stripe_subscription_id = '${id}'`)).toBe("excepted|10");

  await one.getByRole("button", { name: "End exception" }).click();
  await expect(one.locator(".outcome")).toContainText("Exception ended.");
  await expect(one).toContainText("Waits for approval");
});

test("what the circuit breaker holds of a class can be allowed, as many as are held now", async ({ page, admin }) => {
  seedHistory();
  seedDecisions();
  await admin("/?view=drift&type=tier_mismatch");
  await page.getByRole("button", { name: "Allow all held ones…" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("3 entries are held back.");
  sql("update public.drift set action = 'waiting' where drift_key = 'tier_mismatch:sub_waits_held6'");
  await dialog.getByRole("button", { name: "Allow 3" }).click();
  await expect(dialog.getByText("Something has changed")).toBeVisible();
  await dialog.getByRole("button", { name: "Allow 2" }).click();
  await expect(page.getByRole("dialog", { name: "Allowed" })).toBeVisible();
  expect(sql("select allowed_count from public.drift_policies where type = 'tier_mismatch'")).toBe("2");
});

test("the mode is in sight, and policies say what switching would do before it is done", async ({ page, admin }) => {
  await setPolicy(CLASS, "observe");
  const [id] = wrongStatus("unpaid", 1) as [string];
  await reconcile();
  await admin(`/?view=drift&type=${CLASS}`);
  await expect(entry(page, id)).toContainText("Observed");
  await expect(entry(page, id).getByRole("button", { name: "Approve" })).toHaveCount(0);
  await page.getByRole("link", { name: "Mode: auto" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Policies");
  const policy = page.locator(".policy").filter({ hasText: "Status differs" });
  await expect(policy.getByRole("radio", { name: "observe" })).toBeChecked();
  await policy.getByText("approve", { exact: true }).click();
  await expect(policy).toContainText("A person could approve 1 repair: 1 raises access.");
  await policy.getByRole("button", { name: "Switch to approve" }).click();
  await expect(policy).toContainText("by you");
  expect(sql(`select mode from public.drift_policies where type = '${CLASS}'`)).toBe("approve");
  await page.goBack();
  await expect(entry(page, id).getByRole("button", { name: "Approve" })).toBeVisible();
});

test("somebody else was quicker with a policy: the page says so and shows theirs", async ({ page, admin }) => {
  await admin("/?view=policies");
  const policy = page.locator(".policy").filter({ hasText: "Status differs" });
  await policy.getByText("approve", { exact: true }).click();
  await setPolicy(CLASS, "observe");
  await policy.getByRole("button", { name: "Switch to approve" }).click();
  await expect(policy).toContainText("Somebody was quicker: it is observe now.");
  await expect(policy.getByRole("radio", { name: "observe" })).toBeChecked();
});

test("a run leads to its drift", async ({ page, admin }) => {
  await setPolicy(CLASS, "approve");
  const [id] = wrongStatus("unpaid", 2) as [string];
  await reconcile();
  const run = sql("select id from public.reconciliation_logs order by started_at desc limit 1");
  await admin(`/?view=run&id=${run}`);
  await page.locator(".finding").filter({ hasText: id }).getByRole("link", { name: "Decide about it" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Drift");
  await expect(page.locator(".drift-item")).toHaveCount(1);
  await expect(entry(page, id)).toBeVisible();
});

test("chosen and approved without a mouse", async ({ page, admin }) => {
  await setPolicy(CLASS, "approve");
  wrongStatus("unpaid", 2);
  await reconcile();
  await admin();
  await page.keyboard.press("4");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Drift");
  await expect(page.getByRole("checkbox", { name: "All 2 shown that can be approved" })).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await expect(page.locator(".drift-item").first().getByRole("checkbox")).toBeChecked();
  await expect(page.getByRole("button", { name: "Approve 1" })).toBeVisible();
  await page.keyboard.press("x");
  await expect(page.locator(".drift-item").first().getByRole("checkbox")).not.toBeChecked();
  await page.locator(".drift-item").first().getByRole("button", { name: "Approve", exact: true }).focus();
  await page.keyboard.press("Enter");
  await expect(page.locator(".outcome")).toContainText("Repaired.");
});

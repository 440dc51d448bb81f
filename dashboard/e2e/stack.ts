// The real stack under the tests: started once for each worker, described by the line of JSON that it prints.

import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface StackDescription {
  base_url: string;
  supabase_url: string;
  database_url: string;
  stripe_url: string;
  secret_key: string;
  publishable_key: string;
  reconcile_secret: string;
  monitor_secret: string;
  cron_secret: string;
  admin_token: string;
  member_token: string;
  admin_email: string;
  admin_password: string;
  member_email: string;
  member_password: string;
}

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
/** A first start builds every function. */
const START_LIMIT_MS = 20 * 60_000;

/** Starts `devstack up` on free ports, with these settings; DEVSTACK_BIN names a binary that is built already. */
export async function startStack(settings: Record<string, string>): Promise<{ description: StackDescription; stop: () => Promise<void> }> {
  const binary = process.env["DEVSTACK_BIN"];
  const up = ["up", "--port", "0", "--subscriptions", "120", "--seed", "7"];
  const [command, args] =
    binary === undefined ? ["cargo", ["run", "--quiet", "-p", "devstack", "--", ...up]] : [binary, [...up, "--no-build"]];
  // The ceiling is high, so that each test can set the policies that it wants.
  const env = { ...process.env, REPAIR_MODE: "auto", ...settings };
  const child = spawn(command as string, args as string[], { cwd: REPOSITORY, env, stdio: ["ignore", "pipe", "inherit"] });
  const stop = () => stopChild(child);
  try {
    return { description: JSON.parse(await firstLine(child)) as StackDescription, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the stack did not start in 20 minutes")), START_LIMIT_MS);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the stack ended with ${code} before it was ready`)));
    createInterface({ input: child.stdout! }).once("line", (line) => {
      clearTimeout(timer);
      resolve(line);
    });
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
}

/** What the global setup has left for the worker that asks, under this name. */
export function ofThisWorker(name: "STACK" | "RECEIVER"): string {
  return process.env[`${name}_${process.env["TEST_PARALLEL_INDEX"]!}`]!;
}

/** The stack that the global setup has started for this worker. */
export function stack(): StackDescription {
  return JSON.parse(ofThisWorker("STACK")) as StackDescription;
}

/** Runs SQL as the owner of the tables; gives what it prints, without decoration. */
export function sql(text: string): string {
  return execFileSync("psql", [stack().database_url, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"], {
    input: text,
    encoding: "utf8",
    env: { ...process.env, PGOPTIONS: "-c client_min_messages=warning" },
  }).trim();
}

const HISTORY = readFileSync(new URL("./history.sql", import.meta.url), "utf8");

/** Two days of runs, drift and alerts in place of whatever there was. */
export function seedHistory(): void {
  sql(HISTORY);
}

const DECISIONS = readFileSync(new URL("./decisions.sql", import.meta.url), "utf8");

/** Drift that waits for a person, beside what `seedHistory` leaves. */
export function seedDecisions(): void {
  sql(DECISIONS);
}

const DELIVERIES = readFileSync(new URL("./notifications.sql", import.meta.url), "utf8");

/** What was told of the alerts that `seedHistory` leaves. */
export function seedDeliveries(): void {
  sql(DELIVERIES);
}

const PASSES = readFileSync(new URL("./passes.sql", import.meta.url), "utf8");

/** Many passes over what was due, beside what `seedHistory` leaves. */
export function seedPasses(): void {
  sql(PASSES);
}

/** No runs, no drift and no alerts at all. */
export function seedNothing(): void {
  sql("truncate public.reconciliation_logs, public.drift, public.billing_alerts, public.rate_limit_windows cascade;");
}

/** Runs the reconciler over everything, as a run of its own. */
export async function reconcile(): Promise<void> {
  const answer = await fetch(`${stack().base_url}/api/subscriptions/reconcile?type=request`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack().reconcile_secret}`, "x-devstack-client-ip": "10.8.0.1" },
  });
  if (!answer.ok) throw new Error(`reconcile: ${answer.status} ${await answer.text()}`);
}

/** Lets the monitor judge how things stand, or only send what is due. */
export async function monitor(only?: "deliver"): Promise<void> {
  const answer = await fetch(`${stack().base_url}/api/admin/billing-alerts/monitor${only === undefined ? "" : `?only=${only}`}`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack().monitor_secret}`, "x-devstack-client-ip": "10.8.0.2" },
  });
  if (!answer.ok) throw new Error(`monitor: ${answer.status} ${await answer.text()}`);
}

/** Does what another admin does elsewhere, from an address of their own. */
export async function actElsewhere(id: string, action: string, body: unknown): Promise<void> {
  const answer = await fetch(`${stack().base_url}/api/admin/billing-alerts/${id}/${action}`, {
    method: "POST",
    headers: { authorization: `Bearer ${stack().admin_token}`, "content-type": "application/json", "x-devstack-client-ip": "10.8.0.3" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${action}: ${answer.status} ${await answer.text()}`);
}

/** Calls a control endpoint of the stack's Supabase or Stripe. */
export async function control(base: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await fetch(`${base}/_control${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  const text = await answer.text();
  return text === "" ? null : JSON.parse(text);
}

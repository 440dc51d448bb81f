// Decisions about drift: the calls, one after another, and what came of each until it is put away.

import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client.ts";
import type { Decided } from "../api/types.ts";
import type { Drift } from "../api/types.ts";
import { BATCH, batches, oneResult, outcomeResult, refusedResult, type Result } from "../model/decisions.ts";
import { failure } from "../model/words.ts";
import { refreshAll } from "./live.ts";
import { patient } from "./patient.ts";
import { noteRefusal } from "./session.ts";
import { asApiError } from "./use-call.ts";

export interface Settled {
  /** As the answer says it is now. */
  entry: Drift;
  result: Result;
  at: number;
}

/** What came of each entry that was decided here, by its id. */
export const settled = signal<ReadonlyMap<string, Settled>>(new Map());

export interface Approving {
  done: number;
  total: number;
  /** The server takes no more before then. */
  waitUntil: number | null;
}

/** The approvals under way. */
export const approving = signal<Approving | null>(null);

/** Those whose answer is still to come. */
export const pending = signal<ReadonlySet<string>>(new Set());

let flight: AbortController | null = null;

function settle(results: { entry: Drift; result: Result }[]): void {
  const at = Date.now();
  settled.value = new Map([...settled.value, ...results.map(({ entry, result }) => [entry.id, { entry, result, at }] as const)]);
  const ids = new Set(results.map(({ entry }) => entry.id));
  pending.value = new Set([...pending.value].filter((id) => !ids.has(id)));
}

/** Puts the outcomes away. */
export function forgetSettled(): void {
  settled.value = new Map();
}

/** The entry as the newest answer has it, if that is newer than the list. */
export function newest(entry: Drift, listedAt: number): Drift {
  const decided = settled.value.get(entry.id);
  return decided !== undefined && decided.at > listedAt ? decided.entry : entry;
}

/** A conflict brings the entry as it is now, where it can still be decided. */
function changedEntry(error: ApiError): Drift | null {
  const drift = error.code === "conflict" ? error.body?.["drift"] : null;
  return typeof drift === "object" && drift !== null && "id" in drift ? (drift as Drift) : null;
}

function failed(entry: Drift, cause: unknown): { entry: Drift; result: Result } {
  const error = asApiError(cause);
  noteRefusal(error);
  const changed = changedEntry(error);
  if (error.code === "conflict") return { entry: changed ?? entry, result: refusedResult(error.message, changed !== null) };
  const { title, text } = failure(error);
  const sentence = text.replace(/\.$/, "") === title ? text : `${title}. ${text}`;
  // It may have been done all the same: the list will tell.
  return { entry, result: { ...refusedResult(sentence, false), title: error.unreachable ? "No answer" : "Not done" } };
}

/** Shows what a decision came to that was taken elsewhere. */
export function accept(answer: Decided): void {
  settle([{ entry: answer.drift, result: outcomeResult(answer.outcome, answer.drift) }]);
  refreshAll();
}

/** One decision about one entry, and what came of it. */
export async function decide(entry: Drift, call: () => Promise<Decided>): Promise<void> {
  pending.value = new Set([...pending.value, entry.id]);
  try {
    accept(await call());
  } catch (cause) {
    settle([failed(entry, cause)]);
    refreshAll();
  }
}

async function approveSome(entries: Drift[], signal: AbortSignal): Promise<void> {
  const wait = (until: number) => {
    if (approving.value !== null) approving.value = { ...approving.value, waitUntil: until };
  };
  const answer = await patient(() => api.approveMany(entries.map(({ id }) => id)), signal, wait);
  const results = new Map(answer.results.map((one) => [one.id, one]));
  settle(entries.map((entry) => oneResult(results.get(entry.id) ?? { id: entry.id }, entry)));
}

/** Approves them, in as many calls as it takes; each says what came of it. Ends at the first call that fails. */
export async function approve(entries: Drift[]): Promise<void> {
  if (approving.value !== null || entries.length === 0) return;
  const only = entries.length === 1 ? entries[0]! : null;
  if (only !== null) return decide(only, () => api.approve(only.id));
  const abort = new AbortController();
  flight = abort;
  approving.value = { done: 0, total: entries.length, waitUntil: null };
  for (const portion of batches(entries, BATCH)) {
    pending.value = new Set(portion.map(({ id }) => id));
    try {
      await approveSome(portion, abort.signal);
    } catch (cause) {
      if (!abort.signal.aborted) settle(portion.map((entry) => failed(entry, cause)));
      break;
    }
    approving.value = { done: approving.value.done + portion.length, total: entries.length, waitUntil: null };
    if (abort.signal.aborted) break;
  }
  flight = null;
  pending.value = new Set();
  approving.value = null;
  refreshAll();
}

/** Sends no more; what is on its way is still done. */
export function stopApproving(): void {
  flight?.abort();
}

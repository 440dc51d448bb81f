// Reconcile Now: one call that may take minutes, and its outcome in words.

import { signal } from "@preact/signals";
import { api, ApiError } from "../api/client.ts";
import type { Reconciled, Run } from "../api/types.ts";
import { count, duration, plural, relative, span } from "../model/format.ts";
import { failure, waitUntil } from "../model/words.ts";
import { refreshAll } from "./live.ts";
import { noteRefusal } from "./session.ts";

export interface Report {
  tone: "ok" | "warning" | "critical" | "info";
  title: string;
  text: string;
  runId: string | null;
}

export type ReconcileState =
  | { kind: "idle" }
  | { kind: "pending"; since: number }
  | { kind: "done"; report: Report; at: number }
  /** The server takes no call before `until`. */
  | { kind: "limited"; until: number };

export const reconcileState = signal<ReconcileState>({ kind: "idle" });

/** What a run did, in a sentence: "1,200 subscriptions checked, 4 issues found, 1 created, 2 repaired, in 812 ms." */
function result(answer: Pick<Reconciled, "scanned_count" | "total_issues" | "created_count" | "updated_count" | "error_count" | "duration_ms">): string {
  const parts = [`${plural(answer.scanned_count, "subscription")} checked`];
  parts.push(answer.total_issues === 0 ? "no drift" : `${plural(answer.total_issues, "issue")} found`);
  if (answer.created_count > 0) parts.push(`${count(answer.created_count)} created`);
  if (answer.updated_count > 0) parts.push(`${count(answer.updated_count)} repaired`);
  if (answer.error_count > 0) parts.push(`${count(answer.error_count)} failed`);
  return `${parts.join(", ")}${answer.duration_ms === null ? "" : `, in ${duration(answer.duration_ms)}`}.`;
}

/** Every outcome in words. `run` is the run that answered, where the page knows it, for its times. */
export function describe(answer: Reconciled, run: Run | null, now: number): Report {
  const runId = answer.reconciliation_log_id;
  const time = run === null ? null : span(now - Date.parse(run.started_at));
  const ended = run?.finished_at ? relative(Date.parse(run.finished_at), now) : "a moment ago";
  switch (answer.outcome) {
    case "existing_running":
      return { tone: "info", title: "Already running", text: `This run ${time === null ? "is under way" : `has been under way for ${time}`}. No second run was started.`, runId };
    case "busy":
      return {
        tone: "info",
        title: "Another run is under way",
        text: `${answer.run_key} ${time === null ? "is running" : `has been running for ${time}`}. Runs never overlap, so no new one was started.`,
        runId,
      };
    case "existing_finished":
      return {
        tone: "info",
        title: `Finished ${ended}`,
        text: `At most one manual run starts each minute; this is its result. ${result(answer)}`,
        runId,
      };
    default: {
      const again =
        answer.outcome === "reclaimed"
          ? "The previous run had died and was closed. "
          : answer.attempt > 1
            ? `Attempt ${answer.attempt}: the previous one had failed. `
            : "";
      return answer.status === "partial"
        ? { tone: "warning", title: "Partly finished", text: `${again}${result(answer)} The next run continues with the rest.`, runId }
        : { tone: "ok", title: "Finished", text: `${again}${result(answer)}`, runId };
    }
  }
}

function describeFailure(error: ApiError): Report {
  const run = error.body?.["reconciliation_log_id"];
  const { title, text } = failure(error);
  return {
    tone: "critical",
    title: error.unreachable ? "No answer" : "The run failed",
    text: error.unreachable ? `${text} The run may still be under way: check the list of runs.` : `${title}: ${text}`,
    runId: typeof run === "string" ? run : null,
  };
}

async function times(id: string): Promise<Run | null> {
  return api.run(id, { limit: 1 }).then(
    (page) => page.run,
    () => null,
  );
}

/** Starts a run, unless one is pending here. */
export async function reconcileNow(): Promise<void> {
  const state = reconcileState.value;
  if (state.kind === "pending" || (state.kind === "limited" && state.until > Date.now())) return;
  reconcileState.value = { kind: "pending", since: Date.now() };
  // The row of the new run is there well before the answer: show it.
  setTimeout(refreshAll, 800);
  try {
    const answer = await api.reconcile();
    const run = answer.duplicate ? await times(answer.reconciliation_log_id) : null;
    reconcileState.value = { kind: "done", report: describe(answer, run, Date.now()), at: Date.now() };
  } catch (cause) {
    const error = cause instanceof ApiError ? cause : new ApiError(0, "unreachable", String(cause));
    noteRefusal(error);
    reconcileState.value =
      error.code === "rate_limited"
        ? { kind: "limited", until: Date.now() + (error.retryAfter ?? 60) * 1000 }
        : { kind: "done", report: describeFailure(error), at: Date.now() };
  }
  refreshAll();
}

/** The words of the limit, for the button's place. */
export function limitText(until: number, now: number): string {
  return `You can try again ${waitUntil(until, now)}.`;
}

// What every view needs: the open alerts and the runs of the last 48 hours, and the verdict on them.

import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client.ts";
import type { Alert, Run, Severity } from "../api/types.ts";
import { schedules } from "../model/schedule.ts";
import { liveRun, verdict } from "../model/verdict.ts";
import { failure } from "../model/words.ts";
import { now } from "./clock.ts";
import { Live } from "./live.ts";
import { session } from "./session.ts";

/** How much of the past the chart shows. */
export const WINDOW_MS = 48 * 3_600_000;
const POLL_MS = 15_000;
const POLL_RUNNING_MS = 4000;
const PAGE = 100;
/** 48 h hold 48 scheduled runs; if someone starts one every minute, not all of them are shown. */
const MAX_PAGES = 5;

export interface Pulse {
  runs: Run[];
  /** Whether `runs` reaches back to the beginning of the window. */
  complete: boolean;
  /** The newest open ones. */
  alerts: Alert[];
  /** How many alerts of each severity are open. */
  open: Record<Severity, number>;
}

async function recentRuns(signal: AbortSignal): Promise<{ runs: Run[]; complete: boolean }> {
  const since = Date.now() - WINDOW_MS;
  const runs: Run[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await api.runs({ limit: PAGE, cursor }, signal);
    runs.push(...answer.runs);
    cursor = answer.next_cursor;
    const oldest = answer.runs.at(-1);
    if (cursor === null || oldest === undefined || Date.parse(oldest.started_at) < since) {
      return { runs, complete: true };
    }
  }
  return { runs, complete: false };
}

async function fetchPulse(signal: AbortSignal): Promise<Pulse> {
  const [recent, open] = await Promise.all([recentRuns(signal), api.alerts({ status: "open", limit: PAGE }, signal)]);
  return {
    ...recent,
    alerts: open.alerts,
    open: { critical: open.critical_count, high: open.high_count, warning: open.warning_count, info: open.info_count },
  };
}

/** Null while nobody is signed in. */
export const pulse = signal<Live<Pulse> | null>(null);

/** Lets the pulse start and stop with the session. */
export function startPulse(): void {
  effect(() => setPulse(session.value.kind === "signed_in"));
}

function setPulse(on: boolean): void {
  if (on === (pulse.value !== null)) return;
  pulse.value?.stop();
  pulse.value = on
    ? new Live(fetchPulse, (data) => (liveRun(data.runs, Date.now()) === null ? POLL_MS : POLL_RUNNING_MS))
    : null;
}

/** When the page first could not get its data, where no older time is known. */
const openedAt = Date.now();

/** How things stand, decided again every second. */
export const standing = computed(() => {
  const live = pulse.value;
  const data = live?.data.value ?? null;
  const error = live?.error.value ?? null;
  return verdict({
    now: now.value,
    schedule: schedules.reconcile,
    monitor: schedules.monitor,
    runs: data?.runs ?? null,
    alerts: data?.alerts ?? null,
    open: data?.open ?? { critical: 0, high: 0, warning: 0, info: 0 },
    lost: error === null ? null : { since: live?.updatedAt.value ?? openedAt, title: failure(error).title },
  });
});

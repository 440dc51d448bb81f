// What every view needs: the open alerts and the runs of the last 48 hours, and the verdict on them. Passes over what is due stand
// apart: they are no runs over everything.

import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client.ts";
import type { Alert, Severity } from "../api/types.ts";
import { schedules } from "../model/schedule.ts";
import { liveRun, verdict } from "../model/verdict.ts";
import { failure } from "../model/words.ts";
import { now } from "./clock.ts";
import { Live } from "./live.ts";
import { followRuns, type Recent } from "./runs.ts";
import { session } from "./session.ts";

/** How much of the past the chart shows. */
export const WINDOW_MS = 48 * 3_600_000;
const POLL_MS = 15_000;
const POLL_RUNNING_MS = 4000;
const PAGE = 100;

export interface Pulse extends Recent {
  /** The newest open ones. */
  alerts: Alert[];
  /** How many alerts of each severity are open. */
  open: Record<Severity, number>;
}

function fetchPulse(): (signal: AbortSignal) => Promise<Pulse> {
  const follow = followRuns(WINDOW_MS);
  return async (signal) => {
    const [recent, open] = await Promise.all([
      follow((query) => api.runs(query, signal), Date.now()),
      api.alerts({ status: "open", limit: PAGE }, signal),
    ]);
    return {
      ...recent,
      alerts: open.alerts,
      open: { critical: open.critical_count, high: open.high_count, warning: open.warning_count, info: open.info_count },
    };
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
    ? new Live(fetchPulse(), (data) => (liveRun(data.runs, Date.now()) === null ? POLL_MS : POLL_RUNNING_MS))
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

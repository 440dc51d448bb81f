// The one sentence: what is wrong, or that nothing is. Pure: facts in, words out.

import type { Alert, CountedRun, Run, Severity } from "../api/types.ts";
import { plural, relative, span, utcClock } from "./format.ts";
import { minutesOfDay, nextSlot, slots } from "./schedule.ts";

export type Level = "ok" | "warning" | "critical" | "unknown";

export interface Verdict {
  level: Level;
  /** The sentence, as short as it can be. */
  headline: string;
  /** What follows from it, or what comes next. */
  detail: string;
  /** For the tab's title. */
  short: string;
}

export interface Facts {
  now: number;
  /** The reconcile schedule, a cron expression in UTC. */
  schedule: string | null;
  /** The monitor's schedule. */
  monitor: string | null;
  /** Newest first; null while unknown. Passes are none of them: they prove nothing about the rest. */
  runs: CountedRun[] | null;
  /** Open alerts, newest first (a first page is enough); null while unknown. */
  alerts: Alert[] | null;
  /** How many alerts of each severity are open. */
  open: Record<Severity, number>;
  /** What keeps the facts from being fresh, and since when; null while they are. */
  lost: { since: number; title: string } | null;
}

/** Used where the schedule isn't known: the monitor's own default for stale is 2 h. */
const STALE_AFTER_MS = 2 * 3_600_000;
/** A scheduled run may begin late (the platform's jitter) and takes its time. */
const SLACK_MS = 10 * 60_000;

/** A run that looked at what it had to: the monitor counts success and partial. */
export function isGood(run: CountedRun): boolean {
  return run.status === "success" || run.status === "partial";
}

/** The end of the newest good run, in milliseconds since the epoch. */
export function lastGood(runs: CountedRun[]): number | null {
  const ends = runs.filter(isGood).map((run) => Date.parse(run.finished_at ?? run.started_at));
  return ends.length === 0 ? null : Math.max(...ends);
}

/** The newest run that is under way with a live lease. */
export function liveRun<R extends Run>(runs: R[], now: number): R | null {
  return (
    runs.find(
      (run) => run.status === "running" && (run.lease_expires_at === null || Date.parse(run.lease_expires_at) > now),
    ) ?? null
  );
}

/** Runs in error since the last one that did not end so, newest first. */
export function failuresInARow(runs: CountedRun[]): CountedRun[] {
  const finished = runs.filter((run) => run.status !== "running");
  const end = finished.findIndex((run) => run.status !== "error");
  return end === -1 ? finished : finished.slice(0, end);
}

/** Whether two scheduled runs should have been good since the last one that was. */
function missed(schedule: string | null, good: number, now: number): boolean {
  if (minutesOfDay(schedule) === null) return now - good > STALE_AFTER_MS;
  return slots(schedule, good + 1, now - SLACK_MS).length >= 2;
}

/** Says how things stand. */
export function verdict(facts: Facts): Verdict {
  const { now, runs, alerts } = facts;
  if (runs === null || alerts === null) {
    return facts.lost === null
      ? { level: "unknown", headline: "Loading…", detail: "Fetching the latest runs and alerts.", short: "Loading" }
      : {
          level: "unknown",
          headline: `${facts.lost.title}.`,
          detail: "Nothing has been loaded yet. This page keeps trying.",
          short: facts.lost.title,
        };
  }

  const next = nextSlot(facts.schedule, now);
  const live = liveRun(runs, now);
  const coming =
    live !== null
      ? `A run has been under way since ${utcClock(Date.parse(live.started_at), now)}.`
      : next !== null
        ? `The next run is due at ${utcClock(next, now)}.`
        : "";
  const found = judge(facts, runs, alerts, coming);
  if (facts.lost === null) return found;
  return {
    level: "unknown",
    headline: `${facts.lost.title}.`,
    detail:
      `What you see is from ${utcClock(facts.lost.since, now)}, ${span(now - facts.lost.since)} ago. ` +
      `At that time: ${found.headline.charAt(0).toLowerCase()}${found.headline.slice(1)}`,
    short: facts.lost.title,
  };
}

function judge(facts: Facts, runs: CountedRun[], alerts: Alert[], coming: string): Verdict {
  const { now } = facts;
  const good = lastGood(runs);
  const failed = failuresInARow(runs);
  const staleAlert = alerts.find((alert) => alert.alert_type === "reconcile_stale");
  const tail = (...parts: string[]) => parts.filter((part) => part !== "").join(" ");

  if (alerts.some((alert) => alert.alert_type === "reconcile_circuit_breaker")) {
    return {
      level: "critical",
      headline: "The circuit breaker has stopped the repairs.",
      detail: "A run would have lowered access for too many customers at once. Check the Stripe key before anything else.",
      short: "Circuit breaker",
    };
  }
  if (failed.length >= 3) {
    const why = failed[0]?.error_message ?? failed[0]?.message ?? "";
    return {
      level: "critical",
      headline: `The last ${failed.length} runs failed.`,
      detail: tail(why, good === null ? "" : `Last good run ${relative(good, now)}.`, coming),
      short: "Runs failing",
    };
  }
  if (good === null && runs.length > 0 && failed.length > 0) {
    return {
      level: "critical",
      headline: "No good run so far.",
      detail: tail(failed[0]?.error_message ?? "", coming),
      short: "No good run",
    };
  }
  if (good !== null && (staleAlert !== undefined || missed(facts.schedule, good, now))) {
    const checked = slots(facts.monitor, good + STALE_AFTER_MS, now - SLACK_MS).length > 0;
    const silent = staleAlert === undefined && checked ? "No alert was raised: check that the monitor is running." : "";
    const why = failed.length === 0 ? "" : `${plural(failed.length, "run")} failed since then: ${failed[0]?.error_message ?? "no reason given."}`;
    return {
      level: staleAlert?.severity === "critical" || facts.open.critical > 0 ? "critical" : "warning",
      headline: `No good run for ${span(now - good)}.`,
      detail: tail(why, silent, coming),
      short: "Reconciliation stale",
    };
  }
  if (good === null) {
    return {
      level: staleAlert?.severity === "critical" ? "critical" : "warning",
      headline: runs.length === 0 ? "No run yet." : "The first run is under way.",
      detail: tail(coming, runs.length === 0 ? "“Reconcile now” starts one right away." : ""),
      short: "No run yet",
    };
  }

  const lately = `Last good run ${relative(good, now)}.`;
  if (facts.open.critical > 0) {
    return {
      level: "critical",
      headline: `${plural(facts.open.critical, "critical alert")} open.`,
      detail: tail(lately, coming),
      short: plural(facts.open.critical, "critical alert"),
    };
  }
  if (failed.length > 0) {
    return {
      level: "warning",
      headline: failed.length === 1 ? "The last run failed." : `The last ${failed.length} runs failed.`,
      detail: tail(failed[0]?.error_message ?? "", lately, coming),
      short: "Run failed",
    };
  }
  const serious = facts.open.high + facts.open.warning;
  if (serious > 0) {
    return {
      level: "warning",
      headline: `${plural(serious, "alert")} to look at.`,
      detail: tail(lately, coming),
      short: plural(serious, "alert"),
    };
  }
  if (runs.find((run) => run.status !== "running")?.status === "partial") {
    return {
      level: "ok",
      headline: "All clear.",
      detail: tail(`Last good run ${relative(good, now)}; it was cut short, and the next run continues where it stopped.`, coming),
      short: "All clear",
    };
  }
  return { level: "ok", headline: "All clear.", detail: tail(lately, coming), short: "All clear" };
}

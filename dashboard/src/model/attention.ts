// Whether somebody attends to an alert, for how long a person can say so, and what came of it. Pure: alerts and the time in,
// choices and words out.

import type { Act, ActOutcome, Alert, Severity } from "../api/types.ts";
import type { Result } from "./decisions.ts";
import { relative, utcClock } from "./format.ts";

/** An acknowledgement or a snooze that is in force. */
export interface Attended {
  until: number;
  by: string | null;
}

/** `until` where it is still to come; an older server doesn't say it at all. */
function inForce(alert: Alert, until: string | null | undefined, by: string | null | undefined, now: number): Attended | null {
  const time = alert.resolved || !until ? NaN : Date.parse(until);
  return time > now ? { until: time, by: by ?? null } : null;
}

/** The acknowledgement that is in force, or null. */
export function acknowledged(alert: Alert, now: number): Attended | null {
  return inForce(alert, alert.acknowledged_until, alert.acknowledged_by, now);
}

/** The snooze that is in force, or null. */
export function snoozed(alert: Alert, now: number): Attended | null {
  return inForce(alert, alert.snoozed_until, alert.snoozed_by, now);
}

export type AttentionFilter = "" | "unattended" | "acknowledged" | "snoozed";

export const attentionWords: Record<Exclude<AttentionFilter, "">, string> = {
  unattended: "Unattended",
  acknowledged: "Acknowledged",
  snoozed: "Snoozed",
};

/** The filter as it stands in the address; a word that the API would refuse counts as none. */
export function readAttention(params: Readonly<Record<string, string>>): AttentionFilter {
  const state = params["state"] ?? "";
  // Only open alerts are attended to.
  return Object.hasOwn(attentionWords, state) && !params["status"] ? (state as AttentionFilter) : "";
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

export const ACKNOWLEDGE_HOURS: readonly number[] = [1, 4, 8, 24, 72];

/** How long an acknowledgement holds where nothing else is said. */
export function defaultHours(severity: Severity): number {
  return severity === "critical" ? 4 : 24;
}

/** What one key snoozes for. */
export const DEFAULT_SNOOZE_MINUTES = 60;

/** "4 h", "3 days". */
export function hoursText(hours: number): string {
  return hours > 24 && hours % 24 === 0 ? `${hours / 24} days` : `${hours} h`;
}

export interface Choice {
  /** What the API is asked for: hours or minutes. */
  amount: number;
  label: string;
  until: number;
}

export function acknowledgeChoices(now: number): Choice[] {
  return ACKNOWLEDGE_HOURS.map((hours) => ({ amount: hours, label: hoursText(hours), until: now + hours * HOUR_MS }));
}

/** The hour at which a working day begins. */
const MORNING = 9;
/** Until this hour it is still last night: who snoozes at three means the morning that comes. */
const NIGHT_ENDS = 6;

/** Nine o'clock of the next working morning, by the reader's own clock. */
export function nextMorning(now: number): { at: number; today: boolean } {
  const here = new Date(now);
  const today = here.getHours() < NIGHT_ENDS;
  const at = new Date(here.getFullYear(), here.getMonth(), here.getDate() + (today ? 0 : 1), MORNING);
  return { at: at.getTime(), today };
}

/** For how long an alert can be snoozed, shortest first. */
export function snoozeChoices(now: number): Choice[] {
  const morning = nextMorning(now);
  const after = (amount: number, label: string): Choice => ({ amount, label, until: now + amount * MINUTE_MS });
  return [
    after(30, "30 minutes"),
    after(60, "1 hour"),
    after(240, "4 hours"),
    after(1440, "1 day"),
    {
      // Not a minute too early: the API counts whole ones.
      amount: Math.ceil((morning.at - now) / MINUTE_MS),
      label: morning.today ? "This morning, 9:00" : "Tomorrow, 9:00",
      until: morning.at,
    },
    after(10_080, "7 days"),
  ].sort((a, b) => a.amount - b.amount);
}

/** The choice that was made, by its label; before that, the usual one. */
export function chosenOf(choices: Choice[], label: string | null, usual: number): Choice {
  return choices.find((choice) => choice.label === label) ?? choices.find(({ amount }) => amount === usual) ?? choices[0]!;
}

/** What is said of an action, where the alert is. */
export type Said = Omit<Result, "short">;

/** "until 07:12 UTC, in 4 h": rounded, so that an hour is not called 59 minutes as soon as the answer is here. */
function untilText(until: number, now: number): string {
  return `until ${utcClock(until, now)}, ${relative(until + MINUTE_MS / 2, now)}`;
}

function resolvedText(alert: Alert, now: number): string {
  const how = alert.resolution === "auto" ? "automatically" : "by hand";
  const when = alert.resolved_at === null ? "" : ` at ${utcClock(Date.parse(alert.resolved_at), now)}`;
  return `It was resolved ${how}${when}. Nothing was changed.`;
}

/** What an action came to. */
export function actResult(action: Act["action"], outcome: ActOutcome, alert: Alert, now: number): Said {
  if (outcome === "alert_resolved") return { tone: "info", title: "Already resolved", text: resolvedText(alert, now) };
  const already = outcome === "already";
  switch (action) {
    case "acknowledge": {
      const held = acknowledged(alert, now);
      const when = held === null ? "" : untilText(held.until, now);
      return already
        ? { tone: "info", title: "Already acknowledged", text: `${when === "" ? "" : `It holds ${when}. `}Nothing was changed.` }
        : { tone: "ok", title: "Acknowledged", text: `No reminders ${when || "for now"}. It ends sooner if the alert gets worse.` };
    }
    case "snooze": {
      const held = snoozed(alert, now);
      const when = held === null ? "" : untilText(held.until, now);
      return already
        ? { tone: "info", title: "Already snoozed", text: `${when === "" ? "" : `It holds ${when}. `}Nothing was changed.` }
        : { tone: "ok", title: "Snoozed", text: `Nothing is sent ${when || "for now"}. If it still stands then, one reminder follows.` };
    }
    case "unacknowledge":
      return already
        ? { tone: "info", title: "Not acknowledged", text: "The acknowledgement was over already. Nothing was changed." }
        : { tone: "ok", title: "No longer acknowledged", text: "Reminders are sent again." };
    case "unsnooze":
      return already
        ? { tone: "info", title: "Not snoozed", text: "The snooze was over already. Nothing was changed." }
        : { tone: "ok", title: "No longer snoozed", text: "Who is told is told again." };
    case "note":
      return { tone: "ok", title: "Noted", text: "The note stands in the alert's history." };
  }
}

/** What a key says that would do what is done already; null where it may go on. */
export function needless(action: "acknowledge" | "snooze", alert: Alert, now: number): Said | null {
  if (alert.resolved) return actResult(action, "alert_resolved", alert, now);
  const held = action === "acknowledge" ? acknowledged(alert, now) : snoozed(alert, now);
  return held === null ? null : actResult(action, "already", alert, now);
}

/** What undoes what was just done: nothing where it only changed how long. */
export function undoOf(action: Act["action"], outcome: ActOutcome, before: Alert, now: number): Act | null {
  if (outcome !== "done") return null;
  if (action === "acknowledge" && acknowledged(before, now) === null) return { action: "unacknowledge" };
  if (action === "snooze" && snoozed(before, now) === null) return { action: "unsnooze" };
  return null;
}

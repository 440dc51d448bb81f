// Attending to alerts: the calls, what came of the last one, and the alerts as the newest answers have them.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Act, Alert, AlertActed } from "../api/types.ts";
import { actResult, needless, undoOf, type Said } from "../model/attention.ts";
import { withDecided } from "../model/decisions.ts";
import { failure } from "../model/words.ts";
import { refreshAll } from "./live.ts";
import { noteRefusal } from "./session.ts";
import { asApiError } from "./use-call.ts";

export interface Spoken {
  id: string;
  result: Said;
  undo: Act | null;
  at: number;
}

/** What came of the last action. Only of that one: each row says itself who attends to it. */
export const spoken = signal<Spoken | null>(null);

/** Those whose answer is still to come. */
export const attending = signal<ReadonlySet<string>>(new Set());

/** As the answers say they are now. */
const acted = signal<ReadonlyMap<string, { alert: Alert; at: number }>>(new Map());

/** Puts the outcome away. */
export function forgetSpoken(): void {
  spoken.value = null;
}

function say(id: string, result: Said, undo: Act | null = null): void {
  spoken.value = { id, result, undo, at: Date.now() };
}

/** Shows what an action came to. */
export function acceptAct(before: Alert, action: Act["action"], { outcome, alert }: AlertActed): void {
  const at = Date.now();
  acted.value = new Map([...acted.value, [alert.id, { alert, at }]]);
  say(alert.id, actResult(action, outcome, alert, at), undoOf(action, outcome, before, at));
  refreshAll();
}

/** One action on one alert, and what came of it. */
export async function attend(alert: Alert, act: Act): Promise<void> {
  if (attending.value.has(alert.id)) return;
  attending.value = new Set([...attending.value, alert.id]);
  try {
    acceptAct(alert, act.action, await api.act(alert.id, act));
  } catch (cause) {
    const error = asApiError(cause);
    noteRefusal(error);
    const { title, text } = failure(error);
    const sentence = text.replace(/\.$/, "") === title ? text : `${title}. ${text}`;
    // It may have been done all the same: the list will tell.
    say(alert.id, { tone: "critical", title: error.unreachable ? "No answer" : "Not done", text: sentence });
    refreshAll();
  } finally {
    attending.value = new Set([...attending.value].filter((id) => id !== alert.id));
  }
}

/** As `attend`, for a key: where nothing is to be done it says so, as no button would have been there. */
export function attendByKey(alert: Alert, act: Act & { action: "acknowledge" | "snooze" }): void {
  const said = needless(act.action, alert, Date.now());
  if (said === null) void attend(alert, act);
  else say(alert.id, said);
}

/**
 * A list's alerts as the newest answers have them. The one that something was just done about stays where it was, even if the
 * list no longer holds it: who did it sees what came of it.
 */
export function useAttended(alerts: Alert[], listedAt: number): Alert[] {
  const order = useRef<string[]>([]);
  useEffect(() => forgetSpoken, []);
  const kept = spoken.value === null ? undefined : acted.value.get(spoken.value.id)?.alert;
  const all = withDecided(order.current, alerts, new Map(kept === undefined ? [] : [[kept.id, kept]]));
  order.current = all.map(({ id }) => id);
  return all.map((alert) => {
    const newer = acted.value.get(alert.id);
    return newer !== undefined && newer.at > listedAt ? newer.alert : alert;
  });
}

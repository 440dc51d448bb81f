// What happened to an alert: who did what and when, newest first.

import type { Alert, AlertHistoryEntry } from "../api/types.ts";
import { alertEvent, severityWords } from "../model/words.ts";
import { By } from "../ui/by.tsx";
import { Ago } from "../ui/time.tsx";

/** The most that the API gives. */
const MOST = 20;

/** What is good, what is bad, and what a person did. */
const tones: Record<string, string> = { raised: "warning", escalated: "critical", grown: "warning", resolved: "ok" };

/** These end by themselves, too: when their time is over, the alert gets worse, or its condition clears. */
const ENDS: readonly string[] = ["resolved", "unacknowledged", "unsnoozed"];

function Entry({ entry, alert }: { entry: AlertHistoryEntry; alert: Alert }) {
  const rose = entry.event === "raised" || entry.event === "escalated";
  // The message that stands above all this need not be read twice.
  const reason = entry.reason === alert.message ? null : entry.reason;
  return (
    <li class={`tone-${tones[entry.event] ?? "neutral"}`}>
      <strong>{alertEvent(entry.event)}</strong>
      {rose && ` as ${(severityWords[entry.severity] ?? entry.severity).toLowerCase()}`}
      {entry.actor === null ? ENDS.includes(entry.event) && " automatically" : <> <By user={entry.actor} brief /></>}
      <span class="quiet">
        {" "}
        <Ago at={entry.created_at} />
      </span>
      {reason ? <q>{reason}</q> : null}
    </li>
  );
}

export function AlertHistory({ alert }: { alert: Alert }) {
  const history = alert.history ?? [];
  if (history.length === 0) return null;
  return (
    <div class="alert-part">
      <p class="alert-part-title">History</p>
      <ol class="timeline">
        {history.map((entry, index) => (
          <Entry key={`${entry.created_at} ${entry.event} ${index}`} entry={entry} alert={alert} />
        ))}
      </ol>
      {history.length >= MOST && <p class="quiet">Only the newest {MOST} are shown.</p>}
    </div>
  );
}

// Resolve by hand: what it will do, a note for those who come later, and the answer.

import { useState } from "preact/hooks";
import { api, ApiError } from "../api/client.ts";
import type { Alert } from "../api/types.ts";
import { plural, utcClock } from "../model/format.ts";
import { nextSlot, schedules } from "../model/schedule.ts";
import { resolveConsequence } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { noteRefusal } from "../state/session.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";

/** The API's limit, in characters. */
const MAX_NOTE = 2000;

export function ResolveDialog({ alert, onClose, onResolved }: { alert: Alert; onClose: () => void; onResolved: () => void }) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [before, setBefore] = useState<Alert | null>(null);
  const length = [...note].length;

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || length > MAX_NOTE) return;
    setBusy(true);
    setError(null);
    try {
      const answer = await api.resolve(alert.id, note.trim());
      if (answer.already_resolved) setBefore(answer.alert);
      else {
        onClose();
        onResolved();
      }
    } catch (cause) {
      const failed = cause instanceof ApiError ? cause : new ApiError(0, "unreachable", String(cause));
      noteRefusal(failed);
      setError(failed);
    }
    setBusy(false);
  };

  if (before !== null) {
    const done = () => {
      onClose();
      onResolved();
    };
    return (
      <Dialog title="Already resolved" onClose={done}>
        <p>
          It was resolved {before.resolution === "auto" ? "automatically" : "by hand"}
          {before.resolved_at === null ? "" : ` at ${utcClock(Date.parse(before.resolved_at), now.value)}`}. Nothing was changed, and your
          note was not saved.
        </p>
        <div class="dialog-actions">
          <button type="button" class="button button-primary" onClick={done}>
            Close
          </button>
        </div>
      </Dialog>
    );
  }

  return (
    <Dialog title="Resolve this alert?" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="dialog-subject">
          <SeverityBadge severity={alert.severity} /> {alert.message}
        </p>
        <p>{resolveConsequence(alert.alert_key, nextSlot(schedules.monitor, now.value), now.value)}</p>
        <label class="field">
          <span>Note (optional): what was found and what was done</span>
          <textarea
            rows={4}
            value={note}
            onInput={(event) => setNote(event.currentTarget.value)}
            aria-describedby="note-length"
            aria-invalid={length > MAX_NOTE}
          />
        </label>
        <p id="note-length" class={length > MAX_NOTE ? "problem" : "quiet field-foot"}>
          {length > MAX_NOTE ? `${plural(length - MAX_NOTE, "character")} too long` : `${plural(MAX_NOTE - length, "character")} left`}
        </p>
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy || length > MAX_NOTE}>
            {busy ? "Resolving…" : "Resolve"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

// Resolve by hand: what it will do, a note for those who come later, and the answer.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Alert } from "../api/types.ts";
import { utcClock } from "../model/format.ts";
import { nextSlot, schedules } from "../model/schedule.ts";
import { resolveConsequence } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { useCall } from "../state/use-call.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";
import { fits, NoteField } from "../ui/note-field.tsx";

export function ResolveDialog({ alert, onClose, onResolved }: { alert: Alert; onClose: () => void; onResolved: () => void }) {
  const [note, setNote] = useState("");
  const { busy, error, run } = useCall();
  const [before, setBefore] = useState<Alert | null>(null);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (!fits(note)) return;
    const answer = await run(() => api.resolve(alert.id, note.trim()));
    if (answer === null) return;
    if (answer.already_resolved) setBefore(answer.alert);
    else {
      onClose();
      onResolved();
    }
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
        <NoteField label="Note (optional): what was found and what was done" value={note} onInput={setNote} />
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy || !fits(note)}>
            {busy ? "Resolving…" : "Resolve"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

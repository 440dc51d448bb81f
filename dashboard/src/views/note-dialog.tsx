// A note on an alert: what is known so far, for those who come later.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Alert } from "../api/types.ts";
import { acceptAct } from "../state/attend.ts";
import { useCall } from "../state/use-call.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";
import { fits, NoteField } from "../ui/note-field.tsx";

export function NoteDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [note, setNote] = useState("");
  const { busy, error, run } = useCall();
  const ready = note.trim() !== "" && fits(note);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    const answer = await run(() => api.act(alert.id, { action: "note", note: note.trim() }));
    if (answer === null) return;
    onClose();
    acceptAct(alert, "note", answer);
  };
  return (
    <Dialog title="Add a note" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="dialog-subject">
          <SeverityBadge severity={alert.severity} /> {alert.message}
        </p>
        <NoteField label="Note: what is known so far" value={note} onInput={setNote} />
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy || !ready}>
            {busy ? "Adding…" : "Add note"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

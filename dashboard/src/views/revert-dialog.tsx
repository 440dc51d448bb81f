// Take a repair back: what the row will say again, why, and what follows.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Drift } from "../api/types.ts";
import { columns } from "../model/decisions.ts";
import { value } from "../model/format.ts";
import { accept } from "../state/decisions.ts";
import { useCall } from "../state/use-call.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";
import { fits, NoteField } from "../ui/note-field.tsx";

export function RevertDialog({ entry, onClose }: { entry: Drift; onClose: () => void }) {
  const [note, setNote] = useState("");
  const { busy, error, run } = useCall();
  const ready = note.trim() !== "" && fits(note);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    const answer = await run(() => api.revert(entry.id, note.trim()));
    if (answer === null) return;
    accept(answer);
    onClose();
  };
  const back = columns(entry).other;
  return (
    <Dialog title="Take this repair back?" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="dialog-subject">
          <SeverityBadge severity={entry.severity} /> {entry.issue}
        </p>
        {back.length > 0 && (
          <ul class="put-back">
            {back.map((row) => (
              <li key={row.name}>
                {row.name.replaceAll("_", " ")} becomes <code>{value(row.database)}</code> again
              </li>
            ))}
          </ul>
        )}
        <p>
          It is refused if somebody has written the row since. For seven days this difference may then stand: no run repairs it, and no
          alert counts it.
        </p>
        <NoteField label="Why: for those who come later" value={note} onInput={setNote} />
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy || !ready}>
            {busy ? "Taking back…" : "Take back"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

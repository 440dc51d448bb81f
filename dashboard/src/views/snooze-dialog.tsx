// Snooze: until when, and why.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Alert } from "../api/types.ts";
import { chosenOf, DEFAULT_SNOOZE_MINUTES, snoozeChoices } from "../model/attention.ts";
import { acceptAct } from "../state/attend.ts";
import { now } from "../state/clock.ts";
import { useCall } from "../state/use-call.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Choices } from "../ui/choices.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";
import { fits, NoteField } from "../ui/note-field.tsx";

export function SnoozeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [label, setLabel] = useState<string | null>(null);
  const [note, setNote] = useState("");
  const { busy, error, run } = useCall();
  const choices = snoozeChoices(now.value);
  const chosen = chosenOf(choices, label, DEFAULT_SNOOZE_MINUTES);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!fits(note)) return;
    const text = note.trim();
    const answer = await run(() => api.act(alert.id, { action: "snooze", minutes: chosen.amount, ...(text === "" ? {} : { note: text }) }));
    if (answer === null) return;
    onClose();
    acceptAct(alert, "snooze", answer);
  };
  return (
    <Dialog title="Snooze this alert?" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="dialog-subject">
          <SeverityBadge severity={alert.severity} /> {alert.message}
        </p>
        <p>Until then nothing is sent. If it still stands then, one reminder follows. It ends sooner if the alert becomes more severe or gets new members.</p>
        <Choices choices={choices} chosen={chosen.label} onChange={setLabel} />
        <NoteField label="Note (optional): why it can wait" value={note} onInput={setNote} />
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy || !fits(note)}>
            {busy ? "Snoozing…" : "Snooze"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

// Acknowledge for another time than the usual one.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Alert } from "../api/types.ts";
import { acknowledgeChoices, chosenOf, defaultHours } from "../model/attention.ts";
import { acceptAct } from "../state/attend.ts";
import { now } from "../state/clock.ts";
import { useCall } from "../state/use-call.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Choices } from "../ui/choices.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";

export function AcknowledgeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [label, setLabel] = useState<string | null>(null);
  const { busy, error, run } = useCall();
  const choices = acknowledgeChoices(now.value);
  const chosen = chosenOf(choices, label, defaultHours(alert.severity));
  const submit = async (event: Event) => {
    event.preventDefault();
    const answer = await run(() => api.act(alert.id, { action: "acknowledge", hours: chosen.amount }));
    if (answer === null) return;
    onClose();
    acceptAct(alert, "acknowledge", answer);
  };
  return (
    <Dialog title="Acknowledge this alert?" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="dialog-subject">
          <SeverityBadge severity={alert.severity} /> {alert.message}
        </p>
        <p>Somebody is on it: no reminders until then. It ends sooner if the alert becomes more severe or gets new members.</p>
        <Choices choices={choices} chosen={chosen.label} onChange={setLabel} />
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy}>
            {busy ? "Acknowledging…" : "Acknowledge"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

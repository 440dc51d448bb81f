// Except: why a difference may stay, and until when.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Drift } from "../api/types.ts";
import { exceptedUntil, validDays } from "../model/decisions.ts";
import { now } from "../state/clock.ts";
import { accept } from "../state/decisions.ts";
import { useCall } from "../state/use-call.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Failure } from "../ui/loading.tsx";
import { fits, NoteField } from "../ui/note-field.tsx";

export function ExceptDialog({ entry, onClose }: { entry: Drift; onClose: () => void }) {
  const [days, setDays] = useState("30");
  const [reason, setReason] = useState("");
  const { busy, error, run } = useCall();
  const count = validDays(days);
  const ready = count !== null && reason.trim() !== "" && fits(reason);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    const answer = await run(() => api.except(entry.id, count, reason.trim()));
    if (answer === null) return;
    accept(answer);
    onClose();
  };
  return (
    <Dialog title="Let this difference stand?" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="dialog-subject">
          <SeverityBadge severity={entry.severity} /> {entry.issue}
        </p>
        <p>Until then no run repairs it, and no alert counts it. It stays in this list, with your reason.</p>
        <label class="field field-days">
          <span>For how many days</span>
          <input
            type="number"
            min="1"
            max="365"
            value={days}
            onInput={(event) => setDays(event.currentTarget.value)}
            aria-invalid={count === null}
            aria-describedby="except-until"
          />
        </label>
        <p id="except-until" class={count === null ? "problem" : "quiet field-days-foot"}>
          {count === null ? "From 1 to 365 days." : `Until ${exceptedUntil(now.value, count)}.`}
        </p>
        <NoteField label="Why it may stay" value={reason} onInput={setReason} />
        {error !== null && <Failure error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={busy || !ready}>
            {busy ? "Excepting…" : "Except"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

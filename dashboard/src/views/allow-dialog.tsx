// Lets the next run over everything write what the circuit breaker holds of a class.

import { useState } from "preact/hooks";
import { api } from "../api/client.ts";
import { allowConsequence } from "../model/decisions.ts";
import { count, plural } from "../model/format.ts";
import { driftType } from "../model/words.ts";
import { useLive } from "../state/live.ts";
import { useCall } from "../state/use-call.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Failure, Loaded } from "../ui/loading.tsx";
import { Moment } from "../ui/time.tsx";

export function AllowDialog({ type, onClose }: { type: string; onClose: () => void }) {
  const [until, setUntil] = useState<string | null>(null);
  const { busy, error, run } = useCall();
  // The API wants the number that is held now, of the whole class.
  const held = useLive(`held ${type}`, (signal) => api.drift({ type, action: "held", limit: 1 }, signal), () => null);

  const allow = async (n: number) => {
    const answer = await run(() => api.allowHeld(type, n));
    if (answer === null) void held?.refresh();
    else setUntil(answer.until);
  };

  if (until !== null) {
    return (
      <Dialog title="Allowed" onClose={onClose}>
        <p>
          The next run over everything that begins until <Moment at={until} /> may write them. “Reconcile now” starts one.
        </p>
        <div class="dialog-actions">
          <button type="button" class="button button-primary" onClick={onClose}>
            Close
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={`${driftType(type)}: allow what is held?`} onClose={onClose}>
      <Loaded live={held} rows={1} label="Counting what is held">
        {(data) => (
          <>
            <p>
              <strong>
                {plural(data.count, "entry is", "entries are")} held back.
              </strong>{" "}
              {allowConsequence(data.count)}
            </p>
            {error !== null && <Failure error={error} />}
            <div class="dialog-actions">
              <button type="button" class="button" onClick={onClose}>
                Cancel
              </button>
              <button type="button" class="button button-danger" disabled={busy || data.count === 0} onClick={() => void allow(data.count)}>
                {busy ? "Allowing…" : `Allow ${count(data.count)}`}
              </button>
            </div>
          </>
        )}
      </Loaded>
    </Dialog>
  );
}

// Asks once more before anything is approved that takes access from somebody, and says from whom.

import type { Drift } from "../api/types.ts";
import { count, plural } from "../model/format.ts";
import { customers, lowering } from "../model/decisions.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Id } from "../ui/id.tsx";

export function ApproveDialog({ entries, onClose, onApprove }: { entries: Drift[]; onClose: () => void; onApprove: () => void }) {
  const losing = lowering(entries);
  const rest = entries.length - losing.length;
  const confirm = () => {
    onClose();
    onApprove();
  };
  return (
    <Dialog title={`Take access from ${plural(customers(losing), "customer")}?`} onClose={onClose}>
      <p>
        {losing.length === 1 ? "This repair takes" : `${count(losing.length)} of these repairs take`} something away from a customer. Stripe is
        read once more before anything is written; if it says something else by then, nothing is.
      </p>
      <ul class="losing" tabIndex={0} aria-label="Whose access goes">
        {losing.map((entry) => (
          <li key={entry.id}>
            <span>
              {entry.stripe_customer_id === null ? "Unknown customer" : <Id id={entry.stripe_customer_id} livemode={entry.livemode} />}
            </span>
            <span>
              <span class="quiet">owner</span> {entry.owner === null ? "unknown" : <Id id={entry.owner} livemode={null} />}
            </span>
            <span class="losing-issue">{entry.issue}</span>
          </li>
        ))}
      </ul>
      {rest > 0 && <p>The other {plural(rest, "repair")} you have chosen {rest === 1 ? "takes" : "take"} nothing away.</p>}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="button button-danger" onClick={confirm}>
          Approve {plural(entries.length, "repair")}
        </button>
      </div>
    </Dialog>
  );
}

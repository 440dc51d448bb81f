// One entry of the Drift page, with what a person may decide about it and what came of that.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Drift } from "../api/types.ts";
import { canApprove, canExcept, canRevert, canUnexcept } from "../model/decisions.ts";
import { approve, approving, decide, pending, settled } from "../state/decisions.ts";
import { knownPolicies } from "../state/policies.ts";
import { Outcome } from "../ui/outcome.tsx";
import { ApproveDialog } from "./approve-dialog.tsx";
import { EntryDone, EntryWhat } from "./drift-entry.tsx";
import { ExceptDialog } from "./except-dialog.tsx";
import { RevertDialog } from "./revert-dialog.tsx";

function Buttons({ entry, onApprove }: { entry: Drift; onApprove: () => void }) {
  const [asking, setAsking] = useState<"approve" | "except" | "revert" | null>(null);
  const busy = pending.value.has(entry.id);
  const close = () => setAsking(null);
  const button = (word: string, onClick: () => void, style = "") => (
    <button type="button" class={`button button-small ${style}`} disabled={busy} onClick={onClick}>
      {word}
    </button>
  );
  return (
    <div class="decide">
      {canApprove(entry, knownPolicies.value) &&
        approving.value === null &&
        button(
          busy ? "Approving…" : entry.lowers_access ? "Approve…" : "Approve",
          () => (entry.lowers_access ? setAsking("approve") : onApprove()),
          "button-primary",
        )}
      {canExcept(entry) && button("Except…", () => setAsking("except"))}
      {canUnexcept(entry) && button(busy ? "Ending…" : "End exception", () => void decide(entry, () => api.unexcept(entry.id)))}
      {canRevert(entry) && button("Take back…", () => setAsking("revert"))}
      {asking === "approve" && <ApproveDialog entries={[entry]} onClose={close} onApprove={onApprove} />}
      {asking === "except" && <ExceptDialog entry={entry} onClose={close} />}
      {asking === "revert" && <RevertDialog entry={entry} onClose={close} />}
    </div>
  );
}

export function DriftItem({ entry, selected, onSelect }: { entry: Drift; selected: boolean; onSelect: (on: boolean) => void }) {
  const row = useRef<HTMLLIElement>(null);
  const came = settled.value.get(entry.id);
  useEffect(() => {
    // The button that was pressed may be gone with what it did.
    if (came !== undefined && document.activeElement === document.body) row.current?.focus();
  }, [came?.at]);
  const send = () => {
    onSelect(false);
    void approve([entry]);
  };
  const pick = canApprove(entry, knownPolicies.value);
  return (
    <li ref={row} class={`finding drift-item ${selected ? "is-selected" : ""}`} data-item data-row tabIndex={-1}>
      <div class="pick">
        {pick && (
          <input
            type="checkbox"
            aria-label={`Select ${entry.stripe_subscription_id ?? entry.issue}`}
            checked={selected}
            disabled={approving.value !== null}
            onChange={(event) => onSelect(event.currentTarget.checked)}
          />
        )}
      </div>
      <div class="finding-what">
        <EntryWhat entry={entry} />
      </div>
      <EntryDone entry={entry}>
        {came !== undefined && (
          <Outcome said={came.result} />
        )}
        <Buttons entry={entry} onApprove={send} />
      </EntryDone>
    </li>
  );
}

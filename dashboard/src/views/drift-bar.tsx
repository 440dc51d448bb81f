// Approving many at once: what is chosen, how far it has come, what came of it.

import { useState } from "preact/hooks";
import type { Drift } from "../api/types.ts";
import { lowering, tally } from "../model/decisions.ts";
import { count } from "../model/format.ts";
import { waitUntil } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { approve, approving, forgetSettled, settled, stopApproving } from "../state/decisions.ts";
import { ApproveDialog } from "./approve-dialog.tsx";

function Progress() {
  const state = approving.value!;
  return (
    <>
      <progress max={state.total} value={state.done} aria-label="Approving" />
      <span class="quiet">
        {count(state.done)} of {count(state.total)}
        {state.waitUntil !== null && `, goes on ${waitUntil(state.waitUntil, now.value)}`}
      </span>
      <button type="button" class="button button-small" onClick={stopApproving}>
        Stop
      </button>
    </>
  );
}

/** What came of what was decided here; the list keeps those entries until it is put away. */
function Outcomes() {
  const results = [...settled.value.values()].map(({ result }) => result);
  const only = results.length === 1 ? results[0]! : null;
  return (
    <div class="drift-outcomes">
      <p role="status">{results.length === 0 ? "" : only !== null ? `${only.title}. ${only.text}` : `${tally(results)}.`}</p>
      {results.length > 0 && approving.value === null && (
        <button type="button" class="dismiss" onClick={forgetSettled}>
          Dismiss
        </button>
      )}
    </div>
  );
}

/** `choosable` are those shown that can be approved, `chosen` those of them that are selected. */
export function DriftBar({ choosable, chosen, onChoose }: { choosable: Drift[]; chosen: Drift[]; onChoose: (ids: string[]) => void }) {
  const [asking, setAsking] = useState(false);
  const risky = lowering(chosen).length > 0;
  const send = () => {
    // What comes back changed has to be chosen anew.
    onChoose([]);
    void approve(chosen);
  };
  const style = choosable.length === 0 && settled.value.size === 0 ? "is-empty" : chosen.length > 0 || approving.value !== null || settled.value.size > 1 ? "is-active" : "";
  return (
    <div class={`drift-bar ${style}`} role="region" aria-label="Approve many">
      {approving.value !== null ? (
        <Progress />
      ) : (
        choosable.length > 0 && (
          <>
            <label class="choose">
              <input
                type="checkbox"
                checked={chosen.length === choosable.length}
                ref={(box) => {
                  if (box !== null) box.indeterminate = chosen.length > 0 && chosen.length < choosable.length;
                }}
                onChange={(event) => onChoose(event.currentTarget.checked ? choosable.map(({ id }) => id) : [])}
              />
              {chosen.length === 0 ? `All ${count(choosable.length)} shown that can be approved` : `${count(chosen.length)} of ${count(choosable.length)} selected`}
            </label>
            <button type="button" class="button button-small button-primary" disabled={chosen.length === 0} onClick={risky ? () => setAsking(true) : send}>
              {chosen.length === 0 ? "Approve" : `Approve ${count(chosen.length)}${risky ? "…" : ""}`}
            </button>
          </>
        )
      )}
      <Outcomes />
      {asking && <ApproveDialog entries={chosen} onClose={() => setAsking(false)} onApprove={send} />}
    </div>
  );
}

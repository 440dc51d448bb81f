// The mode of one drift class: what it is, what counts, and what another would do.

import { useRef, useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Mode, Policy } from "../api/types.ts";
import { MODES, modeWords, previewSentence } from "../model/policies.ts";
import { driftType } from "../model/words.ts";
import { policies } from "../state/policies.ts";
import { href } from "../state/router.ts";
import { userId } from "../state/session.ts";
import { useCall } from "../state/use-call.ts";
import { Failure } from "../ui/loading.tsx";
import { Id } from "../ui/id.tsx";
import { Segmented } from "../ui/segmented.tsx";
import { Ago } from "../ui/time.tsx";

const OPTIONS = MODES.map((mode): [Mode, string] => [mode, mode]);

function By({ policy }: { policy: Policy }) {
  if (policy.updated_at === null) return null;
  return (
    <p class="quiet">
      Set <Ago at={policy.updated_at} />
      {policy.updated_by === null ? null : policy.updated_by === userId.value ? (
        " by you"
      ) : (
        <>
          {" by user "}
          <Id id={policy.updated_by} livemode={null} />
        </>
      )}
    </p>
  );
}

export function PolicyItem({ policy, ceiling }: { policy: Policy; ceiling: Mode }) {
  const [choice, setChoice] = useState<Mode | null>(null);
  const { busy, error, run } = useCall();
  const row = useRef<HTMLLIElement>(null);
  const chosen = choice ?? policy.mode;
  const changes = chosen !== policy.mode;
  const end = () => {
    // The button that was pressed goes with the question.
    row.current?.focus();
    setChoice(null);
  };
  const save = async () => {
    const answer = await run(() => api.setPolicy(policy.type, chosen, policy.version));
    end();
    // Where somebody was quicker, what they have set is shown before anything is tried again.
    if (answer === null) void policies.value?.refresh();
    else policies.value?.take(answer);
  };
  return (
    <li ref={row} class="policy" data-item data-row tabIndex={-1}>
      <Segmented legend={<strong>{driftType(policy.type)}</strong>} value={chosen} options={OPTIONS} onChange={setChoice} />
      <div class="policy-said">
        <div role="status">
          {changes ? (
            <p>{previewSentence(policy, chosen, ceiling)}</p>
          ) : error?.code === "conflict" ? (
            <p class="tone-warning outcome">Somebody was quicker: it is {policy.mode} now. Nothing of yours was saved.</p>
          ) : (
            <p class="policy-effect">
              {policy.effective !== policy.mode && (
                <span>
                  <span class={`mode mode-${policy.effective}`}>{policy.effective}</span> is in effect: REPAIR_MODE allows no more.
                </span>
              )}
              <span class="quiet">{modeWords[policy.effective]}</span>
            </p>
          )}
        </div>
        {changes ? (
          <p class="decide">
            <button type="button" class="button button-small button-primary" disabled={busy} onClick={() => void save()}>
              {busy ? "Saving…" : `Switch to ${chosen}`}
            </button>
            <button type="button" class="button button-small" disabled={busy} onClick={end}>
              Cancel
            </button>
            {policy.preview.repairs > 0 && <a href={href("drift", { type: policy.type })}>Look at them first</a>}
          </p>
        ) : (
          <By policy={policy} />
        )}
        {!changes && error !== null && error.code !== "conflict" && <Failure error={error} />}
      </div>
    </li>
  );
}

// The drift of one class: how much, what its mode lets happen, and the entries.

import { useState } from "preact/hooks";
import type { Group } from "../model/decisions.ts";
import { count } from "../model/format.ts";
import { modeOf } from "../model/policies.ts";
import { driftType } from "../model/words.ts";
import { knownPolicies } from "../state/policies.ts";
import { href, route } from "../state/router.ts";
import { AllowDialog } from "./allow-dialog.tsx";
import { DriftItem } from "./drift-item.tsx";

export function DriftGroup({
  group,
  selected,
  onSelect,
}: {
  group: Group;
  selected: ReadonlySet<string>;
  onSelect: (id: string, on: boolean) => void;
}) {
  const [allowing, setAllowing] = useState(false);
  const { type, entries } = group;
  const title = `drift-${type}`;
  const mode = modeOf(knownPolicies.value, type);
  const held = entries.some((entry) => entry.action === "held" && entry.closed_at === null);
  const only = route.value.params["type"] === type;
  return (
    <section class="drift-group" aria-labelledby={title}>
      <div class="drift-group-head">
        <h2 id={title}>
          {driftType(type)} <span class="count">{count(group.count)}</span>
        </h2>
        {mode !== null && entries.some((entry) => entry.proposal !== null && entry.closed_at === null) && (
          <a class="quiet" href={href("policies")}>
            mode {mode}
          </a>
        )}
        {!only && (
          <a href={href("drift", { ...route.value.params, type })}>
            {entries.length === 0 ? "Show these" : "Only these"}
          </a>
        )}
        {held && mode === "auto" && (
          <button type="button" class="button button-small" onClick={() => setAllowing(true)}>
            Allow all held ones…
          </button>
        )}
      </div>
      {entries.length > 0 && (
        <ul class="findings">
          {entries.map((entry) => (
            <DriftItem key={entry.id} entry={entry} selected={selected.has(entry.id)} onSelect={(on) => onSelect(entry.id, on)} />
          ))}
        </ul>
      )}
      {allowing && <AllowDialog type={type} onClose={() => setAllowing(false)} />}
    </section>
  );
}

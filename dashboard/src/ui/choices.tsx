// For how long: one of several times, each with when it ends.

import { useId } from "preact/hooks";
import type { Choice } from "../model/attention.ts";
import { utcClock } from "../model/format.ts";
import { now } from "../state/clock.ts";

/** `chosen` is a label: how much time it is until the morning changes while one thinks. */
export function Choices({ choices, chosen, onChange }: { choices: Choice[]; chosen: string; onChange: (label: string) => void }) {
  const name = useId();
  return (
    <fieldset class="choices">
      <legend>For how long</legend>
      {choices.map(({ label, until }) => (
        <label key={label}>
          <input type="radio" name={name} checked={chosen === label} onChange={() => onChange(label)} />
          <span>{label}</span>
          <span class="quiet">
            <span class="visually-hidden">until </span>
            {utcClock(until, now.value)}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

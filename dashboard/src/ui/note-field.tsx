// A field for a text that is kept, with how much of it still fits.

import { useId } from "preact/hooks";
import { plural } from "../model/format.ts";

/** The API's limit, in characters. */
const MAX = 2000;

/** Whether the API takes it. */
export function fits(note: string): boolean {
  return [...note].length <= MAX;
}

export function NoteField({ label, value, onInput }: { label: string; value: string; onInput: (value: string) => void }) {
  const id = useId();
  const left = MAX - [...value].length;
  return (
    <>
      <label class="field">
        <span>{label}</span>
        <textarea rows={4} value={value} onInput={(event) => onInput(event.currentTarget.value)} aria-describedby={id} aria-invalid={left < 0} />
      </label>
      <p id={id} class={left < 0 ? "problem" : "quiet field-foot"}>
        {left < 0 ? `${plural(-left, "character")} too long` : `${plural(left, "character")} left`}
      </p>
    </>
  );
}

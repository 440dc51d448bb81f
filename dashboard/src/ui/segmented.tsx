// One of a few, side by side.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export function Segmented<T extends string>({
  legend,
  value,
  options,
  onChange,
}: {
  legend: ComponentChildren;
  value: T;
  options: readonly [value: T, label: string][];
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset class="segmented">
      <legend>{legend}</legend>
      {options.map(([option, label]) => (
        <label key={option}>
          <input type="radio" name={name} checked={value === option} onChange={() => onChange(option)} />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

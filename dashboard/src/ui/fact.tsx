// A labelled number.

import type { ComponentChildren } from "preact";

/** A labelled number. */
export function Fact({ label, children, note }: { label: string; children: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{label}</dt>
      <dd>
        <span class="fact-value">{children}</span>
        {note !== undefined && note !== null && <span class="fact-note">{note}</span>}
      </dd>
    </div>
  );
}

// What came of something that was done, where it was done.

import type { ComponentChildren } from "preact";
import type { Said } from "../model/attention.ts";
import { resultGlyphs } from "./badges.tsx";
import { Glyph } from "./glyph.tsx";

/** `children` are what can be done about it. */
export function Outcome({ said, children }: { said: Said; children?: ComponentChildren }) {
  return (
    <div class={`outcome tone-${said.tone}`}>
      <Glyph name={resultGlyphs[said.tone]} />
      <p>
        <strong>{said.title}.</strong> {said.text}
      </p>
      {children}
    </div>
  );
}

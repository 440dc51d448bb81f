// A button that copies a text.

import { useEffect, useState } from "preact/hooks";
import { Glyph } from "./glyph.tsx";

/** Copies a text; says so for two seconds, to screen readers too. */
export function Copy({ text, label, quiet = false }: { text: string; label: string; quiet?: boolean }) {
  const [done, setDone] = useState<"no" | "yes" | "failed">("no");
  useEffect(() => {
    if (done === "no") return;
    const timer = setTimeout(() => setDone("no"), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    try {
      // Not there at all where the page isn't served securely.
      await navigator.clipboard.writeText(text);
      setDone("yes");
    } catch {
      setDone("failed");
    }
  };
  return (
    <button type="button" class="copy" onClick={() => void copy()} title={text}>
      <Glyph name={done === "yes" ? "check" : "copy"} />
      <span aria-live="polite" class={quiet && done === "no" ? "visually-hidden" : ""}>
        {done === "yes" ? "Copied" : done === "failed" ? "Could not copy" : label}
      </span>
    </button>
  );
}

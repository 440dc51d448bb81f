// All that a span of days holds, as one file: what of it, which days, how it comes along.

import { useState } from "preact/hooks";
import { exportName, exportSpan, type ExportFormat, type ExportWhat } from "../model/export.ts";
import { count, plural } from "../model/format.ts";
import { waitUntil } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { useExport, type Exporting } from "../state/export.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Glyph } from "../ui/glyph.tsx";
import { Failure } from "../ui/loading.tsx";
import { save } from "../ui/save.ts";
import { Segmented } from "../ui/segmented.tsx";

const WHATS: Record<ExportWhat, string> = { drift: "Drift", history: "History", runs: "Runs" };
const BY: Record<ExportWhat, string> = {
  drift: "Every entry that was first seen in these days, as it is now.",
  history: "All that became of entries in these days: what runs and people did, and why.",
  runs: "Every run that started in these days, passes among them.",
};
const FORMATS: [ExportFormat, string][] = [
  ["csv", "CSV"],
  ["ndjson", "NDJSON"],
];

function Progress({ state }: { state: Extract<Exporting, { kind: "busy" }> }) {
  const { rows, total } = state;
  return (
    <div class="csv export-progress">
      {/* Before the first page nobody knows how much there is: a bar without a value says so. */}
      <progress {...(total === null ? {} : { max: Math.max(1, total), value: Math.min(rows, total) })} aria-label="Exporting" />
      <span class="quiet">
        {total === null ? "Starting" : `${count(rows)} of ${count(Math.max(rows, total))}`}
        {state.waitUntil !== null && `, goes on ${waitUntil(state.waitUntil, now.value)}`}
      </span>
    </div>
  );
}

function ExportDialog({ whats, onClose }: { whats: readonly [ExportWhat, ...ExportWhat[]]; onClose: () => void }) {
  const [what, setWhat] = useState<ExportWhat>(whats[0]);
  const [format, setFormat] = useState<ExportFormat>("csv");
  const [first, setFirst] = useState("");
  const [last, setLast] = useState("");
  const name = exportName(what, format, first, last);
  const { state, start, goOn, stop } = useExport((file) => save(file, name));
  const span = exportSpan(first, last, now.value);
  const busy = state.kind === "busy";
  const submit = (event: Event) => {
    event.preventDefault();
    if (typeof span !== "string" && !busy) start({ what, format, span: exportSpan(first, last, Date.now()) as typeof span });
  };
  // A choice that changes what the file would be ends what was under way for another.
  const choose = <T,>(set: (value: T) => void) => (value: T) => {
    stop();
    set(value);
  };
  const day = (label: string, value: string, set: (value: string) => void) => (
    <label class="field">
      <span>{label}</span>
      <input
        type="date"
        value={value}
        disabled={busy}
        aria-invalid={typeof span === "string"}
        aria-describedby="export-span"
        onInput={(event) => choose(set)(event.currentTarget.value)}
      />
    </label>
  );
  return (
    // The first Escape cancels an export, the next one closes the dialog.
    <Dialog title="Export" onClose={busy ? stop : onClose}>
      <form onSubmit={submit}>
        <fieldset class="export-choices" disabled={busy}>
          {whats.length > 1 && (
            <Segmented legend="What" value={what} options={whats.map((each) => [each, WHATS[each]] as const)} onChange={choose(setWhat)} />
          )}
          <Segmented legend="Format" value={format} options={FORMATS} onChange={choose(setFormat)} />
        </fieldset>
        <p class="quiet">{BY[what]} The list's filters do not apply.</p>
        <div class="export-days">
          {day("First day", first, setFirst)}
          {day("Last day", last, setLast)}
        </div>
        <p id="export-span" class={typeof span === "string" ? "problem" : "quiet"}>
          {typeof span === "string" ? span : "Days are UTC and both included. Without them: everything until now."}
        </p>
        {busy && <Progress state={state} />}
        {state.kind === "failed" && (
          <>
            <Failure error={state.error} onRetry={goOn} />
            <p class="quiet">
              No file was saved. {state.rows > 0 && `Trying again goes on after the ${plural(state.rows, "row")} that have come.`}
            </p>
          </>
        )}
        <p role="status" class={state.kind === "saved" ? "export-saved" : "visually-hidden"}>
          {state.kind === "saved" && (
            <>
              <Glyph name="check" /> {state.rows === 0 ? "Nothing in these days: the file has no rows." : `${plural(state.rows, "row")} saved.`} <code>{name}</code>
            </>
          )}
        </p>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={busy ? stop : onClose}>
            {busy ? "Cancel" : "Close"}
          </button>
          <button type="submit" class="button button-primary" disabled={busy || typeof span === "string"}>
            {busy ? "Exporting…" : "Export"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** A button that opens it. `whats` can be chosen from, the first of them being what is meant unless another is chosen. */
export function Export({ whats }: { whats: readonly [ExportWhat, ...ExportWhat[]] }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="button button-small" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <Glyph name="download" /> Export…
      </button>
      {open && <ExportDialog whats={whats} onClose={() => setOpen(false)} />}
    </>
  );
}

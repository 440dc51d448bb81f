// The drift of a run as a CSV file.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError } from "../api/client.ts";
import type { Run } from "../api/types.ts";
import { header, lines } from "../model/csv.ts";
import { count } from "../model/format.ts";
import { failure } from "../model/words.ts";
import { patient } from "../state/patient.ts";
import { Glyph } from "../ui/glyph.tsx";
import { save } from "../ui/save.ts";

type Download = { kind: "idle" } | { kind: "busy"; done: number } | { kind: "failed"; error: ApiError };

/** Downloads all of it, page by page; waits where the server says so. */
export function CsvDownload({ run, total, show, type }: { run: Run; total: number; show: string; type: string }) {
  const [state, setState] = useState<Download>({ kind: "idle" });
  const flight = useRef<AbortController | null>(null);
  useEffect(() => () => flight.current?.abort(), []);

  const download = async () => {
    const abort = new AbortController();
    flight.current = abort;
    const parts = [header()];
    let cursor: string | null = null;
    let done = 0;
    setState({ kind: "busy", done });
    try {
      do {
        const page: Awaited<ReturnType<typeof api.run>> = await patient(() => api.run(run.id, { show, type, limit: 200, cursor }, abort.signal), abort.signal);
        parts.push(lines(page.drift));
        done += page.drift.length;
        cursor = page.next_cursor;
        setState({ kind: "busy", done });
      } while (cursor !== null);
      save(new Blob(parts, { type: "text/csv;charset=utf-8" }), `${run.run_key.replaceAll(":", "-")}${show === "new" ? "" : `_${show}`}${type === "" ? "" : `_${type}`}.csv`);
      setState({ kind: "idle" });
    } catch (cause) {
      if (abort.signal.aborted) setState({ kind: "idle" });
      else setState({ kind: "failed", error: cause instanceof ApiError ? cause : new ApiError(0, "internal", String(cause)) });
    }
  };

  return (
    <div class="csv">
      {state.kind === "busy" ? (
        <>
          <progress max={Math.max(1, total)} value={state.done} aria-label="Downloading the drift" />
          <span class="quiet">
            {count(state.done)} of {count(total)}
          </span>
          <button type="button" class="button button-small" onClick={() => flight.current?.abort()}>
            Cancel
          </button>
        </>
      ) : (
        <button type="button" class="button button-small" onClick={() => void download()}>
          <Glyph name="download" /> Download CSV
        </button>
      )}
      {state.kind === "failed" && (
        <span class="problem" role="alert">
          {failure(state.error).title}. No file was saved.
        </span>
      )}
    </div>
  );
}

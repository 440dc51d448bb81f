// An export under way: page after page until the last, then one file.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, type ApiError, type ExportPage } from "../api/client.ts";
import { rowsIn, type ExportFormat, type ExportSpan, type ExportWhat } from "../model/export.ts";
import { patient } from "./patient.ts";
import { noteRefusal } from "./session.ts";
import { asApiError } from "./use-call.ts";

/** What a person wants to have. */
export interface ExportWish {
  what: ExportWhat;
  format: ExportFormat;
  span: ExportSpan;
}

/** What has come so far. It can be gone on with after a page that failed. */
export interface Gathered {
  parts: Blob[];
  rows: number;
  /** How many there are; null before the first page. */
  total: number | null;
  cursor: string | null;
}

/** Nothing yet. */
export function nothingGathered(): Gathered {
  return { parts: [], rows: 0, total: null, cursor: null };
}

/** Reads a page; `waits` hears until when the server takes no more. */
export type ReadPage = (cursor: string | null, waits: (until: number) => void) => Promise<ExportPage>;

/**
 * Adds page after page to what has come, until the last. `onStep` hears of each page, and of each time that has to be waited for.
 * Rejects where a page fails, with everything before it kept.
 */
export async function gather(into: Gathered, format: ExportFormat, read: ReadPage, onStep: (waitUntil: number | null) => void): Promise<void> {
  do {
    const first = into.parts.length === 0;
    const page = await read(into.cursor, onStep);
    // A blob for each, as the browser can keep those outside of the page's memory.
    into.parts.push(new Blob([page.text]));
    into.rows += rowsIn(page.text, format, first);
    into.total = page.total ?? into.total;
    into.cursor = page.next;
    onStep(null);
  } while (into.cursor !== null);
}

export type Exporting =
  | { kind: "idle" }
  | { kind: "busy"; rows: number; total: number | null; waitUntil: number | null }
  | { kind: "failed"; rows: number; total: number | null; error: ApiError }
  | { kind: "saved"; rows: number };

/** One export at a time, which ends with the view. `save` gets the whole file. */
export function useExport(save: (file: Blob) => void): {
  state: Exporting;
  start: (wish: ExportWish) => void;
  goOn: () => void;
  stop: () => void;
} {
  const [state, setState] = useState<Exporting>({ kind: "idle" });
  const flight = useRef<AbortController | null>(null);
  const under = useRef<{ wish: ExportWish; gathered: Gathered } | null>(null);
  useEffect(() => () => flight.current?.abort(), []);

  const goOn = async () => {
    if (under.current === null) return;
    const { wish, gathered } = under.current;
    const abort = new AbortController();
    flight.current = abort;
    const show = (waitUntil: number | null) =>
      setState({ kind: "busy", rows: gathered.rows, total: gathered.total, waitUntil });
    show(null);
    const read: ReadPage = (cursor, waits) =>
      patient(() => api.exportPage({ what: wish.what, format: wish.format, ...wish.span, cursor }, abort.signal), abort.signal, waits);
    try {
      await gather(gathered, wish.format, read, show);
      save(new Blob(gathered.parts, { type: wish.format === "csv" ? "text/csv;charset=utf-8" : "application/x-ndjson" }));
      under.current = null;
      setState({ kind: "saved", rows: gathered.rows });
    } catch (cause) {
      if (abort.signal.aborted) return;
      const error = asApiError(cause);
      noteRefusal(error);
      setState({ kind: "failed", rows: gathered.rows, total: gathered.total, error });
    }
  };
  return {
    state,
    start: (wish) => {
      under.current = { wish, gathered: nothingGathered() };
      void goOn();
    },
    goOn: () => void goOn(),
    stop: () => {
      flight.current?.abort();
      under.current = null;
      setState({ kind: "idle" });
    },
  };
}

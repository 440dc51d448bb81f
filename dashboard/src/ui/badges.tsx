// Severities and statuses as a shape, a word and a colour.

import type { RunStatus, Severity } from "../api/types.ts";
import { severityWords, statusWords } from "../model/words.ts";
import { Glyph, type GlyphName } from "./glyph.tsx";

const severityGlyphs: Record<Severity, GlyphName> = {
  critical: "octagon",
  high: "triangle",
  warning: "triangle",
  info: "info",
};

/** A severity as a shape, a word and a colour. */
export function SeverityBadge({ severity }: { severity: Severity }) {
  return (
    <span class={`badge tone-${severity}`}>
      <Glyph name={severityGlyphs[severity] ?? "info"} />
      {severityWords[severity] ?? severity}
    </span>
  );
}

export const statusGlyphs: Record<RunStatus, GlyphName> = {
  running: "running",
  success: "check",
  partial: "partial",
  error: "cross",
};

export const statusTones: Record<RunStatus, string> = {
  running: "info",
  success: "ok",
  partial: "warning",
  error: "critical",
};

/** A run's status as a shape, a word and a colour. */
export function StatusBadge({ status }: { status: RunStatus }) {
  return (
    <span class={`badge tone-${statusTones[status] ?? "info"}`}>
      <Glyph name={statusGlyphs[status] ?? "info"} />
      {statusWords[status] ?? status}
    </span>
  );
}

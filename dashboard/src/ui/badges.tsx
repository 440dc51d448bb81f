// Severities and statuses as a shape, a word and a colour.

import type { ChannelStatus, DeliveryStatus, RunStatus, Severity } from "../api/types.ts";
import { channelStatusWords, deliveryStatusWords, severityWords, statusWords } from "../model/words.ts";
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

const channelGlyphs: Record<ChannelStatus, [GlyphName, string]> = {
  ok: ["check", "ok"],
  failing: ["triangle", "warning"],
  off: ["cross", "critical"],
  not_configured: ["empty", "neutral"],
};

/** How a channel stands as a shape, a word and a colour. */
export function ChannelBadge({ status }: { status: ChannelStatus }) {
  const [glyph, tone] = channelGlyphs[status] ?? ["question", "neutral"];
  return (
    <span class={`badge tone-${tone}`}>
      <Glyph name={glyph} />
      {channelStatusWords[status] ?? status}
    </span>
  );
}

const deliveryGlyphs: Record<DeliveryStatus, [GlyphName, string]> = {
  due: ["clock", "info"],
  sent: ["check", "ok"],
  suppressed: ["empty", "neutral"],
  dead: ["cross", "critical"],
};

/** What became of a delivery as a shape, a word and a colour; `retrying` where it has failed so far. */
export function DeliveryBadge({ status, retrying = false }: { status: DeliveryStatus; retrying?: boolean }) {
  const [glyph, tone]: [GlyphName, string] = retrying ? ["triangle", "warning"] : (deliveryGlyphs[status] ?? ["question", "neutral"]);
  return (
    <span class={`badge tone-${tone}`}>
      <Glyph name={glyph} />
      {retrying ? "Retrying" : (deliveryStatusWords[status] ?? status)}
    </span>
  );
}

/** What came of something that was done, as a shape. */
export const resultGlyphs: Record<"ok" | "warning" | "critical" | "info", GlyphName> = { ok: "check", warning: "triangle", critical: "cross", info: "info" };

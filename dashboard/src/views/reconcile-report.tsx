// The outcome of Reconcile Now, above whatever view is open.

import { now } from "../state/clock.ts";
import { limitText, reconcileState } from "../state/reconcile.ts";
import { href } from "../state/router.ts";
import { Glyph } from "../ui/glyph.tsx";

/** The outcome of Reconcile Now, until it is put away. */
export function ReconcileReport() {
  const state = reconcileState.value;
  const limited = state.kind === "limited" ? state : null;
  const limitOver = limited !== null && limited.until <= now.value;
  return (
    <div role="status" class="report-place">
      {state.kind === "pending" && (
        <div class="report tone-info">
          <Glyph name="running" />
          <p>
            <strong>Reconciling…</strong> The result will appear here; you can carry on in the meantime.
          </p>
        </div>
      )}
      {limited !== null && !limitOver && (
        <div class="report tone-warning">
          <Glyph name="clock" />
          <p>
            <strong>Not so fast.</strong> The server accepts ten calls a minute from one address.{" "}
            <span aria-live="off">{limitText(limited.until, now.value)}</span>
          </p>
        </div>
      )}
      {state.kind === "done" && (
        <div class={`report tone-${state.report.tone}`}>
          <Glyph name={state.report.tone === "ok" ? "check" : state.report.tone === "critical" ? "octagon" : state.report.tone === "warning" ? "triangle" : "info"} />
          <p>
            <strong>{state.report.title}.</strong> {state.report.text}{" "}
            {state.report.runId !== null && <a href={href("run", { id: state.report.runId })}>Open the run</a>}
          </p>
          <button
            type="button"
            class="dismiss"
            onClick={() => {
              reconcileState.value = { kind: "idle" };
            }}
          >
            Dismiss
          </button>
        </div>
      )}
    </div>
  );
}

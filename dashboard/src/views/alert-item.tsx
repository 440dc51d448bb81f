// One alert: a line that says what and how bad, and behind it all there is to know and do.

import { useState } from "preact/hooks";
import type { Alert } from "../api/types.ts";
import { plural } from "../model/format.ts";
import { alertName } from "../model/words.ts";
import { userId } from "../state/session.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Glyph } from "../ui/glyph.tsx";
import { Id } from "../ui/id.tsx";
import { Ago, Moment } from "../ui/time.tsx";
import { Episodes } from "./alert-episodes.tsx";
import { Metadata } from "./alert-metadata.tsx";
import { ResolveDialog } from "./resolve-dialog.tsx";

export function AlertItem({
  alert,
  level,
  open,
  onToggle,
  onResolved,
}: {
  alert: Alert;
  /** The level of its heading: one below that of the list. */
  level: 2 | 3;
  open: boolean;
  onToggle: () => void;
  onResolved: () => void;
}) {
  const [resolving, setResolving] = useState(false);
  const body = `alert-${alert.id}`;
  const Heading = level === 2 ? "h2" : "h3";
  return (
    <li class={`alert tone-${alert.severity} ${open ? "is-open" : ""}`} data-item>
      <Heading class="alert-head">
        <button type="button" data-row aria-expanded={open} aria-controls={body} onClick={onToggle}>
          <span class="alert-severity">
            <SeverityBadge severity={alert.severity} />
          </span>
          <span class="alert-message">{alert.message}</span>
          <span class="alert-meta">
            <span>{alertName(alert.alert_key)}</span>
            {alert.occurrences > 1 && <span>seen {plural(alert.occurrences, "time")}</span>}
            <span>
              {alert.resolved ? (
                <>
                  resolved {alert.resolution === "auto" ? "automatically " : ""}
                  <Ago at={alert.resolved_at ?? alert.last_seen_at} />
                </>
              ) : (
                <>
                  opened <Ago at={alert.first_seen_at} />
                </>
              )}
            </span>
            {alert.previous_alert_id !== null && <span>not the first time</span>}
          </span>
          <Glyph name="chevron" />
        </button>
      </Heading>
      <div class="alert-body" id={body} hidden={!open}>
        {open && (
          <>
            <dl class="details">
              <dt>First seen</dt>
              <dd>
                <Moment at={alert.first_seen_at} />
              </dd>
              <dt>Last seen</dt>
              <dd>
                <Moment at={alert.last_seen_at} />
              </dd>
              <dt>Seen</dt>
              <dd>{plural(alert.occurrences, "time")}</dd>
              {alert.resolved && alert.resolved_at !== null && (
                <>
                  <dt>Resolved</dt>
                  <dd>
                    <Moment at={alert.resolved_at} />
                    {alert.resolution === "auto" ? (
                      ", automatically"
                    ) : alert.resolved_by === null ? (
                      ", by hand"
                    ) : alert.resolved_by === userId.value ? (
                      ", by you"
                    ) : (
                      <>
                        , by user <Id id={alert.resolved_by} livemode={null} />
                      </>
                    )}
                    {alert.resolution_note ? <q>{alert.resolution_note}</q> : null}
                  </dd>
                </>
              )}
              <Metadata metadata={alert.metadata} />
              <dt>Alert</dt>
              <dd>
                <Id id={alert.id} livemode={null} label="Copy ID" />
              </dd>
            </dl>
            {alert.previous_alert_id !== null && <Episodes alert={alert} />}
            {!alert.resolved && (
              <p class="alert-actions">
                <button type="button" class="button" onClick={() => setResolving(true)}>
                  Resolve…
                </button>
              </p>
            )}
          </>
        )}
      </div>
      {resolving && <ResolveDialog alert={alert} onClose={() => setResolving(false)} onResolved={onResolved} />}
    </li>
  );
}

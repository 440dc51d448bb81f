// One alert: a line that says what and how bad, and behind it all there is to know and do.

import { useEffect, useRef } from "preact/hooks";
import type { Alert } from "../api/types.ts";
import { plural } from "../model/format.ts";
import { alertName } from "../model/words.ts";
import { attend, attendByKey, attending, forgetSpoken, spoken } from "../state/attend.ts";
import { setItemKeys } from "../state/keyboard.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { By } from "../ui/by.tsx";
import { Glyph } from "../ui/glyph.tsx";
import { Id } from "../ui/id.tsx";
import { Outcome } from "../ui/outcome.tsx";
import { Ago, Moment } from "../ui/time.tsx";
import { acknowledgeAct, AlertActions, snoozeAct } from "./alert-actions.tsx";
import { AttendedDetails, AttendedMarks } from "./alert-attended.tsx";
import { Episodes } from "./alert-episodes.tsx";
import { AlertHistory } from "./alert-history.tsx";
import { WhereToLook } from "./alert-look.tsx";
import { Metadata } from "./alert-metadata.tsx";
import { AlertTold } from "./alert-told.tsx";

/** What came of the last action on it, with the way back where there is one. */
function Spoken({ alert }: { alert: Alert }) {
  const said = spoken.value;
  if (said === null || said.id !== alert.id) return null;
  const { undo } = said;
  return (
    <Outcome said={said.result}>
      {undo !== null && (
        <button type="button" class="dismiss" disabled={attending.value.has(alert.id)} onClick={() => void attend(alert, undo)}>
          Undo
        </button>
      )}
      <button type="button" class="dismiss" onClick={forgetSpoken}>
        Dismiss
      </button>
    </Outcome>
  );
}

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
  const item = useRef<HTMLLIElement>(null);
  const said = spoken.value?.id === alert.id ? spoken.value.at : null;
  const before = useRef(said);
  useEffect(() => {
    setItemKeys(item.current!, {
      a: () => attendByKey(alert, acknowledgeAct(alert)),
      s: () => attendByKey(alert, snoozeAct),
    });
  });
  useEffect(() => {
    if (before.current === said) return;
    before.current = said;
    // The button that was pressed may be gone with what it did.
    if (document.activeElement === document.body) item.current?.querySelector<HTMLElement>("[data-row]")?.focus();
  }, [said]);
  const body = `alert-${alert.id}`;
  const Heading = level === 2 ? "h2" : "h3";
  return (
    <li ref={item} class={`alert tone-${alert.severity} ${open ? "is-open" : ""}`} data-item>
      <Heading class="alert-head">
        <button type="button" data-row aria-expanded={open} aria-controls={body} onClick={onToggle}>
          <span class="alert-severity">
            <SeverityBadge severity={alert.severity} />
          </span>
          <span class="alert-message">{alert.message}</span>
          <AttendedMarks alert={alert} />
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
      <Spoken alert={alert} />
      <div class="alert-body" id={body} hidden={!open}>
        {open && (
          <>
            <AlertActions alert={alert} onResolved={onResolved} />
            <dl class="details">
              <AttendedDetails alert={alert} />
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
                    ) : (
                      <>
                        , <By user={alert.resolved_by} />
                      </>
                    )}
                    {alert.resolution_note ? <q>{alert.resolution_note}</q> : null}
                  </dd>
                </>
              )}
              <WhereToLook alertKey={alert.alert_key} />
              <Metadata metadata={alert.metadata} />
              <dt>Alert</dt>
              <dd>
                <Id id={alert.id} livemode={null} label="Copy ID" />
              </dd>
            </dl>
            <div class="alert-parts">
              <AlertHistory alert={alert} />
              <AlertTold alert={alert} />
              {alert.previous_alert_id !== null && <Episodes alert={alert} />}
            </div>
          </>
        )}
      </div>
    </li>
  );
}

// What a person can do about an alert: attend to it, put it off, note something, end it.

import { useState } from "preact/hooks";
import type { Act, Alert } from "../api/types.ts";
import { acknowledged, defaultHours, DEFAULT_SNOOZE_MINUTES, hoursText, snoozed } from "../model/attention.ts";
import { attend, attending } from "../state/attend.ts";
import { now } from "../state/clock.ts";
import { shortcuts } from "../state/prefs.ts";
import { Glyph } from "../ui/glyph.tsx";
import { AcknowledgeDialog } from "./acknowledge-dialog.tsx";
import { NoteDialog } from "./note-dialog.tsx";
import { ResolveDialog } from "./resolve-dialog.tsx";
import { SnoozeDialog } from "./snooze-dialog.tsx";

/** What the key `a` does. */
export function acknowledgeAct(alert: Alert): Act & { action: "acknowledge" } {
  return { action: "acknowledge", hours: defaultHours(alert.severity) };
}

/** What the key `s` does. */
export const snoozeAct: Act & { action: "snooze" } = { action: "snooze", minutes: DEFAULT_SNOOZE_MINUTES };

/** A button that does the usual, and beside it one that asks for another time. */
function Split({
  word,
  hint,
  other,
  busy,
  onUsual,
  onOther,
}: {
  word: string;
  /** The key that does the same. */
  hint: string | null;
  /** What the button beside it is called. */
  other: string;
  busy: boolean;
  onUsual: () => void;
  onOther: () => void;
}) {
  const shown = shortcuts.value ? hint : null;
  return (
    <span class="split">
      <button type="button" class="button" disabled={busy} onClick={onUsual} aria-keyshortcuts={shown ?? undefined}>
        {word}
        {shown !== null && <kbd aria-hidden="true">{shown}</kbd>}
      </button>
      <button type="button" class="button" disabled={busy} onClick={onOther} title={other}>
        <Glyph name="chevron" />
        <span class="visually-hidden">{other}</span>
      </button>
    </span>
  );
}

/** Nothing is left to do about an alert that is resolved. */
export function AlertActions({ alert, onResolved }: { alert: Alert; onResolved: () => void }) {
  const [asking, setAsking] = useState<"acknowledge" | "snooze" | "note" | "resolve" | null>(null);
  if (alert.resolved) return null;
  const busy = attending.value.has(alert.id);
  const close = () => setAsking(null);
  const usual = acknowledgeAct(alert);
  const isAcknowledged = acknowledged(alert, now.value) !== null;
  const isSnoozed = snoozed(alert, now.value) !== null;
  return (
    <div class="alert-actions">
      <Split
        word={isAcknowledged ? "Unacknowledge" : `Acknowledge for ${hoursText(usual.hours)}`}
        hint={isAcknowledged ? null : "a"}
        other="Acknowledge for another time…"
        busy={busy}
        onUsual={() => void attend(alert, isAcknowledged ? { action: "unacknowledge" } : usual)}
        onOther={() => setAsking("acknowledge")}
      />
      <Split
        word={isSnoozed ? "Unsnooze" : "Snooze for 1 h"}
        hint={isSnoozed ? null : "s"}
        other="Snooze for another time…"
        busy={busy}
        onUsual={() => void attend(alert, isSnoozed ? { action: "unsnooze" } : snoozeAct)}
        onOther={() => setAsking("snooze")}
      />
      <button type="button" class="button" disabled={busy} onClick={() => setAsking("note")}>
        Add note…
      </button>
      <button type="button" class="button" disabled={busy} onClick={() => setAsking("resolve")}>
        Resolve…
      </button>
      {asking === "acknowledge" && <AcknowledgeDialog alert={alert} onClose={close} />}
      {asking === "snooze" && <SnoozeDialog alert={alert} onClose={close} />}
      {asking === "note" && <NoteDialog alert={alert} onClose={close} />}
      {asking === "resolve" && <ResolveDialog alert={alert} onClose={close} onResolved={onResolved} />}
    </div>
  );
}

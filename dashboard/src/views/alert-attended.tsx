// Who attends to an alert and until when: in its row in a few words, in its body in full.

import type { Alert } from "../api/types.ts";
import { acknowledged, snoozed, type Attended } from "../model/attention.ts";
import { utcClock } from "../model/format.ts";
import { now } from "../state/clock.ts";
import { userId } from "../state/session.ts";
import { By } from "../ui/by.tsx";
import { Glyph, type GlyphName } from "../ui/glyph.tsx";
import { Ago, Moment } from "../ui/time.tsx";

function Mark({ glyph, word, held }: { glyph: GlyphName; word: string; held: Attended }) {
  return (
    <span class="attended">
      <Glyph name={glyph} /> {word}
      {held.by === null ? "" : held.by === userId.value ? " by you" : " by someone else"} until {utcClock(held.until, now.value)}
    </span>
  );
}

/** Nothing where nobody attends to it. */
export function AttendedMarks({ alert }: { alert: Alert }) {
  const acknowledgement = acknowledged(alert, now.value);
  const snooze = snoozed(alert, now.value);
  if (acknowledgement === null && snooze === null) return null;
  return (
    <span class="attended-marks">
      {acknowledgement !== null && <Mark glyph="person" word="Acknowledged" held={acknowledgement} />}
      {snooze !== null && <Mark glyph="moon" word="Snoozed" held={snooze} />}
    </span>
  );
}

function Detail({ word, until, by, held }: { word: string; until: string; by: string | null; held: Attended | null }) {
  return (
    <>
      <dt>{word}</dt>
      <dd>
        {held === null ? (
          <span class="quiet">
            ran out <Ago at={until} />
          </span>
        ) : (
          <>
            until <Moment at={until} />
          </>
        )}
        {by !== null && (
          <>
            , <By user={by} />
          </>
        )}
      </dd>
    </>
  );
}

/** What has run out is said as well: why it is quiet no longer. For a list of details. */
export function AttendedDetails({ alert }: { alert: Alert }) {
  if (alert.resolved) return null;
  return (
    <>
      {alert.acknowledged_until && (
        <Detail word="Acknowledged" until={alert.acknowledged_until} by={alert.acknowledged_by} held={acknowledged(alert, now.value)} />
      )}
      {alert.snoozed_until && <Detail word="Snoozed" until={alert.snoozed_until} by={alert.snoozed_by} held={snoozed(alert, now.value)} />}
    </>
  );
}

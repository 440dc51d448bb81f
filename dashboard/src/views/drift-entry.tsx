// One entry of drift as every list shows it: what is wrong, what was or would be done, who decided.

import type { ComponentChildren } from "preact";
import type { Drift, DriftAction } from "../api/types.ts";
import { columns, decisionWord, type Column } from "../model/decisions.ts";
import { plural, value } from "../model/format.ts";
import { action, driftType } from "../model/words.ts";
import { userId } from "../state/session.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Glyph, type GlyphName } from "../ui/glyph.tsx";
import { Id } from "../ui/id.tsx";
import { Ago, Moment } from "../ui/time.tsx";

const actionGlyphs: Record<DriftAction, GlyphName> = {
  repaired: "check",
  created: "check",
  moved: "check",
  cleared: "check",
  reverted: "info",
  observed: "info",
  waiting: "person",
  excepted: "info",
  superseded: "info",
  refused: "cross",
  held: "octagon",
  none: "person",
};

function Table({ caption, stripe, rows }: { caption: string; stripe: string; rows: Column[] }) {
  if (rows.length === 0) return null;
  return (
    <table class="differences">
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Field</th>
          <th scope="col">Database {stripe === "Stripe says" ? "said" : "says"}</th>
          <th scope="col">{stripe}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <th scope="row">{row.name.replaceAll("_", " ")}</th>
            <td>{value(row.database)}</td>
            <td>{value(row.stripe)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Differences({ entry }: { entry: Drift }) {
  const { written, other, remarks } = columns(entry);
  const rest = [
    ...(written.length === 0 ? [] : other.map((row) => `${row.name.replaceAll("_", " ")} stays ${value(row.database)} (Stripe: ${value(row.stripe)})`)),
    ...remarks.map(([name, remark]) => `${name.replaceAll("_", " ")}: ${value(remark)}`),
  ];
  return (
    <>
      {written.length > 0 ? (
        <Table caption="What a repair would write" stripe="Would become" rows={written} />
      ) : (
        <Table caption="What differs" stripe="Stripe says" rows={other} />
      )}
      {rest.length > 0 && <p class="quiet">{rest.join(" · ")}</p>}
    </>
  );
}

/** What differs, and whose it is; `named` where the list doesn't name the class already. */
export function EntryWhat({ entry, named = false }: { entry: Drift; named?: boolean }) {
  return (
    <>
      <p class="finding-type">
        <SeverityBadge severity={entry.severity} /> {named && <strong>{driftType(entry.type)}</strong>}
        {entry.lowers_access && (
          <span class="takes">
            <Glyph name="person" /> {entry.closed_at === null ? "Takes access away" : "Took access away"}
          </span>
        )}
      </p>
      <p class="finding-issue">{entry.issue}</p>
      <Differences entry={entry} />
      <p class="finding-ids">
        {entry.stripe_subscription_id !== null && <Id id={entry.stripe_subscription_id} livemode={entry.livemode} />}
        {entry.stripe_customer_id !== null && <Id id={entry.stripe_customer_id} livemode={entry.livemode} />}
        {entry.owner !== null && (
          <span class="id-labelled">
            <span class="quiet">owner</span> <Id id={entry.owner} livemode={null} />
          </span>
        )}
      </p>
    </>
  );
}

function Decision({ entry }: { entry: Drift }) {
  if (entry.decided_at === null && entry.note === null && entry.excepted_until === null) return null;
  return (
    <div class="decision">
      {entry.action === "excepted" && entry.excepted_until !== null && (
        <p>
          Until <Moment at={entry.excepted_until} />
        </p>
      )}
      {entry.decided_at !== null && (
        <p class="quiet">
          {decisionWord(entry)} <Ago at={entry.decided_at} />
          {entry.decided_by === null ? null : entry.decided_by === userId.value ? (
            " by you"
          ) : (
            <>
              {" by user "}
              <Id id={entry.decided_by} livemode={null} />
            </>
          )}
        </p>
      )}
      {entry.note ? <q>{entry.note}</q> : null}
    </div>
  );
}

/** What was done or would be, since when it stands, who decided; `children` come below. */
export function EntryDone({ entry, children }: { entry: Drift; children?: ComponentChildren }) {
  const done = action(entry.action);
  const person = done.person && entry.closed_at === null;
  return (
    <div class="finding-done">
      <p class={`action ${person ? "tone-warning" : entry.action === "superseded" ? "tone-neutral" : "tone-ok"}`}>
        <Glyph name={actionGlyphs[entry.action] ?? "info"} /> {done.word}
      </p>
      <p class="quiet">{entry.action_taken || done.why}</p>
      <p class="quiet">
        {entry.closed_at !== null && (
          <>
            Closed <Ago at={entry.closed_at} />
          </>
        )}
        {(entry.closed_at === null || entry.seen_count > 1) && (
          <>
            {entry.closed_at === null ? "Since " : ", stood since "}
            <Ago at={entry.first_seen_at} />
          </>
        )}
        {entry.seen_count > 1 && `, seen by ${plural(entry.seen_count, "run")}`}
      </p>
      <Decision entry={entry} />
      {person && <p class="person">Needs a person</p>}
      {children}
    </div>
  );
}

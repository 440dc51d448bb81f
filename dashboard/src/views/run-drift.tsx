// The drift of a run: what was new in it, what it ended, what stood at its end; what was done, what needs a person.

import type { Drift, Run, RunDetail } from "../api/types.ts";
import { count, plural } from "../model/format.ts";
import { driftType } from "../model/words.ts";
import { href, route } from "../state/router.ts";
import { Empty } from "../ui/loading.tsx";
import { CsvDownload } from "./csv-download.tsx";
import { EntryDone, EntryWhat } from "./drift-entry.tsx";
import { Find, matches } from "./find.tsx";

/** Where it stands among all drift, to be decided there. */
function whereabouts(entry: Drift): string {
  return href("drift", {
    state: entry.closed_at === null ? null : "closed",
    type: entry.type,
    owner: entry.owner,
    q: entry.stripe_subscription_id,
  });
}

function Item({ entry }: { entry: Drift }) {
  return (
    <li class="finding" data-item data-row tabIndex={-1}>
      <div class="finding-what">
        <EntryWhat entry={entry} named />
      </div>
      <EntryDone entry={entry}>
        <p>
          <a href={whereabouts(entry)}>{entry.closed_at === null ? "Decide about it" : "See it among all drift"}</a>
        </p>
      </EntryDone>
    </li>
  );
}

/** How much of each type; each a filter. */
function Types({ run, counts, show, type }: { run: Run; counts: Record<string, number>; show: Show; type: string }) {
  const entries = Object.entries(counts).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return null;
  const chip = (key: string, label: string, n: number) => (
    <li key={key}>
      <a class="chip" href={href("run", { id: run.id, show: show === "new" ? "" : show, type: key })} aria-current={type === key ? "true" : undefined}>
        {label} <span class="count">{count(n)}</span>
      </a>
    </li>
  );
  return (
    <nav aria-label="Drift by type">
      <ul class="chips">
        {chip("", "All", total(counts))}
        {entries.map(([key, n]) => chip(key, driftType(key), n))}
      </ul>
    </nav>
  );
}

export type Show = keyof RunDetail["counts"];

const shows: [Show, string][] = [
  ["new", "New in it"],
  ["ended", "Ended in it"],
  ["standing", "Standing at its end"],
];

const total = (counts: Record<string, number>): number => Object.values(counts).reduce((sum, n) => sum + n, 0);

/** What was new, what ended, what stood: which of the three is shown. */
function Shows({ run, counts, show }: { run: Run; counts: RunDetail["counts"]; show: Show }) {
  return (
    <nav aria-label="Drift of this run">
      <ul class="chips">
        {shows.map(([key, label]) => (
          <li key={key}>
            <a class="chip" href={href("run", { id: run.id, show: key === "new" ? "" : key })} aria-current={show === key ? "true" : undefined}>
              {label} <span class="count">{count(total(counts[key]))}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

export function RunDrift({ run, counts, drift, show, type }: { run: Run; counts: RunDetail["counts"]; drift: Drift[]; show: Show; type: string }) {
  const find = route.value.params["q"] ?? "";
  const shown = drift.filter((entry) =>
    matches(find, [entry.type, entry.issue, entry.stripe_subscription_id, entry.stripe_customer_id, entry.owner, entry.action_taken]),
  );
  const fitting = type === "" ? total(counts[show]) : (counts[show][type] ?? 0);
  const none = total(counts.new) + total(counts.ended) + total(counts.standing) === 0;
  return (
    <section class="findings-section" aria-labelledby="drift-title">
      <div class="section-head">
        <h2 id="drift-title">Drift</h2>
        {fitting > 0 && <CsvDownload run={run} total={fitting} show={show} type={type} />}
      </div>
      {!none && <Shows run={run} counts={counts} show={show} />}
      <Types run={run} counts={counts[show]} show={show} type={type} />
      {drift.length > 5 && (
        <div class="filters" role="search" aria-label="Filter drift">
          <Find placeholder="Subscription, customer, owner" />
        </div>
      )}
      {shown.length === 0 ? (
        find !== "" && drift.length > 0 ? (
          <Empty glyph="empty" title="No match among those loaded" />
        ) : run.status === "running" ? (
          <Empty glyph="running" title="Nothing found so far" />
        ) : run.status === "error" ? (
          <Empty glyph="empty" title="Nothing found before it failed" />
        ) : none && run.scope !== "all" && run.scanned_count === 0 ? (
          <Empty glyph="empty" title="Nothing was read" />
        ) : none ? (
          <Empty glyph="check" title="No drift">
            Stripe and the database agreed on {plural(run.scanned_count, "subscription")}.
          </Empty>
        ) : (
          <Empty glyph="check" title={show === "new" ? "Nothing new" : show === "ended" ? "Nothing ended" : "Nothing stood"} />
        )
      ) : (
        <ul class="findings">
          {shown.map((entry) => (
            <Item key={entry.id} entry={entry} />
          ))}
        </ul>
      )}
    </section>
  );
}

// A run's findings: what was wrong, what was done, what needs a person.

import type { Finding, FindingAction, Run } from "../api/types.ts";
import { isDifference } from "../model/csv.ts";
import { count, plural, value } from "../model/format.ts";
import { action, findingType } from "../model/words.ts";
import { href, route } from "../state/router.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Glyph, type GlyphName } from "../ui/glyph.tsx";
import { Id } from "../ui/id.tsx";
import { Empty } from "../ui/loading.tsx";
import { CsvDownload } from "./csv-download.tsx";
import { Find, matches } from "./find.tsx";

const actionGlyphs: Record<FindingAction, GlyphName> = {
  repaired: "check",
  created: "check",
  superseded: "info",
  refused: "cross",
  held: "octagon",
  none: "person",
};

function Differences({ details }: { details: Finding["details"] }) {
  const entries = Object.entries(details);
  const pairs = entries.flatMap(([name, detail]) => (isDifference(detail) ? [{ name, ...detail }] : []));
  const others = entries.filter(([, detail]) => !isDifference(detail) && detail !== null);
  return (
    <>
      {pairs.length > 0 && (
        <table class="differences">
          <caption class="visually-hidden">What differs</caption>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Database said</th>
              <th scope="col">Stripe says</th>
            </tr>
          </thead>
          <tbody>
            {pairs.map((pair) => (
              <tr key={pair.name}>
                <th scope="row">{pair.name.replaceAll("_", " ")}</th>
                <td>{value(pair.database)}</td>
                <td>{value(pair.stripe)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {others.length > 0 && (
        <p class="quiet">
          {others.map(([name, detail]) => `${name.replaceAll("_", " ")}: ${value(detail)}`).join(" · ")}
        </p>
      )}
    </>
  );
}

function Item({ finding }: { finding: Finding }) {
  const done = action(finding.action);
  const person = done.person && !finding.fixed;
  return (
    <li class={`finding ${person ? "needs-person" : ""}`} data-item data-row tabIndex={-1}>
      <div class="finding-what">
        <p class="finding-type">
          <SeverityBadge severity={finding.severity} /> <strong>{findingType(finding.type)}</strong>
        </p>
        <p class="finding-issue">{finding.issue}</p>
        <Differences details={finding.details} />
        <p class="finding-ids">
          {finding.stripe_subscription_id !== null && <Id id={finding.stripe_subscription_id} livemode={finding.livemode} />}
          {finding.stripe_customer_id !== null && <Id id={finding.stripe_customer_id} livemode={finding.livemode} />}
          {finding.organization_id !== null && (
            <span class="id-labelled">
              <span class="quiet">organization</span> <Id id={finding.organization_id} livemode={null} />
            </span>
          )}
        </p>
      </div>
      <div class="finding-done">
        <p class={`action ${person ? "tone-warning" : finding.action === "superseded" ? "tone-neutral" : "tone-ok"}`}>
          <Glyph name={actionGlyphs[finding.action] ?? "info"} /> {done.word}
        </p>
        <p class="quiet">{finding.action_taken || done.why}</p>
        {person && <p class="person">Needs a person</p>}
      </div>
    </li>
  );
}

/** How many findings of each type; each a filter. */
function Types({ run, counts, type }: { run: Run; counts: Record<string, number>; type: string }) {
  const entries = Object.entries(counts).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return null;
  const total = entries.reduce((sum, [, n]) => sum + n, 0);
  const chip = (key: string, label: string, n: number) => (
    <li key={key}>
      <a class="chip" href={href("run", { id: run.id, type: key })} aria-current={type === key ? "true" : undefined}>
        {label} <span class="count">{count(n)}</span>
      </a>
    </li>
  );
  return (
    <nav aria-label="Findings by type">
      <ul class="chips">
        {chip("", "All", total)}
        {entries.map(([key, n]) => chip(key, findingType(key), n))}
      </ul>
    </nav>
  );
}

export function Findings({ run, counts, findings, type }: { run: Run; counts: Record<string, number>; findings: Finding[]; type: string }) {
  const find = route.value.params["q"] ?? "";
  const shown = findings.filter((finding) =>
    matches(find, [finding.type, finding.issue, finding.stripe_subscription_id, finding.stripe_customer_id, finding.organization_id, finding.action_taken]),
  );
  const total = type === "" ? Object.values(counts).reduce((sum, n) => sum + n, 0) : (counts[type] ?? 0);
  return (
    <section class="findings-section" aria-labelledby="findings-title">
      <div class="section-head">
        <h2 id="findings-title">Findings</h2>
        {total > 0 && <CsvDownload run={run} total={total} type={type} />}
      </div>
      <Types run={run} counts={counts} type={type} />
      {findings.length > 5 && (
        <div class="filters" role="search" aria-label="Filter findings">
          <Find placeholder="Subscription, customer, organization" />
        </div>
      )}
      {shown.length === 0 ? (
        find !== "" && findings.length > 0 ? (
          <Empty glyph="empty" title="No match among those loaded" />
        ) : run.status === "running" ? (
          <Empty glyph="running" title="Nothing found so far" />
        ) : run.status === "error" ? (
          <Empty glyph="empty" title="Nothing found before it failed" />
        ) : (
          <Empty glyph="check" title="No drift">
            Stripe and the database agreed on {plural(run.scanned_count, "subscription")}.
          </Empty>
        )
      ) : (
        <ul class="findings">
          {shown.map((finding) => (
            <Item key={finding.id} finding={finding} />
          ))}
        </ul>
      )}
    </section>
  );
}

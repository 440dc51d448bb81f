// One alert: a line that says what and how bad, and behind it all there is to know and do.

import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api.ts";
import { count, plural } from "../format.ts";
import { Glyph } from "../glyph.tsx";
import { useLive } from "../live.ts";
import { fetchPages } from "../paged.ts";
import { href } from "../router.ts";
import { userId } from "../session.ts";
import { stripeLink } from "../stripe-links.ts";
import type { Alert } from "../types.ts";
import { Ago, Copy, Loaded, Moment, SeverityBadge } from "../ui.tsx";
import { alertName } from "../words.ts";
import { ResolveDialog } from "./resolve-dialog.tsx";

/** An id with a link to Stripe where it has a page there, and a button that copies it. */
export function Id({ id, livemode, label }: { id: string; livemode: boolean | null; label?: string }) {
  const link = stripeLink(id, livemode);
  return (
    <span class="id">
      {link === null ? (
        <code>{id}</code>
      ) : (
        <a href={link} target="_blank" rel="noreferrer">
          <code>{id}</code>
          <Glyph name="external" />
          <span class="visually-hidden"> at Stripe{livemode === false ? " (test data)" : ""}, opens a new tab</span>
        </a>
      )}
      <Copy text={id} label={label ?? `Copy ${id}`} quiet={label === undefined} />
    </span>
  );
}

type Sample = Record<string, unknown>;

/** A sample is an object, or just a subscription's id. */
function asSample(raw: unknown): Sample[] {
  if (typeof raw === "string") return [{ stripe_subscription_id: raw }];
  return typeof raw === "object" && raw !== null ? [raw as Sample] : [];
}

function livemodeOf(value: Sample): boolean | null {
  return typeof value["livemode"] === "boolean" ? value["livemode"] : null;
}

function Samples({ samples, inherited, total }: { samples: Sample[]; inherited: boolean | null; total: number | null }) {
  return (
    <>
      <dt>Samples</dt>
      <dd>
        <ul class="samples">
          {samples.map((sample, index) => (
            <li key={index}>
              {Object.entries(sample)
                .filter(([name, value]) => name !== "livemode" && value !== null && value !== "")
                .sort(([a], [b]) => Number(b.startsWith("stripe_")) - Number(a.startsWith("stripe_")))
                .map(([name, value]) =>
                  /_id$/.test(name) && typeof value === "string" ? (
                    <Id key={name} id={value} livemode={livemodeOf(sample) ?? inherited} />
                  ) : (
                    <span key={name}>{typeof value === "string" ? value : `${name.replaceAll("_", " ")}: ${JSON.stringify(value)}`}</span>
                  ),
                )}
            </li>
          ))}
        </ul>
        {total !== null && total > samples.length && (
          <p class="quiet">
            {count(samples.length)} of {count(total)}; the run has them all.
          </p>
        )}
      </dd>
    </>
  );
}

/** What the alert carries: the run, the count, samples, and whatever else, by its own names. */
function Metadata({ metadata }: { metadata: Record<string, unknown> }) {
  // `type` says again what the alert's key says.
  const { reconciliation_log_id: one, reconciliation_log_ids: several, samples, count: total, livemode, type: _, ...rest } = metadata;
  const runs = (Array.isArray(several) ? several : [one]).filter((id): id is string => typeof id === "string");
  const known = Array.isArray(samples) ? samples.flatMap(asSample) : [];
  const others = Object.entries(rest).filter(([, value]) => value !== null && value !== "");
  const shown = typeof total === "number" ? total : null;
  return (
    <>
      {shown !== null && (
        <>
          <dt>Count</dt>
          <dd>{count(shown)}</dd>
        </>
      )}
      {runs.length > 0 && (
        <>
          <dt>{runs.length === 1 ? "Run" : "Runs"}</dt>
          <dd class="run-links">
            {runs.map((id, index) => (
              <a key={id} href={href("run", { id })}>
                {runs.length === 1 ? "Open the run that saw it last" : `Run ${index + 1}`}
              </a>
            ))}
          </dd>
        </>
      )}
      {known.length > 0 && <Samples samples={known} inherited={typeof livemode === "boolean" ? livemode : null} total={shown} />}
      {others.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{(name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ")}</dt>
          <dd>
            {name === "oldest_alert_id" && typeof value === "string" ? (
              <a href={href("alerts", { status: "all", alert: value })}>Open that alert</a>
            ) : Array.isArray(value) && value.every((each) => typeof each !== "object") ? (
              value.join(", ")
            ) : typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? (
              <Moment at={value} />
            ) : typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? (
              String(value)
            ) : (
              <code>{JSON.stringify(value)}</code>
            )}
          </dd>
        </Fragment>
      ))}
    </>
  );
}

/** The chain of episodes before this one, newest first. */
export function previousOf(alert: Alert, others: Alert[]): Alert[] {
  const byId = new Map(others.map((other) => [other.id, other]));
  const chain: Alert[] = [];
  let id = alert.previous_alert_id;
  while (id !== null && byId.has(id) && !chain.some((seen) => seen.id === id)) {
    const found: Alert = byId.get(id)!;
    chain.push(found);
    id = found.previous_alert_id;
  }
  return chain;
}

function Episodes({ alert }: { alert: Alert }) {
  const live = useLive(
    alert.id,
    (signal) =>
      fetchPages(
        (limit, cursor) => api.alerts({ status: "all", type: alert.alert_type, limit, cursor }, signal),
        (page) => page.alerts,
        200,
      ),
    () => null,
  );
  return (
    <div class="episodes">
      <p class="episodes-title">Previous episodes</p>
      <Loaded live={live} rows={1} label="Loading previous episodes">
        {(data) => {
          const chain = previousOf(alert, data.items);
          if (chain.length === 0) return <p class="quiet">The one before is too far back to be listed.</p>;
          return (
            <ol>
              {chain.slice(0, 10).map((episode) => (
                <li key={episode.id}>
                  <SeverityBadge severity={episode.severity} />{" "}
                  <a href={href("alerts", { status: "all", type: episode.alert_type, alert: episode.id })}>
                    <Ago at={episode.first_seen_at} />
                  </a>
                  , seen {plural(episode.occurrences, "time")}, {episode.resolution === "auto" ? "resolved by itself" : "resolved by hand"}
                  {episode.resolved_at !== null && (
                    <>
                      {" "}
                      <Ago at={episode.resolved_at} />
                    </>
                  )}
                  {episode.resolution_note ? <q>{episode.resolution_note}</q> : null}
                </li>
              ))}
            </ol>
          );
        }}
      </Loaded>
    </div>
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
                  resolved {alert.resolution === "auto" ? "by itself " : ""}
                  <Ago at={alert.resolved_at ?? alert.last_seen_at} />
                </>
              ) : (
                <>
                  open for <Ago at={alert.first_seen_at} suffix={false} />
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
                    {alert.resolution === "auto" ? ", by itself" : alert.resolved_by === userId.value ? ", by you" : ", by hand"}
                    {alert.resolved_by !== null && alert.resolved_by !== userId.value && (
                      <>
                        {" "}
                        of user <Id id={alert.resolved_by} livemode={null} />
                      </>
                    )}
                    {alert.resolution_note ? <q>{alert.resolution_note}</q> : null}
                  </dd>
                </>
              )}
              <Metadata metadata={alert.metadata} />
              <dt>Alert</dt>
              <dd>
                <Id id={alert.id} livemode={null} label="Copy id" />
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

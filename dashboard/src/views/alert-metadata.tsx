// What an alert carries: the run, the count, samples, and whatever else.

import { Fragment } from "preact";
import { count } from "../model/format.ts";
import { href } from "../state/router.ts";
import { Id } from "../ui/id.tsx";
import { Moment } from "../ui/time.tsx";

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
            {count(samples.length)} of {count(total)} shown; the run lists them all.
          </p>
        )}
      </dd>
    </>
  );
}

/** What the alert carries: the run, the count, samples, and whatever else, by its own names. */
export function Metadata({ metadata }: { metadata: Record<string, unknown> }) {
  // `type` repeats what the alert's key says.
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
                {runs.length === 1 ? "Open the run that last saw it" : `Run ${index + 1}`}
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

// One run: how it went, how it goes, and its drift.

import { api } from "../api/client.ts";
import type { Run as RunData } from "../api/types.ts";
import { drift } from "../model/chart.ts";
import { count, duration, plural, span } from "../model/format.ts";
import { partialSentence, readSentence } from "../model/scopes.ts";
import { runName, scopeWords, triggerWords } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { usePaged } from "../state/paged.ts";
import { href, route } from "../state/router.ts";
import { StatusBadge } from "../ui/badges.tsx";
import { Copy } from "../ui/copy.tsx";
import { Fact } from "../ui/fact.tsx";
import { Glyph } from "../ui/glyph.tsx";
import { Loaded } from "../ui/loading.tsx";
import { More } from "../ui/more.tsx";
import { Ago, Moment } from "../ui/time.tsx";
import { RunDrift, type Show } from "./run-drift.tsx";

const POLL_RUNNING_MS = 3000;

/** A run under way: what it has done so far, and whether it still shows signs of life. */
function Progress({ run }: { run: RunData }) {
  const lease = run.lease_expires_at === null ? null : Date.parse(run.lease_expires_at);
  const dead = lease !== null && lease <= now.value;
  return (
    <div class={`progress ${dead ? "tone-warning" : "tone-info"}`}>
      <p>
        <strong>
          {dead
            ? `No sign of life: its lease ran out ${span(now.value - lease)} ago.`
            : `Under way for ${span(now.value - Date.parse(run.started_at))}.`}
        </strong>{" "}
        {dead ? (
          "The next run closes it and takes over."
        ) : (
          <>
            {plural(run.scanned_count, "subscription")} checked so far; last sign of life <Ago at={run.heartbeat_at ?? run.started_at} />.
          </>
        )}
      </p>
      {!dead && <div class="progress-bar" role="progressbar" aria-label="Run under way" />}
    </div>
  );
}

function Facts({ run }: { run: RunData }) {
  const { found, repaired } = drift(run);
  const left = found - repaired - run.superseded_count;
  return (
    <dl class="facts">
      <Fact label={run.scope === "all" ? "Checked" : "Read"} note="subscriptions">
        {count(run.scanned_count)}
      </Fact>
      <Fact label="Drift found" note={found > 0 && left > 0 ? `${count(left)} not repaired` : undefined}>
        {count(found)}
      </Fact>
      <Fact label="Repaired" note={run.created_count > 0 ? `${count(run.created_count)} of them created` : undefined}>
        {count(repaired)}
      </Fact>
      <Fact
        label="Failed"
        note={[
          run.superseded_count > 0 ? `${count(run.superseded_count)} superseded` : "",
          run.skipped_count > 0 ? `${count(run.skipped_count)} left for the next run` : "",
        ]
          .filter((part) => part !== "")
          .join(", ")}
      >
        {count(run.error_count)}
      </Fact>
      <Fact label="Took" note={run.attempt > 1 ? `attempt ${run.attempt}` : undefined}>
        {run.duration_ms !== null
          ? duration(run.duration_ms)
          : run.status === "running"
            ? span(now.value - Date.parse(run.started_at))
            : "–"}
      </Fact>
    </dl>
  );
}

function Head({ run }: { run: RunData }) {
  const read = readSentence(run);
  return (
    <>
      <div class="run-head">
        <h1 id="view-title" class="run-key">
          {run.run_key}
        </h1>
        <StatusBadge status={run.status} />
        <span class="scope">
          <span class="visually-hidden">Looks at: </span>
          {scopeWords[run.scope] ?? run.scope}
        </span>
      </div>
      <p class="run-line">
        {runName(run)}
        {run.scope === "due" ? "" : " run"}
        {run.triggered_by !== null && `, started by ${triggerWords[run.triggered_by] ?? run.triggered_by}`}
        {" · "}
        <Moment at={run.started_at} />
        {run.scope === "all" && ` · looks back ${run.lookback_hours} h`}
        {" · "}
        <Copy text={run.id} label="Copy ID" />
      </p>
      {read !== "" && <p class="run-read">{read}</p>}
      {run.status === "running" && <Progress run={run} />}
      {run.status === "error" && (
        <div class="failure">
          <Glyph name="octagon" />
          <div>
            <p class="failure-title">{run.error_message ?? run.message ?? "The run ended in error."}</p>
            <p class="quiet">
              {run.error_code !== null && <code>{run.error_code}</code>} Nothing after this point was checked.
            </p>
          </div>
        </div>
      )}
      {run.status === "partial" && (
        <p class="notice tone-warning">
          <Glyph name="partial" />
          {partialSentence(run)}
        </p>
      )}
      <Facts run={run} />
    </>
  );
}

export function Run({ id }: { id: string }) {
  const type = route.value.params["type"] ?? "";
  const asked = route.value.params["show"];
  const show: Show = asked === "ended" || asked === "standing" ? asked : "new";
  const { live, showMore } = usePaged(
    `run ${id} ${show} ${type}`,
    (limit, cursor, signal) => api.run(id, { show, type, limit, cursor }, signal),
    (page) => page.drift,
    (data) => (data.first.run.status === "running" ? POLL_RUNNING_MS : null),
  );
  return (
    <section aria-labelledby="view-title">
      <p class="crumb">
        <a href={href("runs")}>Runs</a>
        <Glyph name="chevron" />
        <span>{live?.data.value?.first.run.run_key ?? "Run"}</span>
      </p>
      {!live?.data.value && (
        <h1 id="view-title" class="visually-hidden">
          Run
        </h1>
      )}
      <Loaded live={live} rows={5} label="Loading the run">
        {(data) => (
          <>
            <Head run={data.first.run} />
            <RunDrift run={data.first.run} counts={data.first.counts} drift={data.items} show={show} type={type} />
            <More shown={data.items.length} more={data.more} busy={live?.busy.value ?? false} onMore={showMore} />
          </>
        )}
      </Loaded>
    </section>
  );
}

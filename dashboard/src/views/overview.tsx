// One glance: the sentence, the numbers, the last 48 hours, what is open.

import type { Alert, Severity } from "../api/types.ts";
import { drift } from "../model/chart.ts";
import { passesSentence } from "../model/scopes.ts";
import { count, relative, utcClock } from "../model/format.ts";
import { nobodyIsTold } from "../model/notifications.ts";
import { nextSlot, schedules } from "../model/schedule.ts";
import { lastGood, liveRun, type Level } from "../model/verdict.ts";
import { severityWords } from "../model/words.ts";
import { useAttended } from "../state/attend.ts";
import { knownChannels } from "../state/channels.ts";
import { now } from "../state/clock.ts";
import { pulse, standing, WINDOW_MS, type Pulse } from "../state/pulse.ts";
import { href } from "../state/router.ts";
import { Fact } from "../ui/fact.tsx";
import { Glyph, type GlyphName } from "../ui/glyph.tsx";
import { Empty, Loaded } from "../ui/loading.tsx";
import { Ago } from "../ui/time.tsx";
import { AlertList } from "./alert-list.tsx";
import { Chart } from "./chart.tsx";
import { RunTable } from "./run-table.tsx";

export const levelGlyphs: Record<Level, GlyphName> = {
  ok: "check",
  warning: "triangle",
  critical: "octagon",
  unknown: "question",
};

function Hero() {
  const { level, headline, detail } = standing.value;
  return (
    <div class={`hero level-${level}`}>
      <Glyph name={levelGlyphs[level]} />
      <div>
        <h1 id="view-title">{headline}</h1>
        <p>{detail}</p>
      </div>
    </div>
  );
}

const SEVERITIES: Severity[] = ["critical", "high", "warning", "info"];

function OpenBySeverity({ data }: { data: Pulse }) {
  const open = SEVERITIES.map((severity) => ({ severity, n: data.open[severity] })).filter(({ n }) => n > 0);
  if (open.length === 0) return <>None</>;
  return (
    <span class="severities">
      {open.map(({ severity, n }) => (
        <a key={severity} class={`tone-${severity}`} href={href("alerts", { severity })}>
          {count(n)} <small>{severityWords[severity].toLowerCase()}</small>
        </a>
      ))}
    </span>
  );
}

function Numbers({ data }: { data: Pulse }) {
  const good = lastGood(data.runs);
  const next = nextSlot(schedules.reconcile, now.value);
  const live = liveRun(data.runs, now.value);
  const dayAgo = now.value - WINDOW_MS / 2;
  const recent = data.runs.filter((run) => Date.parse(run.started_at) > dayAgo);
  const found = recent.reduce((sum, run) => sum + drift(run).found, 0);
  const repaired = recent.reduce((sum, run) => sum + drift(run).repaired, 0);
  const inPasses = data.passes.filter((run) => Date.parse(run.started_at) > dayAgo).reduce((sum, run) => sum + drift(run).found, 0);
  const more = data.passesSince !== null && data.passesSince > dayAgo ? "at least " : "";
  const drifted = [found === 0 ? "" : `${count(repaired)} repaired`, inPasses === 0 ? "" : `${more}${count(inPasses)} more in passes`];
  return (
    <dl class="facts">
      <Fact label="Last good run" note={good === null ? undefined : utcClock(good, now.value)}>
        {good === null ? "None" : <Ago at={good} />}
      </Fact>
      {live !== null ? (
        <Fact label="Running now" note={`${count(live.scanned_count)} checked`}>
          <a href={href("run", { id: live.id })}>
            started <Ago at={live.started_at} />
          </a>
        </Fact>
      ) : (
        <Fact label="Next run" note={next === null ? undefined : relative(next, now.value)}>
          {next === null ? "Unknown" : utcClock(next, now.value)}
        </Fact>
      )}
      <Fact label="Open alerts">
        <OpenBySeverity data={data} />
      </Fact>
      <Fact label="Drift, last 24 h" note={drifted.filter((part) => part !== "").join(", ") || undefined}>
        {found > 0 ? `${count(found)} found` : inPasses > 0 ? "None in runs" : "None"}
      </Fact>
    </dl>
  );
}

/** What happened between the runs, said quietly. */
function Passes({ data }: { data: Pulse }) {
  const said = passesSentence(data.passes, data.passesSince, now.value);
  if (said === "") return null;
  return (
    <p class="quiet passes">
      {said} <a href={href("runs", { scope: "due" })}>See them</a>
    </p>
  );
}

/** How many of each list the overview shows. */
const ALERTS_SHOWN = 6;
const RUNS_SHOWN = 6;

/** By severity; newest first within one. */
function worstFirst(alerts: Alert[]): Alert[] {
  return [...alerts].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}

/** Said quietly: it may be meant. */
function NobodyIsTold() {
  const channels = knownChannels.value;
  if (channels === null || !nobodyIsTold(channels)) return null;
  return (
    <p class="quiet list-note">
      No channel is set up: alerts are seen only here. <a href={href("notifications")}>Set one up</a>
    </p>
  );
}

function OpenAlerts({ data, listedAt }: { data: Pulse; listedAt: number }) {
  const alerts = useAttended(data.alerts, listedAt);
  return (
    <section class="panel" aria-labelledby="alerts-title">
      <div class="section-head">
        <h2 id="alerts-title">Open alerts</h2>
        <a href={href("alerts")}>All alerts</a>
      </div>
      <NobodyIsTold />
      {alerts.length === 0 ? (
        <Empty glyph="check" title="No open alerts">
          Anything that needs a person appears here.
        </Empty>
      ) : (
        <>
          <AlertList alerts={worstFirst(alerts).slice(0, ALERTS_SHOWN)} level={3} />
          {data.alerts.length > ALERTS_SHOWN && (
            <p class="list-end">
              <a href={href("alerts")}>{count(Object.values(data.open).reduce((sum, n) => sum + n, 0) - ALERTS_SHOWN)} more</a>
            </p>
          )}
        </>
      )}
    </section>
  );
}

export function Overview() {
  const live = pulse.value;
  return (
    <section aria-labelledby="view-title">
      <Hero />
      <Loaded live={live} rows={6} label="Loading runs and alerts" staleSaid>
        {(data) => (
          <>
            <Numbers data={data} />
            <section class="panel" aria-labelledby="chart-title">
              <h2 id="chart-title">Last 48 hours</h2>
              {data.runs.some((run) => Date.parse(run.started_at) > now.value - WINDOW_MS) ? (
                <Chart runs={data.runs} complete={data.complete} />
              ) : (
                <Empty glyph="empty" title={data.runs.length === 0 ? "No runs yet" : "No runs in the last 48 hours"}>
                  Every run will appear here: how it ended, the drift it found and repaired, and how long it took.
                </Empty>
              )}
              <Passes data={data} />
            </section>
            <div class="columns">
              <OpenAlerts data={data} listedAt={live?.updatedAt.value ?? 0} />
              <section class="panel" aria-labelledby="runs-title">
                <div class="section-head">
                  <h2 id="runs-title">Latest runs</h2>
                  <a href={href("runs")}>All runs</a>
                </div>
                {data.runs.length === 0 ? (
                  <Empty glyph="empty" title="No runs yet">
                    The first one starts on schedule, or when you press “Reconcile now”.
                  </Empty>
                ) : (
                  <RunTable runs={data.runs.slice(0, RUNS_SHOWN)} caption="Latest reconcile runs" brief />
                )}
              </section>
            </div>
          </>
        )}
      </Loaded>
    </section>
  );
}

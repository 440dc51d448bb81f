// All runs: filters in the address, newest first.

import { api } from "../api/client.ts";
import { drift } from "../model/chart.ts";
import { now } from "../state/clock.ts";
import { count, duration, plural, utcClock } from "../model/format.ts";
import { usePaged } from "../state/paged.ts";
import { href, route, setParams } from "../state/router.ts";
import type { Run } from "../api/types.ts";
import { StatusBadge } from "../ui/badges.tsx";
import { Empty, Loaded } from "../ui/loading.tsx";
import { More } from "../ui/more.tsx";
import { Select } from "../ui/select.tsx";
import { Ago } from "../ui/time.tsx";
import { liveRun } from "../model/verdict.ts";
import { runTypeWords, statusWords } from "../model/words.ts";
import { Find, matches } from "./find.tsx";

const POLL_MS = 15_000;
const POLL_RUNNING_MS = 4000;

function took(run: Run): string {
  if (run.duration_ms !== null) return duration(run.duration_ms);
  return run.status === "running" ? duration(Math.max(0, now.value - Date.parse(run.started_at))) : "–";
}

/** Runs as a table; columns of less weight give way on narrow screens, the run's own page has them all. */
export function RunTable({ runs, caption, brief = false }: { runs: Run[]; caption: string; brief?: boolean }) {
  return (
    <table class={`runs ${brief ? "runs-brief" : ""}`}>
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Status</th>
          <th scope="col">Run</th>
          <th scope="col" class="wide">Started</th>
          <th scope="col" class="number wide">Looked at</th>
          <th scope="col" class="number">Found</th>
          <th scope="col" class="number">
            <span class="wide-inline">Repaired</span>
            <span class="narrow-inline">Fixed</span>
          </th>
          <th scope="col" class="number widest">Failed</th>
          <th scope="col" class="number wide">Took</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => {
          const { found, repaired } = drift(run);
          return (
            <tr key={run.id} data-item>
              <td>
                <StatusBadge status={run.status} />
              </td>
              <td>
                <a class="row-link" data-row href={href("run", { id: run.id })}>
                  {runTypeWords[run.run_type] ?? run.run_type} {utcClock(Date.parse(run.started_at), now.value)}
                </a>
                {run.attempt > 1 && <span class="quiet"> attempt {run.attempt}</span>}
                {!brief && <code class="run-code wide">{run.run_key}</code>}
                <span class="narrow-only quiet">
                  <Ago at={run.started_at} /> · {took(run)}
                </span>
                {run.error_message !== null && <span class="run-error">{run.error_message}</span>}
              </td>
              <td class="wide">
                <Ago at={run.started_at} />
              </td>
              <td class="number wide">{count(run.scanned_count)}</td>
              <td class={`number ${found > 0 ? "" : "zero"}`}>{count(found)}</td>
              <td class={`number ${repaired > 0 ? "" : "zero"}`}>{count(repaired)}</td>
              <td class={`number widest ${run.error_count > 0 ? "tone-critical" : "zero"}`}>{count(run.error_count)}</td>
              <td class="number wide">{took(run)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

export function Runs() {
  const { params } = route.value;
  const status = params["status"] ?? "";
  const type = params["type"] ?? "";
  const find = params["q"] ?? "";
  const { live, showMore } = usePaged(
    `runs ${status} ${type}`,
    (limit, cursor, signal) => api.runs({ status, type, limit, cursor }, signal),
    (page) => page.runs,
    (data) => (liveRun(data.items, Date.now()) === null ? POLL_MS : POLL_RUNNING_MS),
  );
  return (
    <section aria-labelledby="view-title">
      <h1 id="view-title">Runs</h1>
      <div class="filters" role="search" aria-label="Filter runs">
        <Select
          label="Status"
          value={status}
          options={[["", "Any"], ...Object.entries(statusWords)]}
          onChange={(value) => setParams({ status: value })}
        />
        <Select
          label="Type"
          value={type}
          options={[["", "Any"], ...Object.entries(runTypeWords)]}
          onChange={(value) => setParams({ type: value })}
        />
        <Find placeholder="Run key, id, error" />
      </div>
      <Loaded live={live} rows={8} label="Loading runs">
        {(data) => {
          const shown = data.items.filter((run) => matches(find, [run.id, run.run_key, run.message, run.error_message, run.error_code]));
          if (shown.length === 0) {
            return status !== "" || type !== "" || find !== "" ? (
              <Empty glyph="empty" title={find !== "" && data.more ? "Nothing in what is loaded" : "Nothing matches"}>
                <a href={href("runs")}>Show all runs</a>
              </Empty>
            ) : (
              <Empty glyph="empty" title="No runs yet">
                The schedule starts the first one, or “Reconcile now” does.
              </Empty>
            );
          }
          return (
            <>
              <p class="visually-hidden" role="status">
                {plural(shown.length, "run")} shown
              </p>
              <RunTable runs={shown} caption="Reconcile runs, newest first" />
              <More shown={shown.length} more={data.more} busy={live?.busy.value ?? false} onMore={showMore} />
            </>
          );
        }}
      </Loaded>
    </section>
  );
}

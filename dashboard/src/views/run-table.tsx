// Runs as a table.

import type { Run } from "../api/types.ts";
import { drift } from "../model/chart.ts";
import { count, duration, utcClock } from "../model/format.ts";
import { runName, scopeWords } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { href } from "../state/router.ts";
import { StatusBadge } from "../ui/badges.tsx";
import { Ago } from "../ui/time.tsx";

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
          <th scope="col" class="wide">Looks at</th>
          <th scope="col" class="number wide">Checked</th>
          <th scope="col" class="number">Found</th>
          <th scope="col" class="number">Repaired</th>
          <th scope="col" class="number widest">Failed</th>
          <th scope="col" class="number wide">Took</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => {
          const { found, repaired } = drift(run);
          const looksAt = scopeWords[run.scope] ?? run.scope;
          return (
            <tr key={run.id} class={run.scope === "due" ? "is-pass" : undefined} data-item>
              <td>
                <StatusBadge status={run.status} />
              </td>
              <td>
                <a class="row-link" data-row href={href("run", { id: run.id })}>
                  {runName(run)} {utcClock(Date.parse(run.started_at), now.value)}
                </a>
                {run.attempt > 1 && <span class="quiet"> attempt {run.attempt}</span>}
                {!brief && <code class="run-code wide">{run.run_key}</code>}
                {run.scope !== "all" && <span class="narrow-only quiet">{looksAt}</span>}
                <span class="narrow-only quiet">
                  <Ago at={run.started_at} /> · {took(run)}
                </span>
                {run.error_message !== null && <span class="run-error">{run.error_message}</span>}
              </td>
              <td class="wide">
                <Ago at={run.started_at} />
              </td>
              <td class="wide quiet">{looksAt}</td>
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

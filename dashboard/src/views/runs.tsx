// All runs: filters in the address, newest first.

import { plural } from "../model/format.ts";
import { readScope, scopeChoices } from "../model/scopes.ts";
import { liveRun } from "../model/verdict.ts";
import { runTypeWords, statusWords } from "../model/words.ts";
import { usePaged } from "../state/paged.ts";
import { pulse } from "../state/pulse.ts";
import { href, route, setParams } from "../state/router.ts";
import { runsPage } from "../state/runs.ts";
import { Empty, Loaded } from "../ui/loading.tsx";
import { More } from "../ui/more.tsx";
import { Select } from "../ui/select.tsx";
import { Export } from "./export.tsx";
import { Find, matches } from "./find.tsx";
import { RunTable } from "./run-table.tsx";

const POLL_MS = 15_000;
const POLL_RUNNING_MS = 4000;

/** Where passes are left out although there are some, it is said, with the way to them. */
function LeftOut() {
  if ((pulse.value?.data.value?.passes.length ?? 0) === 0) return null;
  return (
    <p class="quiet list-note">
      Passes over what was due are left out. <a href={href("runs", { ...route.value.params, scope: "any" })}>Show them, too</a>
    </p>
  );
}

export function Runs() {
  const { params } = route.value;
  const status = params["status"] ?? "";
  const type = params["type"] ?? "";
  const scope = readScope(params);
  const find = params["q"] ?? "";
  const { live, showMore } = usePaged(
    `runs ${status} ${type} ${scope}`,
    (limit, cursor, signal) => runsPage(scope, { status, type, limit, cursor }, signal),
    (page) => page.runs,
    (data) => (liveRun(data.items, Date.now()) === null ? POLL_MS : POLL_RUNNING_MS),
  );
  return (
    <section aria-labelledby="view-title">
      <div class="section-head">
        <h1 id="view-title">Runs</h1>
        <Export whats={["runs"]} />
      </div>
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
        <Select label="Looks at" value={scope} options={scopeChoices} onChange={(value) => setParams({ scope: value })} />
        <Find placeholder="Run key, ID, error" />
      </div>
      {scope === "" && <LeftOut />}
      <Loaded live={live} rows={8} label="Loading runs">
        {(data) => {
          const shown = data.items.filter((run) => matches(find, [run.id, run.run_key, run.message, run.error_message, run.error_code]));
          if (shown.length === 0) {
            return status !== "" || type !== "" || scope !== "" || find !== "" ? (
              <Empty glyph="empty" title={find !== "" && data.more ? "No match among those loaded" : "Nothing matches"}>
                <a href={href("runs")}>Show all runs</a>
              </Empty>
            ) : (
              <Empty glyph="empty" title="No runs yet">
                The first one starts on schedule, or when you press “Reconcile now”.
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

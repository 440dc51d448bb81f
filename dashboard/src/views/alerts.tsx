// All alerts: filters in the address, newest first.

import { api } from "../api/client.ts";
import { plural } from "../model/format.ts";
import { alertName, alertTypeWords, severityWords } from "../model/words.ts";
import { usePaged } from "../state/paged.ts";
import { href, route, setParams } from "../state/router.ts";
import { Empty, Loaded } from "../ui/loading.tsx";
import { More } from "../ui/more.tsx";
import { Select } from "../ui/select.tsx";
import { AlertList } from "./alert-list.tsx";
import { Find, matches } from "./find.tsx";

const POLL_MS = 15_000;

const STATUSES: [string, string][] = [
  ["", "Open"],
  ["resolved", "Resolved"],
  ["all", "All"],
];

export function Alerts() {
  const { params } = route.value;
  const status = params["status"] ?? "";
  const severity = params["severity"] ?? "";
  const type = params["type"] ?? "";
  const find = params["q"] ?? "";
  const { live, showMore } = usePaged(
    `alerts ${status} ${severity} ${type}`,
    (limit, cursor, signal) => api.alerts({ status: status || "open", severity, type, limit, cursor }, signal),
    (page) => page.alerts,
    () => POLL_MS,
  );
  const filtered = severity !== "" || type !== "" || find !== "";
  const types = type in alertTypeWords || type === "" ? alertTypeWords : { [type]: type, ...alertTypeWords };

  return (
    <section aria-labelledby="view-title">
      <h1 id="view-title">Alerts</h1>
      <div class="filters" role="search" aria-label="Filter alerts">
        <Select label="Status" value={status} options={STATUSES} onChange={(value) => setParams({ status: value })} />
        <Select
          label="Severity"
          value={severity}
          options={[["", "Any"], ...Object.entries(severityWords)]}
          onChange={(value) => setParams({ severity: value })}
        />
        <Select
          label="Type"
          value={type}
          options={[["", "Any"], ...Object.entries(types)]}
          onChange={(value) => setParams({ type: value })}
        />
        <Find placeholder="Message, ID, subscription" />
      </div>
      <Loaded live={live} rows={4} label="Loading alerts">
        {(data) => {
          const shown = data.items.filter((alert) => matches(find, [alert.id, alert.message, alert.alert_key, alertName(alert.alert_key), alert.metadata]));
          if (shown.length === 0) {
            return filtered ? (
              <Empty glyph="empty" title={find !== "" && data.more ? "No match among those loaded" : "Nothing matches"}>
                <a href={href("alerts")}>Show all open alerts</a>
              </Empty>
            ) : status === "" ? (
              <Empty glyph="check" title="No open alerts">
                Anything that needs a person appears here. <a href={href("alerts", { status: "all" })}>See past alerts</a>
              </Empty>
            ) : (
              <Empty glyph="empty" title="No alerts yet" />
            );
          }
          return (
            <>
              <p class="visually-hidden" role="status">
                {plural(shown.length, "alert")} shown
              </p>
              <AlertList alerts={shown} level={2} />
              <More shown={shown.length} more={data.more} busy={live?.busy.value ?? false} onMore={showMore} />
            </>
          );
        }}
      </Loaded>
    </section>
  );
}

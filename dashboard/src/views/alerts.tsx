// All alerts: filters in the address, newest first.

import { api } from "../api/client.ts";
import type { Alert, AlertPage } from "../api/types.ts";
import { attentionWords, readAttention } from "../model/attention.ts";
import { plural } from "../model/format.ts";
import { alertName, alertTypes, severityWords } from "../model/words.ts";
import { useAttended } from "../state/attend.ts";
import { usePaged, type Paged } from "../state/paged.ts";
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

function Nothing({ status, filtered, unattended, more }: { status: string; filtered: boolean; unattended: boolean; more: boolean }) {
  if (unattended && !more) {
    return (
      <Empty glyph="check" title="Nothing is left unattended">
        <a href={href("alerts")}>Show all open alerts</a>
      </Empty>
    );
  }
  if (filtered) {
    return (
      <Empty glyph="empty" title={more ? "No match among those loaded" : "Nothing matches"}>
        <a href={href("alerts")}>Show all open alerts</a>
      </Empty>
    );
  }
  return status === "" ? (
    <Empty glyph="check" title="No open alerts">
      Anything that needs a person appears here. <a href={href("alerts", { status: "all" })}>See past alerts</a>
    </Empty>
  ) : (
    <Empty glyph="empty" title="No alerts yet" />
  );
}

/** The alert that a link leads to may be older than what is loaded. */
function Missing({ items, more }: { items: Alert[]; more: boolean }) {
  const named = (route.value.params["alert"] ?? "").split(",").filter((id) => id !== "");
  if (!more || named.length !== 1 || items.some(({ id }) => id === named[0])) return null;
  return <p class="quiet list-note">The alert of this address is further back: “Show more” below leads to it.</p>;
}

function List({ data, listedAt }: { data: Paged<AlertPage, Alert>; listedAt: number }) {
  const { params } = route.value;
  const find = params["q"] ?? "";
  const status = params["status"] ?? "";
  const state = readAttention(params);
  const narrowed = ["severity", "type", "q"].some((name) => params[name] !== undefined);
  const all = useAttended(data.items, listedAt);
  const shown = all.filter((alert) => matches(find, [alert.id, alert.message, alert.alert_key, alertName(alert.alert_key), alert.metadata]));
  if (shown.length === 0) {
    return <Nothing status={status} filtered={narrowed || state !== ""} unattended={state === "unattended" && !narrowed} more={find !== "" && data.more} />;
  }
  return (
    <>
      <p class="visually-hidden" role="status">
        {plural(shown.length, "alert")} shown
      </p>
      <Missing items={all} more={data.more} />
      <AlertList alerts={shown} level={2} />
    </>
  );
}

export function Alerts() {
  const { params } = route.value;
  const status = params["status"] ?? "";
  const severity = params["severity"] ?? "";
  const type = params["type"] ?? "";
  const state = readAttention(params);
  const key = `alerts ${status} ${severity} ${type} ${state}`;
  const { live, showMore } = usePaged(
    key,
    (limit, cursor, signal) => api.alerts({ status: status || "open", severity, type, state, limit, cursor }, signal),
    (page) => page.alerts,
    () => POLL_MS,
  );
  const types = type in alertTypes || type === "" ? alertTypes : { [type]: type, ...alertTypes };

  return (
    <section aria-labelledby="view-title">
      <h1 id="view-title">Alerts</h1>
      <div class="filters" role="search" aria-label="Filter alerts">
        <Select label="Status" value={status} options={STATUSES} onChange={(value) => setParams({ status: value, state: value === "" ? state : null })} />
        <Select
          label="Attention"
          value={state}
          options={[["", "Any"], ...Object.entries(attentionWords)]}
          // Only open alerts are attended to.
          onChange={(value) => setParams(value === "" ? { state: null } : { state: value, status: null })}
        />
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
        {(data) => (
          <>
            <List key={key} data={data} listedAt={live?.updatedAt.value ?? 0} />
            <More shown={data.items.length} more={data.more} busy={live?.busy.value ?? false} onMore={showMore} />
          </>
        )}
      </Loaded>
    </section>
  );
}

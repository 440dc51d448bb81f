// All drift, by class: what stands, what would be done about it, and what a person decides.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { Drift as Entry, DriftPage } from "../api/types.ts";
import { canApprove, groups, withDecided } from "../model/decisions.ts";
import { actionsOf, asQuery, isNarrowed, readFilters, withState, type DriftFilters } from "../model/drift-filters.ts";
import { plural } from "../model/format.ts";
import { action, driftType, driftWords, severityWords } from "../model/words.ts";
import { forgetSettled, newest, settled } from "../state/decisions.ts";
import { usePaged, type Paged } from "../state/paged.ts";
import { knownPolicies } from "../state/policies.ts";
import { href, route, setParams } from "../state/router.ts";
import { Empty, Loaded } from "../ui/loading.tsx";
import { More } from "../ui/more.tsx";
import { Select } from "../ui/select.tsx";
import { DriftBar } from "./drift-bar.tsx";
import { DriftGroup } from "./drift-group.tsx";
import { Export } from "./export.tsx";
import { Find, matches } from "./find.tsx";
import { Owner } from "./owner.tsx";

const POLL_MS = 15_000;

const STATES: [string, string][] = [
  ["", "Stands"],
  ["closed", "Closed"],
  ["all", "All"],
];

function Filters({ filters }: { filters: DriftFilters }) {
  return (
    <div class="filters" role="search" aria-label="Filter drift">
      <Select label="State" value={filters.state} options={STATES} onChange={(state) => setParams(withState(filters, state))} />
      <Select
        label="Type"
        value={filters.type}
        options={[["", "Any"], ...Object.entries(driftWords)]}
        onChange={(type) => setParams({ type })}
      />
      <Select
        label="Severity"
        value={filters.severity}
        options={[["", "Any"], ...Object.entries(severityWords)]}
        onChange={(severity) => setParams({ severity })}
      />
      <Select
        label="Action"
        value={filters.action}
        options={[["", "Any"], ...actionsOf(filters.state).map((code): [string, string] => [code, action(code).word])]}
        onChange={(code) => setParams({ action: code })}
      />
      <Owner />
      <Find placeholder="Subscription, customer, text" />
    </div>
  );
}

function Nothing({ filters, find, more }: { filters: DriftFilters; find: string; more: boolean }) {
  if (isNarrowed(filters) || find !== "") {
    return (
      <Empty glyph="empty" title={find !== "" && more ? "No match among those loaded" : "Nothing matches"}>
        <a href={href("drift")}>Show all that stands</a>
      </Empty>
    );
  }
  return filters.state === "" ? (
    <Empty glyph="check" title="Nothing stands">
      Stripe and the database agree. <a href={href("drift", { state: "closed" })}>See what was repaired</a>
    </Empty>
  ) : (
    <Empty glyph="empty" title="No drift yet" />
  );
}

function List({ data, listedAt, find, filters }: { data: Paged<DriftPage, Entry>; listedAt: number; find: string; filters: DriftFilters }) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const order = useRef<string[]>([]);
  const decided = new Map([...settled.value].map(([id, { entry }]) => [id, entry]));
  const all = withDecided(order.current, data.items, decided).map((entry) => newest(entry, listedAt));
  order.current = all.map(({ id }) => id);
  const shown = all.filter((entry) =>
    matches(find, [driftType(entry.type), entry.issue, entry.stripe_subscription_id, entry.stripe_customer_id, entry.owner, entry.note]),
  );
  const choosable = shown.filter((entry) => canApprove(entry, knownPolicies.value));
  const select = (id: string, on: boolean) => {
    const next = new Set(selected);
    if (on) next.add(id);
    else next.delete(id);
    setSelected(next);
  };
  if (shown.length === 0) return <Nothing filters={filters} find={find} more={data.more} />;
  return (
    <>
      <p class="visually-hidden" role="status">
        {plural(shown.length, "entry", "entries")} shown
      </p>
      <DriftBar
        choosable={choosable}
        chosen={choosable.filter(({ id }) => selected.has(id))}
        onChoose={(ids) => setSelected(new Set(ids))}
      />
      {groups(shown, find === "" ? data.first.by_type : {}).map((group) => (
        <DriftGroup key={group.type} group={group} selected={selected} onSelect={select} />
      ))}
    </>
  );
}

export function Drift() {
  const filters = readFilters(route.value.params);
  const find = route.value.params["q"] ?? "";
  const key = `drift ${Object.values(filters).join(" ")}`;
  const { live, showMore } = usePaged(
    key,
    (limit, cursor, signal) => api.drift({ ...asQuery(filters), limit, cursor }, signal),
    (page) => page.drift,
    () => POLL_MS,
  );
  useEffect(() => forgetSettled, [key]);
  return (
    <section aria-labelledby="view-title">
      <div class="section-head">
        <h1 id="view-title">Drift</h1>
        <div class="section-links">
          <a href={href("policies")}>What may be repaired: policies</a>
          <Export whats={["drift", "history"]} />
        </div>
      </div>
      <Filters filters={filters} />
      <Loaded live={live} rows={6} label="Loading drift">
        {(data) => (
          <>
            <List key={key} data={data} listedAt={live?.updatedAt.value ?? 0} find={find} filters={filters} />
            <More shown={data.items.length} more={data.more} busy={live?.busy.value ?? false} onMore={showMore} />
          </>
        )}
      </Loaded>
    </section>
  );
}

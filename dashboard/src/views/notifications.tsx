// Who is told: the channels and how they stand, and below them what each was told, newest first.

import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client.ts";
import type { DeliveryEntry, NotificationPage } from "../api/types.ts";
import type { Said } from "../model/attention.ts";
import { withDecided } from "../model/decisions.ts";
import { plural } from "../model/format.ts";
import { afterRetry, nobodyIsTold, readDeliveryFilters } from "../model/notifications.ts";
import { alertName, channelName, channelWords, deliveryKind, deliveryStatusWords } from "../model/words.ts";
import { channels } from "../state/channels.ts";
import { usePaged, type Paged } from "../state/paged.ts";
import { href, route, setParams } from "../state/router.ts";
import { Glyph } from "../ui/glyph.tsx";
import { Empty, Loaded } from "../ui/loading.tsx";
import { More } from "../ui/more.tsx";
import { Select } from "../ui/select.tsx";
import { ChannelItem } from "./channel-item.tsx";
import { DeliveryTable, type OnRetried } from "./delivery-table.tsx";
import { Find, matches } from "./find.tsx";

const POLL_MS = 15_000;

function Channels() {
  return (
    <section class="notified" aria-labelledby="channels-title">
      <h2 id="channels-title">Channels</h2>
      <Loaded live={channels.value} rows={5} label="Loading channels">
        {(data) => (
          <>
            {nobodyIsTold(data.channels) && (
              <p class="notice">
                <Glyph name="info" />
                <span>
                  <strong>No channel is set up: alerts are seen only here.</strong> Each channel is a setting of the deployment; once it is
                  there, the channel is told of what is open.
                </span>
              </p>
            )}
            <ul class="findings channels">
              {data.channels.map((health) => (
                <ChannelItem key={health.channel} health={health} />
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </section>
  );
}

function Nothing({ filtered, find, more }: { filtered: boolean; find: boolean; more: boolean }) {
  if (filtered) {
    return (
      <Empty glyph="empty" title={find && more ? "No match among those loaded" : "Nothing matches"}>
        <a href={href("notifications")}>Show all deliveries</a>
      </Empty>
    );
  }
  return (
    <Empty glyph="empty" title="No deliveries yet">
      What happens to an alert becomes one delivery for each channel. It appears here with what became of it.
    </Empty>
  );
}

function List({ data, filtered }: { data: Paged<NotificationPage, DeliveryEntry>; filtered: boolean }) {
  const find = route.value.params["q"] ?? "";
  // Who retries one sees what came of it where it stands, even if the filter no longer lets it through.
  const [retried, setRetried] = useState<ReadonlyMap<string, { entry: DeliveryEntry; said: Said }>>(new Map());
  const order = useRef<string[]>([]);
  const all = withDecided(order.current, data.items, new Map([...retried].map(([id, { entry }]) => [id, entry])));
  order.current = all.map(({ id }) => id);
  const shown = all.filter((entry) =>
    matches(find, [channelName(entry.channel), deliveryKind(entry.kind), entry.alert_id, entry.alert_key, alertName(entry.alert_key ?? ""), entry.reason]),
  );
  const onRetried: OnRetried = (entry, told, said) =>
    setRetried((before) => new Map([...before, [entry.id, { entry: told === null ? entry : afterRetry(entry, told, Date.now()), said }]]));
  if (shown.length === 0) return <Nothing filtered={filtered || find !== ""} find={find !== ""} more={data.more} />;
  return (
    <>
      <p class="visually-hidden" role="status">
        {plural(shown.length, "delivery", "deliveries")} shown
      </p>
      <DeliveryTable
        entries={shown}
        channels={data.first.channels}
        said={new Map([...retried].map(([id, { said }]) => [id, said]))}
        onRetried={onRetried}
      />
    </>
  );
}

function Deliveries() {
  const { channel, status } = readDeliveryFilters(route.value.params);
  const key = `notifications ${channel} ${status}`;
  const { live, showMore } = usePaged(
    key,
    (limit, cursor, signal) => api.notifications({ channel, status, limit, cursor }, signal),
    (page) => page.deliveries,
    () => POLL_MS,
  );
  const at = live?.updatedAt.value ?? null;
  useEffect(() => {
    // It brings the channels along, fresher than their own poll.
    const data = live?.data.value ?? null;
    if (data !== null) channels.value?.take(data.first);
  }, [at]);
  return (
    <section class="notified" aria-labelledby="deliveries-title">
      <h2 id="deliveries-title">Deliveries</h2>
      <div class="filters" role="search" aria-label="Filter deliveries">
        <Select
          label="Channel"
          value={channel}
          options={[["", "Any"], ...Object.entries(channelWords)]}
          onChange={(value) => setParams({ channel: value })}
        />
        <Select
          label="Status"
          value={status}
          options={[["", "Any"], ...Object.entries(deliveryStatusWords)]}
          onChange={(value) => setParams({ status: value })}
        />
        <Find placeholder="Alert, reason" />
      </div>
      <Loaded live={live} rows={6} label="Loading deliveries">
        {(data) => (
          <>
            <List key={key} data={data} filtered={channel !== "" || status !== ""} />
            <More shown={data.items.length} more={data.more} busy={live?.busy.value ?? false} onMore={showMore} />
          </>
        )}
      </Loaded>
    </section>
  );
}

export function Notifications() {
  return (
    <section aria-labelledby="view-title">
      <h1 id="view-title">Notifications</h1>
      <p class="ceiling">Who is told of an alert when it is raised, gets worse, still stands, or ends. An acknowledged or snoozed alert sends no reminders.</p>
      <Channels />
      <Deliveries />
    </section>
  );
}

// Who was told of an alert, and why the others were not.

import { api } from "../api/client.ts";
import type { Alert, ChannelHealth, DeliveryEntry } from "../api/types.ts";
import { fate, isRetrying, nobodyIsTold } from "../model/notifications.ts";
import { channelName, deliveryKind } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { useLive } from "../state/live.ts";
import { href } from "../state/router.ts";
import { DeliveryBadge } from "../ui/badges.tsx";
import { Loaded } from "../ui/loading.tsx";
import { Ago } from "../ui/time.tsx";

const MOST = 20;
/** While something is on its way, and while nothing is: reminders come hours apart. */
const POLL_DUE_MS = 15_000;
const POLL_MS = 60_000;

function Item({ entry, channels }: { entry: DeliveryEntry; channels: ChannelHealth[] }) {
  const why = fate(entry, channels, now.value);
  return (
    <li>
      <span class="told-what">
        <strong>{channelName(entry.channel)}</strong> <span class="quiet">{deliveryKind(entry.kind)}</span>
      </span>
      <DeliveryBadge status={entry.status} retrying={isRetrying(entry)} />
      <span class="quiet">
        <Ago at={entry.sent_at ?? entry.created_at} />
      </span>
      {why !== "" && <span class="told-why">{why}</span>}
    </li>
  );
}

export function AlertTold({ alert }: { alert: Alert }) {
  const live = useLive(
    `told ${alert.id}`,
    (signal) => api.notifications({ alert_id: alert.id, limit: MOST }, signal),
    (data) => (alert.resolved && data.deliveries.every(({ status }) => status !== "due") ? null : data.deliveries.some(({ status }) => status === "due") ? POLL_DUE_MS : POLL_MS),
  );
  return (
    <div class="alert-part">
      <p class="alert-part-title">Told</p>
      <Loaded live={live} rows={1} label="Loading who was told">
        {(data) =>
          data.deliveries.length === 0 ? (
            <p class="quiet">
              {nobodyIsTold(data.channels) ? "No channel is set up: alerts are seen only here." : "There is no delivery of this alert to any channel."}{" "}
              <a href={href("notifications")}>Channels</a>
            </p>
          ) : (
            <>
              <ul class="told">
                {data.deliveries.map((entry) => (
                  <Item key={entry.id} entry={entry} channels={data.channels} />
                ))}
              </ul>
              {data.next_cursor !== null && <p class="quiet">Only the newest {MOST} are shown.</p>}
            </>
          )
        }
      </Loaded>
    </div>
  );
}

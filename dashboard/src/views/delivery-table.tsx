// Deliveries as a table: what was told to whom, what became of it, and another attempt at what was given up.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ChannelHealth, DeliveryEntry, Told } from "../api/types.ts";
import type { Said } from "../model/attention.ts";
import { alertParams, fate, isRetrying } from "../model/notifications.ts";
import { alertName, channelName, deliveryKind } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { href } from "../state/router.ts";
import { tell } from "../state/tell.ts";
import { DeliveryBadge, SeverityBadge } from "../ui/badges.tsx";
import { Outcome } from "../ui/outcome.tsx";
import { Ago } from "../ui/time.tsx";

function What({ entry }: { entry: DeliveryEntry }) {
  const kind = deliveryKind(entry.kind);
  const text = entry.alert_key === null ? kind : `${kind} · ${alertName(entry.alert_key)}`;
  return entry.alert_id === null ? (
    <span class="row-plain" data-row tabIndex={-1}>
      {text}
    </span>
  ) : (
    <a class="row-link" data-row href={href("alerts", alertParams(entry.alert_id, entry.alert_key))}>
      {text}
    </a>
  );
}

/** What came of another attempt; `told` is null where there was none. */
export type OnRetried = (entry: DeliveryEntry, told: Told | null, said: Said) => void;

function Retry({ entry, onRetried }: { entry: DeliveryEntry; onRetried: OnRetried }) {
  const [busy, setBusy] = useState(false);
  const retry = async () => {
    setBusy(true);
    const { told, said } = await tell({ retry: entry.id }, entry.channel);
    onRetried(entry, told, said);
    setBusy(false);
  };
  return (
    <button type="button" class="button button-small above" disabled={busy} onClick={() => void retry()}>
      {busy ? "Sending…" : "Retry"}
      <span class="visually-hidden"> {channelName(entry.channel)}</span>
    </button>
  );
}

function Row({
  entry,
  channels,
  said,
  onRetried,
}: {
  entry: DeliveryEntry;
  channels: ChannelHealth[];
  said: Said | undefined;
  onRetried: OnRetried;
}) {
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    // The button is gone, or was disabled meanwhile.
    if (said !== undefined && document.activeElement === document.body) row.current?.querySelector<HTMLElement>("[data-row]")?.focus();
  }, [said]);
  const why = fate(entry, channels, now.value);
  const at = entry.sent_at ?? entry.created_at;
  return (
    <tr ref={row} data-item>
      <td>
        <DeliveryBadge status={entry.status} retrying={isRetrying(entry)} />
      </td>
      <td>
        <What entry={entry} />
        {why !== "" && said === undefined && <span class={`delivery-why ${entry.status === "dead" ? "tone-critical" : ""}`}>{why}</span>}
        <span class="narrow-only quiet">
          {channelName(entry.channel)} · <Ago at={at} />
        </span>
        <div class="delivery-retry" role="status">
          {said !== undefined && <Outcome said={said} />}
        </div>
        {entry.status === "dead" && <Retry entry={entry} onRetried={onRetried} />}
      </td>
      <td class="wide">{channelName(entry.channel)}</td>
      <td class="widest">
        <SeverityBadge severity={entry.severity} />
      </td>
      <td class="number widest">{entry.attempts}</td>
      <td class="wide">
        <Ago at={at} />
      </td>
    </tr>
  );
}

/** `said` is what came of the retries that were made here, by the delivery. */
export function DeliveryTable({
  entries,
  channels,
  said,
  onRetried,
}: {
  entries: DeliveryEntry[];
  channels: ChannelHealth[];
  said: ReadonlyMap<string, Said>;
  onRetried: OnRetried;
}) {
  return (
    <table class="runs deliveries">
      <caption class="visually-hidden">Deliveries, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Status</th>
          <th scope="col">What</th>
          <th scope="col" class="wide">
            Channel
          </th>
          <th scope="col" class="widest">
            Severity
          </th>
          <th scope="col" class="number widest">
            Attempts
          </th>
          <th scope="col" class="wide">
            When
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <Row key={entry.id} entry={entry} channels={channels} said={said.get(entry.id)} onRetried={onRetried} />
        ))}
      </tbody>
    </table>
  );
}

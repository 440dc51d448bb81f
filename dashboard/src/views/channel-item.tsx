// One channel: how it stands, and a test of it; or what it takes to set it up.

import { Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ChannelHealth } from "../api/types.ts";
import type { Said } from "../model/attention.ts";
import { channelSentence, hasWrongSetting, settingsOf } from "../model/notifications.ts";
import { channelName, leastSeverity } from "../model/words.ts";
import { tell } from "../state/tell.ts";
import { ChannelBadge } from "../ui/badges.tsx";
import { Outcome } from "../ui/outcome.tsx";
import { Ago } from "../ui/time.tsx";

function SetUp({ channel }: { channel: string }) {
  const settings = settingsOf(channel);
  return (
    <p class="quiet">
      {settings.length > 0 && (
        <>
          Set{" "}
          {settings.map((name, index) => (
            <Fragment key={name}>
              {index > 0 && (index === settings.length - 1 ? " and " : ", ")}
              <code>{name}</code>
            </Fragment>
          ))}
          .{" "}
        </>
      )}
      How: “Who is told” in <code>docs/OPERATIONS.md</code>.
    </p>
  );
}

function Health({ health }: { health: ChannelHealth }) {
  const sentence = channelSentence(health);
  const { last_success_at: success, last_failure_at: failure } = health;
  return (
    <>
      {sentence !== null && <p class={health.status === "off" || health.status === "failing" ? "channel-trouble" : "quiet"}>{sentence}</p>}
      <p class="channel-facts quiet">
        <span>Told of {leastSeverity(health.min_severity)}</span>
        {success !== null && (
          <span>
            last sent <Ago at={success} />
          </span>
        )}
        {failure !== null && (
          <span>
            last failure <Ago at={failure} />
          </span>
        )}
      </p>
    </>
  );
}

export function ChannelItem({ health }: { health: ChannelHealth }) {
  const { channel } = health;
  const [said, setSaid] = useState<Said | null>(null);
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const name = channelName(channel);
  const test = async () => {
    setBusy(true);
    setSaid(null);
    setSaid((await tell({ test: channel }, channel)).said);
    setBusy(false);
  };
  useEffect(() => {
    // It was disabled meanwhile, and a browser takes the focus from what is.
    if (said !== null && document.activeElement === document.body) button.current?.focus();
  }, [said]);
  return (
    <li class="channel" data-item data-row tabIndex={-1}>
      <div class="channel-name">
        <h3>{name}</h3>
        <ChannelBadge status={health.status} />
      </div>
      <div class="channel-said">{health.status === "not_configured" ? <SetUp channel={channel} /> : <Health health={health} />}</div>
      {health.status !== "not_configured" && !hasWrongSetting(health) && (
        <button ref={button} type="button" class="button button-small" disabled={busy} onClick={() => void test()}>
          {busy ? "Sending…" : "Test"}
          <span class="visually-hidden"> {name}</span>
        </button>
      )}
      <div class="channel-outcome" role="status">
        {said !== null && <Outcome said={said} />}
      </div>
    </li>
  );
}

// A moment: relative to now, or in full.

import { local, relative, utc } from "../model/format.ts";
import { now } from "../state/clock.ts";

/** A moment, relative to now; the absolute UTC and local times on hover. */
export function Ago({ at }: { at: string | number }) {
  const time = typeof at === "number" ? at : Date.parse(at);
  return (
    <time dateTime={new Date(time).toISOString()} title={`${utc(time)}\n${local(time)}`}>
      {relative(time, now.value)}
    </time>
  );
}

/** A moment in UTC with the local time beside it: for details, where hover isn't enough. */
export function Moment({ at }: { at: string }) {
  const time = Date.parse(at);
  // Someone whose clock shows UTC needs it only once.
  const elsewhere = new Date(time).getTimezoneOffset() !== 0;
  return (
    <>
      <time dateTime={at}>{utc(time)}</time>{" "}
      <span class="quiet">
        ({elsewhere && <>{local(time)}; </>}
        <Ago at={time} />)
      </span>
    </>
  );
}

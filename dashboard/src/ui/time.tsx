// A moment: relative to now, or in full.

import { local, relative, utc } from "../model/format.ts";
import { now } from "../state/clock.ts";

/** A moment, relative to now; the absolute UTC and local times on hover. */
export function Ago({ at, suffix = true }: { at: string | number; suffix?: boolean }) {
  const time = typeof at === "number" ? at : Date.parse(at);
  const text = relative(time, now.value);
  return (
    <time dateTime={new Date(time).toISOString()} title={`${utc(time)}\n${local(time)}`}>
      {suffix ? text : text.replace(/ ago$/, "")}
    </time>
  );
}

/** A moment in UTC with the local time beside it: for details, where hover isn't enough. */
export function Moment({ at }: { at: string }) {
  const time = Date.parse(at);
  // Whose clock shows UTC needs it once.
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

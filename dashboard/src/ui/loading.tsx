// A panel's data in each of its states: on its way, empty, failed, stale, there.

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client.ts";
import { span, utcClock } from "../model/format.ts";
import { failure } from "../model/words.ts";
import { now } from "../state/clock.ts";
import type { Live } from "../state/live.ts";
import { Glyph, type GlyphName } from "./glyph.tsx";

/** Rows that are still on their way. */
export function Skeleton({ rows, label }: { rows: number; label: string }) {
  return (
    <div class="skeleton" role="status">
      <span class="visually-hidden">{label}</span>
      {Array.from({ length: rows }, (_, index) => (
        <div class="skeleton-row" key={index} aria-hidden="true">
          <span />
          <span />
        </div>
      ))}
    </div>
  );
}

/** Nothing to show, and why that is good or what to do. */
export function Empty({ glyph, title, children }: { glyph: GlyphName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Glyph name={glyph} />
      <p class="empty-title">{title}</p>
      {children !== undefined && <p class="quiet">{children}</p>}
    </div>
  );
}

/** A failed call: what it means, when it is tried again, and a button for the impatient. */
export function Failure({ error, retryAt, onRetry }: { error: ApiError; retryAt?: number | null; onRetry?: () => void }) {
  const { title, text } = failure(error);
  return (
    <div class="failure" role="alert">
      <Glyph name="triangle" />
      <div>
        <p class="failure-title">{title}</p>
        {text.replace(/\.$/, "") !== title && <p>{text}</p>}
        {error.requestId !== null && (
          <p class="quiet">
            Request <code>{error.requestId}</code>
          </p>
        )}
        {onRetry !== undefined && (
          <p class="failure-actions">
            <button type="button" class="button" onClick={onRetry}>
              Try again
            </button>
            {retryAt != null && <Countdown to={retryAt} />}
          </p>
        )}
      </div>
    </div>
  );
}

/** "Retrying in 12 s": not announced every second. */
export function Countdown({ to }: { to: number }) {
  return <span class="quiet">Retrying in {span(Math.max(0, to - now.value))}</span>;
}

/**
 * One panel's data in each of its states: loading, failed without data, failed with old data ("stale since"), and there.
 */
export function Loaded<T>({
  live,
  rows,
  label,
  staleSaid = false,
  children,
}: {
  live: Live<T> | null;
  rows: number;
  label: string;
  /** The view says itself that the data is stale. */
  staleSaid?: boolean;
  children: (data: T) => ComponentChildren;
}) {
  const data = live?.data.value ?? null;
  const error = live?.error.value ?? null;
  if (live === null || (data === null && error === null)) return <Skeleton rows={rows} label={label} />;
  if (data === null) return <Failure error={error!} retryAt={live.nextAt.value} onRetry={() => void live.refresh()} />;
  return (
    <>
      {error !== null && !staleSaid && live.updatedAt.value !== null && (
        <p class="stale">
          <Glyph name="clock" /> Stale since {utcClock(live.updatedAt.value, now.value)}. {failure(error).title}.
        </p>
      )}
      {children(data)}
    </>
  );
}

// Small pieces that every view uses.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { ApiError } from "./api.ts";
import { now } from "./clock.ts";
import { count, local, relative, span, utc, utcClock } from "./format.ts";
import type { Live } from "./live.ts";
import type { RunStatus, Severity } from "./types.ts";
import { failure, severityWords, statusWords } from "./words.ts";
import { Glyph, type GlyphName } from "./glyph.tsx";

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

const severityGlyphs: Record<Severity, GlyphName> = {
  critical: "octagon",
  high: "triangle",
  warning: "triangle",
  info: "info",
};

/** A severity as a shape, a word and a colour. */
export function SeverityBadge({ severity }: { severity: Severity }) {
  return (
    <span class={`badge tone-${severity}`}>
      <Glyph name={severityGlyphs[severity] ?? "info"} />
      {severityWords[severity] ?? severity}
    </span>
  );
}

export const statusGlyphs: Record<RunStatus, GlyphName> = {
  running: "running",
  success: "check",
  partial: "partial",
  error: "cross",
};

export const statusTones: Record<RunStatus, string> = {
  running: "info",
  success: "ok",
  partial: "warning",
  error: "critical",
};

/** A run's status as a shape, a word and a colour. */
export function StatusBadge({ status }: { status: RunStatus }) {
  return (
    <span class={`badge tone-${statusTones[status] ?? "info"}`}>
      <Glyph name={statusGlyphs[status] ?? "info"} />
      {statusWords[status] ?? status}
    </span>
  );
}

/** Copies a text; says so for two seconds, to screen readers too. */
export function Copy({ text, label, quiet = false }: { text: string; label: string; quiet?: boolean }) {
  const [done, setDone] = useState<"no" | "yes" | "failed">("no");
  useEffect(() => {
    if (done === "no") return;
    const timer = setTimeout(() => setDone("no"), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    try {
      // Not there at all where the page isn't served securely.
      await navigator.clipboard.writeText(text);
      setDone("yes");
    } catch {
      setDone("failed");
    }
  };
  return (
    <button type="button" class="copy" onClick={() => void copy()} title={text}>
      <Glyph name={done === "yes" ? "check" : "copy"} />
      <span aria-live="polite" class={quiet && done === "no" ? "visually-hidden" : ""}>
        {done === "yes" ? "Copied" : done === "failed" ? "Not allowed" : label}
      </span>
    </button>
  );
}

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

/** "Tries again in 12 s": not announced every second. */
export function Countdown({ to }: { to: number }) {
  return <span class="quiet">Tries again in {span(Math.max(0, to - now.value))}</span>;
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

/** A modal dialog of the platform: focus stays in it, Escape closes it. `onClose` hears every way out. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    const element = dialog.current!;
    element.showModal();
    return () => {
      element.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="dialog-body">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** A labelled number. */
export function Fact({ label, children, note }: { label: string; children: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{label}</dt>
      <dd>
        <span class="fact-value">{children}</span>
        {note !== undefined && note !== null && <span class="fact-note">{note}</span>}
      </dd>
    </div>
  );
}

/** A filter: a labelled select whose empty value means all. */
export function Select({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string;
  options: [value: string, text: string][];
  onChange: (value: string) => void;
}) {
  const id = useId();
  return (
    <div class="filter">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([option, text]) => (
          <option value={option} key={option}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** "Show more" under a list that has more pages. */
export function More({ shown, more, busy, onMore }: { shown: number; more: boolean; busy: boolean; onMore: () => void }) {
  if (!more) return shown > 10 ? <p class="list-end quiet">That is all: {count(shown)}.</p> : null;
  return (
    <div class="more">
      <button type="button" class="button" onClick={onMore} disabled={busy}>
        {busy ? "Loading…" : "Show more"}
      </button>
      <span class="quiet">{count(shown)} shown</span>
    </div>
  );
}

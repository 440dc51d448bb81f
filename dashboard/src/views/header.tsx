// The bar on top: where one is, how fresh it is, Reconcile Now, and who is signed in.

import { useEffect, useRef, useState } from "preact/hooks";
import { now } from "../state/clock.ts";
import { count, span } from "../model/format.ts";
import { Glyph } from "../ui/glyph.tsx";
import { helpOpen } from "../state/keyboard.ts";
import { refreshAll } from "../state/live.ts";
import { setTheme, theme, type Theme } from "../state/prefs.ts";
import { pulse } from "../state/pulse.ts";
import { reconcileNow, reconcileState, limitText } from "../state/reconcile.ts";
import { href, route, type View } from "../state/router.ts";
import { email, signOut } from "../state/session.ts";
import { failure } from "../model/words.ts";

function Mark() {
  return (
    <svg class="mark-logo" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M4 7.5h9.5a3.5 3.5 0 0 1 0 7H10" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round" />
      <path d="M20 16.5h-9.5a3.5 3.5 0 0 1 0-7H14" fill="none" stroke="var(--accent)" stroke-width="2.4" stroke-linecap="round" />
    </svg>
  );
}

function NavLink({ view, also, label, badge }: { view: View; also?: View; label: string; badge?: { text: string; said: string } | null }) {
  const here = route.value.view;
  return (
    <a href={href(view)} aria-current={here === view ? "page" : here === also ? "true" : undefined}>
      {label}
      {badge != null && (
        <>
          <span class="count" aria-hidden="true">{badge.text}</span>
          <span class="visually-hidden">{badge.said}</span>
        </>
      )}
    </a>
  );
}

function Freshness() {
  const live = pulse.value;
  const error = live?.error.value ?? null;
  const at = live?.updatedAt.value ?? null;
  const age = at === null ? null : Math.max(0, now.value - at);
  const text =
    error !== null
      ? `${failure(error).title}${live?.nextAt.value ? `, tries again in ${span(Math.max(0, live.nextAt.value - now.value))}` : ""}`
      : age === null
        ? "Loading…"
        : age < 5000
          ? "Updated just now"
          : `Updated ${span(age)} ago`;
  return (
    <button type="button" class={`freshness ${error === null ? "" : "is-lost"}`} onClick={refreshAll} title="Refresh now (r)">
      <Glyph name={error === null ? "sync" : "triangle"} />
      <span>{text}</span>
      <span class="visually-hidden">. Refresh now</span>
    </button>
  );
}

function ReconcileButton() {
  const state = reconcileState.value;
  const limited = state.kind === "limited" && state.until > now.value;
  const pending = state.kind === "pending";
  return (
    <button
      type="button"
      class="button button-primary reconcile"
      onClick={() => void reconcileNow()}
      aria-disabled={pending || limited}
      title={limited ? limitText(state.until, now.value) : undefined}
    >
      {pending && <span class="spinner" aria-hidden="true" />}
      {pending ? `Reconciling… ${span(now.value - state.since)}` : limited ? `Wait ${span(state.until - now.value)}` : "Reconcile now"}
    </button>
  );
}

function Menu() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  const themes: [Theme, string][] = [
    ["auto", "System"],
    ["light", "Light"],
    ["dark", "Dark"],
  ];
  return (
    <div class="menu" ref={box}>
      <button ref={button} type="button" class="menu-button" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>
        <Glyph name="person" />
        <span class="visually-hidden">Account and settings</span>
      </button>
      {open && (
        <div class="menu-panel" id="menu">
          <p class="menu-who">
            <span class="quiet">Signed in as</span>
            <strong>{email.value}</strong>
          </p>
          <fieldset class="segmented">
            <legend>Theme</legend>
            {themes.map(([value, label]) => (
              <label key={value}>
                <input type="radio" name="theme" checked={theme.value === value} onChange={() => setTheme(value)} />
                <span>{label}</span>
              </label>
            ))}
          </fieldset>
          <button
            type="button"
            class="menu-item"
            onClick={() => {
              setOpen(false);
              helpOpen.value = true;
            }}
          >
            Keyboard <kbd>?</kbd>
          </button>
          <button type="button" class="menu-item" onClick={() => void signOut()}>
            Sign out
          </button>
        </div>
      )}
    </div>
  );
}

/** The bar; without a session only the name is there. */
export function Header({ signedIn }: { signedIn: boolean }) {
  const data = pulse.value?.data.value ?? null;
  const open = Object.values(data?.open ?? {}).reduce((sum, n) => sum + n, 0);
  const text = count(open);
  return (
    <header class="bar">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <div class="bar-inner">
        <a class="brand" href="/">
          <Mark />
          <span>
            Billing<span class="brand-light"> operations</span>
          </span>
        </a>
        {signedIn && (
          <>
            <nav aria-label="Views">
              <NavLink view="overview" label="Overview" />
              <NavLink view="alerts" label="Alerts" badge={open > 0 ? { text, said: `${text} open` } : null} />
              <NavLink view="runs" also="run" label="Runs" />
            </nav>
            <div class="bar-end">
              <Freshness />
              <ReconcileButton />
              <Menu />
            </div>
          </>
        )}
      </div>
    </header>
  );
}

/** The outcome of Reconcile Now, until it is put away. */
export function ReconcileReport() {
  const state = reconcileState.value;
  const limited = state.kind === "limited" ? state : null;
  const limitOver = limited !== null && limited.until <= now.value;
  return (
    <div role="status" class="report-place">
      {state.kind === "pending" && (
        <div class="report tone-info">
          <Glyph name="running" />
          <p>
            <strong>Reconciling…</strong> The result will stand here; you can go on meanwhile.
          </p>
        </div>
      )}
      {limited !== null && !limitOver && (
        <div class="report tone-warning">
          <Glyph name="clock" />
          <p>
            <strong>Not so fast.</strong> The server takes ten calls a minute from one address.{" "}
            <span aria-live="off">{limitText(limited.until, now.value)}</span>
          </p>
        </div>
      )}
      {state.kind === "done" && (
        <div class={`report tone-${state.report.tone}`}>
          <Glyph name={state.report.tone === "ok" ? "check" : state.report.tone === "critical" ? "octagon" : state.report.tone === "warning" ? "triangle" : "info"} />
          <p>
            <strong>{state.report.title}.</strong> {state.report.text}{" "}
            {state.report.runId !== null && <a href={href("run", { id: state.report.runId })}>Open the run</a>}
          </p>
          <button
            type="button"
            class="dismiss"
            onClick={() => {
              reconcileState.value = { kind: "idle" };
            }}
          >
            Dismiss
          </button>
        </div>
      )}
    </div>
  );
}

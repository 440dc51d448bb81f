// The bar on top: the views, how fresh the data is, Reconcile Now, and the menu.

import { count, span } from "../model/format.ts";
import { failure } from "../model/words.ts";
import { modeSentence } from "../model/policies.ts";
import { now } from "../state/clock.ts";
import { refreshAll } from "../state/live.ts";
import { knownPolicies, policies } from "../state/policies.ts";
import { pulse } from "../state/pulse.ts";
import { reconcileNow, reconcileState, limitText } from "../state/reconcile.ts";
import { href, route, type View } from "../state/router.ts";
import { Glyph } from "../ui/glyph.tsx";
import { Menu } from "./menu.tsx";

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
      ? `${failure(error).title}${live?.nextAt.value ? `, retrying in ${span(Math.max(0, live.nextAt.value - now.value))}` : ""}`
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
      {pending ? (
        <span>
          <span class="reconcile-word">Reconciling… </span>
          {span(now.value - state.since)}
        </span>
      ) : limited ? (
        `Wait ${span(state.until - now.value)}`
      ) : (
        "Reconcile now"
      )}
    </button>
  );
}

/** What billing-ops may do here, always in sight. */
function Mode() {
  const known = knownPolicies.value;
  if (known === null && (policies.value?.error.value ?? null) === null) return null;
  const mode = known?.repair_mode ?? "unknown";
  return (
    <a class={`mode mode-${mode}`} href={href("policies")} title={known === null ? "The mode could not be loaded." : modeSentence(known)}>
      <span class="visually-hidden">Mode: </span>
      {mode}
    </a>
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
        Skip to content
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
              <NavLink view="drift" also="policies" label="Drift" />
              <NavLink view="notifications" label="Notifications" />
            </nav>
            <div class="bar-end">
              <Mode />
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

// The shell: who sees what, the tab's title and icon, and where the focus goes when the view changes.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Glyph } from "../ui/glyph.tsx";
import { pulse, setPulse, standing } from "../state/pulse.ts";
import { arrivals, route } from "../state/router.ts";
import { arrivalFocus } from "../state/keyboard.ts";
import { cameByForm, session } from "../state/session.ts";
import { Alerts } from "./alerts.tsx";
import { Header, ReconcileReport } from "./header.tsx";
import { Help } from "./help.tsx";
import { Overview } from "./overview.tsx";
import { Run } from "./run.tsx";
import { Runs } from "./runs.tsx";
import { Broken, Forbidden, SignIn } from "./signin.tsx";
import { failure } from "../model/words.ts";
import { now } from "../state/clock.ts";
import { span, utcClock } from "../model/format.ts";
import { refreshAll } from "../state/live.ts";

const NAME = "Billing operations";
const VIEW_NAMES = { overview: "", alerts: "Alerts", runs: "Runs", run: "Run" };

/** The standing also shows in the tab: a sign and a word in the title, and an icon of its own shape. */
export function startTab(): void {
  const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  effect(() => {
    setPulse(session.value.kind === "signed_in");
  });
  effect(() => {
    const on = pulse.value !== null && (pulse.value.data.value !== null || pulse.value.error.value !== null);
    const { level, short } = standing.value;
    const sign = { ok: "✓", warning: "▲", critical: "■", unknown: "?" }[level];
    const view = VIEW_NAMES[route.value.view];
    const title = [on ? `${sign} ${short}` : "", on ? view : "", NAME].filter((part) => part !== "").join(" · ");
    if (document.title !== title) document.title = title;
    const file = `/icons/${on ? level : "unknown"}.svg`;
    if (icon !== null && icon.getAttribute("href") !== file) icon.setAttribute("href", file);
  });
}

/** Above every view while the server can't be heard: from when what is shown is. */
function Lost() {
  const live = pulse.value;
  const error = live?.error.value ?? null;
  const at = live?.updatedAt.value ?? null;
  // Without any data the view itself says so; and a person without rights is shown another page.
  if (live === null || error === null || at === null || error.status === 401 || error.status === 403) return null;
  return (
    <div class="lost" role="alert">
      <Glyph name="triangle" />
      <p>
        <strong>{failure(error).title}.</strong> Stale since {utcClock(at, now.value)}.{" "}
        <span aria-live="off" class="quiet">
          {live.nextAt.value === null ? "Trying now…" : `Tries again in ${span(Math.max(0, live.nextAt.value - now.value))}.`}
        </span>
      </p>
      <button type="button" class="button button-small" onClick={refreshAll}>
        Try now
      </button>
    </div>
  );
}

function CurrentView() {
  const { view, params } = route.value;
  switch (view) {
    case "alerts":
      return <Alerts />;
    case "runs":
      return <Runs />;
    case "run":
      return <Run id={params["id"]!} key={params["id"]} />;
    default:
      return <Overview />;
  }
}

function Inside() {
  const main = useRef<HTMLElement>(null);
  const arrived = arrivals.value;
  const first = useRef(arrived);
  useEffect(() => {
    if (first.current === arrived) return;
    first.current = arrived;
    window.scrollTo(0, 0);
    arrivalFocus(main.current!).focus({ preventScroll: true });
  }, [arrived]);
  useEffect(() => {
    // The form that had the focus is gone; a page that was just loaded keeps the browser's own beginning.
    if (cameByForm()) main.current!.focus({ preventScroll: true });
  }, []);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      <p class="visually-hidden" role="status">
        {standing.value.short}
      </p>
      <Lost />
      <ReconcileReport />
      <CurrentView />
    </main>
  );
}

export function App() {
  const state = session.value;
  switch (state.kind) {
    case "starting":
      return (
        <>
          <Header signedIn={false} />
          <main id="main" tabIndex={-1}>
            <p class="starting" role="status">
              Checking your session…
            </p>
          </main>
        </>
      );
    case "broken":
      return (
        <>
          <Header signedIn={false} />
          <Broken error={state.error} />
        </>
      );
    case "signed_out":
      return (
        <>
          <Header signedIn={false} />
          <SignIn notice={state.notice} />
        </>
      );
    case "forbidden":
      return (
        <>
          <Header signedIn={false} />
          <Forbidden email={state.email} />
        </>
      );
    case "signed_in":
      return (
        <>
          <Header signedIn />
          <Inside />
          <Help />
        </>
      );
  }
}

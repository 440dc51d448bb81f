// The shell: who sees what, and where the focus goes when the view changes.

import { useEffect, useRef } from "preact/hooks";
import { span, utcClock } from "../model/format.ts";
import { failure } from "../model/words.ts";
import { spoken } from "../state/attend.ts";
import { now } from "../state/clock.ts";
import { arrivalFocus } from "../state/keyboard.ts";
import { refreshAll } from "../state/live.ts";
import { pulse, standing } from "../state/pulse.ts";
import { arrivals, route } from "../state/router.ts";
import { cameByForm, session } from "../state/session.ts";
import { Glyph } from "../ui/glyph.tsx";
import { Alerts } from "./alerts.tsx";
import { Drift } from "./drift.tsx";
import { Header } from "./header.tsx";
import { Help } from "./help.tsx";
import { Notifications } from "./notifications.tsx";
import { Overview } from "./overview.tsx";
import { Policies } from "./policies.tsx";
import { ReconcileReport } from "./reconcile-report.tsx";
import { Run } from "./run.tsx";
import { Runs } from "./runs.tsx";
import { Broken, Forbidden, SignIn } from "./signin.tsx";

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
          {live.nextAt.value === null ? "Retrying now…" : `Retrying in ${span(Math.max(0, live.nextAt.value - now.value))}.`}
        </span>
      </p>
      <button type="button" class="button button-small" onClick={refreshAll}>
        Try now
      </button>
    </div>
  );
}

/** What came of an action on an alert, for those who don't see the row that shows it. */
function Announced() {
  const said = spoken.value?.result;
  return (
    <p class="visually-hidden" role="status">
      {said === undefined ? "" : `${said.title}. ${said.text}`}
    </p>
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
    case "drift":
      return <Drift />;
    case "policies":
      return <Policies />;
    case "notifications":
      return <Notifications />;
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
      <Announced />
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

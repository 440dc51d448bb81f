// Starts the page.

import { render } from "preact";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/lists.css";
import "./styles/overview.css";
import "./styles/drift.css";
import "./styles/notifications.css";
import { startChannels } from "./state/channels.ts";
import { startClock } from "./state/clock.ts";
import { startKeyboard } from "./state/keyboard.ts";
import { watchActivity } from "./state/live.ts";
import { startPolicies } from "./state/policies.ts";
import { startPulse } from "./state/pulse.ts";
import { startRouter } from "./state/router.ts";
import { startSession } from "./state/session.ts";
import { App } from "./views/app.tsx";
import { startTab } from "./views/tab.ts";

startClock();
startRouter();
startPulse();
startPolicies();
startChannels();
startTab();
watchActivity();
startKeyboard();
void startSession();
const root = document.getElementById("app")!;
root.textContent = "";
render(<App />, root);

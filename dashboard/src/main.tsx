// Starts the page.

import { render } from "preact";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/lists.css";
import "./styles/overview.css";
import { App, startTab } from "./app.tsx";
import { startClock } from "./clock.ts";
import { startKeyboard } from "./keyboard.ts";
import { watchActivity } from "./live.ts";
import { startRouter } from "./router.ts";
import { startSession } from "./session.ts";

startClock();
startRouter();
startTab();
watchActivity();
startKeyboard();
void startSession();
const root = document.getElementById("app")!;
root.textContent = "";
render(<App />, root);

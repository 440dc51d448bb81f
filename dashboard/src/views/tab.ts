// The browser's tab: its title and its icon say how things stand.

import { effect } from "@preact/signals";
import { pulse, standing } from "../state/pulse.ts";
import { route } from "../state/router.ts";

const NAME = "Billing operations";
const VIEW_NAMES = { overview: "", alerts: "Alerts", runs: "Runs", run: "Run", drift: "Drift", policies: "Policies", notifications: "Notifications" };

/** The standing also shows in the tab: a sign and a word in the title, and an icon of its own shape. */
export function startTab(): void {
  const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
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

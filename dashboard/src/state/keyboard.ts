// Single keys: they work wherever nothing is being typed, and can be switched off in the help.

import { signal } from "@preact/signals";
import { refreshAll } from "./live.ts";
import { shortcuts } from "./prefs.ts";
import { href, navigate, route } from "./router.ts";

export const helpOpen = signal(false);

/** The keys and what they do, as the help shows them. */
export const KEYS: [keys: string[], does: string][] = [
  [["j", "k"], "Next or previous row"],
  [["Enter"], "Open the row"],
  [["/"], "Find in the list"],
  [["r"], "Refresh now"],
  [["x"], "Select the row, to approve it"],
  [["a"], "Acknowledge the alert"],
  [["s"], "Snooze the alert for an hour"],
  [["1", "2", "3", "4", "5"], "Overview, alerts, runs, drift or notifications"],
  [["?"], "Show this help"],
  [["Esc"], "Close a dialog or leave a field"],
];

function rows(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("main [data-row]")].filter((row) => row.offsetParent !== null);
}

function step(by: 1 | -1): void {
  const all = rows();
  const current = all.findIndex((row) => row === document.activeElement || row.closest("[data-item]")?.contains(document.activeElement));
  const next = current === -1 ? (by === 1 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, current + by));
  all[next]?.focus();
  all[next]?.scrollIntoView({ block: "nearest" });
}

function current(): Element | null {
  return document.activeElement?.closest("main [data-item]") ?? null;
}

function select(): void {
  current()?.querySelector<HTMLInputElement>("input[type=checkbox]")?.click();
}

/** What single keys do on an item, by the item. */
const itemKeys = new WeakMap<Element, Readonly<Record<string, () => void>>>();

/** Sets what single keys do where `item` has the focus, or is the only one that is unfolded. */
export function setItemKeys(item: Element, keys: Readonly<Record<string, () => void>>): void {
  itemKeys.set(item, keys);
}

function press(key: string): void {
  // Who comes by a link has the one alert open that it leads to, and no focus on it yet.
  const unfolded = document.querySelectorAll("main [data-item].is-open");
  const item = current() ?? (unfolded.length === 1 ? unfolded[0]! : null);
  if (item !== null) itemKeys.get(item)?.[key]?.();
}

let findOnArrival = false;

/** Where the focus belongs in a view that has just been opened: the field if `/` led here, else the view itself. */
export function arrivalFocus(main: HTMLElement): HTMLElement {
  const field = findOnArrival ? main.querySelector<HTMLElement>("input[type=search]") : null;
  findOnArrival = false;
  return field ?? main;
}

function find(): void {
  const field = document.querySelector<HTMLInputElement>("main input[type=search]");
  if (field !== null) {
    field.focus();
    field.select();
  } else if (route.value.view === "overview") {
    findOnArrival = true;
    navigate(href("alerts"));
  }
}

const actions: Record<string, () => void> = {
  j: () => step(1),
  k: () => step(-1),
  "/": find,
  r: refreshAll,
  x: select,
  a: () => press("a"),
  s: () => press("s"),
  "1": () => navigate(href("overview")),
  "2": () => navigate(href("alerts")),
  "3": () => navigate(href("runs")),
  "4": () => navigate(href("drift")),
  "5": () => navigate(href("notifications")),
  "?": () => {
    helpOpen.value = true;
  },
};

function typing(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

/** Listens. Called once. */
export function startKeyboard(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing(event.target) && document.querySelector("dialog[open]") === null) {
      (event.target as HTMLElement).blur();
      return;
    }
    if (!shortcuts.value || typing(event.target) || document.querySelector("dialog[open]") !== null) return;
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}

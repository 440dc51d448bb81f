// What this browser remembers of its reader's taste. (static/assets/theme.js applies the theme before first paint.)

import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const THEME_KEY = "billing-ops-theme";
const KEYS_KEY = "billing-ops-keys";

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing: the choice holds until the tab is closed.
  }
}

const kept = stored(THEME_KEY);
export const theme = signal<Theme>(kept === "light" || kept === "dark" ? kept : "auto");

/** Light, dark, or what the system says. */
export function setTheme(value: Theme): void {
  theme.value = value;
  store(THEME_KEY, value);
  if (value === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = value;
}

/** Whether single keys do something: WCAG 2.1.4 wants them to be switched off at will. */
export const shortcuts = signal(stored(KEYS_KEY) !== "off");

export function setShortcuts(on: boolean): void {
  shortcuts.value = on;
  store(KEYS_KEY, on ? "on" : "off");
}

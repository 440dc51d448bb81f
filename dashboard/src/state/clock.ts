// The page's one clock: a signal that ticks every second while the page is visible.

import { signal } from "@preact/signals";

/** Milliseconds since the epoch, as of the last tick. */
export const now = signal(Date.now());

let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  now.value = Date.now();
}

function run(): void {
  clearInterval(timer);
  if (document.hidden) return;
  tick();
  timer = setInterval(tick, 1000);
}

/** Starts the clock; it rests while the tab is hidden. */
export function startClock(): void {
  document.addEventListener("visibilitychange", run);
  run();
}

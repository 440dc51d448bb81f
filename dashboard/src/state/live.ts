// Data that stays fresh: polls, slows down when nobody is active, stops when the tab is hidden, backs off when the
// server fails, and keeps the last good answer with the time from which it is stale.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/client.ts";
import { noteRefusal } from "./session.ts";

/** After so long without a key, click or scroll, polls come half as often; after five times as long, a quarter. */
const IDLE_AFTER_MS = 2 * 60_000;
const FIRST_RETRY_MS = 3000;
const MAX_RETRY_MS = 60_000;

let lastActive = Date.now();

/** Polls keep to the reader's presence. Called once. */
export function watchActivity(): void {
  const active = () => {
    const idle = slowdown(Date.now()) > 1;
    lastActive = Date.now();
    if (idle) for (const live of all) live.wake();
  };
  for (const event of ["pointerdown", "keydown", "wheel", "focus"]) {
    window.addEventListener(event, active, { passive: true, capture: true });
  }
  document.addEventListener("visibilitychange", () => {
    for (const live of all) document.hidden ? live.rest() : live.wake();
  });
  window.addEventListener("online", refreshAll);
}

function slowdown(now: number): number {
  const idle = now - lastActive;
  return idle < IDLE_AFTER_MS ? 1 : idle < 5 * IDLE_AFTER_MS ? 2 : 4;
}

const all = new Set<Live<unknown>>();

/** Asks for everything that is on the page now. */
export function refreshAll(): void {
  for (const live of all) void live.refresh();
}

/** How long to wait after the `failures`th failure in a row: doubling, a fifth of it random. */
export function retryDelay(failures: number, random: number): number {
  const full = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
  return full * (0.8 + 0.2 * random);
}

export class Live<T> {
  readonly data = signal<T | null>(null);
  readonly error = signal<ApiError | null>(null);
  /** When `data` was true, in milliseconds since the epoch. */
  readonly updatedAt = signal<number | null>(null);
  readonly busy = signal(false);
  /** When it asks again; null while it asks, and when it won't. */
  readonly nextAt = signal<number | null>(null);

  private timer: ReturnType<typeof setTimeout> | undefined;
  private flight: AbortController | null = null;
  private failures = 0;
  private stopped = false;

  /** `interval` in milliseconds until the next poll, given the newest data; null where none is needed. */
  constructor(
    private readonly fetch: (signal: AbortSignal) => Promise<T>,
    private readonly interval: (data: T) => number | null,
  ) {
    all.add(this as Live<unknown>);
    if (!document.hidden) void this.refresh();
  }

  /** Asks now, whatever is planned; a call in flight is replaced. */
  async refresh(): Promise<void> {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.flight?.abort();
    const flight = new AbortController();
    this.flight = flight;
    this.nextAt.value = null;
    this.busy.value = true;
    let wait: number | null;
    try {
      const data = await this.fetch(flight.signal);
      if (flight.signal.aborted) return;
      this.failures = 0;
      this.data.value = data;
      this.error.value = null;
      this.updatedAt.value = Date.now();
      wait = this.interval(data);
      if (wait !== null) wait *= slowdown(Date.now());
    } catch (cause) {
      if (flight.signal.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError(0, "unreachable", String(cause));
      wait = this.fail(error);
    }
    this.busy.value = false;
    this.flight = null;
    if (wait !== null) this.plan(wait);
  }

  private fail(error: ApiError): number | null {
    this.failures += 1;
    if (error.status === 401 || error.status === 403) {
      this.error.value = error;
      noteRefusal(error);
      return null;
    }
    if (error.code === "rate_limited" && this.data.value !== null) {
      // Not an outage: the data is just a little older than planned.
      return (error.retryAfter ?? 30) * 1000;
    }
    this.error.value = error;
    if (error.status === 404 || error.status === 400) return null;
    if (error.retryAfter !== null) return error.retryAfter * 1000;
    return retryDelay(this.failures, Math.random());
  }

  private plan(wait: number): void {
    if (document.hidden) return;
    this.nextAt.value = Date.now() + wait;
    this.timer = setTimeout(() => void this.refresh(), wait);
  }

  /** Takes what another call has brought; one in flight would bring older. */
  take(data: T): void {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.flight?.abort();
    this.flight = null;
    this.failures = 0;
    this.busy.value = false;
    this.data.value = data;
    this.error.value = null;
    this.updatedAt.value = Date.now();
    const wait = this.interval(data);
    if (wait !== null) this.plan(wait * slowdown(Date.now()));
  }

  /** No more polls until `wake`. */
  rest(): void {
    clearTimeout(this.timer);
    this.nextAt.value = null;
  }

  /** Somebody looks again: asks at once, unless what is shown needs no news. */
  wake(): void {
    const data = this.data.value;
    if (this.busy.value || document.hidden) return;
    if (data === null || this.error.value !== null || this.interval(data) !== null) void this.refresh();
  }

  /** Ends it for good. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.flight?.abort();
    all.delete(this as Live<unknown>);
  }
}

/** A Live for as long as the component is there; a new one whenever `key` changes. */
export function useLive<T>(
  key: string,
  fetch: (signal: AbortSignal) => Promise<T>,
  interval: (data: T) => number | null,
): Live<T> | null {
  const [live, setLive] = useState<{ key: string; live: Live<T> } | null>(null);
  useEffect(() => {
    const created = new Live(fetch, interval);
    setLive({ key, live: created });
    return () => created.stop();
  }, [key]);
  return live?.key === key ? live.live : null;
}

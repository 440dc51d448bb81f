// Polling: keeps what it has when the server fails, waits longer each time, and comes back.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const listeners = new Map<string, () => void>();
vi.stubGlobal("document", {
  hidden: false,
  addEventListener: (name: string, listener: () => void) => listeners.set(name, listener),
});
vi.stubGlobal("window", { addEventListener: () => undefined });

const { ApiError } = await import("../src/api/client.ts");
const { Live, retryDelay, watchActivity } = await import("../src/state/live.ts");
const { fetchPages } = await import("../src/state/paged.ts");
watchActivity();

function hide(hidden: boolean): void {
  (document as { hidden: boolean }).hidden = hidden;
  listeners.get("visibilitychange")!();
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("live data", () => {
  test("polls at its interval, and not while the tab is hidden", async () => {
    const fetch = vi.fn(async () => fetch.mock.calls.length);
    const live = new Live(fetch, () => 1000);
    await vi.advanceTimersByTimeAsync(3500);
    expect(fetch).toHaveBeenCalledTimes(4);
    hide(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fetch).toHaveBeenCalledTimes(4);
    hide(false);
    await vi.advanceTimersByTimeAsync(0);
    expect(fetch).toHaveBeenCalledTimes(5);
    live.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fetch).toHaveBeenCalledTimes(5);
  });

  test("slows down when nobody is active", async () => {
    const fetch = vi.fn(async () => 1);
    const live = new Live(fetch, () => 10_000);
    await vi.advanceTimersByTimeAsync(20 * 60_000);
    const before = fetch.mock.calls.length;
    await vi.advanceTimersByTimeAsync(80_000);
    expect(fetch.mock.calls.length - before).toBe(2);
    live.stop();
  });

  test("keeps old data through an outage, says since when, and recovers", async () => {
    let up = true;
    const live = new Live(
      async () => {
        if (!up) throw new ApiError(0, "unreachable", "gone");
        return "data";
      },
      () => 1000,
    );
    await vi.advanceTimersByTimeAsync(0);
    const at = live.updatedAt.value;
    up = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(live.error.value?.code).toBe("unreachable");
    expect([live.data.value, live.updatedAt.value]).toEqual(["data", at]);
    expect(live.nextAt.value).not.toBeNull();
    up = true;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(live.error.value).toBeNull();
    live.stop();
  });

  test("a rate limit is not an outage: it waits as long as it is told", async () => {
    let limited = false;
    const fetch = vi.fn(async () => {
      if (limited) throw new ApiError(429, "rate_limited", "slow down", 40);
      return "data";
    });
    const live = new Live(fetch, () => 1000);
    await vi.advanceTimersByTimeAsync(0);
    limited = true;
    await vi.advanceTimersByTimeAsync(1000);
    expect(live.error.value).toBeNull();
    const calls = fetch.mock.calls.length;
    await vi.advanceTimersByTimeAsync(39_000);
    expect(fetch).toHaveBeenCalledTimes(calls);
    await vi.advanceTimersByTimeAsync(1001);
    expect(fetch).toHaveBeenCalledTimes(calls + 1);
    live.stop();
  });

  test("what can't come right is not asked again", async () => {
    const fetch = vi.fn(async () => {
      throw new ApiError(404, "not_found", "no such run");
    });
    const live = new Live(fetch, () => 1000);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(fetch).toHaveBeenCalledTimes(1);
    live.stop();
  });

  test("retries wait longer each time, up to a minute", () => {
    expect([1, 2, 3, 9].map((n) => retryDelay(n, 1))).toEqual([3000, 6000, 12_000, 60_000]);
    expect(retryDelay(1, 0)).toBe(2400);
  });
});

describe("pages", () => {
  test("asks for as many as are wanted, in pages of at most 200, and knows whether there is more", async () => {
    const all = Array.from({ length: 450 }, (_, index) => index);
    const page = vi.fn(async (limit: number, cursor: string | null) => {
      const from = Number(cursor ?? 0);
      const items = all.slice(from, from + limit);
      return { items, next_cursor: from + limit < all.length ? String(from + limit) : null };
    });
    const some = await fetchPages(page, (answer) => answer.items, 250);
    expect(page.mock.calls).toEqual([[200, null], [50, "200"]]);
    expect([some.items.length, some.more]).toEqual([250, true]);
    const every = await fetchPages(page, (answer) => answer.items, 1000);
    expect([every.items.length, every.more]).toEqual([450, false]);
  });
});

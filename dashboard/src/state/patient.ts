// Calls that wait their turn.

import { ApiError } from "../api/client.ts";

/** Tries again after a rate limit, when the server says; `onWait` hears until when. */
export async function patient<T>(call: () => Promise<T>, signal: AbortSignal, onWait?: (until: number) => void): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (cause) {
      if (!(cause instanceof ApiError) || cause.code !== "rate_limited") throw cause;
      const wait = (cause.retryAfter ?? 60) * 1000;
      onWait?.(Date.now() + wait);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, wait);
        signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
      });
    }
  }
}

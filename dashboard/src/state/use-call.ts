// One call that a person has asked for: whether it is under way, and why it failed.

import { useState } from "preact/hooks";
import { ApiError } from "../api/client.ts";
import { noteRefusal } from "./session.ts";

/** Whatever was thrown, as what it means for the page. */
export function asApiError(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : new ApiError(0, "unreachable", String(cause));
}

/** `run` gives the answer, or null where the call failed or another is under way. */
export function useCall(): { busy: boolean; error: ApiError | null; run: <T>(call: () => Promise<T>) => Promise<T | null> } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const run = async <T,>(call: () => Promise<T>): Promise<T | null> => {
    if (busy) return null;
    setBusy(true);
    setError(null);
    try {
      return await call();
    } catch (cause) {
      const failed = asApiError(cause);
      noteRefusal(failed);
      setError(failed);
      return null;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run };
}

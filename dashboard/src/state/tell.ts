// A test of a channel, or another attempt at what was given up, and what came of it.

import { api } from "../api/client.ts";
import type { TellBody, Told } from "../api/types.ts";
import type { Said } from "../model/attention.ts";
import { toldResult } from "../model/notifications.ts";
import { failure } from "../model/words.ts";
import { refreshAll } from "./live.ts";
import { noteRefusal } from "./session.ts";
import { asApiError } from "./use-call.ts";

/** `told` is null where the API refused it, or did not answer. */
export async function tell(body: TellBody, channel: string): Promise<{ told: Told | null; said: Said }> {
  try {
    const told = await api.tell(body);
    return { told, said: toldResult(told, channel) };
  } catch (cause) {
    const error = asApiError(cause);
    noteRefusal(error);
    const { title, text } = failure(error);
    return { told: null, said: { tone: error.code === "conflict" ? "info" : "critical", title, text } };
  } finally {
    refreshAll();
  }
}

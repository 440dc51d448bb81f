// The channels by which people are told, for as long as somebody is signed in.

import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client.ts";
import type { NotificationPage } from "../api/types.ts";
import { Live } from "./live.ts";
import { session } from "./session.ts";

/** They change with the settings, so rarely. Where they are looked at, the list of deliveries brings them along. */
const POLL_MS = 60_000;

/** Null while nobody is signed in. */
export const channels = signal<Live<NotificationPage> | null>(null);

/** What is known of them; null until the first answer. */
export const knownChannels = computed(() => channels.value?.data.value?.channels ?? null);

/** Lets them be loaded with the session. Called once. */
export function startChannels(): void {
  effect(() => setChannels(session.value.kind === "signed_in"));
}

function setChannels(on: boolean): void {
  if (on === (channels.value !== null)) return;
  channels.value?.stop();
  channels.value = on ? new Live((signal) => api.notifications({ limit: 1 }, signal), () => POLL_MS) : null;
}

// What billing-ops may do by itself: the deployment's mode and each class's, for as long as somebody is signed in.

import { computed, effect, signal } from "@preact/signals";
import { api } from "../api/client.ts";
import type { Policies } from "../api/types.ts";
import { Live } from "./live.ts";
import { session } from "./session.ts";

/** They change by hand, so rarely. */
const POLL_MS = 60_000;

/** Null while nobody is signed in. */
export const policies = signal<Live<Policies> | null>(null);

/** What is known of them; null until the first answer. */
export const knownPolicies = computed(() => policies.value?.data.value ?? null);

/** Lets them be loaded with the session. Called once. */
export function startPolicies(): void {
  effect(() => setPolicies(session.value.kind === "signed_in"));
}

function setPolicies(on: boolean): void {
  if (on === (policies.value !== null)) return;
  policies.value?.stop();
  policies.value = on ? new Live((signal) => api.policies(signal), () => POLL_MS) : null;
}

// The episodes of an alert, one after another.

import type { Alert } from "../api/types.ts";

/** The chain of episodes before this one, newest first. */
export function previousOf(alert: Alert, others: Alert[]): Alert[] {
  const byId = new Map(others.map((other) => [other.id, other]));
  const chain: Alert[] = [];
  let id = alert.previous_alert_id;
  while (id !== null && byId.has(id) && !chain.some((seen) => seen.id === id)) {
    const found: Alert = byId.get(id)!;
    chain.push(found);
    id = found.previous_alert_id;
  }
  return chain;
}

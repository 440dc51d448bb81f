// Alerts below one another; which of them are unfolded stands in the address.

import type { Alert } from "../api/types.ts";
import { refreshAll } from "../state/live.ts";
import { route, setParams } from "../state/router.ts";
import { AlertItem } from "./alert-item.tsx";

/** A list of alerts of which those named in the address are unfolded. */
export function AlertList({ alerts, level }: { alerts: Alert[]; level: 2 | 3 }) {
  const unfolded = (route.value.params["alert"] ?? "").split(",").filter((id) => id !== "");
  const toggle = (id: string) => {
    const rest = unfolded.filter((other) => other !== id);
    setParams({ alert: (rest.length < unfolded.length ? rest : [...rest, id]).join(",") || null });
  };
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <AlertItem
          key={alert.id}
          alert={alert}
          level={level}
          open={unfolded.includes(alert.id)}
          onToggle={() => toggle(alert.id)}
          onResolved={refreshAll}
        />
      ))}
    </ul>
  );
}

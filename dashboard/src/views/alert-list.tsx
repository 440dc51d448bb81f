// Alerts below one another; which of them are unfolded stands in the address.

import { useEffect, useRef } from "preact/hooks";
import type { Alert } from "../api/types.ts";
import { refreshAll } from "../state/live.ts";
import { arrivals, route, setParams } from "../state/router.ts";
import { AlertItem } from "./alert-item.tsx";

/** The arrival for which the page has been scrolled already. */
let scrolledFor = -1;

/** A list of alerts of which those named in the address are unfolded. */
export function AlertList({ alerts, level }: { alerts: Alert[]; level: 2 | 3 }) {
  const unfolded = (route.value.params["alert"] ?? "").split(",").filter((id) => id !== "");
  const toggle = (id: string) => {
    const rest = unfolded.filter((other) => other !== id);
    setParams({ alert: (rest.length < unfolded.length ? rest : [...rest, id]).join(",") || null });
  };
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    if (level !== 2 || scrolledFor === arrivals.value) return;
    scrolledFor = arrivals.value;
    // Who comes by a link to one alert sees it at once, however far down it is.
    const named = list.current?.querySelector(".is-open");
    if (named && named.getBoundingClientRect().top > window.innerHeight / 2) named.scrollIntoView({ block: "start" });
  }, []);
  return (
    <ul ref={list} class="alerts">
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

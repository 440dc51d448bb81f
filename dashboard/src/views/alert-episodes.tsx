// The episodes of an alert before this one.

import { api } from "../api/client.ts";
import type { Alert } from "../api/types.ts";
import { previousOf } from "../model/episodes.ts";
import { plural } from "../model/format.ts";
import { useLive } from "../state/live.ts";
import { fetchPages } from "../state/paged.ts";
import { href } from "../state/router.ts";
import { SeverityBadge } from "../ui/badges.tsx";
import { Loaded } from "../ui/loading.tsx";
import { Ago } from "../ui/time.tsx";

export function Episodes({ alert }: { alert: Alert }) {
  const live = useLive(
    alert.id,
    (signal) =>
      fetchPages(
        (limit, cursor) => api.alerts({ status: "all", type: alert.alert_type, limit, cursor }, signal),
        (page) => page.alerts,
        200,
      ),
    () => null,
  );
  return (
    <div class="alert-part episodes">
      <p class="alert-part-title">Previous episodes</p>
      <Loaded live={live} rows={1} label="Loading previous episodes">
        {(data) => {
          const chain = previousOf(alert, data.items);
          if (chain.length === 0) return <p class="quiet">The previous one is too far back to be listed.</p>;
          return (
            <ol>
              {chain.slice(0, 10).map((episode) => (
                <li key={episode.id}>
                  <SeverityBadge severity={episode.severity} />{" "}
                  <a href={href("alerts", { status: "all", type: episode.alert_type, alert: episode.id })}>
                    <Ago at={episode.first_seen_at} />
                  </a>
                  , seen {plural(episode.occurrences, "time")}, {episode.resolution === "auto" ? "resolved automatically" : "resolved by hand"}
                  {episode.resolved_at !== null && (
                    <>
                      {" "}
                      <Ago at={episode.resolved_at} />
                    </>
                  )}
                  {episode.resolution_note ? <q>{episode.resolution_note}</q> : null}
                </li>
              ))}
            </ol>
          );
        }}
      </Loaded>
    </div>
  );
}

// What billing-ops may do by itself: the deployment's ceiling, and below it the mode of each class.

import { modeWords, settable } from "../model/policies.ts";
import { policies } from "../state/policies.ts";
import { href } from "../state/router.ts";
import { Glyph } from "../ui/glyph.tsx";
import { Loaded } from "../ui/loading.tsx";
import { PolicyItem } from "./policy-item.tsx";

export function Policies() {
  return (
    <section aria-labelledby="view-title">
      <p class="crumb">
        <a href={href("drift")}>Drift</a>
        <Glyph name="chevron" />
        <span>Policies</span>
      </p>
      <h1 id="view-title">Policies</h1>
      <Loaded live={policies.value} rows={8} label="Loading policies">
        {(data) => (
          <>
            <p class="ceiling">
              This deployment's REPAIR_MODE is <strong>{data.repair_mode}</strong>. {modeWords[data.repair_mode]} A class can be kept
              below that, never above it. Classes that are not listed are never repaired.
            </p>
            <ul class="findings policies">
              {settable(data).map((policy) => (
                <PolicyItem key={policy.type} policy={policy} ceiling={data.repair_mode} />
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </section>
  );
}

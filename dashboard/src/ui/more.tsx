// The end of a list, or the way to more of it.

import { count } from "../model/format.ts";

/** "Show more" under a list that has more pages. */
export function More({ shown, more, busy, onMore }: { shown: number; more: boolean; busy: boolean; onMore: () => void }) {
  if (!more) return shown > 10 ? <p class="list-end quiet">All {count(shown)} shown.</p> : null;
  return (
    <div class="more">
      <button type="button" class="button" onClick={onMore} disabled={busy}>
        {busy ? "Loading…" : "Show more"}
      </button>
      <span class="quiet">{count(shown)} shown</span>
    </div>
  );
}

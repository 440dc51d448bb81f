// Lists that grow by "Show more" and stay fresh as a whole.

import { useRef } from "preact/hooks";
import { Live, useLive } from "./live.ts";

/** The most the API gives at once. */
const MAX_LIMIT = 200;
const STEP = 50;

export interface Paged<P, T> {
  /** The first page's answer, for what it says beside its items. */
  first: P;
  items: T[];
  more: boolean;
}

/** Fetches pages until `want` items are there or no more exist. */
export async function fetchPages<P extends { next_cursor: string | null }, T>(
  page: (limit: number, cursor: string | null) => Promise<P>,
  itemsOf: (answer: P) => T[],
  want: number,
): Promise<Paged<P, T>> {
  const first = await page(Math.min(MAX_LIMIT, want), null);
  const items = [...itemsOf(first)];
  let cursor = first.next_cursor;
  while (cursor !== null && items.length < want) {
    const answer = await page(Math.min(MAX_LIMIT, want - items.length), cursor);
    items.push(...itemsOf(answer));
    cursor = answer.next_cursor;
  }
  return { first, items, more: cursor !== null };
}

/** A live list of 50 items, and 50 more each time `showMore` is called; starts over when `key` changes. */
export function usePaged<P extends { next_cursor: string | null }, T>(
  key: string,
  page: (limit: number, cursor: string | null, signal: AbortSignal) => Promise<P>,
  itemsOf: (answer: P) => T[],
  interval: (data: Paged<P, T>) => number | null,
): { live: Live<Paged<P, T>> | null; showMore: () => void } {
  const want = useRef({ key, count: STEP });
  if (want.current.key !== key) want.current = { key, count: STEP };
  const live = useLive<Paged<P, T>>(
    key,
    (signal) => fetchPages((limit, cursor) => page(limit, cursor, signal), itemsOf, want.current.count),
    interval,
  );
  const showMore = () => {
    want.current.count += STEP;
    void live?.refresh();
  };
  return { live, showMore };
}

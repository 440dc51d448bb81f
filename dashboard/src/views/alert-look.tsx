// Where the cause of an alert is found, where that is not a run of its own.

import type { ComponentChildren } from "preact";
import { STRIPE_WEBHOOKS } from "../model/stripe-links.ts";
import { href } from "../state/router.ts";
import { Glyph } from "../ui/glyph.tsx";

const places: Record<string, () => ComponentChildren> = {
  stripe_deliveries_failing: () => (
    <>
      <a href={STRIPE_WEBHOOKS} target="_blank" rel="noreferrer">
        Webhooks at Stripe <Glyph name="external" />
        <span class="visually-hidden">, opens in a new tab</span>
      </a>{" "}
      <span class="quiet">Each endpoint says there what it did not take, and what it answered.</span>
    </>
  ),
  events_backlog: () => (
    <>
      <a href={href("runs", { scope: "due" })}>Passes over what was due</a>{" "}
      <span class="quiet">One every few minutes, where something is due: do they come, and how do they end?</span>
    </>
  ),
};

export function WhereToLook({ alertKey }: { alertKey: string }) {
  const place = places[alertKey];
  if (place === undefined) return null;
  return (
    <>
      <dt>Where to look</dt>
      <dd>{place()}</dd>
    </>
  );
}

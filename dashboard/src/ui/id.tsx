// An id: a link to Stripe where it has a page there, and a button that copies it.

import { stripeLink } from "../model/stripe-links.ts";
import { Copy } from "./copy.tsx";
import { Glyph } from "./glyph.tsx";

/** An id with a link to Stripe where it has a page there, and a button that copies it. */
export function Id({ id, livemode, label }: { id: string; livemode: boolean | null; label?: string }) {
  const link = stripeLink(id, livemode);
  return (
    <span class="id">
      {link === null ? (
        <code>{id}</code>
      ) : (
        <a href={link} target="_blank" rel="noreferrer">
          <code>{id}</code>
          <Glyph name="external" />
          <span class="visually-hidden"> at Stripe{livemode === false ? " (test data)" : ""}, opens in a new tab</span>
        </a>
      )}
      <Copy text={id} label={label ?? `Copy ${id}`} quiet={label === undefined} />
    </span>
  );
}

// Links into Stripe's dashboard, which keeps test data under /test.

/** Where Stripe shows which webhook endpoint did not take an event, and what it answered. */
export const STRIPE_WEBHOOKS = "https://dashboard.stripe.com/webhooks";

/** The dashboard's page of an object by its id, or null if the id is of no kind that has one. */
export function stripeLink(id: string, livemode: boolean | null): string | null {
  const kind = /^(sub|cus|price)_[A-Za-z0-9_]+$/.exec(id)?.[1];
  if (kind === undefined) return null;
  const page = { sub: "subscriptions", cus: "customers", price: "prices" }[kind as "sub" | "cus" | "price"];
  return `https://dashboard.stripe.com/${livemode === false ? "test/" : ""}${page}/${id}`;
}

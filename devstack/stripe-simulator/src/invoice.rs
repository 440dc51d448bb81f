//! The invoice that an event is about, made up from its subscription: the simulator keeps no invoices of its own.

use crate::account::merge;
use serde_json::{Value, json};

/// Between the attempts to collect a payment.
const RETRY: i64 = 3 * 86_400;

/// The invoice of a subscription's current period as an event of that type carries it: `invoice.paid` and
/// `invoice.payment_succeeded` a paid one, every other type an open one whose payment has failed once.
///
/// Since version 2025-03-31.basil the subscription's id is in `parent.subscription_details`, and nowhere else.
pub(crate) fn of_subscription(kind: &str, subscription: &Value, now: i64) -> Value {
    let paid = matches!(kind, "invoice.paid" | "invoice.payment_succeeded");
    let template = include_str!("templates/invoice.json");
    let mut invoice: Value = serde_json::from_str(template).expect("the template is JSON");
    let id =
        subscription["latest_invoice"].as_str().or(invoice["id"].as_str()).unwrap_or_default().to_owned();
    let items = subscription["items"]["data"].as_array().map_or(&[][..], Vec::as_slice);
    let lines: Vec<Value> =
        items.iter().enumerate().map(|(place, item)| line(&id, place, item, subscription)).collect();
    let total: i64 = items.iter().map(amount).sum();
    let known = json!({
        "id": id,
        "amount_due": total,
        "amount_paid": if paid { total } else { 0 },
        "amount_remaining": if paid { 0 } else { total },
        "auto_advance": !paid,
        "created": now,
        "customer": subscription["customer"],
        "effective_at": now,
        "lines": { "total_count": lines.len(), "url": format!("/v1/invoices/{id}/lines"), "data": lines },
        "livemode": subscription["livemode"],
        "next_payment_attempt": (!paid).then_some(now + RETRY),
        "parent": {
            "subscription_details": { "metadata": subscription["metadata"], "subscription": subscription["id"] },
        },
        "period_end": now,
        "period_start": now,
        "status": if paid { "paid" } else { "open" },
        "status_transitions": { "finalized_at": now, "paid_at": paid.then_some(now) },
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    });
    merge(&mut invoice, known);
    invoice
}

fn amount(item: &Value) -> i64 {
    item["price"]["unit_amount"].as_i64().unwrap_or(0) * item["quantity"].as_i64().unwrap_or(1)
}

fn line(invoice: &str, place: usize, item: &Value, subscription: &Value) -> Value {
    json!({
        "id": format!("il_{}{place}", invoice.trim_start_matches("in_")),
        "object": "line_item",
        "amount": amount(item),
        "currency": "usd",
        "description": null,
        "discount_amounts": [],
        "discountable": true,
        "discounts": [],
        "invoice": invoice,
        "livemode": subscription["livemode"],
        "metadata": subscription["metadata"],
        "parent": {
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null,
                "proration": false,
                "proration_details": { "credited_items": null },
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": { "start": item["current_period_start"], "end": item["current_period_end"] },
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": { "price": item["price"]["id"], "product": item["price"]["product"] },
            "type": "price_details",
            "unit_amount_decimal": item["price"]["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "subtotal": amount(item),
        "taxes": [],
    })
}

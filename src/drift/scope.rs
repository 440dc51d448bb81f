//! Which subscriptions of an account are this application's: an account may sell other products, too.

use std::collections::BTreeMap;

use crate::stripe::Subscription;

/// What makes a subscription one of this application's (`STRIPE_SCOPE`); any one of these suffices. If nothing is given, all are.
///
/// It is asked only of subscriptions without a row. One with a row is the app's, whatever it is for by now: somebody has access through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// `prod_…` of an item's price.
    pub products: Vec<String>,
    /// `price_…` of an item.
    pub prices: Vec<String>,
    /// Of the subscription's own metadata: a key with this value.
    pub metadata: BTreeMap<String, String>,
}

impl Scope {
    /// Whether a subscription is one of this application's.
    pub fn holds(&self, subscription: &Subscription) -> bool {
        if *self == Self::default() {
            return true;
        }
        let metadata = subscription.metadata.as_ref();
        let mut prices = subscription.items.data.iter().filter_map(|item| item.price.as_ref());
        self.metadata.iter().any(|(key, value)| metadata.and_then(|own| own.get(key)) == Some(value.as_str()))
            || prices.any(|price| {
                self.prices.contains(&price.id)
                    || price.product.as_ref().is_some_and(|product| self.products.contains(product))
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn subscription(metadata: Value, items: &[(&str, Value)]) -> Subscription {
        let items: Vec<Value> = items
            .iter()
            .map(|(price, product)| json!({"id": "si_1", "price": {"id": price, "product": product}}))
            .collect();
        serde_json::from_value(json!({
            "id": "sub_1", "status": "active", "customer": "cus_1", "created": 1, "metadata": metadata, "items": {"data": items}
        }))
        .unwrap()
    }

    #[test]
    fn any_product_price_or_metadata_of_the_scope_suffices() {
        let scope = Scope {
            products: vec!["prod_ours".to_owned()],
            prices: vec!["price_ours".to_owned()],
            metadata: BTreeMap::from([("app".to_owned(), "ours".to_owned())]),
        };
        let theirs = ("price_theirs", json!("prod_theirs"));
        for (ours, metadata, items) in [
            (false, json!({}), vec![theirs.clone()]),
            (false, json!({"app": "theirs"}), vec![theirs.clone()]),
            (false, json!(null), vec![]),
            (true, json!({"app": "ours"}), vec![theirs.clone()]),
            (true, json!({}), vec![theirs.clone(), ("price_ours", json!("prod_theirs"))]),
            (true, json!({}), vec![theirs.clone(), ("price_x", json!("prod_ours"))]),
            (true, json!({}), vec![("price_x", json!({"id": "prod_ours", "object": "product"}))]),
        ] {
            let subscription = subscription(metadata, &items);
            assert_eq!(scope.holds(&subscription), ours, "{subscription:?}");
            assert!(Scope::default().holds(&subscription), "without a scope everything is the app's");
        }
    }
}

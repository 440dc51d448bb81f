//! The price list of the simulated account: fixed ids, so that a price → tier table can name them.

/// One recurring price. Amounts are in cents of US dollars.
#[derive(Debug, PartialEq, Eq)]
pub struct Price {
    /// `price_…`, the same for every seed.
    pub id: &'static str,
    /// `prod_…`; the monthly and the yearly price of a tier share it.
    pub product: &'static str,
    /// The tier that the price stands for; also in the price's `metadata.tier`.
    pub tier: &'static str,
    /// `month` or `year`.
    pub interval: &'static str,
    /// Cents per unit and interval.
    pub unit_amount: u32,
    /// The `lookup_key` of the price.
    pub lookup_key: &'static str,
}

/// Every price that generated subscriptions use.
pub const PRICES: [Price; 6] = [
    Price {
        id: "price_1PiStarterMonthlyAAAAAA00",
        product: "prod_QaStarterAAAAA",
        tier: "starter",
        interval: "month",
        unit_amount: 2_900,
        lookup_key: "starter_monthly",
    },
    Price {
        id: "price_1PiStarterYearlyAAAAAAA00",
        product: "prod_QaStarterAAAAA",
        tier: "starter",
        interval: "year",
        unit_amount: 29_000,
        lookup_key: "starter_yearly",
    },
    Price {
        id: "price_1PiProMonthlyAAAAAAAAAA00",
        product: "prod_QaProAAAAAAAAA",
        tier: "pro",
        interval: "month",
        unit_amount: 9_900,
        lookup_key: "pro_monthly",
    },
    Price {
        id: "price_1PiProYearlyAAAAAAAAAAA00",
        product: "prod_QaProAAAAAAAAA",
        tier: "pro",
        interval: "year",
        unit_amount: 99_000,
        lookup_key: "pro_yearly",
    },
    Price {
        id: "price_1PiBusinessMonthlyAAAAA00",
        product: "prod_QaBusinessAAAA",
        tier: "business",
        interval: "month",
        unit_amount: 29_900,
        lookup_key: "business_monthly",
    },
    Price {
        id: "price_1PiBusinessYearlyAAAAAA00",
        product: "prod_QaBusinessAAAA",
        tier: "business",
        interval: "year",
        unit_amount: 299_000,
        lookup_key: "business_yearly",
    },
];

/// The price of that id, if the account has it.
pub fn price(id: &str) -> Option<&'static Price> {
    PRICES.iter().find(|price| price.id == id)
}

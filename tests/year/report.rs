//! What came of years, in a table and, where billing-ops did harm, in full.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::ledger::Cause;
use crate::oracle::Wrong;
use crate::play::Year;

/// One year in a line.
pub fn line(year: &Year) -> String {
    let alone: u64 = year.ledger.alone.values().sum();
    let of = |which: &dyn Fn(&Cause) -> bool| -> u64 {
        year.ledger.hours.iter().filter(|((cause, _), _)| which(cause)).map(|(_, hours)| hours).sum()
    };
    let faults: u64 = year.ledger.faults.values().sum();
    format!(
        "{:<10} {:>4} {:<8} {:>6} {:>5} {:>8} {:>8} {:>6} {:>6} {:>11} {:>7} {:>6}   {:>5.1} ms {:>5} s   {:?}",
        year.shape.name(),
        year.seed,
        if year.believes_events { "believes" } else { "reads" },
        year.owners,
        year.subscriptions,
        alone,
        of(&|cause| *cause == Cause::Webhook),
        of(&|cause| *cause == Cause::Held),
        of(&|cause| matches!(cause, Cause::Told(_))),
        of(&Cause::is_billing_ops),
        faults,
        year.passes,
        year.in_runs.as_secs_f64() * 1_000.0 / f64::from(year.runs.max(1)),
        year.took.as_secs(),
        year.by_status,
    )
}

/// What the lines say: owner-hours by webhooks alone, and beside billing-ops by cause; how often billing-ops did harm.
pub const HEAD: &str = "shape      seed app      owners  subs    alone  webhook   held   told BILLING-OPS  faults passes       a run    took   runs";

/// What the owner-hours consist of.
pub fn causes(years: &[Year]) -> String {
    let mut hours: BTreeMap<(&str, String), [u64; 4]> = BTreeMap::new();
    for year in years {
        let caused = year.ledger.hours.iter().map(|((cause, wrong), hours)| (cause.words(), *wrong, *hours));
        let alone =
            year.ledger.alone.iter().map(|(wrong, hours)| ("webhooks alone".to_owned(), *wrong, *hours));
        for (cause, wrong, of) in caused.chain(alone) {
            hours.entry((year.shape.name(), cause)).or_default()[wrong as usize] += of;
        }
    }
    let kinds = Wrong::ALL.map(|wrong| format!("{:>10}", format!("{wrong:?}"))).concat();
    let mut table = format!("\n{:<10} {:<32}{kinds}", "shape", "owner-hours by cause");
    for ((shape, cause), hours) in &hours {
        let _ =
            write!(table, "\n{shape:<10} {cause:<32}{}", hours.map(|hours| format!("{hours:>10}")).concat());
    }
    table
}

/// Billing-ops has wronged nobody.
pub fn assert_harmless(years: &[Year]) {
    let told: Vec<&str> = years.iter().flat_map(|year| &year.told).map(String::as_str).collect();
    assert!(told.is_empty(), "billing-ops did harm:\n\n{}\n", told.join("\n\n"));
}

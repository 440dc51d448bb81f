//! Cron expressions as Vercel takes them: five fields of numbers, in UTC, no names, and not a day of the month together
//! with a day of the week (<https://vercel.com/docs/cron-jobs#cron-expressions>).

/// The fields with their least and largest value.
const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6)];

/// Says what is wrong with an expression.
pub(crate) fn check(expression: &str) -> Result<(), String> {
    let fields: Vec<&str> = expression.split(' ').collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("{} fields instead of {}", fields.len(), FIELDS.len()));
    }
    for (field, (name, least, most)) in fields.iter().zip(FIELDS) {
        for part in field.split(',') {
            check_part(part, least, most).map_err(|wrong| format!("{name}: {wrong}"))?;
        }
    }
    if fields[2] != "*" && fields[4] != "*" {
        return Err("day of month and day of week exclude each other".into());
    }
    Ok(())
}

/// The minutes of an expression that is a single number in its first field.
pub(crate) fn minute(expression: &str) -> Option<u32> {
    expression.split(' ').next()?.parse().ok()
}

fn check_part(part: &str, least: u32, most: u32) -> Result<(), String> {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if let Some(step) = step
        && !(1..=most).contains(&number(step)?)
    {
        return Err(format!("step {step}"));
    }
    if range == "*" {
        return Ok(());
    }
    let (from, to) = match range.split_once('-') {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(range)?, number(range)?),
    };
    if from < least || to > most || from > to { Err(format!("{part} is out of range")) } else { Ok(()) }
}

fn number(text: &str) -> Result<u32, String> {
    // Digits only: parse() would take a plus sign.
    match text.parse() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(format!("{text:?} is no number")),
    }
}

#[test]
fn good_expressions_pass() {
    for good in
        ["* * * * *", "17 * * * *", "*/5 0-6,22 1 1,7 *", "0 5 * * 1-5", "59 23 31 12 *", "5-50/15 * * * *"]
    {
        assert_eq!(check(good), Ok(()), "{good}");
    }
}

#[test]
fn bad_expressions_are_refused() {
    for bad in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-1 * * * *",
        "*/0 * * * *",
        "*/60 * * * *",
        "1, * * * *",
        "a * * * *",
        "* * * JAN *",
        "* * * * MON",
        "@hourly",
        "17  * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "* * 1 * 1",
        "1/ * * * *",
    ] {
        assert!(check(bad).is_err(), "{bad:?}");
    }
}

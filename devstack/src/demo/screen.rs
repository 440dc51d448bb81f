//! What the demonstration shows. Colour only for a terminal, and never the only bearer of a meaning.

use std::io::{IsTerminal, Write};

use crate::stack::Description;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[1;31m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";

/// The output, and what went wrong in it.
pub(super) struct Screen {
    colour: bool,
    steps: u32,
    failures: Vec<String>,
    step: String,
}

impl Default for Screen {
    fn default() -> Screen {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Screen { colour, steps: 0, failures: Vec::new(), step: String::new() }
    }
}

impl Screen {
    pub(super) fn title(&self, text: &str) {
        self.line(&format!("\n{}", self.paint(BOLD, text)));
    }

    /// Begins a step; `how` is what is called.
    pub(super) fn step(&mut self, what: &str, how: &str) {
        self.steps += 1;
        self.step = what.to_owned();
        let width = 62_usize.saturating_sub(what.chars().count());
        self.line(&format!(
            "\n{:>2}  {}{:width$}  {}",
            self.steps,
            self.paint(BOLD, what),
            "",
            self.paint(DIM, how)
        ));
    }

    /// Says how it went; what is not right makes the demonstration fail.
    pub(super) fn check(&mut self, right: bool, text: &str) {
        let mark = if right { self.paint(GREEN, "ok") } else { self.paint(RED, "FAILED") };
        self.line(&format!("    {mark}  {text}"));
        if !right {
            self.failures.push(format!("{}: {text}", self.step));
        }
    }

    pub(super) fn note(&self, text: &str) {
        self.line(&format!("    -   {text}"));
    }

    pub(super) fn table_head(&self) {
        let head = format!(
            "        {:<46} {:>7} {:>7} {:>9} {:>9}",
            "drift", "seeded", "found", "repaired", "to judge"
        );
        self.line(&self.paint(DIM, &head));
    }

    pub(super) fn table_row(&mut self, words: &str, seeded: i64, found: i64, repaired: i64, right: bool) {
        let mark = if right { String::new() } else { format!("  {}", self.paint(RED, "FAILED")) };
        self.line(&format!("        {}{mark}", cells(words, seeded, found, repaired)));
        if !right {
            self.failures.push(format!("{words}: {seeded} seeded, {found} found, {repaired} repaired"));
        }
    }

    pub(super) fn table_total(&self, seeded: i64, found: i64, repaired: i64) {
        self.line(&self.paint(BOLD, &format!("        {}", cells("all", seeded, found, repaired))));
    }

    /// Says how all of it went.
    pub(super) fn finish(&self) -> bool {
        if self.failures.is_empty() {
            self.line(&format!("\n    {}", self.paint(GREEN, "Every step went as it should.")));
            return true;
        }
        self.line(&format!("\n    {}", self.paint(RED, "What did not go as it should:")));
        for failure in &self.failures {
            self.note(failure);
        }
        false
    }

    pub(super) fn address(&self, description: &Description) {
        let Description { base_url, admin_email, admin_password, member_email, member_password, .. } =
            description;
        self.line(&format!("\n    Dashboard   {}", self.paint(BOLD, &format!("{base_url}/"))));
        self.line(&format!("    Admin       {admin_email}   {admin_password}"));
        self.line(&format!("    Member      {member_email}  {member_password}"));
        self.line(&format!("    Database    {}", description.database_url));
        self.line(&format!("    Logs        {}\n", description.logs.display()));
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("{style}{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&self, text: &str) {
        // A reader who has left is no failure of the demonstration.
        writeln!(std::io::stdout(), "{text}").ok();
    }
}

fn cells(words: &str, seeded: i64, found: i64, repaired: i64) -> String {
    let blank = |value: i64| if value == 0 { "-".to_owned() } else { value.to_string() };
    format!("{words:<46} {seeded:>7} {found:>7} {:>9} {:>9}", blank(repaired), blank(found - repaired))
}

/// With separators between thousands.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(super::number), ["0", "999", "1,000", "1,234,567"]);
    }
}

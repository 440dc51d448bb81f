//! Processor time, by who spent it: a run is shared by processes that share the machine.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a thread's name can be on Linux; a longer one is cut off.
const LONGEST_NAME: usize = 15;

/// Processor time since the start of each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// The function.
    pub(super) function: Duration,
    /// The simulator of Stripe.
    pub(super) stripe: Duration,
    /// PostgREST: what stands in for it in this process with the router, and the genuine one where it runs.
    pub(super) rest: Duration,
    /// The database server, all its processes.
    pub(super) postgres: Duration,
}

impl Spent {
    /// What has been spent so far. `function` is a process id.
    ///
    /// # Errors
    /// Where there is no `/proc` as on Linux, or the function is gone.
    pub(super) fn so_far(function: u32) -> Result<Self> {
        let me = std::process::id();
        let simulator: String = stripe_simulator::THREAD.chars().take(LONGEST_NAME).collect();
        let (mut stripe, mut rest) = (Duration::ZERO, Duration::ZERO);
        for thread in stats(Path::new("/proc/self/task"))? {
            if thread.name == simulator {
                stripe += thread.own;
            } else {
                rest += thread.own;
            }
        }
        let processes = stats(Path::new("/proc"))?;
        let server = processes
            .iter()
            .find(|process| process.name == "postgres" && process.parent == me)
            .context("the bench has a database server")?;
        let genuine = processes.iter().filter(|process| process.name == "postgrest" && process.parent == me);
        rest += genuine.map(|process| process.own).sum::<Duration>();
        let backends = processes.iter().filter(|process| process.parent == server.id);
        let postgres =
            server.own + server.ended_children + backends.map(|backend| backend.own).sum::<Duration>();
        let function =
            processes.iter().find(|process| process.id == function).context("the function runs")?.own;
        Ok(Self { function, stripe, rest, postgres })
    }

    /// What has been spent since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            function: self.function.saturating_sub(before.function),
            stripe: self.stripe.saturating_sub(before.stripe),
            rest: self.rest.saturating_sub(before.rest),
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

/// Of `/proc/<id>/stat`, what is wanted here.
struct Stat {
    id: u32,
    name: String,
    parent: u32,
    own: Duration,
    /// Of children that have ended and been waited for.
    ended_children: Duration,
}

fn stats(folder: &Path) -> Result<Vec<Stat>> {
    let entries = std::fs::read_dir(folder).context("processor time is measured on Linux only")?;
    // One that ends between the listing and the reading is none any more.
    Ok(entries
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter_map(|line| parse(&line))
        .collect())
}

/// One line of `proc_pid_stat(5)`. The name stands in parentheses and may hold anything.
fn parse(line: &str) -> Option<Stat> {
    let (id, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    // From field 3 on: state, parent, …; user and system time are fields 14 and 15, those of children 16 and 17.
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let per_second = rustix::param::clock_ticks_per_second();
    let time = |user: u64, system: u64| Duration::from_secs_f64((user + system) as f64 / per_second as f64);
    Some(Stat {
        id: id.parse().ok()?,
        name: name.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        own: time(ticks(14)?, ticks(15)?),
        ended_children: time(ticks(16)?, ticks(17)?),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let line = "7 (a) (b c) S 5 7 7 0 -1 4194560 1 2 3 4 100 50 20 10 20 0 1 0 9 1 2";
        let stat = parse(line).expect("a line");
        let tick =
            Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).expect("few");
        assert_eq!((stat.id, stat.name.as_str(), stat.parent), (7, "a) (b c", 5));
        assert_eq!((stat.own, stat.ended_children), (tick * 150, tick * 30));
    }
}

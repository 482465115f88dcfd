//! The counts of `xtask/guard.toml`, and what is too many.
//!
//! ```toml
//! headroom = 10          # percent
//!
//! [chain-cached]
//! statx = 77
//! ```
//!
//! What is compared are groups of calls that mean one thing to a reader; the single calls are there to tell which of
//! them grew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::trouble::{Result, Trouble};

/// How often each system call was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<String, u64>);

/// What `guard.toml` says.
pub(super) struct Bounds {
    /// Percent.
    headroom: u64,
    works: BTreeMap<String, Counts>,
}

/// Calls of processes that wait, or that the C library makes as it likes.
const UNCOUNTED: [&str; 12] = [
    "futex",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "sched_yield",
    "nanosleep",
    "clock_nanosleep",
    "restart_syscall",
    "rt_sigreturn",
    "madvise",
    "munmap",
];

/// What calls mean.
const GROUPS: [(&str, &[&str]); 6] = [
    ("reads of the index", &["pread64"]),
    (
        "files looked at",
        &["statx", "newfstatat", "stat", "lstat", "fstat", "readlink", "readlinkat", "access"],
    ),
    ("files opened", &["open", "openat", "openat2"]),
    ("folders read", &["getdents64"]),
    ("locks", &["fcntl", "flock"]),
    ("threads and processes", &["clone", "clone3", "fork", "vfork", "execve"]),
];

const HEADROOM: u64 = 10;

impl Counts {
    /// Reads the table of `strace -c -U calls,name`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(Ok(count)), Some(name)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            if name != "total" && !UNCOUNTED.contains(&name) {
                counts.insert(name.to_owned(), count);
            }
        }
        if counts.is_empty() {
            return Err(Trouble::Said("`strace` counted no system calls".to_owned()));
        }
        Ok(Self(counts))
    }

    /// All calls together.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn of(&self, calls: &[&str]) -> u64 {
        calls.iter().filter_map(|call| self.0.get(*call)).sum()
    }
}

impl Bounds {
    /// Reads `guard.toml`.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self> {
        let wrong = |what: &str| Trouble::Said(format!("`{}`: {what}", path.display()));
        let table: toml::Table = text.parse().map_err(|error| wrong(&format!("{error}")))?;
        let number = |value: &toml::Value| value.as_integer().and_then(|number| u64::try_from(number).ok());
        let headroom =
            table.get("headroom").and_then(number).ok_or_else(|| wrong("`headroom` is no number"))?;
        let mut works = BTreeMap::new();
        for (work, counts) in table.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
            let mut all = BTreeMap::new();
            for (call, count) in counts {
                let count = number(count).ok_or_else(|| wrong(&format!("`{work}.{call}` is no number")))?;
                all.insert(call.clone(), count);
            }
            works.insert(work.clone(), Counts(all));
        }
        Ok(Self { headroom, works })
    }

    /// What grew past its bound, in lines for people; nothing where nothing did.
    pub(super) fn judge(&self, work: &str, now: &Counts) -> Option<String> {
        let Some(before) = self.works.get(work) else {
            return Some(format!("  {work}: xtask/guard.toml has no counts for it"));
        };
        let most = |count: u64| count + count * self.headroom / 100;
        let mut out = String::new();
        let groups = GROUPS.iter().map(|(name, calls)| (*name, before.of(calls), now.of(calls)));
        let all = [("system calls in all", before.total(), now.total())];
        for (name, was, is) in all.into_iter().chain(groups) {
            if is > most(was) {
                let _ = writeln!(out, "  {work}: {name}: {is}, and were {was} (at most {})", most(was));
            }
        }
        if out.is_empty() {
            return None;
        }
        let mut grown: Vec<(&String, u64, u64)> = now
            .0
            .iter()
            .map(|(call, is)| (call, before.0.get(call).copied().unwrap_or(0), *is))
            .filter(|(_, was, is)| is > was)
            .collect();
        grown.sort_by_key(|(_, was, is)| std::cmp::Reverse(is - was));
        let calls: Vec<String> =
            grown.iter().map(|(call, was, is)| format!("{call} {was} to {is}")).collect();
        let _ = write!(out, "    calls that grew: {}", calls.join(", "));
        Some(out)
    }
}

/// The text of `guard.toml` for these counts.
pub(super) fn text(all: &BTreeMap<&'static str, Counts>) -> String {
    let mut out = format!(
        "# The system calls of builds that have nothing to do. `cargo xtask guard` fails when there are more than the\n\
         # headroom allows; `cargo xtask guard --write` writes this file.\nheadroom = {HEADROOM} # percent\n"
    );
    for (work, counts) in all {
        let _ = writeln!(out, "\n[{work}] # {} in all", counts.total());
        for (call, count) in &counts.0 {
            let _ = writeln!(out, "{call} = {count}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
    calls syscall
--------- ----------------
      207 pread64
       77 statx
        1 clone3
       40 futex
--------- ----------------
      325 total
";

    fn bounds(counts: &Counts) -> Bounds {
        Bounds::parse(&text(&BTreeMap::from([("chain", counts.clone())])), Path::new("guard.toml")).unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_within_its_bounds() {
        let counts = Counts::parse(TABLE).unwrap();
        assert_eq!(counts.total(), 207 + 77 + 1, "waiting is not counted");
        assert_eq!(bounds(&counts).judge("chain", &counts), None);
        assert!(Counts::parse("strace: nothing\n").is_err());
    }

    #[test]
    fn what_grew_is_named_with_its_calls() {
        let before = Counts::parse(TABLE).unwrap();
        let more = |from: &str, to: &str| Counts::parse(&TABLE.replace(from, to)).unwrap();
        // Within the headroom.
        assert_eq!(bounds(&before).judge("chain", &more("77", "84")), None);
        let said = bounds(&before).judge("chain", &more("77", "137")).unwrap();
        assert!(said.contains("system calls in all: 345, and were 285 (at most 313)"), "{said}");
        assert!(said.contains("files looked at: 137, and were 77 (at most 84)"), "{said}");
        assert!(said.contains("calls that grew: statx 77 to 137"), "{said}");
        // One more thread is one too many, however few calls it makes.
        let said = bounds(&before).judge("chain", &more("1 clone3", "2 clone3")).unwrap();
        assert!(said.contains("threads and processes: 2, and were 1 (at most 1)"), "{said}");
        assert!(bounds(&before).judge("wide", &before).unwrap().contains("no counts"));
    }
}

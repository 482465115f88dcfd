//! The processes of a container, found by their process namespace.

use crate::protocol::Process;
use std::fs;

/// All processes that share a process namespace with `main`, by number.
pub(super) fn of_container(main: i32) -> Vec<Process> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(main) else { return Vec::new() };
    let mut found: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| namespace(*pid).as_ref() == Some(&wanted))
        .filter_map(describe)
        .collect();
    found.sort_by_key(|process| process.pid);
    found
}

fn describe(pid: i32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        line.split(|b| *b == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    let command = if words.is_empty() { format!("[{}]", field("Name:")?) } else { words.join(" ") };
    Some(Process { pid, parent: field("PPid:")?.parse().ok()?, uid: field("Uid:")?.parse().ok()?, command })
}

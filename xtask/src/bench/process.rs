//! One measured process: its wall time, its processor time and its peak memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// What commands took, one after another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Took {
    /// From the first's start to the last's end, and to the end of the sync where that counts.
    pub(super) wall: Duration,
    /// User and system time of the processes and of those they waited for; not of daemons.
    pub(super) cpu: Duration,
    /// Bytes: the most that one of those processes had resident at once. Never less than what the bench itself has,
    /// from which they are made (some 10 MB).
    pub(super) memory: u64,
}

impl Took {
    /// How many cores were busy on average.
    pub(super) fn cores(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }
}

/// Runs the commands one after another. What was written before is on the disk when the first begins, so that nobody
/// pays for somebody else's files; with `synced`, what they wrote is on the disk when the clock stops, whoever has
/// to see to that. `log` gets what the last says on standard error.
pub(super) fn timed(commands: Vec<Command>, synced: bool, log: &Path) -> Result<Took> {
    rustix::fs::sync();
    let mut took = Took::default();
    let begun = Instant::now();
    for mut command in commands {
        let stderr = File::create(log).doing(|| format!("write `{}`", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let mut child =
            shell::marked(&mut command).spawn().doing(|| format!("start `{}`", shell::said(&command)))?;
        let used = child.wait4().doing(|| format!("wait for `{}`", shell::said(&command)))?;
        took.cpu += used.rusage.utime + used.rusage.stime;
        took.memory = took.memory.max(used.rusage.maxrss);
        if !used.status.success() {
            return Err(Trouble::Failed {
                program: shell::said(&command),
                status: used.status.to_string(),
                said: tail(log),
            });
        }
    }
    if synced {
        rustix::fs::sync();
    }
    took.wall = begun.elapsed();
    Ok(took)
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(8)).map(|line| format!("\n    {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<Command> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        vec![command]
    }

    #[test]
    fn a_process_is_measured_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // dd's buffer is as large as its block.
        let took = timed(shell("dd if=/dev/zero of=/dev/null bs=64M count=1; true"), false, &log).unwrap();
        assert!(took.memory > 60 << 20, "{took:?}");
        assert!(took.wall > Duration::ZERO && took.cpu > Duration::ZERO, "{took:?}");
    }

    #[test]
    fn what_fails_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let failed = timed(shell("echo because >&2; exit 3"), false, &folder.path().join("log"));
        let said = failed.unwrap_err().to_string();
        assert!(said.contains("because") && said.contains('3'), "{said}");
    }
}

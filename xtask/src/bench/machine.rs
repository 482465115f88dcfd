//! What the times were taken on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell;

/// The machine, as far as it explains times.
pub(super) struct Machine {
    /// UTC, to the minute.
    pub(super) date: String,
    /// The revision of this repository, with a `+` when files were changed since.
    pub(super) revision: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    /// Bytes.
    pub(super) memory: u64,
    pub(super) kernel: String,
    /// The file system under the stores.
    pub(super) file_system: String,
    /// The niceness of everything that is measured; 0 unless the bench was given another.
    pub(super) nice: i32,
    /// The load of one minute before anything was measured.
    pub(super) load: String,
}

impl Machine {
    /// Looks at the machine; `folder` is where the stores will be. What cannot be known is `unknown`.
    pub(super) fn look(folder: &Path) -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_else(unknown),
            revision: revision().unwrap_or_else(unknown),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib * 1024),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            file_system: said(Command::new("stat").args(["--file-system", "--format=%T"]).arg(folder))
                .unwrap_or_else(unknown),
            nice: rustix::process::getpriority_process(None).unwrap_or(0),
            load: load(),
        }
    }
}

/// The load average of the last minute.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

/// Whether `load` says that somebody else was working: half a core or more was asked for.
pub(super) fn is_busy(load: &str) -> bool {
    load.parse::<f64>().is_ok_and(|load| load >= 0.5)
}

fn revision() -> Option<String> {
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(shell::repository());
        git
    };
    let mut revision = said(git().args(["rev-parse", "--short", "HEAD"]))?;
    let changed = shell::output(git().args(["status", "--porcelain", "--untracked-files=no"])).ok()?;
    if !changed.is_empty() {
        revision.push('+');
    }
    Some(revision)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line that a command says.
pub(super) fn said(command: &mut Command) -> Option<String> {
    let output = shell::output(command).ok()?;
    let text = String::from_utf8_lossy(&output);
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_core_of_somebody_elses_work_is_busy() {
        assert!(is_busy("3.20"));
        assert!(!is_busy("0.12"));
        assert!(!is_busy("unknown"));
    }

    #[test]
    fn this_machine_has_cores_memory_and_a_kernel() {
        let machine = Machine::look(Path::new("/"));
        assert!(machine.cores > 0);
        assert!(machine.memory > 1 << 20);
        assert!(machine.kernel.starts_with(|digit: char| digit.is_ascii_digit()), "{}", machine.kernel);
    }
}

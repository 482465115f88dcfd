//! What happened to a container: `containers/<id>/state.json`, replaced whole by rename, and `monitor.lock`, which says
//! whether what the file says still goes on.
//!
//! ```json
//! {"status": "running", "pid": 4711, "started": "2026-11-21T12:00:00.5Z", "exit_code": 0,
//!  "address": "10.187.0.5", "ports": [...]}
//! ```
//!
//! A container runs exactly while its monitor holds the lock; a process number alone says nothing.

use crate::config::Port;
use crate::{Error, Result};
use sandbox::lock::OfdLock;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::Path;

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It never ran, or its start failed.
    #[default]
    Created,
    /// It runs.
    Running,
    /// It ran and has ended.
    Exited,
}

impl Status {
    /// `created`, `running` or `exited`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Exited => "exited",
        }
    }
}

/// A container's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Where it is in its life.
    pub status: Status,
    /// The main process, as the monitor sees it; 0 where none runs.
    pub pid: i32,
    /// When the main process last started, RFC 3339.
    pub started: Option<String>,
    /// When it last ended.
    pub finished: Option<String>,
    /// Its exit code, 128 and the signal for a signal.
    pub exit_code: i32,
    /// The kernel killed one of its processes for lack of memory.
    pub oom_killed: bool,
    /// Why it could not be started, or what became of it.
    pub error: String,
    /// Its address on the bridge.
    pub address: Option<Ipv4Addr>,
    /// The gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The published ports as they were taken.
    pub ports: Vec<Port>,
    /// What its health check says.
    pub health: Option<Health>,
}

/// What a health check says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// Failures in a row.
    pub failing: u64,
    /// The last few checks, oldest first.
    pub log: Vec<Check>,
}

/// One run of a health check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When it began.
    pub start: String,
    /// When it ended.
    pub end: String,
    /// Its exit code; -1 where it took too long.
    pub exit_code: i32,
    /// The beginning of what it said.
    pub output: String,
}

impl State {
    /// Whether the container runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == Status::Running
    }
}

const FILE: &str = "state.json";
const LOCK: &str = "monitor.lock";

/// The state as the file has it.
fn read_file(dir: &Path) -> Result<State> {
    let path = dir.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|source| Error::Config { what: format!("`{}`", path.display()), source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// The state as it is: one that says `running` without a monitor is over.
pub(crate) fn read(dir: &Path) -> Result<State> {
    let mut state = read_file(dir)?;
    if state.is_running() && !is_held(dir)? {
        // It may have ended in between.
        state = read_file(dir)?;
        if state.is_running() {
            state.status = Status::Exited;
            state.pid = 0;
            state.exit_code = 137;
            state.error = "its monitor was killed".to_owned();
            state.address = None;
            state.ports.clear();
            state.health = None;
        }
    }
    Ok(state)
}

/// Replaces the file.
pub(crate) fn write(dir: &Path, state: &State) -> Result<()> {
    let text = serde_json::to_vec(state).expect("because a state holds only values that JSON has");
    let (new, path) = (dir.join("state.new"), dir.join(FILE));
    std::fs::write(&new, text).map_err(|error| Error::io("write", &new, error))?;
    std::fs::rename(&new, &path).map_err(|error| Error::io("put in place", &path, error))
}

/// Takes the right to be the container's monitor, or to remove the container; nothing while another has it.
pub(crate) fn try_lock(dir: &Path) -> Result<Option<OfdLock>> {
    Ok(OfdLock::try_exclusive(&dir.join(LOCK))?)
}

/// Waits for that right.
pub(crate) fn lock(dir: &Path) -> Result<OfdLock> {
    Ok(OfdLock::exclusive(&dir.join(LOCK))?)
}

/// Whether a monitor (or a starter) holds the lock. This looks for a moment with a shared lock; only readers of a state
/// that says `running` do so, hence a starter of a stopped container never meets it.
pub(crate) fn is_held(dir: &Path) -> Result<bool> {
    let path = dir.join(LOCK);
    if !path.exists() {
        return Ok(false);
    }
    Ok(OfdLock::try_shared(&path)?.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_state_without_a_monitor_is_over() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap().status, Status::Created);
        let held = try_lock(dir.path()).unwrap().unwrap();
        let state = State { status: Status::Running, pid: 7, ..State::default() };
        write(dir.path(), &state).unwrap();
        assert_eq!(read(dir.path()).unwrap(), state);
        assert!(try_lock(dir.path()).unwrap().is_none());
        drop(held);
        let over = read(dir.path()).unwrap();
        assert_eq!((over.status, over.exit_code, over.pid), (Status::Exited, 137, 0));
        assert!(over.error.contains("monitor"));
    }
}

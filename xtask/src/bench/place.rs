//! Where a bench works, and that nobody else does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{say, warden};
use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// What the kernel has for the processor's time of this session, where it shares it out by sessions.
const AUTOGROUP: &str = "/proc/self/autogroup";

/// `target/bench`, held by one bench at a time, and a short folder for sockets, whose names may have
/// 107 bytes.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) sockets: PathBuf,
    keep: bool,
    /// Tells this run's contents from every other run's.
    begun: u128,
    /// Whether this session was given precedence.
    ahead: bool,
    _warden: warden::Warden,
    _held: File,
}

impl Place {
    pub(super) fn take(keep: bool) -> Result<Self> {
        let folder = shell::target().join("bench");
        fs::create_dir_all(&folder).doing(|| format!("make the folder `{}`", folder.display()))?;
        let lock = folder.join("lock");
        let held = File::create(&lock).doing(|| format!("open `{}`", lock.display()))?;
        if held.try_lock().is_err() {
            return Err(Trouble::Said(format!(
                "another `cargo xtask bench` holds `{}`; two at once would measure each other",
                lock.display()
            )));
        }
        // What a bench left whose warden was killed as well.
        warden::sweep(&folder, &contents(&folder))?;
        let sockets = std::env::temp_dir().join(format!("jettison-bench-{}", std::process::id()));
        fs::create_dir_all(&sockets).doing(|| format!("make the folder `{}`", sockets.display()))?;
        let mut gone = vec![sockets.clone(), folder.join("bases.tar")];
        if !keep {
            gone.extend(contents(&folder));
        }
        let warden = warden::Warden::post(&folder, &gone, &held)?;
        shell::mark(&folder);
        let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        Ok(Self { folder, sockets, keep, begun, ahead: get_ahead(), _warden: warden, _held: held })
    }

    /// Where a runner keeps its images.
    pub(super) fn store(&self, runner: &str) -> PathBuf {
        self.folder.join("stores").join(runner)
    }

    /// Content that no run has had before.
    pub(super) fn salt(&self, work: &str, round: u32) -> String {
        format!("{work}-{:x}-{round}", self.begun)
    }
}

/// What a bench leaves in its folder besides its last figures and its logs.
fn contents(folder: &Path) -> Vec<PathBuf> {
    ["stores", "works"].map(|name| folder.join(name)).into()
}

/// Where the kernel shares the processor out by sessions (sched(7), autogroup), `nice` counts within one alone: a
/// bench that was given precedence by it hands that on to its session.
fn get_ahead() -> bool {
    let nice = rustix::process::getpriority_process(None).unwrap_or(0);
    nice < 0 && fs::write(AUTOGROUP, nice.to_string()).is_ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ahead {
            let _ = fs::write(AUTOGROUP, "0");
        }
        if self.keep {
            say(&format!("kept: {}", self.folder.display()));
        }
    }
}

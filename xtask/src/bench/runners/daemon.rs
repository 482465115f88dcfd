//! A peer's daemon for the time of a bench.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// How long a daemon may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon, ended when this is dropped.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `command` with what it says in `log`, and waits until `asked` succeeds.
    pub(super) fn start(command: &mut Command, log: &Path, mut asked: impl FnMut() -> bool) -> Result<Self> {
        let open = || File::create(log).doing(|| format!("write `{}`", log.display()));
        command
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(File::options().append(true).open(log).doing(|| format!("write `{}`", log.display()))?);
        // Ctrl-C on a terminal is not for it: it is ended in order, here or by the warden.
        let child = shell::marked(command)
            .process_group(0)
            .spawn()
            .doing(|| format!("start `{}`", shell::said(command)))?;
        let mut daemon = Self { child };
        let end = Instant::now() + PATIENCE;
        while !asked() {
            let ended = daemon.child.try_wait().doing(|| "look at a daemon".to_owned())?.is_some();
            if ended || Instant::now() > end {
                let text = std::fs::read(log).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                return Err(Trouble::Said(format!(
                    "`{}` does not answer; the last it said: {}",
                    shell::said(command),
                    text.lines().last().unwrap_or("nothing")
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It is our child and not waited for, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

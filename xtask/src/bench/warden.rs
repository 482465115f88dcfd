//! What sees to it that nothing of a bench outlives it, however it ends.
//!
//! ```text
//! bench ── a pipe whose other end nobody else has ──▶ warden, a process of its own in a process group of its own
//!   everything that it starts carries the folder       the pipe ends when the bench does (its end, Ctrl-C, a signal,
//!   of the bench in its environment                    a crash): whoever still carries that folder is ended, what is
//!                                                      mounted below it unmounted, and the folders removed
//! ```
//!
//! One bench at a time holds the folder, so who carries it was started by this bench. A daemon is asked to end (TERM)
//! and ends what it started by itself; who is left after [`PATIENCE`] is killed. Processes are ended through their
//! file descriptor, looked up before their environment is read: a number that is used again is somebody else's.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::say;
use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// The word by which a bench starts its warden.
pub(super) const WORD: &str = "warden";

/// How long what was asked to end may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The warden of the running bench.
pub(super) struct Warden(Child);

impl Warden {
    /// Posts a warden over `folder`; at the end it removes `gone` and what is mounted below any of these. The lock
    /// `held` is the warden's as well: nobody begins a bench before it is done.
    pub(super) fn post(folder: &Path, gone: &[PathBuf], held: &File) -> Result<Self> {
        let program = std::env::current_exe().doing(|| "find this program".to_owned())?;
        let mut command = Command::new(program);
        command.args(["bench", WORD]).arg(folder).args(gone);
        // Ctrl-C on a terminal is sent to the bench's process group.
        let held = held.try_clone().doing(|| "hold the lock twice".to_owned())?;
        // A lock belongs to an open file, whoever has it; as its output, since that needs no descriptor by number.
        command.process_group(0).stdin(Stdio::piped()).stdout(held);
        command.spawn().map(Self).doing(|| format!("start `{}`", shell::said(&command)))
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The warden itself: waits for the end of the bench, then cleans up. `words` are its folder and those to be removed.
pub(super) fn run(words: &[String]) -> Result<()> {
    let mut folders = words.iter().map(PathBuf::from);
    let folder = folders.next().ok_or_else(|| Trouble::Said(format!("`{WORD}` needs a folder")))?;
    let gone: Vec<PathBuf> = folders.collect();
    let waited = std::io::stdin().read_to_end(&mut Vec::new());
    waited.doing(|| "wait for the bench".to_owned())?;
    sweep(&folder, &gone)
}

/// Ends whoever carries `folder`, unmounts what is below it and below `gone`, and removes `gone`.
pub(super) fn sweep(folder: &Path, gone: &[PathBuf]) -> Result<()> {
    end_all(folder);
    for place in gone.iter().map(PathBuf::as_path).chain([folder]) {
        for mounted in mounts_below(place) {
            // What cannot be unmounted shows when its folder is removed.
            let _ = unmount(&mounted, UnmountFlags::DETACH);
        }
    }
    for path in gone {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).doing(|| format!("remove `{}`", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn end_all(folder: &Path) {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let carriers = carriers(folder);
        if carriers.is_empty() {
            return;
        }
        if !told {
            say(&format!("ending {} that are still running", carriers.len()));
            told = true;
        }
        let late = begun.elapsed() > PATIENCE;
        for carrier in &carriers {
            // A daemon's own children are the daemon's to end.
            let owned = carriers.iter().any(|other| other.pid == carrier.parent);
            if late || !owned {
                let _ = pidfd_send_signal(&carrier.process, if late { Signal::KILL } else { Signal::TERM });
            }
        }
        if begun.elapsed() > 2 * PATIENCE {
            say("some processes do not end");
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A process with the folder in its environment.
struct Carrier {
    pid: i32,
    parent: i32,
    process: OwnedFd,
}

fn carriers(folder: &Path) -> Vec<Carrier> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| carrier(pid, folder)).collect()
}

fn carrier(pid: i32, folder: &Path) -> Option<Carrier> {
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mark = shell::mark_of(folder);
    // A process that has ended has none, even before its parent has waited for it.
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_encoded_bytes()).then_some(())?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    Some(Carrier { pid, parent, process })
}

/// Mount points below `place`, those on others first.
fn mounts_below(place: &Path) -> Vec<PathBuf> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    // `36 35 98:0 /root /mount/point options...` (proc_pid_mountinfo(5))
    let points = lines.filter_map(|line| Some(unescaped(line.split(|byte| *byte == b' ').nth(4)?)));
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(place)).collect();
    below.reverse();
    below
}

/// Space, tab, newline and backslash stand there as `\` and three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..3).filter(|_| byte == b'\\');
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => bytes.push(byte),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_carries_the_folder_is_ended_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        fs::create_dir_all(gone.join("inner")).unwrap();
        let sleep = |mark: Option<OsString>| {
            let mut command = Command::new("sleep");
            if let Some(mark) = mark {
                let (name, value) = mark.to_str().unwrap().split_once('=').unwrap();
                command.env(name, value);
            }
            command.arg("600").spawn().unwrap()
        };
        let mut ours = sleep(Some(shell::mark_of(folder.path())));
        let mut other = sleep(Some(shell::mark_of(&folder.path().join("other"))));
        let waiting = std::thread::spawn(move || ours.wait().unwrap());
        sweep(folder.path(), std::slice::from_ref(&gone)).unwrap();
        assert!(!waiting.join().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        assert!(!gone.exists() && folder.path().exists());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn odd_mount_points_are_read() {
        assert_eq!(unescaped(br"/a\040b\134c\011"), PathBuf::from("/a b\\c\t"));
        assert_eq!(unescaped(br"/plain\9"), PathBuf::from("/plain\\9"));
        assert!(mounts_below(Path::new("/proc")).contains(&PathBuf::from("/proc")));
    }
}

//! Without root: one user namespace for the whole process, entered before any thread starts.
//!
//! ```text
//! Mapped     inside 0 ── the user        SingleId   inside 0 ── the user, and nobody else
//!            inside 1.. ── /etc/subuid              setgroups is denied
//! ```
//!
//! A map of more than one's own id can only be written by `newuidmap` and `newgidmap`, which must run outside. So a
//! forked child makes the namespace and holds it while they run (some 8 ms), and this process then joins it.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::prepare::pipe;
use crate::sys;

/// A range of ids that a user may map, from `/etc/subuid` or `/etc/subgid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first id outside.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// How this process gets its rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// It has them.
    Root,
    /// A user namespace with the user as 0 and these ranges from 1 on, by the setuid helpers.
    Mapped {
        /// User ids.
        uids: Vec<Range>,
        /// Group ids.
        gids: Vec<Range>,
        /// The directory of `newuidmap` and `newgidmap`.
        helpers: PathBuf,
    },
    /// A user namespace with the user as 0 and no other id.
    SingleId {
        /// Why there is no more, for a hint to the user.
        reason: String,
    },
}

impl Mode {
    /// How many user ids exist inside; all of them for root.
    #[must_use]
    pub fn uid_count(&self) -> u64 {
        match self {
            Self::Root => 1 << 32,
            Self::Mapped { uids, .. } => 1 + uids.iter().map(|range| u64::from(range.count)).sum::<u64>(),
            Self::SingleId { .. } => 1,
        }
    }
}

/// Where the helpers may be.
const HELPER_DIRECTORIES: [&str; 5] =
    ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/wrappers/bin"];
/// The kernel takes at most this many lines in a map.
const MAX_RANGES: usize = 339;
/// Fewer ids than this are not worth a map: `nobody` would be outside.
const MIN_IDS: u32 = 1000;

/// What mode this process should enter.
#[must_use]
pub fn detect() -> Mode {
    const SYS_ADMIN: u64 = 1 << 21;
    let uid = rustix::process::geteuid().as_raw();
    if uid == 0 && sys::capabilities().is_ok_and(|caps| caps & SYS_ADMIN != 0) {
        return Mode::Root;
    }
    match mapped(uid) {
        Ok(mode) => mode,
        Err(reason) => Mode::SingleId { reason },
    }
}

fn mapped(uid: u32) -> std::result::Result<Mode, String> {
    let helpers = HELPER_DIRECTORIES
        .iter()
        .map(Path::new)
        .find(|directory| directory.join("newuidmap").exists() && directory.join("newgidmap").exists())
        .ok_or("newuidmap and newgidmap are not installed (Debian's package uidmap)")?;
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    let read = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = ranges(&text, name.as_deref(), uid);
        if found.iter().map(|range| u64::from(range.count)).sum::<u64>() < MIN_IDS.into() {
            let who = name.clone().unwrap_or_else(|| uid.to_string());
            return Err(format!("{path} gives {who} no range of {MIN_IDS} ids or more"));
        }
        Ok(found)
    };
    Ok(Mode::Mapped { uids: read("/etc/subuid")?, gids: read("/etc/subgid")?, helpers: helpers.into() })
}

/// The ranges of a user: lines of `name:first:count`, by name or number.
fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let who = fields.next()?;
            if Some(who) != name && who.parse() != Ok(uid) {
                return None;
            }
            let range = Range { first: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? };
            (range.count > 0 && range.first.checked_add(range.count).is_some()).then_some(range)
        })
        .take(MAX_RANGES)
        .collect()
}

/// Enters the mode: afterwards this process is user 0 in a user and mount namespace of its own (for [`Mode::Root`]
/// nothing happens). Call it before any thread is started.
///
/// # Errors
/// [`Error::Rootless`] says what is missing; [`Error::Os`] names a helper that failed.
pub fn enter(mode: &Mode) -> Result<()> {
    if *mode == Mode::Root {
        return Ok(());
    }
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
    if threads != 1 {
        return Err(Error::Rootless { reason: format!("{threads} threads run already") });
    }
    match mode {
        Mode::Mapped { uids, gids, helpers } => enter_mapped(uids, gids, helpers)?,
        _ => enter_single()?,
    }
    let failed = |errno| Error::errno("make", "a mount namespace", errno);
    sys::unshare(libc::CLONE_NEWNS).map_err(failed)?;
    // What the host mounts and unmounts is followed; nothing goes back.
    sys::make_slave().map_err(failed)
}

/// The ids of the user namespace that this process is in, as `(inside, outside, count)` for users, from
/// `/proc/self/uid_map`: what a store is tied to.
#[must_use]
pub fn uid_map() -> Vec<(u32, u32, u32)> {
    let text = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .collect()
}

fn forbidden(errno: i32) -> Error {
    let flag = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let reason = if flag("/proc/sys/user/max_user_namespaces", "0") {
        "user namespaces are switched off (sysctl user.max_user_namespaces)".into()
    } else if flag("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "user namespaces are switched off (sysctl kernel.unprivileged_userns_clone)".into()
    } else if flag("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor restricts user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns)".into()
    } else {
        format!("no user namespace: {}", std::io::Error::from_raw_os_error(errno))
    };
    Error::Rootless { reason }
}

fn enter_single() -> Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    sys::unshare(libc::CLONE_NEWUSER).map_err(forbidden)?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(|source| Error::os("write", file, source))?;
    }
    Ok(())
}

fn enter_mapped(uids: &[Range], gids: &[Range], helpers: &Path) -> Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (ready_read, ready) = pipe()?;
    let (hold, release) = pipe()?;
    // SAFETY: this process has one thread; the child only makes raw system calls and exits.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(Error::errno("fork", "the holder of a user namespace", sys::errno()));
    }
    if pid == 0 {
        sys::close(release.as_raw_fd());
        let errno = sys::unshare(libc::CLONE_NEWUSER).err().unwrap_or(0);
        let _ = sys::write(ready.as_raw_fd(), &errno.to_ne_bytes());
        sys::read_one(hold.as_raw_fd());
        sys::exit(0);
    }
    let joined = map_and_join(pid, &ready_read, ready, helpers, &[(uid, uids), (gid, gids)]);
    drop(release);
    // SAFETY: it is our child and has not been waited for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    joined?;
    // The user's own group is 0 inside; set all three forms of both ids.
    sys::set_gid(0).map_err(|errno| Error::errno("become", "group 0 of the user namespace", errno))?;
    sys::set_uid(0).map_err(|errno| Error::errno("become", "user 0 of the user namespace", errno))
}

fn map_and_join(
    pid: i32,
    ready_read: &OwnedFd,
    ready: OwnedFd,
    helpers: &Path,
    maps: &[(u32, &[Range]); 2],
) -> Result<()> {
    drop(ready);
    let mut errno = [0; 4];
    rustix::io::read(ready_read, &mut errno)
        .map_err(|source| Error::os("read from", "the holder of a user namespace", source))?;
    match i32::from_ne_bytes(errno) {
        0 => {}
        errno => return Err(forbidden(errno)),
    }
    for (helper, (own, ranges)) in ["newuidmap", "newgidmap"].into_iter().zip(maps) {
        let mut command = Command::new(helpers.join(helper));
        command.arg(pid.to_string()).args(["0".to_owned(), own.to_string(), "1".to_owned()]);
        let mut inside = 1;
        for range in *ranges {
            command.args([inside, range.first, range.count].map(|number: u32| number.to_string()));
            inside = inside.saturating_add(range.count);
        }
        let output = command.output().map_err(|source| Error::os("run", helper, source))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Rootless { reason: format!("{helper} failed: {}", said.trim()) });
        }
    }
    let namespace = fs::File::open(format!("/proc/{pid}/ns/user"))
        .map_err(|source| Error::os("open", "the new user namespace", source))?;
    sys::setns(namespace.as_raw_fd(), libc::CLONE_NEWUSER)
        .map_err(|errno| Error::errno("enter", "the new user namespace", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_name_and_number() {
        let text =
            "ann:100000:65536\n# no\nbob:5:0\n1000:300000:10\nann:4294967295:2\nann:x:1\nann:200000:5\n";
        let range = |first, count| Range { first, count };
        assert_eq!(
            ranges(text, Some("ann"), 1000),
            [range(100_000, 65_536), range(300_000, 10), range(200_000, 5)]
        );
        assert_eq!(ranges(text, Some("bob"), 7), []);
        assert_eq!(ranges(text, None, 1000), [range(300_000, 10)]);
    }
}

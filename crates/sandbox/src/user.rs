//! `USER` and `--user`: names of the root's own `/etc/passwd` and `/etc/group`.
//!
//! Docker's rules: `name[:group]` or numbers; a name must be in the file, a number need not be; without a group the
//! user's own counts, and group 0 for a number that is not in the file; additional groups are the group itself and those
//! whose member list names the user, and only the group itself when one is given.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::error::{Error, Result};

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// A user as a process needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// The group itself, groups that name the user as a member, and those asked for.
    ///
    /// The group itself is among them as in containerd: otherwise a set-group-id program in the image would drop a
    /// group that some file denies access to.
    pub additional_gids: Vec<u32>,
    /// Home directory of `/etc/passwd`; `/` where there is none.
    pub home: PathBuf,
}

/// Finds `user` in a root: empty, `name`, `uid`, `name:group`, `uid:gid` and the mixtures. Empty is user 0.
///
/// # Errors
/// [`Error::UnknownUser`] and [`Error::UnknownGroup`] name what is not in the files; [`Error::TooLarge`] and
/// [`Error::Os`] name a file.
pub fn lookup(root: impl AsFd, user: &str) -> Result<User> {
    let passwd = read(root.as_fd(), "etc/passwd")?;
    let group = read(root.as_fd(), "etc/group")?;
    resolve(&passwd, &group, user)
}

/// As [`lookup`], with `--group-add` values: names or numbers of groups.
///
/// # Errors
/// As [`lookup`].
pub fn lookup_with_groups<G: AsRef<str>>(root: impl AsFd, user: &str, groups: &[G]) -> Result<User> {
    let group = read(root.as_fd(), "etc/group")?;
    let mut found = lookup(root, user)?;
    for name in groups.iter().map(AsRef::as_ref) {
        let gid = find_group(&group, name)?;
        if !found.additional_gids.contains(&gid) {
            found.additional_gids.push(gid);
        }
    }
    Ok(found)
}

/// The number of a user or group name of a root, for `--chown`: `None` where the file has no such name.
///
/// # Errors
/// [`Error::TooLarge`] and [`Error::Os`] name a file.
pub fn id_of(root: impl AsFd, name: &str, is_group: bool) -> Result<Option<u32>> {
    let text = read(root, if is_group { "etc/group" } else { "etc/passwd" })?;
    Ok(entries(&text).find(|entry| entry.name == name).map(|entry| entry.id))
}

fn read(root: impl AsFd, path: &str) -> Result<String> {
    let shown = || format!("/{path}");
    // O_NONBLOCK: a pipe in its place must not hang us.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(String::new()),
        Err(source) => return Err(Error::os("open in the root", shown(), source)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|source| Error::os("stat in the root", shown(), source))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Invalid(format!("`{}` in the root is not a file", shown())));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::os("read in the root", shown(), source))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::TooLarge { path: Path::new("/").join(path), limit: MAX_FILE });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of either file: `name:password:id:rest`.
struct Entry<'a> {
    name: &'a str,
    id: u32,
    rest: &'a str,
}

fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().splitn(4, ':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let id = fields.nth(1)?.parse().ok()?;
        Some(Entry { name, id, rest: fields.next().unwrap_or_default() })
    })
}

/// A number that Docker takes as an id: up to the largest signed 32-bit value.
fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|number| i32::try_from(*number).is_ok())
}

fn find_group(group: &str, name: &str) -> Result<u32> {
    match entries(group).find(|entry| entry.name == name) {
        Some(entry) => Ok(entry.id),
        None => number(name).ok_or_else(|| Error::UnknownGroup { name: name.into() }),
    }
}

fn resolve(passwd: &str, group: &str, user: &str) -> Result<User> {
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, group),
        None => (user, ""),
    };
    let user = if user.is_empty() { "0" } else { user };
    let as_number = number(user);
    // A name that looks like a number is taken as a name first.
    let entry = entries(passwd)
        .find(|entry| entry.name == user)
        .or_else(|| entries(passwd).find(|entry| Some(entry.id) == as_number));
    let (uid, gid, home, name) = match (entry, as_number) {
        // gid:comment:home:shell
        (Some(entry), _) => {
            let mut rest = entry.rest.split(':');
            let gid = rest.next().and_then(|gid| gid.parse().ok()).unwrap_or(0);
            let home = rest.nth(1).filter(|home| !home.is_empty()).unwrap_or("/");
            (entry.id, gid, PathBuf::from(home), Some(entry.name))
        }
        (None, Some(number)) => (number, 0, PathBuf::from("/"), None),
        (None, None) => return Err(Error::UnknownUser { name: user.into() }),
    };
    if !wanted_group.is_empty() {
        let gid = find_group(group, wanted_group)?;
        return Ok(User { uid, gid, additional_gids: vec![gid], home });
    }
    let mut additional_gids = vec![gid];
    if let Some(name) = name {
        let member = |entry: &Entry<'_>| entry.rest.split(',').any(|member| member.trim() == name);
        additional_gids.extend(entries(group).filter(member).map(|entry| entry.id).filter(|id| *id != gid));
    }
    Ok(User { uid, gid, additional_gids, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nnode:x:1000:1001::/home/node:\n7:x:70:71::/seven:\n";
    const GROUP: &str = "root:x:0:\nnode:x:1001:\nvideo:x:44:node,other\naudio:x:29:other, node\n";

    fn ids(user: &str) -> (u32, u32, Vec<u32>, String) {
        let found = resolve(PASSWD, GROUP, user).unwrap();
        (found.uid, found.gid, found.additional_gids, found.home.display().to_string())
    }

    #[test]
    fn follows_docker() {
        assert_eq!(ids(""), (0, 0, vec![0], "/root".into()));
        assert_eq!(ids("node"), (1000, 1001, vec![1001, 44, 29], "/home/node".into()));
        assert_eq!(ids("1000"), (1000, 1001, vec![1001, 44, 29], "/home/node".into()));
        assert_eq!(ids("node:video"), (1000, 44, vec![44], "/home/node".into()));
        assert_eq!(ids("node:0"), (1000, 0, vec![0], "/home/node".into()));
        assert_eq!(ids("4242"), (4242, 0, vec![0], "/".into()));
        assert_eq!(ids("4242:77"), (4242, 77, vec![77], "/".into()));
        assert_eq!(ids("7"), (70, 71, vec![71], "/seven".into()));
        assert_eq!(ids(":44"), (0, 44, vec![44], "/root".into()));
    }

    #[test]
    fn unknown_names_are_named() {
        for (user, named) in
            [("nobody", "nobody"), ("node:wheel", "wheel"), ("-1", "-1"), ("4294967295", "4294967295")]
        {
            let error = resolve(PASSWD, GROUP, user).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn links_stay_in_the_root_and_sizes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::os::unix::fs::symlink("/other", etc.join("passwd")).unwrap();
        std::fs::write(dir.path().join("other"), "inside:x:5:6::/in:").unwrap();
        let root = File::open(dir.path()).unwrap();
        assert_eq!(lookup(&root, "inside").unwrap().uid, 5);
        assert_eq!(id_of(&root, "inside", false).unwrap(), Some(5));
        std::fs::write(etc.join("group"), vec![b'a'; MAX_FILE as usize + 1]).unwrap();
        assert!(matches!(lookup(&root, "inside"), Err(Error::TooLarge { .. })));
        std::fs::remove_file(etc.join("passwd")).unwrap();
        rustix::fs::mknodat(&root, "etc/passwd", FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert!(matches!(lookup(&root, "inside"), Err(Error::Invalid(_))));
    }
}

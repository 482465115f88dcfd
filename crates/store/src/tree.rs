//! Removing file trees that others filled: by directory descriptors only, no symbolic link is followed, directories
//! without permissions are opened up first, and depth costs neither stack nor descriptors (what lies deep is moved up).

use crate::{Error, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Below this depth a directory is moved up before it is emptied.
const DEEP: usize = 24;

/// Removes `path` and all below it. That it is gone already is no error: two processes may empty the same trash.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let failed = |e: Errno| Error::io("remove", path, e);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(Errno::INVAL));
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    let name = CString::new(name.as_bytes()).map_err(|_| failed(Errno::INVAL))?;
    let mut removal = Removal { top: parent, moved: 0, open: vec![name] };
    while let Some(name) = removal.open.pop() {
        removal.entry(None, &name, false, 0).map_err(failed)?;
    }
    Ok(())
}

/// The bytes that `path` and all below it take on disk; each hard-linked file counts once. What cannot be read counts 0.
pub(crate) fn size(path: &Path) -> u64 {
    let mut bytes = 0;
    let mut seen = HashSet::new();
    let mut open = vec![path.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let Ok(known) = entry.metadata() else { continue };
            if known.is_dir() {
                open.push(entry.path());
            }
            if known.nlink() == 1 || known.is_dir() || seen.insert((known.dev(), known.ino())) {
                bytes += known.blocks() * 512;
            }
        }
    }
    bytes
}

struct Removal {
    /// Where the tree stands, and where deep directories are moved to.
    top: OwnedFd,
    /// How many were moved there.
    moved: u64,
    /// Those still to be removed.
    open: Vec<CString>,
}

impl Removal {
    /// Removes one entry of `dir` (of `top` where there is none), which is known to be a directory or not known.
    fn entry(
        &mut self,
        dir: Option<BorrowedFd<'_>>,
        name: &CStr,
        directory: bool,
        depth: usize,
    ) -> Result<(), Errno> {
        let at = dir.unwrap_or(self.top.as_fd());
        if !directory && unlink(at, name)? {
            return Ok(());
        }
        if depth > DEEP {
            let moved =
                CString::new(format!(".deep-{}-{}", rustix::process::getpid().as_raw_nonzero(), self.moved))
                    .expect("because digits and dashes hold no NUL");
            self.moved += 1;
            return match renameat(at, name, &self.top, &moved) {
                Ok(()) => {
                    self.open.push(moved);
                    Ok(())
                }
                // Another process empties the same trash.
                Err(Errno::NOENT) => Ok(()),
                Err(e) => Err(e),
            };
        }
        let Some(opened) = open_directory(at, name)? else { return Ok(()) };
        self.empty(&opened, depth)?;
        let at = dir.unwrap_or(self.top.as_fd());
        match unlinkat(at, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ACCESS) => {
                open_up(at);
                unlinkat(at, name, AtFlags::REMOVEDIR)
            }
            Err(e) => Err(e),
        }
    }

    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> Result<(), Errno> {
        let mut entries = match Dir::read_from(dir) {
            Err(Errno::ACCESS) => {
                open_up(dir.as_fd());
                Dir::read_from(dir)?
            }
            other => other?,
        };
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                let directory = entry.file_type() == FileType::Directory;
                self.entry(Some(dir.as_fd()), name, directory, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Removes a name that is no directory, also from a directory without the write permission; `false` if it is one.
fn unlink(at: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    let mut opened = false;
    loop {
        match unlinkat(at, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            Err(Errno::ISDIR) => return Ok(false),
            Err(Errno::ACCESS | Errno::PERM) if !opened => {
                open_up(at);
                opened = true;
            }
            // A directory, on file systems that say it so.
            Err(Errno::PERM) => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}

/// Opens the directory `name`, giving its owner permission first where it has none; `None` if it is gone.
fn open_directory(at: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(at, name, flags | OFlags::RDONLY, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::ACCESS) => {
            let bare = openat(at, name, flags | OFlags::PATH, Mode::empty())?;
            if FileType::from_raw_mode(fstat(&bare)?.st_mode) == FileType::Directory {
                open_up(bare.as_fd());
            }
            openat(at, name, flags | OFlags::RDONLY, Mode::empty()).map(Some)
        }
        Err(e) => Err(e),
    }
}

/// Gives the owner every permission on an open directory. What cannot be done shows in the next step.
fn open_up(dir: BorrowedFd<'_>) {
    // By /proc, because an O_PATH descriptor takes no fchmod.
    let _ = rustix::fs::chmod(format!("/proc/self/fd/{}", dir.as_raw_fd()), Mode::RWXU);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::create_dir(tree.join("shut")).unwrap();
        fs::write(tree.join("shut/file"), "x").unwrap();
        fs::set_permissions(tree.join("shut"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::create_dir(tree.join("bare")).unwrap();
        fs::write(tree.join("bare/file"), "x").unwrap();
        fs::set_permissions(tree.join("bare"), fs::Permissions::from_mode(0o555)).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        remove(&tree).unwrap();
    }

    #[test]
    fn depth_is_no_limit() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut at = rustix::fs::open(&tree, flags, Mode::empty()).unwrap();
        for _ in 0..400 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = openat(&at, "d", flags, Mode::empty()).unwrap();
        }
        drop(at);
        remove(&tree).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

//! Files without a name: what a process had begun when it died goes with it, however it died.
//!
//! A file is opened in a directory without a name (`O_TMPFILE`) and gets one when it is whole.

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Opens a file without a name on the file system of a directory, to be written and read; nothing where the file system
/// has no such files. `mode` is its permissions before the umask.
///
/// # Errors
/// What the system says.
pub fn open(directory: impl AsFd, path: &Path, mode: u32) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, path, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a file of [`open`] its name, which is relative to `directory`. What has the name is replaced.
///
/// # Errors
/// What the system says.
pub fn name(file: &File, directory: impl AsFd, path: &Path) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| rustix::fs::linkat(CWD, &*own, &directory, path, AtFlags::SYMLINK_FOLLOW);
    match link(path) {
        Err(Errno::EXIST) => {}
        done => return Ok(done?),
    }
    let last = path.file_name().unwrap_or_default().to_string_lossy();
    let between = loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let between = path.with_file_name(format!(".{last}.{}-{count}", std::process::id()));
        match link(&between) {
            // What a killed process of the same number left.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => break between,
        }
    };
    rustix::fs::renameat(&directory, &between, &directory, path).map_err(|error| {
        // The error that is told is the one of the renaming.
        let _ = rustix::fs::unlinkat(&directory, &between, AtFlags::empty());
        error.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_appears_when_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("whole");
        for text in ["one", "two"] {
            let mut file = open(CWD, dir.path(), 0o600).unwrap().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let before = std::fs::read_dir(dir.path()).unwrap().count();
            name(&file, CWD, &path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(
                (before, std::fs::read_dir(dir.path()).unwrap().count()),
                (usize::from(text == "two"), 1)
            );
        }
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let file = open(CWD, dir.path(), 0o600).unwrap().unwrap();
        assert!(name(&file, CWD, &dir.path().join("folder")).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}

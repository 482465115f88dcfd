//! A folder that has the members of an archive as its files: an OCI layout, or what `docker save` writes, unpacked.
//!
//! Whoever made the folder may be hostile: the kernel resolves every name inside it (openat2 with RESOLVE_IN_ROOT), so a
//! link leads nowhere else, neither to be read nor to be written through; what is no regular file is refused; documents
//! have a largest size. A file that is written appears under its name only when it is whole.

use crate::{Error, Result, target};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An open folder.
pub(crate) struct Folder {
    path: PathBuf,
    root: OwnedFd,
}

impl Folder {
    /// Opens a folder that is there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| Error::Io {
            action: "open",
            path: path.to_owned(),
            source: error.into(),
        })?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// Opens a folder to write into, with a place for blobs; what is missing of it is made.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|source| Error::Io {
            action: "make",
            path: path.to_owned(),
            source,
        })?;
        let folder = Self::open(path)?;
        for (above, name) in [(".", "blobs"), ("blobs", "sha256")] {
            let parent = folder.directory(above)?;
            match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(folder.io("make", name, error)),
            }
        }
        Ok(folder)
    }

    fn io(&self, action: &'static str, name: &str, error: impl Into<std::io::Error>) -> Error {
        Error::Io { action, path: self.path.join(name), source: error.into() }
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Layout { name: self.path.display().to_string(), reason }
    }

    fn at(&self, name: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, name, flags | OFlags::CLOEXEC, mode, resolve)
    }

    fn directory(&self, name: &str) -> Result<OwnedFd> {
        self.at(name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(|error| self.io("open", name, error))
    }

    /// A regular file with its size in bytes; nothing where there is none of that name.
    pub(crate) fn file(&self, name: &str) -> Result<Option<(File, u64)>> {
        // A pipe must not make anybody wait.
        let file = match self.at(name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.io("open", name, error)),
        };
        let known = file.metadata().map_err(|error| self.io("read", name, error))?;
        if !known.is_file() {
            return Err(self.wrong(format!("`{name}` is no regular file")));
        }
        Ok(Some((file, known.len())))
    }

    /// The bytes of a document of at most `limit` bytes; nothing where there is none of that name.
    pub(crate) fn document(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some((file, _)) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| self.io("read", name, error))?;
        if bytes.len() as u64 > limit {
            return Err(self.wrong(format!("`{name}` has more than {limit} bytes, too many for a document")));
        }
        Ok(Some(bytes))
    }

    /// Writes a file. One of the same name is replaced.
    pub(crate) fn put(&self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> Result<()>) -> Result<()> {
        let (above, last) = name.rsplit_once('/').unwrap_or((".", name));
        let parent = self.directory(above)?;
        target::in_folder(parent.as_fd(), Path::new(last), &self.path.join(name), write)
    }

    /// Keeps others of our kind from changing the folder's index until what this gives is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::from(self.directory(".")?);
        file.lock().map_err(|error| self.io("lock", ".", error))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn put(folder: &Folder, name: &str, bytes: &[u8]) -> Result<()> {
        folder.put(name, &mut |out| out.write_all(bytes).map_err(crate::sink::archive_error))
    }

    #[test]
    fn files_come_back_and_are_replaced_whole() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::make(&temp.path().join("new/layout")).unwrap();
        assert!(folder.document("index.json", 100).unwrap().is_none());
        put(&folder, "index.json", b"one").unwrap();
        put(&folder, "index.json", b"two").unwrap();
        put(&folder, "blobs/sha256/ab", b"blob").unwrap();
        assert_eq!(folder.document("index.json", 3).unwrap().unwrap(), b"two");
        assert!(folder.document("index.json", 2).unwrap_err().to_string().contains("more than 2 bytes"));
        let failed = folder.put("index.json", &mut |out| {
            out.write_all(b"half").unwrap();
            Err(Error::NoImage { name: "x".to_owned() })
        });
        assert!(failed.is_err());
        assert_eq!(folder.document("index.json", 3).unwrap().unwrap(), b"two");
        let left: Vec<_> = std::fs::read_dir(temp.path().join("new/layout")).unwrap().flatten().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn links_lead_nowhere_else() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "secret").unwrap();
        let layout = temp.path().join("layout");
        let folder = Folder::make(&layout).unwrap();
        symlink(outside.join("secret"), layout.join("blobs/sha256/aa")).unwrap();
        symlink("../../../outside/secret", layout.join("blobs/sha256/bb")).unwrap();
        for name in ["blobs/sha256/aa", "blobs/sha256/bb", "../outside/secret"] {
            assert!(folder.file(name).unwrap().is_none(), "{name}");
        }
        // A write replaces the link and leaves what it leads to.
        put(&folder, "blobs/sha256/aa", b"mine").unwrap();
        assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"secret");
        assert_eq!(folder.document("blobs/sha256/aa", 9).unwrap().unwrap(), b"mine");
        std::fs::remove_dir_all(layout.join("blobs")).unwrap();
        symlink(&outside, layout.join("blobs")).unwrap();
        assert!(Folder::make(&layout).is_err());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::make(temp.path()).unwrap();
        let pipe = temp.path().join("index.json");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(folder.file("index.json").unwrap_err().to_string().contains("no regular file"));
        assert!(folder.file("blobs").unwrap_err().to_string().contains("no regular file"));
    }
}

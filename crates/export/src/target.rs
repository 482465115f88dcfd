//! Where an archive goes: into a file, which appears under its name when it is whole, or down a stream.
//!
//! Between an exporter and its target stand compressors, archive writers and other threads, each with its own words for a
//! write that failed. So the target remembers its failure by itself, and that is the error that is told
//! ([`Error::Target`]): by the name that the user gave, whoever it was that wrote.

use crate::{Error, Out, Result};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::nameless;

/// Writes a file. What is no regular file (a pipe, /dev/null) is written as it is.
///
/// # Errors
/// [`Error::Target`] where the file cannot be written; what `write` says.
pub fn file<T, E: From<Error>>(path: &Path, write: impl FnOnce(Out<'_>) -> Result<T, E>) -> Result<T, E> {
    let fail = |source| Error::Target { path: path.to_owned(), folder: None, written: 0, source };
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        let file = File::options().write(true).open(path).map_err(fail)?;
        return stream(path, file, |out| write(Out::Stream(out)));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder =
        rustix::fs::open(folder_of(path), flags, Mode::empty()).map_err(|error| fail(error.into()))?;
    let name = path.file_name().ok_or_else(|| fail(io::ErrorKind::IsADirectory.into()))?;
    whole(folder.as_fd(), Path::new(name), 0o666, path, |file| {
        let target = TargetFile::new(file);
        let done = write(Out::File(&target));
        let seen = std::mem::take(&mut *target.seen());
        seen.error(path, Some(folder_of(path))).map_or(done, |error| Err(error.into()))
    })
}

/// Writes down a stream that `path` is a name for.
///
/// # Errors
/// As [`file()`].
pub fn stream<T, E: From<Error>>(
    path: &Path,
    out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    send(path, None, out, write)
}

fn send<T, E: From<Error>>(
    path: &Path,
    folder: Option<&Path>,
    out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let mut target = Target { out, seen: Seen::default() };
    let mut buffer = BufWriter::with_capacity(1 << 20, &mut target);
    let done = write(&mut buffer);
    if done.is_ok() {
        // Its failure is remembered, as any other is.
        let _ = buffer.flush();
    }
    drop(buffer.into_parts());
    target.seen.error(path, folder).map_or(done, |error| Err(error.into()))
}

/// Writes a file of a folder from its start on, which replaces one of its name when it is whole. `shown` is its path for
/// messages.
pub(crate) fn in_folder<T, E: From<Error>>(
    folder: BorrowedFd<'_>,
    name: &Path,
    shown: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    whole(folder, name, 0o644, shown, |mut file| send(shown, Some(folder_of(shown)), &mut file, write))
}

fn whole<T, E: From<Error>>(
    folder: BorrowedFd<'_>,
    name: &Path,
    mode: u32,
    shown: &Path,
    write: impl FnOnce(Arc<File>) -> Result<T, E>,
) -> Result<T, E> {
    let fail = |source| Error::Target { path: shown.to_owned(), folder: None, written: 0, source };
    if let Some(file) = nameless::open(folder, Path::new("."), mode).map_err(fail)? {
        let file = Arc::new(file);
        let written = write(Arc::clone(&file))?;
        nameless::name(&file, folder, name).map_err(fail)?;
        return Ok(written);
    }
    // Once it has its name, nothing is left under the other one.
    let (part, file) = named(folder, name, mode).map_err(|error| fail(error.into()))?;
    let written = write(Arc::new(file))?;
    rustix::fs::renameat(folder, &part.path, folder, name).map_err(|error| fail(error.into()))?;
    Ok(written)
}

/// A file under another name, on file systems without files that have none.
fn named<'a>(folder: BorrowedFd<'a>, name: &Path, mode: u32) -> rustix::io::Result<(Part<'a>, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = name.display();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!(".{name}.{}-{count}", std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(folder, &path, flags, Mode::from_raw_mode(mode)) {
            Ok(file) => return Ok((Part { folder, path }, file.into())),
            // What a killed process of the same number left.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removed when it is dropped.
struct Part<'a> {
    folder: BorrowedFd<'a>,
    path: PathBuf,
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // The error that is told is the one that stopped the writing.
        let _ = rustix::fs::unlinkat(self.folder, &self.path, AtFlags::empty());
    }
}

/// How far writing went.
#[derive(Debug, Default)]
struct Seen {
    written: u64,
    failed: Option<io::Error>,
}

impl Seen {
    fn see(&mut self, done: io::Result<usize>) -> io::Result<usize> {
        match &done {
            Ok(count) => self.written += *count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let same = error.raw_os_error().map(io::Error::from_raw_os_error);
                self.failed.get_or_insert(same.unwrap_or_else(|| error.kind().into()));
            }
        }
        done
    }

    /// What is to be told, if something is.
    fn error(self, path: &Path, folder: Option<&Path>) -> Option<Error> {
        let (path, folder) = (path.to_owned(), folder.map(Path::to_owned));
        Some(Error::Target { path, folder, written: self.written, source: self.failed? })
    }
}

/// A stream that remembers why it cannot be written.
struct Target<W> {
    out: W,
    seen: Seen,
}

impl<W: Write> Write for Target<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.seen.see(self.out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.seen.see(self.out.flush().map(|()| 0)).map(drop)
    }
}

/// A file that several write at different places. It remembers why it cannot be written.
#[derive(Clone, Debug)]
pub struct TargetFile {
    file: Arc<File>,
    seen: Arc<Mutex<Seen>>,
}

impl TargetFile {
    /// A file that is written from its start on.
    #[must_use]
    pub fn new(file: Arc<File>) -> Self {
        Self { file, seen: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes it from its start on.
    pub fn writer(&self) -> impl Write + use<> {
        Place { file: self.clone(), at: 0 }
    }

    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let done = self.file.write_at(bytes, at);
        self.seen().see(done)
    }

    /// Cuts off what it has beyond so many bytes.
    pub(crate) fn end(&self, size: u64) -> io::Result<()> {
        let done = self.file.set_len(size);
        self.seen().see(done.map(|()| 0)).map(drop)
    }
}

/// A place in a file, which moves on as it is written.
struct Place {
    file: TargetFile,
    at: u64,
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What to do about a target that takes no more. `folder` is where the file would be.
pub(crate) fn hint(folder: Option<&Path>, written: u64, source: &io::Error) -> Option<String> {
    if !matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return None;
    }
    let written = progress::human_bytes(written);
    let known = folder.and_then(|folder| Some((folder, rustix::fs::statvfs(folder).ok()?)));
    Some(match known {
        Some((folder, known)) => {
            let room = progress::human_bytes(known.f_bavail.saturating_mul(known.f_frsize));
            format!(
                "{written} of it were written and are removed again; there is room for {room} in `{}`",
                folder.display()
            )
        }
        None => format!("it took {written}"),
    })
}

/// The folder of a path, as a path that can be opened.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that fills up.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.0);
            self.0 -= count;
            if count == 0 { Err(io::Error::from_raw_os_error(28)) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(out: Out<'_>, bytes: &[u8]) -> Result<()> {
        match out {
            Out::Stream(out) => out.write_all(bytes).unwrap(),
            Out::File(file) => file.writer().write_all(bytes).unwrap(),
        }
        Ok(())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("archive");
        for text in ["one", "two"] {
            file::<_, Error>(&path, |out| {
                put(out, text.as_bytes())?;
                assert_eq!(names(temp.path()).len(), usize::from(text == "two"));
                Ok(())
            })
            .unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let failed: Result<()> = file(&path, |out| {
            put(out, b"half")?;
            Err(Error::IndexAnnotations)
        });
        assert!(matches!(failed, Err(Error::IndexAnnotations)));
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), names(temp.path()).len()), ("two", 1));
    }

    #[test]
    fn the_target_s_own_failure_is_told_by_its_name() {
        let wrapped = |out: &mut dyn Write| -> Result<()> {
            out.write_all(&[7; 3 << 20]).map_err(|_| Error::IndexAnnotations)
        };
        let error = stream(Path::new("small/o.tar"), Full(2 << 20), wrapped).unwrap_err();
        assert_eq!(error.to_string(), "cannot write `small/o.tar`");
        assert_eq!(error.hint().unwrap(), "it took 2.10MB");
        // What is still held back when all is written counts, too.
        let error = stream(Path::new("x"), Full(2), |out| put(Out::Stream(out), b"abc"));
        assert!(matches!(error.unwrap_err(), Error::Target { written: 2, .. }));
        let temp = tempfile::tempdir().unwrap();
        let error = file(&temp.path().join("none/x"), |_| Ok::<_, Error>(())).unwrap_err();
        assert!(error.to_string().ends_with("none/x`") && error.hint().is_none(), "{error}");
        let full = hint(Some(temp.path()), 5_000_000, &io::ErrorKind::StorageFull.into()).unwrap();
        assert!(
            full.starts_with("5.00MB of it were written and are removed again; there is room for "),
            "{full}"
        );
    }

    #[test]
    fn what_is_no_regular_file_stays_one() {
        file(Path::new("/dev/null"), |out| put(out, b"x")).unwrap();
        let error = file(Path::new("/dev/full"), |out| put(out, b"x")).unwrap_err();
        assert_eq!(error.hint().unwrap(), "it took 0B");
    }
}

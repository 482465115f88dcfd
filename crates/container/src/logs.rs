//! A container's log, `containers/<id>/log`: one record a line, in the form that Kubernetes' runtimes write, which
//! takes any bytes and can be read from its end:
//!
//! ```text
//! 2026-11-21T12:00:00.123456789Z stdout F a whole line
//! 2026-11-21T12:00:00.223456789Z stderr P what has come so far of a line
//! ```
//!
//! So that a container cannot fill the disk unnoticed, a log of 64 MiB becomes `log.1`, in place of an older one, and a
//! new one begins: the last 64 to 128 MiB are kept.

use crate::{Error, Result, state, time};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often a log that is followed is looked at.
const POLL: Duration = Duration::from_millis(40);

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The size at which a new file begins, in bytes.
const LARGEST: u64 = 64 << 20;

fn path(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn older(dir: &Path) -> PathBuf {
    dir.join("log.1")
}

/// Writes a log.
pub(crate) struct Writer {
    dir: PathBuf,
    file: File,
    size: u64,
    largest: u64,
    record: Vec<u8>,
}

impl Writer {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        Self::with_largest(dir, LARGEST)
    }

    fn with_largest(dir: &Path, largest: u64) -> Result<Self> {
        let path = path(dir);
        let fail = |error| Error::io("open the log", &path, error);
        let file = open_to_append(&path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        Ok(Self { dir: dir.to_owned(), file, size, largest, record: Vec::new() })
    }

    /// Writes what a process wrote, all lines of it at once.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let now = time::now();
        self.record.clear();
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let (mark, text) = match line.strip_suffix(b"\n") {
                Some(text) => ('F', text),
                None => ('P', line),
            };
            let _ = write!(self.record, "{now} {} {mark} ", stream.name());
            self.record.extend_from_slice(text);
            self.record.push(b'\n');
        }
        let more = self.record.len() as u64;
        if self.size > 0 && self.size + more > self.largest {
            std::fs::rename(path(&self.dir), older(&self.dir))?;
            self.file = open_to_append(&path(&self.dir))?;
            self.size = 0;
        }
        self.size += more;
        self.file.write_all(&self.record)
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// What of a log is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Goes on until the container has ended.
    pub follow: bool,
    /// Only the last so many lines.
    pub tail: Option<u64>,
    /// Only what was written at or after this.
    pub since: Option<SystemTime>,
    /// Only what was written before this.
    pub until: Option<SystemTime>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// A record.
struct Record<'a> {
    time: &'a str,
    stream: Stream,
    whole: bool,
    text: &'a [u8],
}

fn parse(line: &[u8]) -> Option<Record<'_>> {
    let line = line.strip_suffix(b"\n")?;
    let mut parts = line.splitn(4, |b| *b == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stream = match parts.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    let whole = parts.next()? == b"F";
    Some(Record { time, stream, whole, text: parts.next()? })
}

/// Reads a container's log from its folder and gives `sink` each piece of it with its stream.
///
/// # Errors
/// When the file cannot be read, or what `sink` says.
pub(crate) fn read(
    dir: &Path,
    options: &Options,
    sink: &mut dyn FnMut(Stream, &[u8]) -> io::Result<()>,
) -> Result<()> {
    let path = path(dir);
    let mut files = match files(dir)? {
        files if files.is_empty() && !options.follow => return Ok(()),
        files if files.is_empty() => match await_file(dir, &path)? {
            Some(file) => vec![file],
            None => return Ok(()),
        },
        files => files,
    };
    let fail = |error| Error::io("read the log", &path, error);
    if let Some(mut lines) = options.tail {
        // From the end: as many of the older file as the newer one lacks.
        for file in files.iter_mut().rev() {
            let (start, found) = tail_start(file, lines).map_err(fail)?;
            file.seek(SeekFrom::Start(start)).map_err(fail)?;
            lines -= found;
        }
    }
    let (since, until) = (options.since.map(time::format), options.until.map(time::format));
    let mut files = files.into_iter();
    let mut reader = BufReader::with_capacity(1 << 16, files.next().expect("because there is one"));
    let mut line = Vec::new();
    let mut at_start = [true; 2];
    let mut over = false;
    let mut next: Option<File> = None;
    loop {
        match reader.read_until(b'\n', &mut line).map_err(fail)? {
            0 => {
                if let Some(file) = next.take().or_else(|| files.next()) {
                    reader = BufReader::with_capacity(1 << 16, file);
                    continue;
                }
                if options.follow {
                    next = newer(reader.get_ref(), &path).map_err(fail)?;
                    if next.is_some() {
                        // What was written to the old one before it lost its name is still to be read.
                        continue;
                    }
                }
                if !options.follow || over {
                    return Ok(());
                }
                // One more look after the end, for what was written before it.
                over = !goes_on(dir);
                if !over {
                    std::thread::sleep(POLL);
                }
                continue;
            }
            // A record in the middle of being written.
            _ if !line.ends_with(b"\n") => continue,
            _ => {}
        }
        if let Some(record) = parse(&line) {
            if until.as_ref().is_some_and(|until| record.time >= until.as_str()) {
                return Ok(());
            }
            if since.as_ref().is_none_or(|since| record.time >= since.as_str()) {
                let start = &mut at_start[record.stream as usize];
                let mut out = Vec::with_capacity(record.text.len() + 40);
                if options.timestamps && *start {
                    out.extend_from_slice(record.time.as_bytes());
                    out.push(b' ');
                }
                out.extend_from_slice(record.text);
                if record.whole {
                    out.push(b'\n');
                }
                *start = record.whole;
                sink(record.stream, &out).map_err(|error| Error::io("write", "the log", error))?;
            }
        }
        line.clear();
    }
}

/// The files that are there, oldest first.
fn files(dir: &Path) -> Result<Vec<File>> {
    let open = |path: PathBuf| match File::open(&path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open the log", path, error)),
    };
    // The newer one first: if it becomes the older one in between, it is seen twice and taken once.
    let newer = open(path(dir))?;
    let older = open(older(dir))?;
    let number = |file: &Option<File>| file.as_ref().and_then(|file| file.metadata().ok()).map(|m| m.ino());
    if newer.is_some() && number(&newer) == number(&older) {
        return Ok(older.into_iter().chain(open(path(dir))?).collect());
    }
    Ok(older.into_iter().chain(newer).collect())
}

/// The file that now has the name of `file`, where that is another one.
fn newer(file: &File, path: &Path) -> io::Result<Option<File>> {
    match std::fs::metadata(path) {
        Ok(named) if named.ino() != file.metadata()?.ino() => File::open(path).map(Some),
        Ok(_) => Ok(None),
        // Between two names, or removed with its container.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn goes_on(dir: &Path) -> bool {
    state::read(dir).is_ok_and(|state| state.is_running())
}

fn await_file(dir: &Path, path: &Path) -> Result<Option<File>> {
    loop {
        match File::open(path) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("open the log", path, error)),
        }
        if !goes_on(dir) {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// Where the last so many whole lines begin, found from the end, and how many there are. A line in several records
/// counts once.
fn tail_start(file: &mut File, lines: u64) -> io::Result<(u64, u64)> {
    const BLOCK: u64 = 1 << 16;
    let size = file.metadata()?.len();
    if lines == 0 {
        return Ok((size, 0));
    }
    // The records from `at` on, as far as they were read.
    let mut text: Vec<u8> = Vec::new();
    let mut at = size;
    loop {
        let begin = at.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(at - begin).unwrap_or(0)];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut block)?;
        block.extend_from_slice(&text);
        text = block;
        at = begin;
        // The first record may be cut, unless it is the file's first.
        let skip =
            if at == 0 { 0 } else { text.iter().position(|b| *b == b'\n').map_or(text.len(), |at| at + 1) };
        let mut starts = Vec::new();
        let mut offset = skip;
        for line in text[skip..].split_inclusive(|b| *b == b'\n') {
            starts.push((offset, parse(line).is_some_and(|record| record.whole)));
            offset += line.len();
        }
        // A line ends with each whole record; what follows the last whole one is a line too.
        let mut ended = u64::from(starts.last().is_some_and(|(_, whole)| !whole));
        for (index, (start, whole)) in starts.iter().enumerate().rev() {
            if *whole {
                ended += 1;
            }
            let begins = index == 0 || starts[index - 1].1;
            if begins && ended == lines && (index > 0 || at == 0) {
                return Ok((at + *start as u64, lines));
            }
        }
        if at == 0 {
            return Ok((0, ended.min(lines)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(dir: &Path, options: &Options) -> String {
        let mut text = Vec::new();
        read(dir, options, &mut |_, bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::open(dir.path()).unwrap();
        log.write(Stream::Stdout, b"one\ntwo\nthr").unwrap();
        log.write(Stream::Stdout, b"ee\n").unwrap();
        log.write(Stream::Stderr, b"bad \xff\n\n").unwrap();
        let mut seen = Vec::new();
        read(dir.path(), &Options::default(), &mut |stream, bytes| {
            seen.push((stream, bytes.to_vec()));
            Ok(())
        })
        .unwrap();
        let out: Vec<u8> = seen.iter().filter(|s| s.0 == Stream::Stdout).flat_map(|s| s.1.clone()).collect();
        let err: Vec<u8> = seen.iter().filter(|s| s.0 == Stream::Stderr).flat_map(|s| s.1.clone()).collect();
        assert_eq!(out, b"one\ntwo\nthree\n");
        assert_eq!(err, b"bad \xff\n\n");
    }

    #[test]
    fn tail_counts_lines_not_records() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::open(dir.path()).unwrap();
        log.write(Stream::Stdout, b"one\ntwo\nthr").unwrap();
        log.write(Stream::Stdout, b"ee\nfour").unwrap();
        let tail = |lines| shown(dir.path(), &Options { tail: Some(lines), ..Options::default() });
        assert_eq!(tail(0), "");
        assert_eq!(tail(1), "four");
        assert_eq!(tail(2), "three\nfour");
        assert_eq!(tail(3), "two\nthree\nfour");
        assert_eq!(tail(9), "one\ntwo\nthree\nfour");
    }

    #[test]
    fn tail_of_a_long_log_reads_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::open(dir.path()).unwrap();
        for n in 0..6000 {
            log.write(Stream::Stdout, format!("line {n} {}\n", "x".repeat(n % 90)).as_bytes()).unwrap();
        }
        let text = shown(dir.path(), &Options { tail: Some(2500), ..Options::default() });
        assert!(text.starts_with("line 3500 ") && text.lines().count() == 2500);
    }

    #[test]
    fn a_long_log_loses_its_beginning_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::with_largest(dir.path(), 4000).unwrap();
        for n in 0..300 {
            log.write(Stream::Stdout, format!("line {n}\n").as_bytes()).unwrap();
        }
        assert!(std::fs::metadata(path(dir.path())).unwrap().len() <= 4000);
        let all = shown(dir.path(), &Options::default());
        let numbers: Vec<u32> = all.lines().map(|line| line[5..].parse().unwrap()).collect();
        assert_eq!(numbers.last(), Some(&299));
        assert!(numbers.len() > 80 && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        let tail = shown(dir.path(), &Options { tail: Some(90), ..Options::default() });
        assert_eq!((tail.lines().count(), tail.lines().next()), (90, Some("line 210")));
        let more = shown(dir.path(), &Options { tail: Some(5000), ..Options::default() });
        assert_eq!(more, all);
    }

    #[test]
    fn following_goes_on_in_the_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = state::try_lock(dir.path()).unwrap().unwrap();
        let running = state::State { status: state::Status::Running, ..state::State::default() };
        state::write(dir.path(), &running).unwrap();
        let mut log = Writer::with_largest(dir.path(), 4000).unwrap();
        log.write(Stream::Stdout, b"line 0\n").unwrap();
        let text = std::thread::scope(|scope| {
            let reading = scope.spawn(|| shown(dir.path(), &Options { follow: true, ..Options::default() }));
            for n in 1..120 {
                log.write(Stream::Stdout, format!("line {n}\n").as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
            let ended = state::State { status: state::Status::Exited, ..running };
            state::write(dir.path(), &ended).unwrap();
            reading.join().unwrap()
        });
        let wanted: String = (0..120).map(|n| format!("line {n}\n")).collect();
        assert_eq!(text, wanted);
    }

    #[test]
    fn times_select_and_show() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            path(dir.path()),
            "2026-01-01T00:00:00.000000000Z stdout F a\n2026-01-01T00:00:01.000000000Z stdout P b\n2026-01-01T00:00:02.000000000Z stdout F c\n",
        )
        .unwrap();
        let options =
            Options { since: time::parse("2026-01-01T00:00:01Z"), timestamps: true, ..Options::default() };
        assert_eq!(shown(dir.path(), &options), "2026-01-01T00:00:01.000000000Z bc\n");
        let options = Options { until: time::parse("2026-01-01T00:00:01Z"), ..Options::default() };
        assert_eq!(shown(dir.path(), &options), "a\n");
    }
}

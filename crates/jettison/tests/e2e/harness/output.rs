//! Running a program to its end, within a limit.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command may take before it counts as hanging.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// How a command ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Out {
    /// The command line.
    pub(crate) what: String,
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output as it came.
    pub(crate) bytes: Vec<u8>,
    /// Standard output as text.
    pub(crate) stdout: String,
    /// Standard error as text.
    pub(crate) stderr: String,
}

/// Runs a command to its end. One that takes longer than `limit` is killed, and the test fails.
pub(crate) fn run(command: Command, limit: Duration) -> Out {
    run_with_input(command, None, limit)
}

/// The same with something on standard input.
pub(crate) fn run_with_input(mut command: Command, input: Option<&[u8]>, limit: Duration) -> Out {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let what = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdin = child.stdin.take();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
        });
        let stderr = scope.spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
        });
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A command may end without reading all of it.
            scope.spawn(move || drop(stdin.write_all(input)));
        }
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() > limit {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let bytes = stdout.join().unwrap();
        let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
        let stdout = String::from_utf8_lossy(&bytes).into_owned();
        let Some(status) = status else {
            panic!("{what} did not end within {limit:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
        };
        Out { what, code: status.code(), bytes, stdout, stderr }
    })
}

impl Out {
    /// It must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.fails(0)
    }

    /// It must have ended with `code`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.what,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output without the white space around it.
    pub(crate) fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard error must hold `text`.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "`{text}` is not in what {} said:\n{}", self.what, self.stderr);
        self
    }
}

/// The command lines of this machine's processes that hold a word.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let bytes = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    });
    lines.filter(|line| line.split(' ').any(|one| one == word)).collect()
}

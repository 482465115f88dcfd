//! A server in a process of its own, on a free port of the loopback.

use super::{folder, free_port};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to answer for the first time.
const START: Duration = Duration::from_secs(60);

/// A server, ended when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    process: Child,
    folder: TempDir,
}

impl Server {
    /// Starts what `command` makes for a port, and waits until `answers` says that it does.
    pub(crate) fn start(command: impl Fn(u16) -> Command, answers: impl Fn(u16) -> bool) -> Self {
        let mut said = String::new();
        // The port may be taken by another before the server has it; then another one is tried.
        for _ in 0..5 {
            let (folder, port) = (folder(), free_port());
            let log = File::create(folder.path().join("log")).unwrap();
            let mut command = command(port);
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            let process = command.spawn().unwrap_or_else(|error| {
                panic!("{command:?} does not start ({error}); `cargo xtask setup` installs it")
            });
            let mut server = Self { port, process, folder };
            let begun = Instant::now();
            while server.process.try_wait().unwrap().is_none() && begun.elapsed() < START {
                if answers(port) {
                    return server;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            said = server.log();
        }
        panic!("the server does not start: {said}")
    }

    /// What it wrote until now.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folder of a tool that `cargo xtask setup` puts below the target folder.
pub(crate) fn tool(path: &str) -> std::path::PathBuf {
    // The target folder, whatever it is called: cargo's folder for tests is in it.
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder").join(path)
}

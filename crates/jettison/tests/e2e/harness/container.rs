//! Containers that go with their test.

use super::{House, Out, unique};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A container, removed by force when it is dropped.
pub(crate) struct Container<'a> {
    house: &'a House,
    /// Its name.
    pub(crate) name: String,
}

impl House {
    /// `run --detach` of an image with more arguments before and after its name.
    #[track_caller]
    pub(crate) fn detached(&self, flags: &[&str], image: &str, command: &[&str]) -> Container<'_> {
        let container = self.container();
        let mut args = vec!["run", "--detach", "--name", &container.name];
        args.extend(flags);
        args.push(image);
        args.extend(command);
        self.ok(&args);
        container
    }

    /// A name for a container that the test makes itself; whatever has the name at the end is removed.
    pub(crate) fn container(&self) -> Container<'_> {
        Container { house: self, name: unique("c") }
    }
}

impl Container<'_> {
    /// The loopback port that was given to `port` inside.
    #[track_caller]
    pub(crate) fn port(&self, port: u16) -> u16 {
        let out = self.house.ok(&["port", &self.name, &port.to_string()]);
        let line = out.stdout.lines().next().unwrap_or_default();
        line.rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or_else(|| panic!("`port` printed {:?}", out.stdout))
    }

    /// `exec` in it.
    pub(crate) fn exec(&self, command: &[&str]) -> Out {
        let mut args = vec!["exec", &self.name];
        args.extend(command);
        self.house.run(&args)
    }

    /// What `inspect` says.
    pub(crate) fn inspect(&self) -> Value {
        self.house.inspect(&self.name)
    }

    /// What it wrote so far: standard output and standard error.
    pub(crate) fn logs(&self) -> (String, String) {
        let out = self.house.ok(&["logs", &self.name]);
        (out.stdout, out.stderr)
    }

    /// Waits until its standard output holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let begun = Instant::now();
        loop {
            let (stdout, stderr) = self.logs();
            if stdout.contains(text) {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "`{text}` is not in the logs:\n{stdout}\n--- stderr\n{stderr}"
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.house.run(&["rm", "--force", "--volumes", &self.name]);
    }
}

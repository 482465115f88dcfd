//! A case: a folder with a Dockerfile, perhaps files, perhaps a script that makes more of them, and what is asked.
//!
//! ```text
//! NAME/Dockerfile      copied into the context, unless the script made one
//! NAME/context/        copied into the context; files get mode 0644, or 0755 where they are executable
//! NAME/setup.sh        run by `sh -eu` with umask 022 in the context, for all that a repository cannot keep; what it
//!                      puts into `../server` is served at `{server}` while the case is built
//! NAME/case.toml       about, peer, args, env, error, known
//! NAME/expected.json   what a current BuildKit made, where `peer = "recorded"`
//! ```

use crate::harness;
use crate::server::Server;
use crate::shape::{Outcome, Shape};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// With what a case is compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// The docker engine that the test starts.
    Docker,
    /// `expected.json`.
    Recorded,
}

/// A difference that is meant, or that waits for a mend.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    /// The place: `files/PATH`, `config/KEY`, `history/N` or `outcome`.
    pub(crate) at: String,
    /// Why it is there. Read by people only.
    #[serde(rename = "reason")]
    pub(crate) _reason: String,
}

/// `case.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    about: String,
    peer: Peer,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    error: Option<String>,
    #[serde(default)]
    known: Vec<Known>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// The folder's name.
    pub(crate) name: String,
    /// What it shows, in a line.
    pub(crate) about: String,
    pub(crate) peer: Peer,
    /// Flags as `docker build` takes them; paths are relative to the context.
    pub(crate) args: Vec<String>,
    /// The environment of the command.
    pub(crate) env: BTreeMap<String, String>,
    /// The build fails, and this is part of what `jettison` says.
    pub(crate) error: Option<String>,
    pub(crate) known: Vec<Known>,
    folder: PathBuf,
}

/// All cases, by name.
pub(crate) fn read_all(folder: &Path) -> Vec<Case> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<Case> = folders.map(|folder| Case::read(&folder)).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// What both builders are given.
pub(crate) struct Work {
    folder: TempDir,
    server: Option<Server>,
}

impl Work {
    /// The build context.
    pub(crate) fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    /// Where a builder may put a file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What came out, with `{server}` where it has the server's address.
    pub(crate) fn without_address(&self, outcome: Outcome) -> Outcome {
        let Some(address) = self.server.as_ref().map(Server::address) else { return outcome };
        outcome
            .map(|shape| shape.replacing(&address, "{server}"))
            .map_err(|error| error.replace(&address, "{server}"))
    }
}

impl Case {
    fn read(folder: &Path) -> Self {
        let path = folder.join("case.toml");
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        let Settings { about, peer, args, env, error, known } =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        Self { name, about, peer, args, env, error, known, folder: folder.to_owned() }
    }

    /// Makes the context.
    pub(crate) fn prepare(&self) -> Work {
        let mut work = Work { folder: harness::folder(), server: None };
        let context = work.context();
        fs::create_dir(&context).unwrap();
        fs::set_permissions(&context, fs::Permissions::from_mode(0o755)).unwrap();
        let files = self.folder.join("context");
        if files.is_dir() {
            copy(&files, &context);
        }
        let dockerfile = self.folder.join("Dockerfile");
        if dockerfile.is_file() {
            copy_file(&dockerfile, &context.join("Dockerfile"));
        }
        let setup = self.folder.join("setup.sh");
        if setup.is_file() {
            let mut shell = Command::new("sh");
            shell.args(["-euc", "umask 022; . \"$0\""]).arg(&setup).current_dir(&context);
            harness::run(shell, harness::LIMIT).ok();
        }
        let served = work.file("server");
        work.server = served.is_dir().then(|| Server::start(served));
        work
    }

    /// The arguments with a network mode: steps have none unless the case asks for one.
    pub(crate) fn all_args(&self, work: &Work) -> Vec<String> {
        let address = work.server.as_ref().map(Server::address).unwrap_or_default();
        let mut args: Vec<String> = self.args.iter().map(|arg| arg.replace("{server}", &address)).collect();
        if !args.iter().any(|arg| arg == "--network") {
            args.extend(["--network", "none"].map(str::to_owned));
        }
        args
    }

    /// What was recorded.
    pub(crate) fn expected(&self) -> Outcome {
        let path = self.folder.join("expected.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{} cannot be read ({error}); CONTRIBUTING.md says how to record a case", path.display())
        });
        Shape::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Keeps what was seen.
    pub(crate) fn write_expected(&self, seen: &Outcome) {
        let path = self.folder.join("expected.json");
        // The text of an error is for people only, and differs from run to run.
        let known = fs::read_to_string(&path).ok().and_then(|text| Shape::parse(&text).ok());
        if seen.is_err() && known.is_some_and(|known| known.is_err()) {
            return;
        }
        fs::write(path, Shape::text(seen)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
            copy(&entry.path(), &to);
        } else {
            copy_file(&entry.path(), &to);
        }
    }
}

/// Copies a file with one of two modes, whatever the umask of the checkout was.
fn copy_file(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    let executable = fs::metadata(from).unwrap().permissions().mode() & 0o100 != 0;
    fs::set_permissions(to, fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 })).unwrap();
}

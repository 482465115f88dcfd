//! The `git` program: where it is, what it may see, what it says.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The most that is read of what `git` answers, 64 MiB.
const LONGEST_ANSWER: u64 = 64 << 20;
/// How much of what it says last an error tells.
const LINES_TOLD: usize = 8;
/// How often it is asked whether the work is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// How `git` is run.
#[derive(Clone, Debug, Default)]
pub struct GitOptions {
    /// The program; nothing where there is none.
    pub program: Option<PathBuf>,
    /// `PATH`, where it finds its own parts and `ssh`.
    pub path: OsString,
    /// Proxies, as variables and their values.
    pub proxies: Vec<(String, String)>,
    /// The host's bundle of certificate authorities, where it is not at the usual place.
    pub authorities: Option<PathBuf>,
    /// The user's file of known ssh hosts. New hosts are accepted, and never written to it.
    pub known_hosts: Option<PathBuf>,
}

/// What a repository is reached with.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The value of `Authorization` over HTTP.
    pub authorization: Option<String>,
    /// The socket of an ssh agent.
    pub agent: Option<PathBuf>,
}

/// What can go wrong with a repository. `remote` is shown without user and password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no `git` here.
    #[error("the repository `{remote}` cannot be fetched: the program `git` is not installed")]
    NotInstalled {
        /// Which repository.
        remote: String,
    },
    /// `git` could not be started, or its answer not be read.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `git` failed.
    #[error("git cannot {action} `{remote}`: {said}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// With which repository.
        remote: String,
        /// Its last lines.
        said: String,
    },
    /// The repository has no such reference.
    #[error("the repository `{remote}` has no branch and no tag `{reference}`")]
    NoReference {
        /// Which repository.
        remote: String,
        /// The reference; empty for the branch that the repository names.
        reference: String,
    },
    /// The commit is another one than was asked for.
    #[error("`{reference}` of `{remote}` is the commit {found}, not {wanted}")]
    Checksum {
        /// Which repository.
        remote: String,
        /// The reference, or `HEAD`.
        reference: String,
        /// What the checksum says.
        wanted: String,
        /// What is there: the commit, or the tag and its commit.
        found: String,
    },
    /// A checksum that no commit can have.
    #[error("the checksum `{checksum}` for `{remote}` is not the name of a commit")]
    BadChecksum {
        /// Which repository.
        remote: String,
        /// The checksum.
        checksum: String,
    },
    /// The commit is not in the repository, or not any more.
    #[error("the repository `{remote}` does not give the commit {commit}")]
    NoCommit {
        /// Which repository.
        remote: String,
        /// Which commit.
        commit: String,
    },
    /// The commit has no such folder.
    #[error("the commit {commit} of `{remote}` has no folder `{subdir}`")]
    NoFolder {
        /// Which repository.
        remote: String,
        /// Which commit.
        commit: String,
        /// The folder.
        subdir: String,
    },
    /// A file or folder of the work could not be made or moved.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not wanted any more.
    #[error("cancelled")]
    Cancelled,
}

impl GitError {
    /// What may help.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let said = match self {
            Self::NotInstalled { .. } => {
                return Some("install git, for instance with `apt-get install git`".into());
            }
            Self::NoReference { .. } => {
                return Some("a commit is named with all its 40 digits; check the branch or tag".into());
            }
            Self::NoFolder { .. } => {
                return Some("what stands after the colon is a folder of the repository".into());
            }
            Self::Failed { said, .. } => said,
            _ => return None,
        };
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if says(&["could not read Username", "Authentication failed", "error: 403", "error: 401"]) {
            return Some(
                "give a token with `--secret id=GIT_AUTH_TOKEN,env=NAME`; check the address, too".into(),
            );
        }
        if says(&["Permission denied (publickey", "Host key verification failed"]) {
            return Some(
                "lend an ssh agent with `--ssh default`; check the address and the host's key, too".into(),
            );
        }
        if says(&[
            "Could not resolve host",
            "Could not resolve hostname",
            "Connection refused",
            "Failed to connect",
        ]) {
            return Some(
                "check the address and the network; behind a company's proxy, set HTTPS_PROXY".into(),
            );
        }
        None
    }

    /// Whether the same may succeed a little later.
    pub(super) fn is_passing(&self) -> bool {
        let Self::Failed { said, .. } = self else { return false };
        [
            "early EOF",
            "Connection reset",
            "Connection timed out",
            "RPC failed",
            "error: 500",
            "error: 502",
            "error: 503",
            "error: 504",
            "error: 429",
            "unexpected disconnect",
            "The remote end hung up unexpectedly",
        ]
        .iter()
        .any(|word| said.contains(word))
    }
}

/// `git` for one repository.
pub struct Git<'a> {
    pub(super) options: &'a GitOptions,
    /// Without user and password.
    pub(super) remote: String,
    access: Access,
    /// What must not be told.
    secrets: Vec<String>,
    log: &'a (dyn Fn(&[u8]) + Sync),
    wanted: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Git<'a> {
    /// `remote` is a repository as a URL or `user@host:path` has it; user and password of an HTTP URL become a header,
    /// unless `access` has one. `log` gets what `git` says; `wanted` is asked several times a second.
    #[must_use]
    pub fn new(
        options: &'a GitOptions,
        remote: &str,
        mut access: Access,
        log: &'a (dyn Fn(&[u8]) + Sync),
        wanted: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        let (remote, own) = web::without_user(remote);
        let mut secrets: Vec<String> = Vec::new();
        if access.authorization.is_none() {
            access.authorization = own;
        }
        secrets.extend(
            access.authorization.iter().filter_map(|value| value.split(' ').next_back()).map(str::to_owned),
        );
        Self { options, remote, access, secrets, log, wanted }
    }

    /// How messages call the repository.
    #[must_use]
    pub fn shown(&self) -> String {
        web::redacted(&self.remote)
    }

    /// The configuration that every call has.
    fn configuration(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = [
            ("protocol.allow", "never"),
            ("protocol.http.allow", "always"),
            ("protocol.https.allow", "always"),
            ("protocol.git.allow", "always"),
            ("protocol.ssh.allow", "always"),
            // By us, never by a submodule.
            ("protocol.file.allow", "user"),
            ("core.hooksPath", "/dev/null"),
            ("core.logAllRefUpdates", "false"),
            ("core.fsmonitor", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("advice.detachedHead", "false"),
            ("init.defaultBranch", "master"),
            ("init.templateDir", ""),
            ("safe.directory", "*"),
            ("credential.helper", ""),
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", "60"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        if let Some(value) = &self.access.authorization {
            // The token of one repository is that of all of GitHub's, for the sake of submodules, as BuildKit has it.
            let all = ["https://github.com/", "https://www.github.com/"].into_iter();
            let scope = all.into_iter().find(|scope| self.remote.starts_with(scope)).unwrap_or(&self.remote);
            pairs.push((format!("http.{scope}.extraHeader"), format!("Authorization: {value}")));
        }
        pairs
    }

    fn command(&self) -> Result<Command, GitError> {
        let options = self.options;
        let program =
            options.program.as_ref().ok_or_else(|| GitError::NotInstalled { remote: self.shown() })?;
        let mut command = Command::new(program);
        command.env_clear().env("PATH", &options.path);
        for (name, value) in [
            ("HOME", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
        ] {
            command.env(name, value);
        }
        command.env("GIT_SSH_COMMAND", self.ssh());
        for (name, value) in &options.proxies {
            command.env(name, value);
        }
        if let Some(path) = &options.authorities {
            command.env("GIT_SSL_CAINFO", path);
        }
        if let Some(agent) = &self.access.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        let pairs = self.configuration();
        command.env("GIT_CONFIG_COUNT", pairs.len().to_string());
        for (at, (name, value)) in pairs.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), name).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        // Its helpers end with it.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// Keys come from the agent alone; nobody is asked anything.
    fn ssh(&self) -> String {
        let mut known = "/dev/null".to_owned();
        if let Some(path) = self.options.known_hosts.as_ref().and_then(|path| path.to_str())
            && !path.contains(|c: char| c.is_whitespace() || "\"'\\$`".contains(c))
        {
            known = format!("/dev/null {path}");
        }
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o IdentityFile=/dev/null -o StrictHostKeyChecking=accept-new \
             -o UserKnownHostsFile='{known}' -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
        )
    }

    /// Runs `git` and gives what it answers. What it says goes to the log, with secrets taken out.
    pub(super) fn run<S: AsRef<OsStr>>(
        &self,
        action: &'static str,
        folder: Option<&Path>,
        variables: &[(&str, &Path)],
        args: &[S],
    ) -> Result<Vec<u8>, GitError> {
        let mut command = self.command()?;
        let program = PathBuf::from(command.get_program());
        let run = |source| GitError::Run { program: program.clone(), source };
        command.args(args).current_dir(folder.unwrap_or(Path::new("/")));
        for (name, value) in variables {
            command.env(name, value);
        }
        let mut child = Group(command.spawn().map_err(run)?);
        let stdout = child.0.stdout.take().expect("because it is piped");
        let stderr = child.0.stderr.take().expect("because it is piped");
        let (told, tells) = channel();
        let (answered, answers) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(answered.send(read_all(stdout))));
            scope.spawn(move || drop(told.send(self.listen(stderr))));
            let ended = self.wait(&mut child, &answers);
            if ended.is_err() {
                // Both threads end when nobody holds the pipes any more.
                child.kill();
            }
            let said = tells.recv().unwrap_or_default();
            let answer = ended?.map_err(run)?;
            let status = child.0.wait().map_err(run)?;
            if status.success() {
                return Ok(answer);
            }
            Err(GitError::Failed { action, remote: self.shown(), said })
        })
    }

    fn wait(
        &self,
        child: &mut Group,
        answers: &Receiver<std::io::Result<Vec<u8>>>,
    ) -> Result<std::io::Result<Vec<u8>>, GitError> {
        loop {
            match answers.recv_timeout(LOOK) {
                Ok(answer) => {
                    // It closes its output when it ends, or soon before.
                    while (self.wanted)() {
                        match child.0.try_wait() {
                            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                            Ok(Some(_)) | Err(_) => return Ok(answer),
                        }
                    }
                    return Err(GitError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) if (self.wanted)() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(GitError::Cancelled);
                }
            }
        }
    }

    /// Passes on what `git` says, line by line; gives the last lines.
    fn listen(&self, mut stderr: impl Read) -> String {
        let mut last: Vec<String> = Vec::new();
        let mut line = Vec::new();
        let mut buffer = [0; 4096];
        let mut tell = |line: &mut Vec<u8>, ended: bool| {
            let mut text = String::from_utf8_lossy(line).trim_end().to_owned();
            line.clear();
            for secret in self.secrets.iter().filter(|secret| secret.len() > 3) {
                text = text.replace(secret, "xxxxx");
            }
            if text.is_empty() {
                return;
            }
            (self.log)(format!("{text}\n").as_bytes());
            // What ends in a carriage return is progress.
            if ended && !text.starts_with("hint:") {
                last.push(text.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned());
                if last.len() > LINES_TOLD {
                    last.remove(0);
                }
            }
        };
        loop {
            let count = match stderr.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            for byte in &buffer[..count] {
                match byte {
                    b'\n' => tell(&mut line, true),
                    b'\r' => tell(&mut line, false),
                    byte if line.len() < 4096 => line.push(*byte),
                    _ => {}
                }
            }
        }
        tell(&mut line, true);
        last.join("; ")
    }
}

fn read_all(mut stdout: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut stdout).take(LONGEST_ANSWER).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == LONGEST_ANSWER {
        std::io::copy(&mut stdout, &mut std::io::sink())?;
        return Err(std::io::Error::other("its answer is larger than 64 MiB"));
    }
    Ok(bytes)
}

/// `git` with all its helpers.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

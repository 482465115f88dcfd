//! Cache keys: typed, kept in plain text beside their digest.
//!
//! | value | in the key | why |
//! |---|---|---|
//! | a run's arguments, declared environment and build arguments, user, directory, mounts, network, security, limits, host entries, platform | yes | the process can see them |
//! | here-documents of a run | by content | the process reads them |
//! | the snapshot a run or a COPY stands on | by its own key | its files and names decide what happens |
//! | files of a context or of another snapshot that a COPY takes | by content, mode, type, path, and owner where it is kept | nothing else of the source reaches the layer |
//! | an image | by its layers' diff ids | names move, content does not; a run has its platform |
//! | a file by its URL | its digest, its name, its time if the server was asked | the URL moves, content does not |
//! | a folder of a git repository | commit, folder, submodules, `.git` with its reference, time of the commit | repositories move and have several URLs; the commit says it all |
//! | what `--exclude` says | in definition keys alone | in a content key the digest of the taken files says it |
//! | `--chown`, `--chmod`, destination | as written | names are looked up in the snapshot below, which is in the key |
//! | time stamps of context files, the user's own ids | no | they change with every checkout |
//! | proxy variables, the host's certificate authorities, the build host's name | no | ports of the outside world |
//! | values of secrets, agents | no, only their ids and targets | they must not leak and may rotate |
//! | display names, line numbers, `--no-cache` | no | they change no result |
//!
//! A **definition key** has the keys of all inputs; a **content key** has a digest of the taken files in place of the
//! source's key. The digest is SHA-256 of the key's JSON, which begins with the version below.

use crate::{Error, FileOp, GitOp, HttpOp, ImageOp, Op, Result, RunOp};
use oci::Digest;
use serde::{Deserialize, Serialize};

/// Changes whenever an operation with the same key could give another result than before.
const VERSION: u32 = 2;

/// What a result is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The version of this format.
    pub version: u32,
    /// What is done.
    #[serde(flatten)]
    pub op: KeyOp,
    /// What it stands on, in the order of the node's inputs.
    pub inputs: Vec<KeyInput>,
    /// The store's way with owners, where it changes what a process sees (`single-id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What is done, as a key has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyOp {
    /// Nothing to stand on.
    Scratch,
    /// A base image.
    Image {
        /// Its layers.
        diff_ids: Vec<Digest>,
    },
    /// A file by its URL.
    Http {
        /// What it is called.
        name: String,
        /// The digest of its bytes.
        digest: Digest,
        /// When it was last changed, in seconds since 1970; nothing where that was not asked for or not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        modified: Option<i64>,
    },
    /// A folder of a git repository.
    Git {
        /// The commit; of an annotated tag whose `.git` is kept the tag.
        commit: String,
        /// The folder inside; empty for all.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        subdir: String,
        /// The reference that `.git` names, where it is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        git_dir: Option<String>,
        /// Whether submodules are left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        skip_submodules: bool,
        /// Whether files have the time of the commit.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        commit_time: bool,
    },
    /// A process.
    Run(Box<RunOp>),
    /// File changes.
    File(FileOp),
    /// Layers over each other.
    Merge,
}

/// What an operation stands on, as a key has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyInput {
    /// A snapshot, by its own key.
    Snapshot(Digest),
    /// Exactly the files that are taken, by content.
    Files(Digest),
}

impl Key {
    /// A key of this version.
    #[must_use]
    pub fn new(op: KeyOp, inputs: Vec<KeyInput>) -> Self {
        Self { version: VERSION, op, inputs, mode: None }
    }

    /// The key of an image, which stands on nothing.
    #[must_use]
    pub fn of_image(image: &ImageOp) -> Self {
        Self::new(KeyOp::Image { diff_ids: image.diff_ids.clone() }, Vec::new())
    }

    /// The key of a file whose bytes are known by their digest.
    #[must_use]
    pub fn of_http(http: &HttpOp, digest: Digest, modified: Option<i64>) -> Self {
        Self::new(KeyOp::Http { name: http.name.clone(), digest, modified }, Vec::new())
    }

    /// The key of a folder of a commit. `reference` is the complete name of what was asked for.
    #[must_use]
    pub fn of_git(git: &GitOp, commit: &str, reference: &str) -> Self {
        let op = KeyOp::Git {
            commit: commit.to_owned(),
            subdir: git.subdir.clone(),
            git_dir: git.keep_git_dir.then(|| reference.to_owned()),
            skip_submodules: git.skip_submodules,
            commit_time: git.commit_time,
        };
        Self::new(op, Vec::new())
    }

    /// The key of a source that stands on nothing, where nobody needs to be asked for it.
    #[must_use]
    pub fn of_source(op: &Op) -> Option<Self> {
        match op {
            Op::Image(image) => Some(Self::of_image(image)),
            Op::Http(http) => http.checksum.map(|digest| Self::of_http(http, digest, None)),
            Op::Git(git) => {
                let commit = git.pinned()?;
                let reference = if git.reference.is_empty() { commit } else { &git.reference };
                Some(Self::of_git(git, commit, reference))
            }
            _ => None,
        }
    }

    /// The plain text that is kept beside the digest: one line of JSON.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("because a key holds only values that JSON has")
    }

    /// The digest that results are found by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// Reads the plain text.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|source| Error::Key { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvVar, Mount, MountKind};

    fn run() -> RunOp {
        RunOp {
            args: vec!["/bin/sh".into(), "-c".into(), "true".into()],
            cwd: "/".into(),
            ..RunOp::default()
        }
    }

    fn key(run: RunOp) -> Key {
        Key::new(KeyOp::Run(Box::new(run)), vec![KeyInput::Snapshot(Digest::of(b"base"))])
    }

    #[test]
    fn the_text_gives_the_key_back() {
        let mut op = run();
        op.mounts.push(Mount { target: "/t".into(), kind: MountKind::Tmpfs { size: 5, readonly: true } });
        op.env.set(EnvVar { name: "A".into(), value: "\u{fc}\n\"".into(), arg: true });
        let key = key(op);
        assert_eq!(Key::parse(&key.text()).unwrap(), key);
    }

    #[test]
    fn ports_of_the_outside_world_are_in_no_key() {
        let mut with = run();
        with.proxies = vec![("http_proxy".into(), "http://user:secret@proxy".into())];
        with.trust_host_ca = true;
        assert_eq!(key(with).digest(), key(run()).digest());
    }

    #[test]
    fn what_the_process_sees_is_in_the_key() {
        let changes: [fn(&mut RunOp); 6] = [
            |op| op.args[2].push('x'),
            |op| op.env.set(EnvVar { name: "A".into(), value: String::new(), arg: false }),
            |op| op.cwd.push('x'),
            |op| op.user.push('1'),
            |op| op.network = crate::Network::None,
            |op| op.extra_hosts.push(("a".into(), "1.2.3.4".into())),
        ];
        let plain = key(run()).digest();
        for change in changes {
            let mut op = run();
            change(&mut op);
            assert_ne!(key(op.clone()).digest(), plain, "{op:?}");
        }
        let mut other = key(run());
        other.inputs[0] = KeyInput::Snapshot(Digest::of(b"other"));
        assert_ne!(other.digest(), plain);
    }
}

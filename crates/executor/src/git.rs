//! The git operation: a folder of a commit becomes a layer.
//!
//! The objects of a repository are kept between builds in a cache mount that one build uses at a time, so `prune` knows
//! of them. A commit that is there is not fetched again.

use crate::worker::Worker;
use crate::{Error, Result};
use graph::{GitOp, Key, NodeId};
use layer::{Kind, LayerId, Listing, ListingBuilder, Time};
use progress::{Stream, VertexHandle};
use rustix::fs::{AtFlags, Mode, Timespec, Timestamps};
use session::Forward;
use solver::{Cancel, Pinned, Task};
use source::git::{Access, Checkout, Commit, Git, Wanted};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use store::Sharing;

/// The agent that repositories over ssh are reached with.
const AGENT: &str = "default";

impl Worker {
    /// What a reference of a repository is at the moment.
    pub(crate) fn pin_git(&self, id: NodeId, git: &GitOp, cancel: &Cancel) -> Result<Pinned> {
        if let Some((key, _)) = self.pins().gits.get(git) {
            return Ok(Pinned { key: key.clone(), brought: false });
        }
        let wanted = Wanted { reference: git.reference.clone(), checksum: git.checksum.clone() };
        let commit = self.with_git(git, &self.vertex(id), cancel, |program| Ok(program.resolve(&wanted)?))?;
        let object = match &commit.of_tag {
            Some(of_tag) if !git.keep_git_dir => of_tag,
            _ => &commit.object,
        };
        let key = Key::of_git(git, object, &commit.reference);
        self.pins().gits.insert(git.clone(), (key.clone(), commit));
        Ok(Pinned { key, brought: false })
    }

    /// When the commit of a repository was made, in seconds since 1970.
    pub(crate) fn git_time(&self, id: NodeId, git: &GitOp, cancel: &Cancel) -> Result<i64> {
        if git.pinned().is_none() {
            self.pin_git(id, git, cancel)?;
        }
        let commit = self.pins().gits.get(git).map(|(_, commit)| commit.clone());
        let commit = commit.unwrap_or_else(|| known_commit(git));
        self.with_git(git, &self.vertex(id), cancel, |program| {
            let name = format!("git {}", program.shown());
            let wait = &mut || !cancel.is_cancelled();
            let mut kept = self.store.cache_mount(&name, Sharing::Locked, wait)?;
            program.fetch(kept.path(), &commit)?;
            kept.ready()?;
            Ok(program.time(kept.path(), &commit)?)
        })
    }

    /// Brings a folder of a commit here.
    pub(crate) fn git(&self, task: &Task<'_>, git: &GitOp) -> Result<Vec<LayerId>> {
        let commit = self.pins().gits.get(git).map(|(_, commit)| commit.clone());
        let commit = commit.unwrap_or_else(|| known_commit(git));
        let vertex = self.vertex(task.id);
        self.with_git(git, &vertex, task.cancel, |program| {
            let name = format!("git {}", program.shown());
            let wait = &mut || !task.cancel.is_cancelled();
            let mut kept = self.store.cache_mount(&name, Sharing::Locked, wait)?;
            program.fetch(kept.path(), &commit)?;
            kept.ready()?;
            let mut draft = self.store.new_layer()?;
            let beside = draft.dir().join("git");
            std::fs::create_dir(&beside).map_err(|source| Error::Io {
                action: "make",
                path: beside.clone(),
                source,
            })?;
            let how = Checkout {
                subdir: git.subdir.clone(),
                keep_git_dir: git.keep_git_dir,
                skip_submodules: git.skip_submodules,
            };
            let files = draft.fs();
            program.checkout(kept.path(), &commit, &how, &beside, &files)?;
            let time = if git.commit_time { Some(program.time(kept.path(), &commit)?) } else { None };
            drop(kept);
            std::fs::remove_dir_all(&beside).map_err(|source| Error::Io {
                action: "remove",
                path: beside,
                source,
            })?;
            let folder = snapshot::open_directory(&files)?;
            let scanned = layer::scan(folder.as_fd(), &self.scan_options())
                .map_err(|source| Error::Layer { what: "files of the commit".into(), source })?;
            let listing = settle(folder.as_fd(), &scanned, git.keep_git_dir, time).map_err(|source| {
                Error::Io { action: "set modes and times below", path: files, source: source.into() }
            })?;
            draft.write_listing(&listing)?;
            let made = vec![draft.id()];
            self.commit(task, vec![draft], &made)?;
            Ok(made)
        })
    }

    /// Does something with the program, which can reach the repository then.
    fn with_git<T>(
        &self,
        git: &GitOp,
        vertex: &VertexHandle,
        cancel: &Cancel,
        action: impl FnOnce(&Git<'_>) -> Result<T>,
    ) -> Result<T> {
        let log = |bytes: &[u8]| vertex.log(Stream::Err, bytes);
        let wanted = || !cancel.is_cancelled();
        let mut access = Access { authorization: self.git_authorization(&git.remote)?, agent: None };
        // Lives as long as the program may ask it.
        let _lent = match self.options.agents.get(AGENT).filter(|_| is_ssh(&git.remote)) {
            None => None,
            Some(agent) => {
                let place = Place::new()?;
                let socket = place.0.join("agent");
                let fail = |source| Error::Io { action: "make", path: socket.clone(), source };
                let listener = UnixListener::bind(&socket).map_err(fail)?;
                let forward = Forward::start(agent.clone(), listener).map_err(fail)?;
                access.agent = Some(socket);
                Some((forward, place))
            }
        };
        let program = Git::new(&self.options.git, &git.remote, access, &log, &wanted);
        match action(&program) {
            Err(Error::Git(source::git::GitError::Cancelled)) => Err(Error::Cancelled),
            done => done,
        }
    }

    /// The value of `Authorization` that a secret gives: that of the host before the general one, a header before a
    /// token.
    fn git_authorization(&self, remote: &str) -> Result<Option<String>> {
        let Some((_, rest)) = remote.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))
        else {
            return Ok(None);
        };
        let place = rest.split('/').next().unwrap_or_default();
        let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
        for (id, is_token) in [
            (format!("GIT_AUTH_HEADER.{host}"), false),
            (format!("GIT_AUTH_TOKEN.{host}"), true),
            ("GIT_AUTH_HEADER".to_owned(), false),
            ("GIT_AUTH_TOKEN".to_owned(), true),
        ] {
            let value = self.options.secrets.get(&id).map_err(|source| Error::Io {
                action: "read the secret",
                path: id.into(),
                source,
            })?;
            let Some(value) = value else { continue };
            let text = String::from_utf8_lossy(&value).trim_end().to_owned();
            return Ok(Some(if is_token { web::basic("x-access-token", &text) } else { text }));
        }
        Ok(None)
    }
}

/// The commit of an operation that names it.
fn known_commit(git: &GitOp) -> Commit {
    let object = git.pinned().unwrap_or_default().to_owned();
    let reference = match git.reference.as_str() {
        "" => object.clone(),
        name if name.starts_with("refs/") || graph::is_commit(name) => name.to_owned(),
        branch => format!("refs/heads/{branch}"),
    };
    Commit { reference, object, of_tag: None }
}

fn is_ssh(remote: &str) -> bool {
    remote.starts_with("ssh://") || !remote.contains("://")
}

/// Gives files the modes, the owner and the time that they have whoever runs this, wherever: 0755 for what is a folder
/// or may be run, 0644 for the rest. The modes of a kept `.git` stay, but for what a umask took. Where submodules are,
/// only a kept `.git` says so: without it, theirs would lead nowhere.
fn settle(
    folder: BorrowedFd<'_>,
    scanned: &Listing,
    keep_git_dir: bool,
    time: Option<i64>,
) -> rustix::io::Result<Listing> {
    let mut settled = ListingBuilder::with_capacity(scanned.len(), 0);
    for mut entry in scanned.entries() {
        if !keep_git_dir && entry.name() == b".git" && matches!(entry.kind, Kind::File { .. }) {
            rustix::fs::unlinkat(folder, &*entry.path, AtFlags::empty())?;
            continue;
        }
        (entry.uid, entry.gid) = (0, 0);
        if let Some(seconds) = time {
            entry.mtime = Time { seconds, nanoseconds: 0 };
        }
        let wanted = match entry.kind {
            Kind::Symlink { .. } => entry.mode,
            _ if entry.is_directory() || entry.mode & 0o100 != 0 => 0o755,
            _ if entry.mode & 0o200 == 0 => 0o444,
            _ => 0o644,
        };
        if entry.mode != wanted {
            rustix::fs::chmodat(folder, &*entry.path, Mode::from_raw_mode(wanted), AtFlags::empty())?;
            entry.mode = wanted;
        }
        settled.push(&entry);
    }
    let settled = settled.finish(scanned.borrowed().to_vec());
    if let Some(seconds) = time {
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        // What is in a folder before the folder itself.
        for at in (0..settled.len()).rev() {
            rustix::fs::utimensat(folder, settled.path(at), &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(settled)
}

/// A folder for one socket, whose path is short enough for a socket.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self> {
        let mut name = [0; 8];
        let path = std::env::temp_dir();
        let fail =
            |source: std::io::Error| Error::Io { action: "make a folder in", path: path.clone(), source };
        rustix::rand::getrandom(&mut name, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| fail(error.into()))?;
        let place = path.join(format!("jettison-ssh-{:016x}", u64::from_ne_bytes(name)));
        std::fs::DirBuilder::new().mode(0o700).create(&place).map_err(fail)?;
        Ok(Self(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

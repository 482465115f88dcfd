//! Starting: the monitor of a container, or another process in it.

use crate::client::{self, Outcome, Streams};
use crate::containers::{Containers, config_of};
use crate::protocol::{self, Attach, Lower, Reply, Request, StoreSettings};
use crate::{Error, Result, state, volumes};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Xattrs;

/// How long a start waits for a monitor that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container that was started.
#[derive(Debug)]
pub struct Started {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
    /// Its streams, where they were asked for.
    pub attached: Option<Attached>,
}

/// A monitor that waits to be told what to start. Dropped, it ends.
#[derive(Debug)]
pub struct Monitor {
    stream: UnixStream,
}

/// The streams of a process in a container.
#[derive(Debug)]
pub struct Attached {
    pub(crate) stream: UnixStream,
    /// Which process of `exec`; nothing for the main one.
    pub(crate) session: Option<u64>,
    /// The container's folder, for signals and sizes, which have connections of their own.
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
    /// Where the container is to go at its end (`--rm`): this side removes it, because it has the store open.
    pub(crate) remove: Option<(store::Store, String)>,
}

/// Another process in a running container. The default is the container's own user, folder and environment.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`, besides the container's.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// User.
    pub user: Option<String>,
    /// A terminal.
    pub tty: bool,
    /// Keeps standard input open.
    pub stdin: bool,
    /// Does not wait for it.
    pub detach: bool,
    /// All capabilities and no filter.
    pub privileged: bool,
    /// Rows and columns of the terminal.
    pub size: Option<(u16, u16)>,
}

impl Attached {
    /// Passes streams on until the process ends or the user leaves.
    ///
    /// # Errors
    /// [`Error::MonitorGone`].
    pub fn run(self, streams: &Streams<'_>) -> Result<Outcome> {
        let outcome = client::run(&self, streams)?;
        if let (Outcome::Ended(_), Some((store, id))) = (outcome, &self.remove) {
            match store.remove_container(id, true) {
                Ok(()) | Err(store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(outcome)
    }
}

impl Containers {
    /// A monitor ahead of its container, so that it begins while that is still being made.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn monitor(&self) -> Result<Monitor> {
        let (stream, theirs) =
            UnixStream::pair().map_err(|error| Error::io("make", "a socket pair", error))?;
        let settings = &self.settings;
        let theirs = OwnedFd::from(theirs);
        sandbox::process::spawn_detached(&settings.program, &settings.args, &[], &[(&theirs, 3)])?;
        Ok(Monitor { stream })
    }

    /// Starts a container that does not run. With `attach` its streams are given to the caller from the first byte on;
    /// `size` is that of the caller's terminal, `stdin` whether anything is to be typed.
    ///
    /// # Errors
    /// [`Error::Running`]; [`Error::Start`] with the code of the failure.
    pub fn start(&self, text: &str, attach: bool, stdin: bool, size: Option<(u16, u16)>) -> Result<Started> {
        self.start_with(None, text, attach, stdin, size)
    }

    /// [`start`](Self::start) by a monitor that is there already.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with(
        &self,
        monitor: Option<Monitor>,
        text: &str,
        attach: bool,
        stdin: bool,
        size: Option<(u16, u16)>,
    ) -> Result<Started> {
        let container = self.find(text)?;
        let config = config_of(&container)?;
        let dir = self.store.container_dir(&container.id);
        let lock = self.lock_for_start(&container, &dir)?;
        let ours = monitor.map_or_else(|| self.monitor(), Ok)?.stream;
        let lowers = self.lowers(&config.image, &container.stack)?;
        volumes::initialise(&self.store, &config, lowers.paths())?;
        let layer = container
            .layer
            .map(|layer| self.store.layer_dir(layer))
            .ok_or_else(|| Error::NoContainer { name: text.to_owned() })?;
        let options = self.store.options();
        let remove = config.options.auto_remove;
        let wanted = attach.then_some(Attach { stdin, stdout: true, stderr: true, size });
        let request = Request::Start(Box::new(protocol::Start {
            id: container.id.clone(),
            name: container.name.clone(),
            dir: dir.clone(),
            lowers: lowers.paths().iter().map(|path| lower(path, lowers.mounts())).collect(),
            upper: layer.join("fs"),
            work: layer.join("work"),
            user_xattrs: options.xattrs == Xattrs::User,
            volumes: self.store.root().join("volumes"),
            config,
            network: self.network_settings(),
            store: StoreSettings {
                root: options.root.clone(),
                owner: options.owner,
                mapping: options.mapping.clone(),
            },
            attach: wanted,
        }));
        let gone = |_| Error::MonitorGone { name: container.name.clone() };
        let mounts = lowers.mounts().iter().map(|mount| mount.as_fd());
        let passed: Vec<BorrowedFd<'_>> = std::iter::once(lock.file().as_fd()).chain(mounts).collect();
        protocol::pass(&ours, &passed).map_err(gone)?;
        drop(lock);
        protocol::send_request(&ours, &request).map_err(gone)?;
        match protocol::receive_reply(&ours).map_err(gone)? {
            Some(Reply::Started { warnings, .. }) => {
                let attached = attach.then(|| Attached {
                    stream: ours,
                    session: None,
                    dir,
                    name: container.name.clone(),
                    warnings: Vec::new(),
                    remove: remove.then(|| (self.store.clone(), container.id.clone())),
                });
                Ok(Started { id: container.id, warnings, attached })
            }
            Some(Reply::Failed { code, message, hint }) => {
                Err(Error::Start { name: container.name, message, hint, code })
            }
            Some(other) => Err(Error::Answer { name: container.name, message: format!("{other:?}") }),
            None => Err(Error::MonitorGone { name: container.name }),
        }
    }

    fn lock_for_start(
        &self,
        container: &store::Container,
        dir: &std::path::Path,
    ) -> Result<sandbox::lock::OfdLock> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(lock) = state::try_lock(dir)? {
                return Ok(lock);
            }
            if state::read(dir)?.is_running() || Instant::now() > deadline {
                return Err(Error::Running { name: container.name.clone(), hint: "it runs already" });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The streams of a running container's main process, from now on.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn attach(&self, text: &str, stdin: bool, size: Option<(u16, u16)>) -> Result<Attached> {
        let container = self.find(text)?;
        let wanted = Attach { stdin, stdout: true, stderr: true, size };
        self.attached(container, &Request::Attach(wanted), false)
    }

    /// Runs another process in a running container; its exit code comes from [`Attached::run`]. A detached one is not
    /// waited for, and the result is of no use then.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; [`Error::Exec`] with the code of the failure.
    pub fn exec(&self, text: &str, exec: &Exec) -> Result<Attached> {
        let container = self.find(text)?;
        let request = Request::Exec(Box::new(protocol::Exec {
            args: exec.args.clone(),
            env: exec.env.clone(),
            cwd: exec.cwd.clone(),
            user: exec.user.clone(),
            tty: exec.tty,
            stdin: exec.stdin,
            detach: exec.detach,
            privileged: exec.privileged,
            size: exec.size,
        }));
        self.attached(container, &request, true)
    }

    fn attached(&self, container: store::Container, request: &Request, own: bool) -> Result<Attached> {
        match self.ask(&container, request)? {
            (stream, Reply::Started { session, warnings }) => Ok(Attached {
                stream,
                session: own.then_some(session),
                dir: self.store.container_dir(&container.id),
                name: container.name,
                warnings,
                remove: None,
            }),
            (_, other) => Err(Error::Answer { name: container.name, message: format!("{other:?}") }),
        }
    }
}

/// A path of this process as the monitor is told of it: a mount is passed to it.
fn lower(path: &Path, mounts: &[Arc<OwnedFd>]) -> Lower {
    let leads_to = |mount: &Arc<OwnedFd>| path == Path::new(&format!("/proc/self/fd/{}", mount.as_raw_fd()));
    mounts.iter().position(leads_to).map_or_else(|| Lower::Folder(path.to_owned()), Lower::Mount)
}

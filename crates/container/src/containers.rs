//! The door: all that is done to containers, by name or id.

use crate::config::Config;
use crate::protocol::{self, NetworkSettings, Process, Reply, Request};
use crate::state::{self, State};
use crate::{BoxError, Error, Result, logs, monitor};
use layer::LayerId;
use snapshot::Lowers;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use store::Store;

/// Who has what the layers of an image are mounted from.
pub trait Roots: Send + Sync {
    /// What a stack is mounted from; what is missing is pulled and unpacked. `image` is for messages.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn lowers(&self, image: &str, stack: &[LayerId]) -> Result<Lowers, BoxError>;
}

/// What the engine is told about the machine.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The program that is started as a monitor, and its arguments: it calls [`monitor::main`].
    pub program: PathBuf,
    /// See `program`.
    pub args: Vec<OsString>,
    /// Whether this process has no power over the host's network.
    pub rootless: bool,
    /// The bridge's name; the default one where none is given.
    pub bridge: Option<String>,
    /// The text of the host's `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// The text of `/run/systemd/resolve/resolv.conf`.
    pub systemd_resolv_conf: Option<String>,
    /// The text of the host's `/etc/hosts`.
    pub hosts: String,
    /// The host's name.
    pub hostname: String,
    /// Where `slirp4netns` and `pasta` are looked for; the usual places where empty.
    pub program_folders: Vec<PathBuf>,
}

/// Containers of one store.
#[derive(Clone)]
pub struct Containers {
    pub(crate) store: Store,
    pub(crate) roots: Arc<dyn Roots>,
    pub(crate) settings: Settings,
}

/// A container and what became of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
    /// What it is.
    pub config: Config,
    /// What became of it.
    pub state: State,
}

/// How long a start or removal waits for a monitor that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a pause between two looks is.
const PAUSE: Duration = Duration::from_millis(2);

impl Containers {
    /// The containers of a store.
    #[must_use]
    pub fn new(store: Store, roots: Arc<dyn Roots>, settings: Settings) -> Self {
        Self { store, roots, settings }
    }

    pub(crate) fn network_settings(&self) -> NetworkSettings {
        let settings = self.settings.clone();
        NetworkSettings {
            rootless: settings.rootless,
            bridge: settings.bridge,
            resolv_conf: settings.resolv_conf,
            systemd_resolv_conf: settings.systemd_resolv_conf,
            hosts: settings.hosts,
            hostname: settings.hostname,
            program_folders: settings.program_folders,
        }
    }

    pub(crate) fn lowers(&self, image: &str, stack: &[LayerId]) -> Result<Lowers> {
        self.roots.lowers(image, stack).map_err(|source| Error::Layers { image: image.to_owned(), source })
    }

    pub(crate) fn find(&self, text: &str) -> Result<store::Container> {
        self.store.container(text)?.ok_or_else(|| Error::NoContainer { name: text.to_owned() })
    }

    fn summary(&self, container: store::Container) -> Result<Summary> {
        let config = config_of(&container)?;
        let state = state::read(&self.store.container_dir(&container.id))?;
        Ok(Summary { id: container.id, name: container.name, created: container.created, config, state })
    }

    /// One container.
    ///
    /// # Errors
    /// [`Error::NoContainer`], or one of the store's where a beginning of an id fits several.
    pub fn get(&self, text: &str) -> Result<Summary> {
        self.summary(self.find(text)?)
    }

    /// All containers, the newest first.
    ///
    /// # Errors
    /// The store's.
    pub fn list(&self) -> Result<Vec<Summary>> {
        let all = self.store.containers()?;
        Ok(all.into_iter().filter_map(|container| self.summary(container).ok()).collect())
    }

    /// Asks a running container's monitor for something that is answered by one reply.
    pub(crate) fn ask(&self, container: &store::Container, request: &Request) -> Result<(UnixStream, Reply)> {
        let stream = self.talk(container)?;
        let gone = |_| Error::MonitorGone { name: container.name.clone() };
        protocol::send_request(&stream, request).map_err(gone)?;
        match protocol::receive_reply(&stream).map_err(gone)? {
            None => Err(Error::MonitorGone { name: container.name.clone() }),
            Some(Reply::Failed { code, message, .. }) => {
                Err(Error::Exec { name: container.name.clone(), message, code })
            }
            Some(reply) => Ok((stream, reply)),
        }
    }

    pub(crate) fn talk(&self, container: &store::Container) -> Result<UnixStream> {
        let dir = self.store.container_dir(&container.id);
        let not_running = || Error::NotRunning { name: container.name.clone() };
        if !state::read(&dir)?.is_running() {
            return Err(not_running());
        }
        monitor::connect(&dir)?.ok_or_else(not_running)
    }

    /// Sends a signal to the main process.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn kill(&self, text: &str, signal: i32) -> Result<()> {
        let container = self.find(text)?;
        self.ask(&container, &Request::Signal { session: None, signal }).map(drop)
    }

    /// Waits until the container does not run, and gives its exit code.
    ///
    /// # Errors
    /// [`Error::NoContainer`].
    pub fn wait(&self, text: &str) -> Result<i32> {
        let container = self.find(text)?;
        self.wait_for(&container, None).map(|code| code.expect("because nothing ends the wait"))
    }

    /// Waits at most this long; nothing where it still runs.
    fn wait_for(&self, container: &store::Container, limit: Option<Duration>) -> Result<Option<i32>> {
        let dir = self.store.container_dir(&container.id);
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            let state = state::read(&dir)?;
            if !state.is_running() {
                return Ok(Some(state.exit_code));
            }
            if let Some(stream) = monitor::connect(&dir)? {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(None);
                }
                let asked = stream
                    .set_read_timeout(left)
                    .and_then(|()| protocol::send_request(&stream, &Request::Wait))
                    .and_then(|()| protocol::receive_reply(&stream));
                match asked {
                    Ok(Some(Reply::Ended { code })) => return Ok(Some(code)),
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                    {
                        return Ok(None);
                    }
                    // It ended or was killed in between: its state says more.
                    _ => {}
                }
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks the container to end, and kills it after a while: `signal` and `seconds` (negative for ever) where they are
    /// given, else its own settings, else SIGTERM and 10. A container that does not run is left as it is.
    ///
    /// # Errors
    /// [`Error::NoContainer`].
    pub fn stop(&self, text: &str, signal: Option<i32>, seconds: Option<i64>) -> Result<()> {
        let container = self.find(text)?;
        let config = config_of(&container)?;
        let signal = signal.unwrap_or_else(|| config.stop_signal_number());
        let seconds = seconds.or(config.options.stop_timeout).unwrap_or(10);
        match self.ask(&container, &Request::Signal { session: None, signal }) {
            Ok(_) => {}
            Err(Error::NotRunning { .. } | Error::MonitorGone { .. }) => return self.settled(&container),
            Err(error) => return Err(error),
        }
        let limit = u64::try_from(seconds).ok().map(Duration::from_secs);
        if self.wait_for(&container, limit)?.is_none() {
            match self.ask(&container, &Request::Signal { session: None, signal: 9 }) {
                Ok(_) | Err(Error::NotRunning { .. } | Error::MonitorGone { .. }) => {}
                Err(error) => return Err(error),
            }
            self.wait_for(&container, None)?;
        }
        self.settled(&container)
    }

    /// Waits until the monitor has let go of the container.
    fn settled(&self, container: &store::Container) -> Result<()> {
        let dir = self.store.container_dir(&container.id);
        let deadline = Instant::now() + PATIENCE;
        while state::is_held(&dir)? && !state::read(&dir)?.is_running() && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Removes a container, with its anonymous volumes if `volumes`; a running one only with `force`, which kills it.
    ///
    /// # Errors
    /// [`Error::Running`], [`Error::NoContainer`].
    pub fn remove(&self, text: &str, force: bool, volumes: bool) -> Result<String> {
        let container = self.find(text)?;
        let dir = self.store.container_dir(&container.id);
        let gone = |error: Error| match error {
            // It was to be removed at its end, and was.
            Error::Store(store::Error::NotFound { .. }) if force => Ok(container.id.clone()),
            error => Err(error),
        };
        let deadline = Instant::now() + PATIENCE;
        let _lock = loop {
            if state::read(&dir)?.is_running() {
                if !force {
                    let hint = "stop it first, or remove it with `--force`";
                    return Err(Error::Running { name: container.name, hint });
                }
                match self.ask(&container, &Request::Signal { session: None, signal: 9 }) {
                    Ok(_) | Err(Error::NotRunning { .. } | Error::MonitorGone { .. }) => {}
                    Err(error) => return Err(error),
                }
                self.wait_for(&container, None)?;
            }
            match state::try_lock(&dir) {
                Ok(Some(lock)) => break Some(lock),
                // It is being started, or about to end.
                Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Ok(None) => {
                    return Err(Error::Running { name: container.name, hint: "try again when it has ended" });
                }
                // The folder is gone: what is left is its row, if anything.
                Err(_) if !dir.exists() => break None,
                Err(error) => return Err(error),
            }
        };
        match self.store.remove_container(&container.id, volumes) {
            Ok(()) => Ok(container.id),
            Err(error) => gone(error.into()),
        }
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`Error::NoContainer`]; the store's for a name that is taken or cannot be one.
    pub fn rename(&self, text: &str, name: &str) -> Result<()> {
        let container = self.find(text)?;
        Ok(self.store.rename_container(&container.id, name.strip_prefix('/').unwrap_or(name))?)
    }

    /// Reads a container's log and gives `sink` each piece of it with its stream.
    ///
    /// # Errors
    /// [`Error::NoContainer`], or what `sink` says.
    pub fn logs(
        &self,
        text: &str,
        options: &logs::Options,
        sink: &mut dyn FnMut(logs::Stream, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let container = self.find(text)?;
        logs::read(&self.store.container_dir(&container.id), options, sink)
    }

    /// The processes of a running container.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn processes(&self, text: &str) -> Result<Vec<Process>> {
        let container = self.find(text)?;
        match self.ask(&container, &Request::Top)? {
            (_, Reply::Processes(list)) => Ok(list),
            (_, other) => Err(Error::Answer { name: container.name, message: format!("{other:?}") }),
        }
    }
}

pub(crate) fn config_of(container: &store::Container) -> Result<Config> {
    serde_json::from_str(&container.config)
        .map_err(|source| Error::Config { what: format!("container {}", container.name), source })
}

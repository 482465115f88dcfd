//! The monitor: the one process that a running container has outside of it. It is this program started again by
//! [`crate::Containers::start`], in a session of its own, so that the container outlives the command.
//!
//! ```text
//! starter ─ pair (descriptor 3): lock and mounts, what to start ─▶ monitor
//!    ◀─ started or failed, then the streams where it stays attached
//! clients ─ monitor.sock: attach, wait, signal, resize, exec, stat, get, put, top
//! ```
//!
//! 1. The root is mounted, ports of the host are taken, the network is connected: an occupied port stops all before
//!    anything of the container runs.
//! 2. The main process is started; `state.json` says `running`; the starter is told.
//! 3. Output goes to the log and to who is attached, until the main process ends.
//! 4. The state is written, the network given back, the container removed where that was asked; the lock is released;
//!    only then do waiting clients hear the exit code.
//!
//! If the monitor is killed, the kernel kills the container with it (the parent-death signal), and gives back lock,
//! ports and network.

mod health;
mod hub;
mod prepare;
mod processes;
mod serve;

use crate::error::chain;
use crate::protocol::{self, Kind, Reply, Request, Start};
use crate::state::{self, State, Status};
use crate::{Error, Result, logs, time};
use hub::{Client, Hub};
use prepare::Prepared;
use sandbox::signals::Watch;
use sandbox::{Child, Launcher, Stdio, Stream as Stdstream};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::Store;

/// How long output that is still in pipes is waited for once all processes have ended.
const DRAIN: Duration = Duration::from_secs(2);

pub(crate) const SOCKET: &str = "monitor.sock";

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running container, shared by the monitor's threads.
struct Running {
    start: Start,
    launcher: Launcher,
    /// The merged root, readable through this also after it moved into the container.
    root: Arc<OwnedFd>,
    child: Child,
    hub: Hub,
    /// What the main process reads: a pipe, or the terminal.
    stdin: Mutex<Option<File>>,
    terminal: Option<OwnedFd>,
    state: Mutex<State>,
    /// Processes of `exec`, by session.
    sessions: Mutex<HashMap<u64, Arc<serve::Session>>>,
    next_session: AtomicU64,
    /// The exit code, once all is over.
    ended: Mutex<Option<i32>>,
    ended_changed: Condvar,
    /// Whether the main process has ended, for threads that run beside it.
    stopping: Mutex<bool>,
    stopping_changed: Condvar,
}

/// The monitor's whole life. The command line calls this for its hidden subcommand, with nothing else running in the
/// process; the exit code says nothing to anyone.
#[must_use]
pub fn main() -> u8 {
    let Some(pair) = sandbox::process::take_passed_fd(3) else { return 1 };
    let starter = UnixStream::from(pair);
    // Nothing comes where the container could not be made.
    let mut passed = protocol::take_passed(&starter).unwrap_or_default().into_iter();
    let Some(lock) = passed.next() else { return 1 };
    let Ok(Some((Kind::Request, bytes))) = protocol::receive(&starter) else { return 1 };
    let Ok(Request::Start(start)) = serde_json::from_slice(&bytes) else { return 1 };
    match begin(*start, &starter, passed.collect()) {
        Ok((running, prepared)) => {
            finish(&running, prepared, lock);
            0
        }
        Err((start, error)) => {
            // The failure first, then the lock: whoever finds the lock free finds the state too.
            let code = error.exit_code();
            let message = chain(&error);
            let mut state = state::read(&start.dir).unwrap_or_default();
            if state.status == Status::Running {
                state.status = Status::Exited;
            }
            (state.pid, state.exit_code, state.error) = (0, code, message.clone());
            let _ = state::write(&start.dir, &state);
            let _ = std::fs::remove_file(start.dir.join(SOCKET));
            drop(lock);
            let _ = protocol::send_reply(&starter, &Reply::Failed { code, message, hint: error.hint() });
            1
        }
    }
}

type Begun = (Arc<Running>, Prepared);

/// By which a monitor is asked to end.
const SIGTERM: i32 = 15;

fn begin(
    start: Start,
    starter: &UnixStream,
    mounts: Vec<OwnedFd>,
) -> std::result::Result<Begun, (Box<Start>, Error)> {
    let attempt = || -> Result<_> {
        let launcher = Launcher::new()?;
        let (spec, mut prepared) = prepare::prepare(&start, &mounts)?;
        let listener = listen(&start.dir)?;
        let log = logs::Writer::open(&start.dir)?;
        let attach = start.attach.unwrap_or_default();
        let config = &start.config;
        let stdio = if config.options.tty {
            Stdio::Terminal { size: attach.size }
        } else {
            let stdin = if config.options.open_stdin { Stdstream::Pipe } else { Stdstream::Null };
            Stdio::Streams { stdin, stdout: Stdstream::Pipe, stderr: Stdstream::Pipe }
        };
        let child = launcher.spawn(&spec, &stdio)?;
        prepared.warnings.extend(child.warnings().iter().cloned());
        prepared.serve_ports()?;
        Ok((launcher, prepared, listener, log, child))
    };
    let (launcher, prepared, listener, log, child) = match attempt() {
        Ok(all) => all,
        Err(error) => return Err((Box::new(start), error)),
    };
    drop(mounts);
    // Before anyone can know that it runs: from then on a request to end must not be the monitor's death.
    let watch = sandbox::signals::watch(&[SIGTERM]).ok();
    let previous = state::read(&start.dir).unwrap_or_default();
    let state = State {
        status: Status::Running,
        pid: child.pid(),
        started: Some(time::now()),
        finished: previous.finished,
        address: prepared.address(),
        gateway: prepared.gateway(),
        ports: prepared.ports(),
        health: health::wanted(&start.config).then(|| crate::state::Health {
            status: "starting".to_owned(),
            ..crate::state::Health::default()
        }),
        ..State::default()
    };
    if let Err(error) = state::write(&start.dir, &state) {
        return Err((Box::new(start), error));
    }
    let terminal = child.take_terminal();
    let stdin = match &terminal {
        Some(terminal) => terminal.try_clone().ok(),
        None => child.take_stdin(),
    };
    let running = Arc::new(Running {
        launcher,
        root: prepared.root().clone(),
        hub: Hub::new(log),
        stdin: Mutex::new(stdin.map(File::from)),
        terminal,
        state: Mutex::new(state),
        sessions: Mutex::default(),
        next_session: AtomicU64::new(1),
        ended: Mutex::new(None),
        ended_changed: Condvar::new(),
        stopping: Mutex::new(false),
        stopping_changed: Condvar::new(),
        child,
        start,
    });
    let warnings = prepared.warnings.clone();
    let _ = protocol::send_reply(starter, &Reply::Started { session: 0, warnings });
    if let Some(attach) = running.start.attach
        && let Ok(stream) = starter.try_clone()
    {
        // Before any output is read, so that the starter misses none.
        let client = Client::new(&stream, attach);
        running.hub.add(client.clone());
        running.hub.set_starter(client.clone());
        let served = running.clone();
        spawn("starter", move || {
            serve::attached(&served, &stream, &client, attach);
            served.hub.starter_left();
        });
    }
    let served = running.clone();
    spawn("clients", move || serve::accept(&served, &listener));
    if let Some(watch) = watch {
        let asked = running.clone();
        spawn("signals", move || asked.stop_when_asked(&watch));
    }
    if health::wanted(&running.start.config) {
        let checked = running.clone();
        spawn("health", move || health::watch(&checked));
    }
    Ok((running, prepared))
}

/// Passes output on until the main process has ended, then puts all in order.
fn finish(running: &Arc<Running>, prepared: Prepared, lock: OwnedFd) {
    let mut pumps = Vec::new();
    let mut pump = |fd: OwnedFd, stream| {
        let running = running.clone();
        let (done, over) = std::sync::mpsc::channel();
        spawn("output", move || {
            running.hub.pump(fd.as_fd(), stream);
            let _ = done.send(());
        });
        pumps.push(over);
    };
    if let Some(terminal) = running.terminal.as_ref().and_then(|terminal| terminal.try_clone().ok()) {
        pump(terminal, logs::Stream::Stdout);
    }
    if let Some(fd) = running.child.take_stdout() {
        pump(fd, logs::Stream::Stdout);
    }
    if let Some(fd) = running.child.take_stderr() {
        pump(fd, logs::Stream::Stderr);
    }
    let code = running.child.wait().map_or(255, sandbox::ExitStatus::code);
    *locked(&running.stopping) = true;
    running.stopping_changed.notify_all();
    let deadline = Instant::now() + DRAIN;
    for over in pumps {
        let _ = over.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    running.end_sessions();
    let _ = std::fs::remove_file(running.start.dir.join(SOCKET));
    let oom_killed = prepared.oom_killed();
    {
        let mut state = locked(&running.state);
        *state = State {
            status: Status::Exited,
            started: state.started.clone(),
            finished: Some(time::now()),
            exit_code: code,
            oom_killed,
            health: state.health.take(),
            ..State::default()
        };
        let _ = state::write(&running.start.dir, &state);
    }
    drop(prepared);
    // A starter that is still there has the store open and removes it sooner.
    let handed_on = running.start.config.options.auto_remove && running.hub.has_starter();
    if running.start.config.options.auto_remove && !handed_on {
        let _ = remove(&running.start);
    }
    drop(lock);
    *locked(&running.ended) = Some(code);
    running.ended_changed.notify_all();
    running.hub.end(code);
    if handed_on {
        running.hub.wait_starter(DRAIN);
        // Nothing is left of it unless the starter was killed just now.
        if running.start.dir.exists() {
            let _ = remove(&running.start);
        }
    }
    // Those who wait on threads of their own are told by them.
    let deadline = Instant::now() + Duration::from_secs(1);
    while Arc::strong_count(running) > 1 && running.hub.waiters() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// `--rm`.
fn remove(start: &Start) -> Result<()> {
    let settings = &start.store;
    let mut options = store::Options::new(settings.root.clone());
    options.owner = settings.owner;
    options.mapping = settings.mapping.clone();
    options.xattrs = if start.user_xattrs { store::Xattrs::User } else { store::Xattrs::Trusted };
    Ok(Store::open(options)?.remove_container(&start.id, true)?)
}

/// The socket for clients. Its path may be longer than a socket's may, so it is named through its folder's descriptor.
fn listen(dir: &Path) -> Result<UnixListener> {
    let path = dir.join(SOCKET);
    let fail = |error| Error::io("listen on", &path, error);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let folder = crate::archive::open_directory(dir)?;
    UnixListener::bind(short(&folder)).map_err(fail)
}

/// Connects to a container's monitor; nothing where none listens.
pub(crate) fn connect(dir: &Path) -> Result<Option<UnixStream>> {
    let folder = match crate::archive::open_directory(dir) {
        Ok(folder) => folder,
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match UnixStream::connect(short(&folder)) {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::io("connect to", dir.join(SOCKET), error)),
    }
}

fn short(folder: &OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    // Without a thread the one client is not served; the container goes on.
    let _ = std::thread::Builder::new().name(name.to_owned()).stack_size(512 << 10).spawn(work);
}

impl Running {
    /// Waits until all is over.
    fn wait_end(&self) -> i32 {
        let mut ended = locked(&self.ended);
        loop {
            if let Some(code) = *ended {
                return code;
            }
            ended = self.ended_changed.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits this long, or until the main process has ended; says whether it has.
    fn wait_stopping(&self, time: Duration) -> bool {
        let stopping = locked(&self.stopping);
        let (stopping, _) = self
            .stopping_changed
            .wait_timeout_while(stopping, time, |stopping| !*stopping)
            .unwrap_or_else(PoisonError::into_inner);
        *stopping
    }

    /// A machine that goes down asks every process to end: the container is asked in turn, and killed after a while.
    fn stop_when_asked(&self, watch: &Watch) {
        if watch.wait().is_err() {
            return;
        }
        let config = &self.start.config;
        let _ = self.child.kill(config.stop_signal_number());
        let seconds =
            config.options.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(10);
        if !self.wait_stopping(Duration::from_secs(seconds)) {
            let _ = self.child.kill(9);
        }
    }

    /// Changes the state, in memory and in its file.
    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = locked(&self.state);
        if state.is_running() {
            change(&mut state);
            let _ = state::write(&self.start.dir, &state);
        }
    }

    fn new_session(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    /// Processes of `exec` have ended with the main process; their clients hear of it before this returns.
    fn end_sessions(&self) {
        let deadline = Instant::now() + DRAIN;
        while !locked(&self.sessions).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

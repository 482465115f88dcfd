//! Clients of a running container: one thread each.

use super::{Running, hub::Client, locked, processes, spawn};
use crate::error::chain;
use crate::protocol::{self, Attach, CHUNK, Exec, Kind, Reply, Request};
use crate::{Error, Result, archive};
use sandbox::{Capabilities, Child, ExecSpec, Seccomp, Stdio, Stream as Stdstream};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long output is waited for once the process of an `exec` has ended and others hold its streams.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// A process of `exec`.
pub(super) struct Session {
    pub(super) child: Child,
    terminal: Option<OwnedFd>,
}

pub(super) fn accept(running: &Arc<Running>, listener: &UnixListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let running = running.clone();
        spawn("client", move || {
            if let Err(error) = serve(&running, &stream) {
                let code = error.exit_code();
                let (message, hint) = (chain(&error), error.hint());
                let _ = protocol::send_reply(&stream, &Reply::Failed { code, message, hint });
            }
        });
    }
}

fn serve(running: &Arc<Running>, stream: &UnixStream) -> Result<()> {
    let gone = |error| Error::io("answer", "a client", error);
    let Some((Kind::Request, bytes)) = protocol::receive(stream).map_err(gone)? else { return Ok(()) };
    let request = serde_json::from_slice(&bytes)
        .map_err(|source| Error::Config { what: "a client's request".into(), source })?;
    let root = running.root.as_fd();
    let done = |()| protocol::send_reply(stream, &Reply::Done).map_err(gone);
    match request {
        Request::Start(_) => Err(Error::Unsupported { what: "a second start".into() }),
        Request::Attach(attach) => {
            let warnings = Vec::new();
            protocol::send_reply(stream, &Reply::Started { session: 0, warnings }).map_err(gone)?;
            let client = Client::new(stream, attach);
            running.hub.add(client.clone());
            if let (Some((rows, columns)), Some(terminal)) = (attach.size, &running.terminal) {
                let _ = sandbox::tty::set_size(terminal, rows, columns);
            }
            attached(running, stream, &client, attach);
            Ok(())
        }
        Request::Wait => {
            running.hub.waiting(|| {
                let code = running.wait_end();
                let _ = protocol::send_reply(stream, &Reply::Ended { code });
            });
            Ok(())
        }
        Request::Signal { session: None, signal } => {
            running.child.kill(signal).map_err(Into::into).and_then(done)
        }
        Request::Signal { session: Some(number), signal } => {
            if let Some(session) = running.session(number) {
                session.child.kill(signal)?;
            }
            done(())
        }
        Request::Resize { session: None, rows, columns } => {
            if let Some(terminal) = &running.terminal {
                sandbox::tty::set_size(terminal, rows, columns)?;
            }
            done(())
        }
        Request::Resize { session: Some(number), rows, columns } => {
            if let Some(session) = running.session(number)
                && let Some(terminal) = &session.terminal
            {
                sandbox::tty::set_size(terminal, rows, columns)?;
            }
            done(())
        }
        Request::Exec(exec) => execute(running, stream, &exec),
        Request::Stat { path, follow } => {
            let found = archive::stat(root, &path, follow)?;
            protocol::send_reply(stream, &Reply::Stat(found)).map_err(gone)
        }
        Request::Get { path, follow, name } => {
            let mut out = io::BufWriter::with_capacity(CHUNK, FrameWriter { stream });
            archive::get(root, &path, follow, &name, &mut out)?;
            out.flush().map_err(gone).and_then(done)
        }
        Request::Put { folder, keep_owners } => {
            let folder = archive::directory_in(root, &folder)?;
            archive::put(folder.as_fd(), FrameReader::new(stream), keep_owners).and_then(done)
        }
        Request::Top => {
            let list = processes::of_container(running.child.pid());
            protocol::send_reply(stream, &Reply::Processes(list)).map_err(gone)
        }
    }
}

/// Writes frames of standard output.
pub(crate) struct FrameWriter<'a> {
    pub(crate) stream: &'a UnixStream,
}

impl Write for FrameWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(CHUNK)];
        protocol::send(self.stream, Kind::Stdout, part)?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads frames of standard input, to their end.
pub(crate) struct FrameReader<'a> {
    stream: &'a UnixStream,
    held: Vec<u8>,
    at: usize,
    over: bool,
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(stream: &'a UnixStream) -> Self {
        Self { stream, held: Vec::new(), at: 0, over: false }
    }
}

impl Read for FrameReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.held.len() && !self.over {
            match protocol::receive(self.stream)? {
                Some((Kind::Stdin, bytes)) => (self.held, self.at) = (bytes, 0),
                Some((Kind::StdinEnd, _)) => self.over = true,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = buffer.len().min(self.held.len() - self.at);
        buffer[..count].copy_from_slice(&self.held[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Takes what an attached client types, until it leaves.
pub(super) fn attached(running: &Arc<Running>, stream: &UnixStream, client: &Client, attach: Attach) {
    let close = || {
        // The end of a terminal's input is a key, not a closed descriptor.
        if running.start.config.options.stdin_once && running.terminal.is_none() {
            *locked(&running.stdin) = None;
        }
    };
    loop {
        match protocol::receive(stream) {
            Ok(Some((Kind::Stdin, bytes))) if attach.stdin => {
                let copy = locked(&running.stdin).as_ref().and_then(|stdin| stdin.try_clone().ok());
                if let Some(mut stdin) = copy {
                    let _ = stdin.write_all(&bytes);
                }
            }
            Ok(Some((Kind::StdinEnd, _))) if attach.stdin => close(),
            Ok(Some((Kind::Leave, _))) => return client.leave(),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                if attach.stdin {
                    close();
                }
                return client.leave();
            }
        }
    }
}

/// Runs another process and serves its client to the end.
fn execute(running: &Arc<Running>, stream: &UnixStream, exec: &Exec) -> Result<()> {
    let spec = exec_spec(running, exec)?;
    let stdio = if exec.detach {
        Stdio::default()
    } else if exec.tty {
        Stdio::Terminal { size: exec.size }
    } else {
        let stdin = if exec.stdin { Stdstream::Pipe } else { Stdstream::Null };
        Stdio::Streams { stdin, stdout: Stdstream::Pipe, stderr: Stdstream::Pipe }
    };
    let child = running.launcher.exec_in(running.child.pid(), &spec, &stdio)?;
    let (stdin, stdout, stderr) = (child.take_stdin(), child.take_stdout(), child.take_stderr());
    let terminal = child.take_terminal();
    let copy = |fd: &OwnedFd| fd.try_clone().ok();
    let stdin = stdin.or_else(|| terminal.as_ref().and_then(copy));
    let stdout = stdout.or_else(|| terminal.as_ref().and_then(copy));
    let number = running.new_session();
    let session = Arc::new(Session { child, terminal });
    locked(&running.sessions).insert(number, session.clone());
    let warnings = session.child.warnings().to_vec();
    let _ = protocol::send_reply(stream, &Reply::Started { session: number, warnings });
    if let Ok(input) = stream.try_clone() {
        let typed = session.clone();
        spawn("exec input", move || exec_input(&input, stdin.map(File::from), &typed));
    }
    let shared =
        Arc::new(Mutex::new(stream.try_clone().map_err(|error| Error::io("keep open", "a client", error))?));
    let mut outputs = Vec::new();
    for (fd, kind) in [(stdout, Kind::Stdout), (stderr, Kind::Stderr)] {
        let Some(fd) = fd else { continue };
        let shared = shared.clone();
        let (done, over) = std::sync::mpsc::channel();
        spawn("exec output", move || {
            exec_output(&fd, kind, &shared);
            let _ = done.send(());
        });
        outputs.push(over);
    }
    let code = session.child.wait().map_or(255, sandbox::ExitStatus::code);
    // What it left running may hold its streams open for ever.
    let deadline = Instant::now() + LEFTOVERS;
    for over in outputs {
        let _ = over.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    let _ = protocol::send_reply(&*locked(&shared), &Reply::Ended { code });
    let _ = stream.shutdown(std::net::Shutdown::Both);
    locked(&running.sessions).remove(&number);
    Ok(())
}

fn exec_output(from: &OwnedFd, kind: Kind, to: &Mutex<UnixStream>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match rustix::io::read(from, &mut buffer[..]) {
            // The client's leaving does not stop the process; what it says is dropped.
            Ok(count @ 1..) => drop(protocol::send(&*locked(to), kind, &buffer[..count])),
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn exec_input(from: &UnixStream, mut stdin: Option<File>, session: &Session) {
    loop {
        match protocol::receive(from) {
            Ok(Some((Kind::Stdin, bytes))) => {
                if let Some(stdin) = &mut stdin {
                    let _ = stdin.write_all(&bytes);
                }
            }
            Ok(Some((Kind::StdinEnd, _))) if session.terminal.is_none() => stdin = None,
            Ok(Some((Kind::Leave, _))) | Ok(None) | Err(_) => return,
            Ok(Some(_)) => {}
        }
    }
}

/// A process with the container's settings where `exec` says nothing else.
pub(super) fn exec_spec(running: &Running, exec: &Exec) -> Result<ExecSpec> {
    let config = &running.start.config;
    if exec.args.is_empty() {
        return Err(Error::invalid("command", "", "it is empty"));
    }
    let user = exec.user.as_deref().unwrap_or(&config.user);
    let user = sandbox::user::lookup_with_groups(running.root.as_fd(), user, &config.options.group_add)?;
    let mut env = super::prepare::environment(config, &user, exec.tty);
    for entry in &exec.env {
        let name = entry.split('=').next().unwrap_or_default();
        env.retain(|known| known.split('=').next() != Some(name));
        env.push(entry.clone());
    }
    let mut spec = ExecSpec::new(exec.args.iter().map(Into::into).collect());
    spec.env = env.into_iter().map(Into::into).collect();
    spec.cwd = exec.cwd.as_deref().unwrap_or(if config.cwd.is_empty() { "/" } else { &config.cwd }).into();
    (spec.uid, spec.gid, spec.additional_gids) = (user.uid, user.gid, user.additional_gids);
    spec.capabilities =
        if exec.privileged { Capabilities::ALL } else { super::prepare::capabilities(config)? };
    spec.no_new_privileges = config.options.no_new_privileges;
    if config.options.seccomp_unconfined || config.options.privileged || exec.privileged {
        spec.seccomp = Seccomp::Unconfined;
    }
    spec.rlimits = super::prepare::rlimits(config)?;
    spec.oom_score_adj = config.options.oom_score_adj;
    Ok(spec)
}

/// Runs a process to its end or for this long, and gives its exit code and the beginning of its output.
pub(super) fn run_check(
    running: &Running,
    exec: &Exec,
    limit: std::time::Duration,
) -> Result<(Option<i32>, String)> {
    const MOST: usize = 4096;
    let spec = exec_spec(running, exec)?;
    let child = running.launcher.exec_in(running.child.pid(), &spec, &Stdio::piped())?;
    let said = Mutex::new(Vec::new());
    let status = std::thread::scope(|scope| {
        let said = &said;
        for fd in [child.take_stdout(), child.take_stderr()].into_iter().flatten() {
            scope.spawn(move || {
                let mut buffer = vec![0; MOST];
                while let Ok(count @ 1..) = rustix::io::read(&fd, &mut buffer[..]) {
                    let mut said = locked(said);
                    let room = MOST.saturating_sub(said.len()).min(count);
                    said.extend_from_slice(&buffer[..room]);
                }
            });
        }
        let status = child.wait_timeout(limit)?;
        if status.is_none() {
            child.kill(9)?;
            child.wait()?;
        }
        Ok::<_, Error>(status)
    })?;
    let text = String::from_utf8_lossy(&said.into_inner().unwrap_or_default()).into_owned();
    Ok((status.map(sandbox::ExitStatus::code), text))
}

impl Running {
    fn session(&self, number: u64) -> Option<Arc<Session>> {
        locked(&self.sessions).get(&number).cloned()
    }
}

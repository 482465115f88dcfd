//! A socket of ours for one step, and the filter behind it.
//!
//! Messages of the agent protocol (draft-ietf-sshm-ssh-agent) are `uint32 length, byte type, content`. Requests
//! 11 (list the keys) and 13 (sign) are answered; all others get 5 (failure).

use super::bytes::{Reader, put_number, put_string};
use super::key::PrivateKey;
use super::{Agent, Backend, MAX_MESSAGE};
use rustix::net::{Shutdown, shutdown};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// How many connections one step may have open at once.
const MAX_CONNECTIONS: usize = 64;

/// A listening socket that speaks for an agent. When it is dropped, it is closed with all its connections.
#[derive(Debug)]
pub struct Forward {
    listener: Arc<UnixListener>,
    open: Arc<Open>,
    accepting: Option<JoinHandle<()>>,
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Open(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// No more connections are wanted.
    closed: bool,
    /// Both ends of each connection, by its number.
    streams: Vec<(u64, Arc<UnixStream>)>,
    next: u64,
}

impl Forward {
    /// Answers on a listening socket for an agent until it is dropped.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(agent: Arc<Agent>, listener: UnixListener) -> io::Result<Self> {
        let listener = Arc::new(listener);
        let open = Arc::new(Open::default());
        let (accepts, opens) = (listener.clone(), open.clone());
        let accepting = thread::Builder::new()
            .name("ssh agent".to_owned())
            .spawn(move || accept(&agent, &accepts, &opens))?;
        Ok(Self { listener, open, accepting: Some(accepting) })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        {
            let mut state = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.closed = true;
            for (_, stream) in state.streams.drain(..) {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
        // This ends a wait in accept.
        let _ = shutdown(&*self.listener, Shutdown::Both);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Open {
    /// Keeps a connection so that it can be closed from outside; nothing where there are too many, or the end is near.
    fn add(&self, stream: &Arc<UnixStream>) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Two streams a connection: the step's and the agent's.
        if state.closed || state.streams.len() >= 2 * MAX_CONNECTIONS {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.streams.push((number, stream.clone()));
        Some(number)
    }

    fn remove(&self, number: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.streams.retain(|(known, _)| *known != number);
    }

    /// Does something with a connection while it can be closed from outside.
    fn during(&self, stream: &Arc<UnixStream>, work: impl FnOnce()) {
        let Some(number) = self.add(stream) else { return };
        work();
        // Whoever reads the other way must see the end, too.
        let _ = stream.shutdown(std::net::Shutdown::Both);
        self.remove(number);
    }
}

fn accept(agent: &Arc<Agent>, listener: &UnixListener, open: &Arc<Open>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => Arc::new(stream),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) if open.0.lock().unwrap_or_else(PoisonError::into_inner).closed => return,
            // Such as too many open files: those that wait are served a little later.
            Err(_) => {
                thread::sleep(std::time::Duration::from_millis(50));
                continue;
            }
        };
        let (agent, open) = (agent.clone(), open.clone());
        let work = move || open.during(&stream, || serve(&agent, &stream, &open));
        // A connection that cannot be served is closed: the thread's stream goes with it.
        let _ = thread::Builder::new().name("ssh agent".to_owned()).spawn(work);
    }
}

/// One connection of the step. Errors end it, as an agent would.
fn serve(agent: &Agent, step: &UnixStream, open: &Arc<Open>) {
    match &agent.0 {
        Backend::Keys(keys) => {
            let _ = answer_all(step, |request| Ok(answer(keys, request)));
        }
        Backend::Socket { path, raw } => {
            let Ok(agent) = connect(path) else { return };
            open.during(&agent, || {
                if *raw {
                    pass_on(step, &agent);
                } else {
                    let _ = answer_all(step, |request| ask(&agent, request));
                }
            });
        }
    }
}

fn connect(path: &Path) -> io::Result<Arc<UnixStream>> {
    UnixStream::connect(path).map(Arc::new)
}

/// Answers a step's requests, one after the other; those that are not allowed fail.
fn answer_all(
    mut step: &UnixStream,
    mut ask: impl FnMut(&[u8]) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<()> {
    while let Some(request) = read(step)? {
        let allowed = matches!(request.first(), Some(&(REQUEST_IDENTITIES | SIGN_REQUEST)));
        let answer = if allowed { ask(&request)? } else { None };
        step.write_all(&framed(&answer.unwrap_or_else(|| vec![FAILURE])))?;
    }
    Ok(())
}

/// The answer of the user's agent.
fn ask(mut agent: &UnixStream, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
    agent.write_all(&framed(request))?;
    let answer = read(agent)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Some(answer))
}

/// The answer of keys that are held here; nothing is a failure.
fn answer(keys: &[PrivateKey], request: &[u8]) -> Option<Vec<u8>> {
    let (kind, content) = request.split_first()?;
    if *kind == REQUEST_IDENTITIES {
        let mut answer = vec![IDENTITIES_ANSWER];
        put_number(&mut answer, keys.len());
        for key in keys {
            put_string(&mut answer, key.public());
            // The comment, which mostly is a user's name and that of a machine.
            put_string(&mut answer, b"");
        }
        return Some(answer);
    }
    let mut content = Reader(content);
    let (public, data, flags) = (content.string()?, content.string()?, content.number()?);
    let key = keys.iter().find(|key| key.public() == public)?;
    let mut answer = vec![SIGN_RESPONSE];
    put_string(&mut answer, &key.sign(data, flags)?);
    Some(answer)
}

/// One message without its length; nothing at the end.
fn read(mut from: &UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_MESSAGE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a message of the agent protocol is too long",
        ));
    }
    // No more room is made than bytes arrive.
    let mut message = Vec::new();
    from.take(length as u64).read_to_end(&mut message)?;
    if message.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(message))
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(message.len() + 4);
    put_string(&mut framed, message);
    framed
}

/// Everything in both directions.
fn pass_on(step: &UnixStream, agent: &UnixStream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to) = (step, agent);
            let _ = io::copy(&mut from, &mut to);
            let _ = agent.shutdown(std::net::Shutdown::Write);
        });
        let (mut from, mut to) = (agent, step);
        let _ = io::copy(&mut from, &mut to);
        let _ = step.shutdown(std::net::Shutdown::Both);
    });
}

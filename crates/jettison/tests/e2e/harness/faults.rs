//! A proxy before a registry that breaks one exchange in a chosen way.
//!
//! A clean run through it tells the points at which something can break: every exchange (a request and its answer),
//! named by its method, its target and how many like it came before; what an upload is called by chance is left out of
//! the target. A [`Fault`] at such a point is then the only thing that differs from the clean run.

use super::Registry;
use super::wire::{Message, read_head, read_message};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a stall lasts at most; whoever waits for less must have given up before.
const STALL: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// One exchange of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) method: String,
    /// Path and query, `*` for the names and states of uploads.
    pub(crate) target: String,
    /// How many exchanges of the same method and target came before.
    pub(crate) nth: u32,
}

/// What went over the wire at a point of a clean run.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) point: Point,
    /// Bytes of the request's body.
    pub(crate) sent: usize,
    /// Bytes of the answer's beginning, its empty line included.
    pub(crate) head: usize,
    /// Bytes of the answer's body.
    pub(crate) got: usize,
}

/// How an exchange breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of the request's body; the registry sees them, too.
    CutRequest(usize),
    /// The connection of an upload ends after so many bytes, and they are kept, as docker-registry does not: the state of
    /// the upload tells how many there are, and what is sent later is added to them.
    KeepRequest(usize),
    /// After so many bytes of the request's body no more are taken.
    StallRequest(usize),
    /// This byte of the request's body changes.
    FlipRequest(usize),
    /// The registry answers, and the connection ends after so many bytes of that, the head's included.
    CutAnswer(usize),
    /// The registry answers, and nothing comes after so many bytes.
    StallAnswer(usize),
    /// This byte of the answer's body changes.
    FlipAnswer(usize),
    /// The answer's body lacks its last byte, and says so in its length.
    Shorter,
    /// The answer's body has one byte more.
    Longer,
    /// The answer names the digest of something else.
    OtherDigest,
    /// The registry is not asked; this comes instead: status, headers, body.
    Instead(u16, &'static [&'static str], &'static str),
}

impl Fault {
    /// Whether it goes by, so that whoever tries again finds everything well.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::CutRequest(_)
            | Self::KeepRequest(_)
            | Self::StallRequest(_)
            | Self::CutAnswer(_)
            | Self::StallAnswer(_) => true,
            Self::Instead(status, ..) => matches!(status, 429 | 500..),
            _ => false,
        }
    }
}

/// What is wanted of the proxy, and what it saw.
#[derive(Default)]
struct Plan {
    fault: Mutex<Option<(Point, Fault, bool)>>,
    counts: Mutex<HashMap<(String, String), u32>>,
    seen: Mutex<Vec<Exchange>>,
    fired: AtomicU32,
    /// What there is of uploads that were cut and kept, by their paths.
    kept: Mutex<HashMap<String, Vec<u8>>>,
    /// How long every exchange takes at least, in milliseconds; bodies of answers trickle all that time.
    slow: AtomicU64,
    /// How many exchanges of blobs are under way, and the most there were.
    blobs: Mutex<(u32, u32)>,
}

/// The proxy; it ends when it is dropped.
pub(crate) struct FaultProxy {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    plan: Arc<Plan>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// A proxy before `registry` that breaks nothing.
    pub(crate) fn before(registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (plan, stop) = (Arc::<Plan>::default(), Arc::new(AtomicBool::new(false)));
        let (kept, stopped, place) = (plan.clone(), stop.clone(), registry.address.clone());
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (plan, place) = (kept.clone(), place.clone());
                // A side that goes away ends its connection, nothing else.
                std::thread::spawn(move || drop(serve(&client.unwrap(), &place, &plan)));
            }
        });
        Self { address, plan, stop, thread: Some(thread) }
    }

    /// Breaks the exchange at `point`: once, or that and every later one like it with `always`.
    pub(crate) fn break_at(&self, point: &Point, fault: &Fault, always: bool) {
        *self.plan.fault.lock().unwrap() = Some((point.clone(), fault.clone(), always));
    }

    /// Breaks nothing any more. Gives how many exchanges were broken.
    pub(crate) fn mend(&self) -> u32 {
        *self.plan.fault.lock().unwrap() = None;
        self.plan.fired.load(Ordering::Relaxed)
    }

    /// From now on every exchange takes at least so many milliseconds.
    pub(crate) fn slow(&self, milliseconds: u64) {
        self.plan.slow.store(milliseconds, Ordering::Relaxed);
    }

    /// How many exchanges of blobs there were at once, at most.
    pub(crate) fn busiest(&self) -> u32 {
        self.plan.blobs.lock().unwrap().1
    }

    /// The exchanges so far.
    pub(crate) fn seen(&self) -> Vec<Exchange> {
        self.plan.seen.lock().unwrap().clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a client.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Plan {
    /// Which exchange this is, and how it breaks, if it does.
    fn next(&self, request: &Message) -> (Point, Option<Fault>) {
        let mut words = request.start.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let target = steady(&words.next().unwrap_or_default());
        let nth = {
            let mut counts = self.counts.lock().unwrap();
            let count = counts.entry((method.clone(), target.clone())).or_default();
            *count += 1;
            *count - 1
        };
        let point = Point { method, target, nth };
        let fault = self.fault.lock().unwrap();
        let fault = fault.as_ref().filter(|(at, _, always)| {
            (&at.method, &at.target) == (&point.method, &point.target)
                && (point.nth == at.nth || (*always && point.nth > at.nth))
        });
        let fault = fault.map(|(_, fault, _)| fault.clone());
        self.fired.fetch_add(u32::from(fault.is_some()), Ordering::Relaxed);
        (point, fault)
    }
}

/// A target without what is made up for one upload.
fn steady(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match path.split_once("/blobs/uploads/") {
        Some((repository, name)) if !name.is_empty() => format!("{repository}/blobs/uploads/*"),
        _ => path.to_owned(),
    };
    let query: Vec<&str> =
        query.split('&').filter(|part| !part.is_empty() && !part.starts_with("_state=")).collect();
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// Serves one connection until one side ends it.
fn serve(client: &TcpStream, place: &str, plan: &Plan) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(mut request) = read_head(&mut reader)? {
        let (point, fault) = plan.next(&request);
        let length = request.length().unwrap_or(0);
        let target = request.target().to_owned();
        let path = target.split('?').next().unwrap_or_default();
        let kept = plan.kept.lock().unwrap().get(path).cloned();
        if let (Some(kept), "GET") = (&kept, point.method.as_str()) {
            let mut answer = Message { start: "HTTP/1.1 204 No Content".to_owned(), ..Message::default() };
            answer.set("Location", &target);
            answer.set("Range", &format!("0-{}", kept.len() - 1));
            answer.write(&mut &*client, true)?;
            plan.seen.lock().unwrap().push(Exchange { point, sent: 0, head: answer.head().len(), got: 0 });
            continue;
        }
        match fault {
            Some(Fault::Instead(status, headers, body)) => {
                request.take_body(&mut reader, length)?;
                let mut answer = Message { start: format!("HTTP/1.1 {status} Fault"), ..Message::default() };
                answer.headers = headers.iter().map(|line| (*line).to_owned()).collect();
                answer.body = body.into();
                answer.set("Content-Length", &body.len().to_string());
                answer.write(&mut &*client, point.method == "HEAD")?;
                continue;
            }
            Some(Fault::CutRequest(at)) => {
                request.take_body(&mut reader, at.min(length))?;
                let mut registry = TcpStream::connect(place)?;
                request.write(&mut registry, false)?;
                registry.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::KeepRequest(at)) => {
                request.take_body(&mut reader, at.min(length))?;
                plan.kept.lock().unwrap().insert(path.to_owned(), request.body);
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::StallRequest(at)) => {
                request.take_body(&mut reader, at.min(length))?;
                return stall(client);
            }
            _ => request.take_body(&mut reader, length)?,
        }
        if let Some(Fault::FlipRequest(at)) = fault
            && let Some(byte) = request.body.get_mut(at)
        {
            *byte ^= 1;
        }
        let sent = request.body.len();
        if let Some(kept) = kept {
            request.go_on(kept)?;
        }
        let _blob = Underway::of(plan, &point);
        let mut answer = ask(place, &request)?;
        let bodiless = point.method == "HEAD";
        let head = answer.head().len();
        plan.seen.lock().unwrap().push(Exchange { point, sent, head, got: answer.body.len() });
        match fault {
            Some(Fault::FlipAnswer(at)) => {
                if let Some(byte) = answer.body.get_mut(at) {
                    *byte ^= 1;
                }
            }
            Some(Fault::Shorter) => {
                answer.body.pop();
                answer.set("Content-Length", &answer.body.len().to_string());
            }
            Some(Fault::Longer) => {
                answer.body.push(b' ');
                answer.set("Content-Length", &answer.body.len().to_string());
            }
            Some(Fault::OtherDigest) => {
                answer.set("Docker-Content-Digest", &format!("sha256:{}", "5".repeat(64)));
            }
            _ => {}
        }
        let mut bytes = answer.head();
        if !bodiless {
            bytes.extend_from_slice(&answer.body);
        }
        match fault {
            Some(Fault::CutAnswer(at)) => {
                (&*client).write_all(&bytes[..at.min(bytes.len())])?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::StallAnswer(at)) => {
                (&*client).write_all(&bytes[..at.min(bytes.len())])?;
                return stall(client);
            }
            _ => trickle(client, &bytes, plan.slow.load(Ordering::Relaxed))?,
        }
    }
    Ok(())
}

/// An exchange of a blob while it lasts.
struct Underway<'a>(Option<&'a Plan>);

impl<'a> Underway<'a> {
    fn of(plan: &'a Plan, point: &Point) -> Self {
        if !point.target.contains("/blobs/") || point.method == "HEAD" {
            return Self(None);
        }
        let (now, most) = &mut *plan.blobs.lock().unwrap();
        *now += 1;
        *most = (*most).max(*now);
        Self(Some(plan))
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(plan) = self.0 {
            plan.blobs.lock().unwrap().0 -= 1;
        }
    }
}

/// Writes it in equal parts over so many milliseconds.
fn trickle(client: &TcpStream, bytes: &[u8], milliseconds: u64) -> std::io::Result<()> {
    const PARTS: u32 = 20;
    let part = if milliseconds == 0 { bytes.len() } else { bytes.len().div_ceil(PARTS as usize) };
    for part in bytes.chunks(part) {
        std::thread::sleep(Duration::from_millis(milliseconds) / PARTS);
        (&*client).write_all(part)?;
    }
    Ok(())
}

/// Sends a request to the registry, with a connection of its own, and takes the whole answer.
fn ask(place: &str, request: &Message) -> std::io::Result<Message> {
    let mut registry = TcpStream::connect(place)?;
    let mut request = request.clone();
    request.set("Connection", "close");
    request.write(&mut registry, false)?;
    let head = request.start.starts_with("HEAD ");
    let mut answer = read_message(&mut BufReader::new(registry), head)?;
    answer.headers.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    Ok(answer)
}

/// Waits until the client goes away. What it still sends stays in the kernel's buffers, as with a server that hangs.
fn stall(client: &TcpStream) -> std::io::Result<()> {
    let mut fds = [PollFd::new(client, PollFlags::RDHUP)];
    poll(&mut fds, Some(&STALL))?;
    Ok(())
}

/// Everything a registry holds under a name, by its own address: manifest, configuration and layers, each checked by
/// its digest. Nothing where the name is not there.
pub(crate) fn held(registry: &Registry, repository: &str, tag: &str) -> Option<usize> {
    let get = |target: &str| {
        let mut request = Message::request(&format!("GET {target} HTTP/1.1"), &registry.address);
        request.set("Accept", "application/vnd.oci.image.manifest.v1+json");
        ask(&registry.address, &request).unwrap()
    };
    let answer = get(&format!("/v2/{repository}/manifests/{tag}"));
    if answer.status() == 404 {
        return None;
    }
    assert_eq!(answer.status(), 200, "{answer:?}");
    let manifest: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    for descriptor in layers.iter().chain([&manifest["config"]]) {
        let digest = descriptor["digest"].as_str().unwrap();
        let blob = get(&format!("/v2/{repository}/blobs/{digest}"));
        assert_eq!(blob.status(), 200, "{repository}:{tag} lacks {digest}");
        assert_eq!(oci::Digest::of(&blob.body).to_string(), digest);
    }
    Some(layers.len())
}

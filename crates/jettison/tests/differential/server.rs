//! A web server on the loopback for a case whose `setup.sh` makes `../server`: the files of that folder.
//!
//! `NAME.headers` beside a file has more lines for the head of its answer; a line `Status: 302 Found` is the status.
//! In `args` the text `{server}` is its address, and in what builds made the address is `{server}` again.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A server, ended when it is dropped.
pub(crate) struct Server {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the files of a folder.
    pub(crate) fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // A builder that hangs up is no fault of the server's.
                let _ = stream.and_then(|stream| answer(&stream, &folder));
            }
        });
        Self { port, ended, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread up.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Answers one request and hangs up.
fn answer(stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let mut out = stream;
    let bytes = fs::read(folder.join(path)).ok().filter(|_| !path.split('/').any(|part| part == ".."));
    let Some(bytes) = bytes else {
        return out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut status = "200 OK".to_owned();
    let mut head = format!("Content-Length: {}\r\nConnection: close\r\n", bytes.len());
    for line in fs::read_to_string(folder.join(format!("{path}.headers"))).unwrap_or_default().lines() {
        match line.strip_prefix("Status: ") {
            Some(other) => other.clone_into(&mut status),
            None => head += &format!("{line}\r\n"),
        }
    }
    write!(out, "HTTP/1.1 {status}\r\n{head}\r\n")?;
    if method == "GET" { out.write_all(&bytes) } else { Ok(()) }
}

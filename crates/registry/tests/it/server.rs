//! Servers for tests: Debian's registry as a process, and scripted ones in a thread.

use oci::{Descriptor, Digest, Hasher, Reference, media_type};
use registry::{Client, Error, Options};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Options that lose no time.
pub(crate) fn quick() -> Options {
    let mut options = Options::default();
    options.retry.first_delay = Duration::from_millis(5);
    options.timeouts.stall = Duration::from_secs(1);
    options
}

pub(crate) fn client() -> Client {
    Client::new(quick()).unwrap()
}

/// `docker-registry serve`, ended on drop.
pub(crate) struct Real {
    child: Child,
    pub(crate) host: String,
    _dir: tempfile::TempDir,
}

impl Real {
    /// `htpasswd`: lines of `user:bcrypt`.
    pub(crate) fn start(htpasswd: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut auth = String::new();
        if let Some(text) = htpasswd {
            let file = dir.path().join("htpasswd");
            std::fs::write(&file, text).unwrap();
            auth = format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", file.display());
        }
        Self::launch(dir, "", &auth)
    }

    /// With TLS; with `client_authority` only for clients with a certificate from it.
    pub(crate) fn start_tls(certificate: &Path, key: &Path, client_authority: Option<&Path>) -> Self {
        let mut tls = format!("certificate: {}, key: {}", certificate.display(), key.display());
        if let Some(authority) = client_authority {
            tls.push_str(&format!(", clientcas: [{}]", authority.display()));
        }
        Self::launch(tempfile::tempdir().unwrap(), &format!(", tls: {{{tls}}}"), "")
    }

    fn launch(dir: tempfile::TempDir, tls: &str, auth: &str) -> Self {
        let path = dir.path().join("config.yml");
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '127.0.0.1:0'{tls}}}\n{auth}",
            dir.path().join("data").display()
        );
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's docker-registry is installed");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let host = loop {
            let line = lines.next().expect("the registry says where it listens").unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end =
                    rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
        };
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, host, _dir: dir }
    }

    pub(crate) fn name(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.host).parse().unwrap()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A request as a scripted server sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Where a `Range` begins.
    pub(crate) fn start(&self) -> usize {
        let range = self.header("range").strip_prefix("bytes=").and_then(|text| text.strip_suffix('-'));
        range.map_or(0, |text| text.parse().unwrap())
    }
}

type Script = dyn Fn(&Seen, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A server that does as its script says, one request a connection.
pub(crate) struct Scripted {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    pub(crate) fn start(
        script: impl Fn(&Seen, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (script, stopped, kept): (Arc<Script>, _, _) = (Arc::new(script), stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (script, kept) = (script.clone(), kept.clone());
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    // A client that gives up is what some tests are about.
                    if let Some(request) = read_request(&mut stream) {
                        kept.lock().unwrap().push(request.clone());
                        let _ = script(&request, &mut stream);
                    }
                });
            }
        });
        Self { address, stop, thread: Some(thread), seen }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn name(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    /// `METHOD PATH` of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread out of its wait.
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    // A TLS greeting: this server speaks plain HTTP, and closes.
    if reader.fill_buf().ok()?.first() == Some(&0x16) {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { method, path, headers, body })
}

/// Sends a whole answer; `headers` are lines.
pub(crate) fn answer(
    stream: &mut TcpStream,
    status: &str,
    headers: &[&str],
    body: &[u8],
) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("content-length")) {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    stream.write_all(body)
}

/// Bytes that are never alike twice in a megabyte.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(size).collect()
}

pub(crate) fn blob_of(bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(bytes), bytes.len() as u64)
}

/// Fetches a blob whole.
pub(crate) fn fetch(client: &Client, name: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    client.blob(name, descriptor, Hasher::new(), &mut bytes, &|_| {})?;
    Ok(bytes)
}

/// Pushes a blob, then a manifest of it as configuration; gives the manifest.
pub(crate) fn push_image(client: &Client, name: &Reference, config: &[u8]) -> Vec<u8> {
    let descriptor = blob_of(config);
    push(client, name, config, None).unwrap();
    let manifest = oci::Manifest::oci(descriptor, vec![]).to_bytes();
    client.push_manifest(name, &manifest, media_type::OCI_MANIFEST).unwrap();
    manifest
}

pub(crate) fn push(
    client: &Client,
    name: &Reference,
    bytes: &[u8],
    from: Option<&str>,
) -> Result<registry::Pushed, Error> {
    let open =
        || -> std::io::Result<Box<dyn Read + Send>> { Ok(Box::new(std::io::Cursor::new(bytes.to_vec()))) };
    client.push_blob(name, &blob_of(bytes), &open, from, &|_| {})
}

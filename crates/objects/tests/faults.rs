//! What may go wrong between a store of objects and us, by a server whose answers each test writes.

#![allow(clippy::unwrap_used, reason = "tests")]

use objects::s3::{Credentials, Key, Settings, Store};
use objects::{Blob, Error, Objects, Options, Put};
use oci::Digest;
use session::Hidden;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SECRET: &str = "wJalrXUtnFEMI";

/// One answer: what is written to the connection, with pauses.
#[derive(Clone)]
enum Say {
    Text(String),
    Bytes(Vec<u8>),
    Wait(Duration),
}

/// Answers requests in turn, a connection each, and keeps them. The last answer is for all that come after.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Vec<Vec<Say>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let kept = seen.clone();
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for (at, stream) in listener.incoming().enumerate() {
                let answer = answers[at.min(answers.len() - 1)].clone();
                let kept = kept.clone();
                std::thread::spawn(move || drop(serve(&stream.unwrap(), &kept, &answer)));
            }
        });
        Self { port, seen }
    }

    fn store(&self) -> Store {
        let settings = Settings {
            bucket: "b".to_owned(),
            region: "r".to_owned(),
            prefix: String::new(),
            blobs_prefix: "blobs/".to_owned(),
            manifests_prefix: "manifests/".to_owned(),
            names: vec!["n".to_owned()],
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            path_style: true,
            key: Key::Own(Credentials {
                access_key_id: "id".to_owned(),
                secret_access_key: Hidden::new(SECRET),
                session_token: None,
            }),
            touch_refresh: Duration::from_secs(86_400),
            parallel: 1,
        };
        let mut options = Options { limit: Duration::from_secs(5), ..Options::default() };
        options.web.timeouts.stall = Duration::from_secs(1);
        options.web.retry.attempts = 3;
        options.web.retry.first_delay = Duration::from_millis(10);
        options.web.retry.longest_delay = Duration::from_secs(2);
        Store::new(settings, options).unwrap()
    }

    /// The first lines of the requests until now, with the range that each asked for.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<String>>, answer: &[Say]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length, mut range) = (String::new(), 0, String::new());
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "range" => range = format!(" {value}"),
            _ => {}
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    kept.lock().unwrap().push(format!("{}{range}", first.trim_end().trim_end_matches(" HTTP/1.1")));
    let mut out = stream;
    for say in answer {
        match say {
            Say::Text(text) => out.write_all(text.as_bytes())?,
            Say::Bytes(bytes) => out.write_all(bytes)?,
            Say::Wait(time) => std::thread::sleep(*time),
        }
        out.flush()?;
    }
    Ok(())
}

/// An answer with its length; fewer bytes than that may be sent.
fn answer(status: &str, headers: &str, length: usize, sent: &[u8]) -> Vec<Say> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    vec![Say::Text(head), Say::Bytes(sent.to_vec())]
}

fn whole(status: &str, headers: &str, body: &[u8]) -> Vec<Say> {
    answer(status, headers, body.len(), body)
}

fn document(answers: Vec<Vec<Say>>) -> (Result<Vec<Vec<u8>>, Error>, Vec<String>) {
    let server = Server::start(answers);
    let read = server.store().documents();
    (read, server.seen())
}

#[test]
fn what_may_pass_is_tried_again_and_no_sooner_than_asked() {
    let busy = whole("503 Slow Down", "Retry-After: 1\r\n", b"");
    let begun = Instant::now();
    let (read, seen) = document(vec![busy, whole("200 OK", "", b"{}")]);
    assert_eq!(read.unwrap(), [b"{}"]);
    assert_eq!(seen, ["GET /b/manifests/n", "GET /b/manifests/n"]);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // Longer than is waited for.
    let (read, seen) = document(vec![whole("429 Too Many", "Retry-After: 60\r\n", b"")]);
    assert!(matches!(read, Err(Error::Status { status: 429, .. })), "{read:?}");
    assert_eq!(seen.len(), 1);
    // Three tries, and no more.
    let (read, seen) = document(vec![whole("500 Oh", "", b"")]);
    assert!(matches!(read, Err(Error::Status { status: 500, .. })) && seen.len() == 3, "{read:?} {seen:?}");
    // What does not pass is not tried again.
    let (read, seen) = document(vec![whole("403 No", "", b"")]);
    assert!(matches!(read, Err(Error::Status { status: 403, .. })) && seen.len() == 1, "{read:?} {seen:?}");
}

#[test]
fn nothing_is_there_is_not_an_error_but_no_bucket_is() {
    let xml = |code: &str| format!("<Error><Code>{code}</Code><Message>words</Message></Error>");
    let (read, _) = document(vec![whole("404 Not Found", "", xml("NoSuchKey").as_bytes())]);
    assert!(read.unwrap().is_empty());
    let (read, _) = document(vec![whole("404 Not Found", "", xml("NoSuchBucket").as_bytes())]);
    let said = read.unwrap_err().to_string();
    assert!(said.ends_with("answered 404: NoSuchBucket: words"), "{said}");
}

#[test]
fn what_a_service_says_is_short_and_has_no_secret_in_it() {
    let body = format!("your key {SECRET}\u{1b}[31m is wrong{}\nsecond line", "!".repeat(1000));
    let (read, _) = document(vec![whole("403 No", "", body.as_bytes())]);
    let said = read.unwrap_err().to_string();
    assert!(!said.contains(SECRET) && !said.contains('\u{1b}') && !said.contains("second"), "{said}");
    assert!(said.contains("your key xxxxx[31m is wrong") && said.len() < 500, "{said}");
    let html = whole("502 Bad", "Content-Type: text/html\r\n", b"<html><body>proxy</body></html>");
    let (read, _) = document(vec![html]);
    assert!(read.unwrap_err().to_string().ends_with("answered 502: a web page"));
}

#[test]
fn a_service_that_says_nothing_or_too_slowly_costs_a_limited_time() {
    let begun = Instant::now();
    let (read, seen) = document(vec![vec![Say::Wait(Duration::from_secs(60))]]);
    assert!(matches!(read, Err(Error::Exchange { source: web::Failure::Stalled { .. }, .. })), "{read:?}");
    assert!(seen.len() == 3 && begun.elapsed() < Duration::from_secs(10), "{seen:?}");
    // A byte now and then keeps a connection alive, and no document has so much time.
    let mut drip = answer("200 OK", "", 1000, b"");
    drip.extend((0..100).flat_map(|_| [Say::Wait(Duration::from_millis(500)), Say::Bytes(b"x".to_vec())]));
    let begun = Instant::now();
    let (read, _) = document(vec![drip.clone()]);
    assert!(matches!(read, Err(Error::Late { .. })), "{read:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    // Nor has a blob.
    let server = Server::start(vec![drip]);
    let blob = Blob { digest: Digest::of(b"?"), size: 1000 };
    let begun = Instant::now();
    let read = server.store().blob(blob, &mut Vec::new(), &|_| {});
    assert!(matches!(read, Err(Error::Exchange { source: web::Failure::Stalled { .. }, .. })), "{read:?}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_blob_that_breaks_off_is_taken_up_where_it_broke() {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
    let rest = |from: usize| {
        let range = format!("Content-Range: bytes {from}-99999/100000\r\n");
        whole("206 Partial", &range, &bytes[from..])
    };
    let cut = |sent: usize| answer("200 OK", "", bytes.len(), &bytes[..sent]);
    for (answers, asked) in [
        (vec![cut(40_000), rest(40_000)], " bytes=40000-"),
        // A service that knows no ranges.
        (vec![cut(40_000), whole("200 OK", "", &bytes)], " bytes=40000-"),
        (vec![whole("503 Busy", "", b""), whole("200 OK", "", &bytes)], ""),
    ] {
        let server = Server::start(answers);
        let mut sink = Vec::new();
        server.store().blob(blob, &mut sink, &|_| {}).unwrap();
        assert!(sink == bytes);
        let path = format!("GET /b/blobs/sha256%3A{}", blob.digest.hex());
        assert_eq!(server.seen(), [path.clone(), format!("{path}{asked}")]);
    }
    // Other bytes are none, and neither are more of them.
    let mut other = bytes.clone();
    other[50_000] ^= 1;
    for answers in [
        vec![whole("200 OK", "", &other)],
        vec![whole("200 OK", "", &[&bytes[..], b"x"].concat())],
        vec![cut(40_000), whole("206 Partial", "Content-Range: bytes 7-99999/100000\r\n", &bytes[7..])],
    ] {
        let server = Server::start(answers);
        let read = server.store().blob(blob, &mut Vec::new(), &|_| {});
        assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
    }
}

#[test]
fn a_blob_is_sent_once_and_again_when_that_failed() {
    let file = tempfile::tempfile().unwrap();
    (&file).write_all(&[7; 300_000]).unwrap();
    let blob = Blob { digest: Digest::of(&[7; 300_000]), size: 300_000 };
    let open = || file.try_clone();
    let missing = || whole("404 Not Found", "", b"");
    let server = Server::start(vec![missing(), whole("500 Oh", "", b""), whole("200 OK", "", b"")]);
    assert_eq!(server.store().put_blob(blob, &open, &|_| {}).unwrap(), Put::Sent);
    let methods: Vec<String> = server.seen().iter().map(|seen| seen[..3].to_owned()).collect();
    assert_eq!(methods, ["HEA", "PUT", "PUT"]);
    let now = "Last-Modified: Sun, 06 Nov 2094 08:49:37 GMT\r\n";
    let server = Server::start(vec![answer("200 OK", now, 300_000, b"")]);
    let refuse = || panic!("it is there and must not be opened");
    assert_eq!(server.store().put_blob(blob, &refuse, &|_| {}).unwrap(), Put::Existed);
    // One that is shorter than it says.
    let short = Blob { size: 400_000, ..blob };
    let server = Server::start(vec![missing()]);
    let sent = server.store().put_blob(short, &open, &|_| {});
    assert!(matches!(sent, Err(Error::Local { .. })), "{sent:?}");
}

#[test]
fn work_that_is_not_wanted_any_more_ends() {
    let server = Server::start(vec![vec![Say::Wait(Duration::from_secs(60))]]);
    let begun = Instant::now();
    let wanted = Arc::new(move || begun.elapsed() < Duration::from_millis(300));
    let settings = objects::azure::Settings {
        account_url: format!("http://127.0.0.1:{}/acc", server.port),
        account: "acc".to_owned(),
        key: Hidden::new("a2V5"),
        container: "c".to_owned(),
        prefix: String::new(),
        blobs_prefix: "blobs".to_owned(),
        manifests_prefix: "manifests".to_owned(),
        names: vec!["n".to_owned()],
    };
    let store = objects::azure::Store::new(settings, Options { wanted, ..Options::default() }).unwrap();
    assert!(matches!(store.documents(), Err(Error::Cancelled)));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

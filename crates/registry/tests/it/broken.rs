//! Against servers that lie, stall, refuse or break.

use crate::server::{Scripted, answer, blob_of, client, fetch, noise, push, quick};
use oci::{Digest, Hasher, MAX_DOCUMENT, media_type};
use registry::{Client, Error, Pushed, Unreachable};
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn manifest() -> Vec<u8> {
    oci::Manifest::oci(blob_of(b"{}"), vec![]).to_bytes()
}

#[test]
fn wrong_bytes_are_refused() {
    let server = Scripted::start(|_, stream| answer(stream, "200 OK", &[], b"wrong"));
    let error = fetch(&client(), &server.name("app"), &blob_of(b"right")).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    let found = Digest::of(b"wrong");
    assert!(matches!(error, Error::WrongDigest { found: f, .. } if f == found), "{error}");
    assert!(error.to_string().contains(&server.host()));
    assert_eq!(server.lines().len(), 1, "a lie is not asked for twice");
}

#[test]
fn wrong_lengths_are_refused_before_anything_is_written() {
    for sent in [&b"shor"[..], b"longer"] {
        let server = Scripted::start(move |_, stream| answer(stream, "200 OK", &[], sent));
        let mut sink = Vec::new();
        let error = client()
            .blob(&server.name("app"), &blob_of(b"right"), Hasher::new(), &mut sink, &|_| {})
            .unwrap_err();
        assert!(
            matches!(error, Error::WrongSize { expected: 5, found, .. } if found == sent.len() as u64),
            "{error}"
        );
        assert!(sink.is_empty());
    }
}

#[test]
fn an_endless_answer_is_cut() {
    let server = Scripted::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        while stream.write_all(&[7; 4096]).is_ok() {}
        Ok(())
    });
    let mut sink = Vec::new();
    let descriptor = blob_of(&[7; 10_000]);
    let error =
        client().blob(&server.name("app"), &descriptor, Hasher::new(), &mut sink, &|_| {}).unwrap_err();
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    assert!(sink.len() <= 10_000);
    let error = client().manifest(&server.name("app")).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: MAX_DOCUMENT, .. }), "{error}");
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let bytes = noise(1 << 20);
    let (content, cuts) = (bytes.clone(), AtomicUsize::new(0));
    let server = Scripted::start(move |request, stream| {
        let start = request.start();
        let rest = &content[start..];
        let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
        let length = format!("Content-Length: {}", rest.len());
        let range = format!("Content-Range: bytes {start}-{}/{}", content.len() - 1, content.len());
        let sent = if cuts.fetch_add(1, Ordering::SeqCst) < 3 { &rest[..rest.len() / 2] } else { rest };
        answer(stream, status, &[&length, &range], sent)
    });
    let told = std::cell::RefCell::new(Vec::new());
    let mut got = Vec::new();
    client()
        .blob(&server.name("app"), &blob_of(&bytes), Hasher::new(), &mut got, &|at| {
            told.borrow_mut().push(at)
        })
        .unwrap();
    assert!(got == bytes);
    let starts: Vec<usize> = server.seen().iter().map(|request| request.start()).collect();
    assert_eq!(starts, [0, 524_288, 786_432, 917_504]);
    assert!(told.borrow().is_sorted() && told.borrow().last() == Some(&(1 << 20)));
}

#[test]
fn a_server_without_ranges_is_resumed_by_passing_over() {
    let bytes = noise(100_000);
    let (content, cuts) = (bytes.clone(), AtomicUsize::new(0));
    let server = Scripted::start(move |_, stream| {
        let length = format!("Content-Length: {}", content.len());
        let end = if cuts.fetch_add(1, Ordering::SeqCst) == 0 { 60_000 } else { content.len() };
        answer(stream, "200 OK", &[&length], &content[..end])
    });
    assert!(fetch(&client(), &server.name("app"), &blob_of(&bytes)).unwrap() == bytes);
}

#[test]
fn what_always_breaks_is_given_up() {
    let server = Scripted::start(|_, stream| answer(stream, "200 OK", &["Content-Length: 5"], b""));
    let error = fetch(&client(), &server.name("app"), &blob_of(b"right")).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }) && error.is_unreachable(), "{error}");
    assert_eq!(server.lines().len(), 5);
}

#[test]
fn a_stall_is_ended_and_tried_again() {
    let stalls = AtomicUsize::new(0);
    let server = Scripted::start(move |request, stream| {
        if stalls.fetch_add(1, Ordering::SeqCst) == 0 {
            answer(stream, "200 OK", &["Content-Length: 5"], b"ri")?;
            std::thread::sleep(Duration::from_millis(500));
            return Ok(());
        }
        answer(stream, "206 Partial Content", &[], &b"right"[request.start()..])
    });
    assert_eq!(fetch(&client(), &server.name("app"), &blob_of(b"right")).unwrap(), b"right");

    let silent = Scripted::start(|_, _| {
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    });
    let mut options = quick();
    options.timeouts.stall = Duration::from_millis(100);
    options.retry.attempts = 2;
    let error = Client::new(options).unwrap().manifest(&silent.name("app")).unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    assert!(error.to_string().contains("nothing moved for 0.1 s"), "{error}");
}

#[test]
fn the_server_is_given_the_time_it_asks_for() {
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(move |_, stream| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => answer(stream, "429 Too Many Requests", &["Retry-After: 1"], b""),
        1 => answer(stream, "500 Internal Server Error", &[], b"oops"),
        2 => answer(stream, "503 Service Unavailable", &[], b""),
        _ => answer(stream, "200 OK", &[&format!("Content-Type: {}", media_type::OCI_MANIFEST)], &manifest()),
    });
    let start = Instant::now();
    assert_eq!(client().manifest(&server.name("app")).unwrap().bytes, manifest());
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.lines().len(), 4);

    let busy = Scripted::start(|_, stream| {
        let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#;
        answer(stream, "429 Too Many Requests", &["Retry-After: 3600"], body)
    });
    let start = Instant::now();
    let error = client().manifest(&busy.name("app")).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(60), "an hour is not waited for");
    assert!(matches!(error, Error::TooManyRequests { .. }), "{error}");
    assert!(error.to_string().contains("pull rate limit") && error.to_string().contains("3600 s"), "{error}");
    assert!(error.hint().unwrap().contains("mirror"));
}

#[test]
fn a_failing_server_is_quoted() {
    let server = Scripted::start(|_, stream| {
        answer(stream, "500 Internal Server Error", &["Content-Type: text/plain"], b"disk \x1b[2Jfull\nmore")
    });
    let error = client().manifest(&server.name("app:1")).unwrap_err();
    assert!(matches!(error, Error::Server { status: 500, .. }), "{error}");
    let expected = format!("{0} answered 500 when asked for `{0}/app:1`: disk [2Jfull", server.host());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_web_page_is_no_registry() {
    for status in ["200 OK", "404 Not Found"] {
        let server = Scripted::start(move |_, stream| {
            answer(
                stream,
                status,
                &["Content-Type: text/html; charset=utf-8"],
                b"<html>Log in to the hotel</html>",
            )
        });
        let client = client();
        let name = server.name("app");
        for error in [
            client.manifest(&name).unwrap_err(),
            client.resolve(&name).unwrap_err(),
            fetch(&client, &name, &blob_of(b"right")).unwrap_err(),
        ] {
            assert!(matches!(error, Error::NotARegistry { .. }), "{error}");
        }
    }
}

#[test]
fn a_manifest_must_be_what_it_is_called() {
    let head = format!("Docker-Content-Digest: {}", Digest::of(b"another"));
    let server = Scripted::start(move |_, stream| answer(stream, "200 OK", &[&head], &manifest()));
    let client = client();
    let error = client.manifest(&server.name("app:1")).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    let pinned = server.name("app").with_digest(Digest::of(b"yet another"));
    assert!(client.manifest(&pinned).unwrap_err().is_corrupt());
    assert!(client.resolve(&pinned).unwrap_err().is_corrupt());

    for (body, words) in [
        (&br#"{"schemaVersion":1,"name":"x"}"#[..], "outdated schema 1"),
        (br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "at once"),
        (br#"{"schemaVersion":2}"#, "which is no manifest"),
        (b"[]", "no manifest"),
    ] {
        let server = Scripted::start(move |_, stream| answer(stream, "200 OK", &[], body));
        let error = client.manifest(&server.name("app")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn head_may_be_unknown_or_say_little() {
    for silent in [true, false] {
        let server = Scripted::start(move |request, stream| {
            let kind = format!("Content-Type: {}", media_type::OCI_MANIFEST);
            match request.method.as_str() {
                "HEAD" if silent => answer(stream, "200 OK", &[&kind], b""),
                "HEAD" => answer(stream, "405 Method Not Allowed", &[], b""),
                _ => answer(stream, "200 OK", &[&kind], &manifest()),
            }
        });
        let resolved = client().resolve(&server.name("app:1")).unwrap();
        assert_eq!(resolved.descriptor.digest, Digest::of(&manifest()));
        assert_eq!(server.lines(), ["HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1"]);
    }
}

#[test]
fn nobody_there_is_told_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let start = Instant::now();
    let error = client().manifest(&format!("127.0.0.1:{port}/app").parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { kind: Unreachable::Connection, .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    let error = client().manifest(&"no-such-host.invalid/app".parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { kind: Unreachable::Name, .. }), "{error}");
    assert!(error.is_unreachable() && error.to_string().contains("no-such-host.invalid"), "{error}");
    assert!(error.hint().is_some());
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_broken_upload_goes_on_or_starts_anew() {
    let bytes = noise(300_000);
    for (resumable, takes_rest) in [(true, true), (true, false), (false, false)] {
        let tries = AtomicUsize::new(0);
        let server = Scripted::start(move |request, stream| match request.method.as_str() {
            "HEAD" => answer(stream, "404 Not Found", &[], b""),
            "POST" => answer(stream, "202 Accepted", &["Location: /v2/app/blobs/uploads/1?state=x"], b""),
            "GET" if resumable => {
                let headers = ["Range: 0-99999", "Location: /v2/app/blobs/uploads/1?state=y"];
                answer(stream, "204 No Content", &headers, b"")
            }
            "GET" => answer(stream, "404 Not Found", &[], b""),
            _ if tries.fetch_add(1, Ordering::SeqCst) == 0 => Ok(()),
            _ if !takes_rest && !request.header("content-range").is_empty() => {
                answer(stream, "416 Range Not Satisfiable", &[], b"")
            }
            _ => answer(stream, "201 Created", &[], b""),
        });
        assert_eq!(push(&client(), &server.name("app"), &bytes, None).unwrap(), Pushed::Uploaded);
        let seen = server.seen();
        let methods: Vec<&str> = seen.iter().map(|seen| seen.method.as_str()).collect();
        let last = seen.last().unwrap();
        let digest = Digest::of(&bytes).hex();
        if takes_rest {
            assert_eq!(methods, ["HEAD", "POST", "PUT", "GET", "PUT"]);
            assert!(last.body == bytes[100_000..]);
            assert_eq!(last.header("content-range"), "100000-299999");
            assert_eq!(last.path, format!("/v2/app/blobs/uploads/1?state=y&digest=sha256%3A{digest}"));
        } else {
            let refused: &[&str] = if resumable { &["PUT"] } else { &[] };
            assert_eq!(methods, [&["HEAD", "POST", "PUT", "GET"], refused, &["POST", "PUT"]].concat());
            assert!(last.body == bytes);
            assert_eq!(last.path, format!("/v2/app/blobs/uploads/1?state=x&digest=sha256%3A{digest}"));
        }
    }
}

#[test]
fn a_push_counts_once_the_registry_says_so() {
    let digest = Digest::of(&manifest());
    let put = |status: &'static str, headers: Vec<String>, known: bool| {
        let server = Scripted::start(move |request, stream| {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let digest = format!("Docker-Content-Digest: {digest}");
            match request.method.as_str() {
                "PUT" => answer(stream, status, &headers, b""),
                "HEAD" if known => answer(stream, "200 OK", &[&digest], b""),
                _ => answer(stream, "404 Not Found", &[], b"{}"),
            }
        });
        client().push_manifest(&server.name("app:1"), &manifest(), media_type::OCI_MANIFEST)
    };
    assert_eq!(put("201 Created", vec![], false).unwrap(), digest);
    assert_eq!(put("200 OK", vec![format!("Docker-Content-Digest: {digest}")], false).unwrap(), digest);
    assert_eq!(put("200 OK", vec![], true).unwrap(), digest);
    assert!(put("200 OK", vec![], false).unwrap_err().is_not_found());
    let error = put("200 OK", vec!["Content-Type: text/html".to_owned()], true).unwrap_err();
    assert!(matches!(error, Error::NotARegistry { .. }), "{error}");
}

#[test]
fn a_blob_of_another_length_is_not_there() {
    let server = Scripted::start(|request, stream| match request.method.as_str() {
        "HEAD" => answer(stream, "200 OK", &["Content-Length: 4"], b""),
        "POST" => answer(stream, "202 Accepted", &["Location: /v2/app/blobs/uploads/1"], b""),
        _ => answer(stream, "201 Created", &[], b""),
    });
    assert_eq!(push(&client(), &server.name("app"), b"right", None).unwrap(), Pushed::Uploaded);
}

#[test]
fn tags_come_in_pages() {
    let server = Scripted::start(|request, stream| match request.path.as_str() {
        "/v2/app/tags/list?n=1000" => {
            let link = "Link: </v2/app/tags/list?n=1000&last=b>; rel=\"next\"";
            answer(stream, "200 OK", &[link], br#"{"name":"app","tags":["a","b"]}"#)
        }
        "/v2/app/tags/list?n=1000&last=b" => answer(stream, "200 OK", &[], br#"{"name":"app","tags":["c"]}"#),
        _ => answer(stream, "200 OK", &[], br#"{"name":"none","tags":null}"#),
    });
    assert_eq!(client().tags(&server.name("app")).unwrap(), ["a", "b", "c"]);
    assert!(client().tags(&server.name("none")).unwrap().is_empty());
}

#[test]
fn a_sink_that_fails_ends_it() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let server = Scripted::start(|_, stream| answer(stream, "200 OK", &[], b"right"));
    let error = client()
        .blob(&server.name("app"), &blob_of(b"right"), Hasher::new(), &mut Full, &|_| {})
        .unwrap_err();
    assert!(matches!(&error, Error::Sink { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn a_cancelled_client_ends_at_once() {
    let server = Scripted::start(|_, stream| {
        answer(stream, "200 OK", &["Content-Length: 5"], b"ri")?;
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    });
    let mut options = quick();
    options.timeouts.stall = Duration::from_secs(60);
    let client = Client::new(options).unwrap();
    let name = server.name("app");
    let (begun, waiting) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            client.blob(&name, &blob_of(b"right"), Hasher::new(), &mut Vec::new(), &|_| {
                begun.send(Instant::now()).unwrap();
            })
        });
        waiting.recv().unwrap();
        let start = Instant::now();
        client.cancel();
        assert!(matches!(running.join().unwrap(), Err(Error::Cancelled)));
        assert!(start.elapsed() < Duration::from_secs(20));
    });
    assert!(matches!(client.manifest(&name), Err(Error::Cancelled)));
}

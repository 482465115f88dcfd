//! ADD of files by their URL.

use crate::harness::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Sun, 06 Nov 1994 08:49:37 GMT
const CHANGED: u64 = 784_111_777;
const LAST_MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A site that knows validators: what a client has already is not sent.
fn site(body: &'static [u8]) -> Site {
    Site::start(move |seen| {
        if seen.path.starts_with("/gone") {
            return Reply::status(404);
        }
        if let Some(path) = seen.path.strip_prefix("/moved") {
            return Reply::status(302).header("Location", format!("/other-name?of={path}"));
        }
        let reply =
            if seen.header("if-none-match") == "\"v1\"" { Reply::status(304) } else { Reply::ok(body) };
        reply
            .header("ETag", "\"v1\"")
            .header("Last-Modified", LAST_MODIFIED)
            .header("Content-Disposition", "attachment; filename=\"evil\"")
    })
}

fn sha256(bytes: &[u8]) -> String {
    oci::Digest::of(bytes).to_string()
}

#[test]
fn a_file_is_named_after_its_url_and_has_the_servers_time() {
    let site = site(b"content");
    let context = Context::dockerfile(&format!(
        "FROM scratch\nADD {} /d/\nADD {} /\nADD --chown=1:2 --chmod=0751 {} /as\nADD {} {} local /many/\n",
        site.url("/a/tool%20x.bin?v=1"),
        site.url("/moved/n"),
        site.url("/f"),
        site.url("/g"),
        site.url("/"),
    ));
    context.write("local", "here");
    let files = shared().files_of(&context, &[]);
    let tool = files.get("d/tool x.bin");
    assert_eq!((tool.mode, tool.uid, tool.gid, tool.mtime), (0o600, 0, 0, CHANGED));
    assert_eq!(tool.bytes, b"content");
    assert!(files.has("n"), "a redirect changes no name");
    let other = files.get("as");
    assert_eq!((other.mode, other.uid, other.gid), (0o751, 1, 2));
    assert_eq!(files.get("many/g").bytes, b"content");
    assert_eq!(files.get("many/__unnamed__").mode, 0o600);
    assert_eq!(files.get("many/local").bytes, b"here");
    assert!(!files.has("d/evil"));
}

#[test]
fn a_file_without_a_time_is_of_1970() {
    let site = Site::start(|_| Reply::ok("x"));
    let context = Context::dockerfile(&format!("FROM scratch\nADD {} /\n", site.url("/x")));
    assert_eq!(shared().files_of(&context, &[]).get("x").mtime, 0);
}

#[test]
fn the_server_is_asked_again_and_sends_nothing_twice() {
    let house = own();
    let version = Arc::new(AtomicUsize::new(1));
    let now = version.clone();
    let site = Site::start(move |seen| {
        let tag = format!("\"v{}\"", now.load(Ordering::Relaxed));
        let reply =
            if seen.header("if-none-match") == tag { Reply::status(304) } else { Reply::ok(tag.clone()) };
        reply.header("ETag", tag)
    });
    let context =
        Context::dockerfile(&format!("FROM scratch\nADD {} /f\nCOPY Dockerfile /d\n", site.url("/f")));
    house.build(&context, &[]);
    assert_eq!(site.seen().len(), 1);
    let again = house.build(&context, &[]);
    let seen = site.seen();
    assert_eq!((seen.len(), seen[0].header("if-none-match")), (1, "\"v1\""));
    let steps = again.steps.iter().filter(|step| step.name.starts_with('['));
    assert!(steps.clone().count() == 3 && steps.clone().all(|step| step.cached), "{:?}", again.steps);
    version.store(2, Ordering::Relaxed);
    let files = house.files_of(&context, &[]);
    assert_eq!(files.get("f").bytes, b"\"v2\"");
    // --no-cache runs the step, and asks as always.
    house.build(&context, &["--no-cache"]);
    let seen = site.seen();
    assert_eq!((seen.len(), seen[1].header("if-none-match")), (2, "\"v2\""));
}

#[test]
fn an_unreached_stage_fetches_nothing() {
    let site = site(b"x");
    let context = Context::dockerfile(&format!(
        "FROM scratch AS unused\nADD {0} /\nFROM scratch\nCOPY Dockerfile /\n",
        site.url("/f")
    ));
    shared().build(&context, &[]);
    assert_eq!(site.seen().len(), 0);
}

#[test]
fn with_a_checksum_the_server_is_asked_once() {
    let house = own();
    let site = site(b"content");
    let context =
        Context::dockerfile(&format!("FROM scratch\nARG SUM\nADD --checksum=$SUM {} /f\n", site.url("/f")));
    let good = format!("SUM={}", sha256(b"content"));
    house.build(&context, &["--build-arg", &good]);
    house.build(&context, &["--build-arg", &good]);
    assert_eq!(site.seen().len(), 1);
    let bad = format!("SUM={}", sha256(b"other"));
    let out = house.try_build(&context, &["--build-arg", &bad]).out.fails(1);
    for word in [&site.url("/f"), &sha256(b"content"), &sha256(b"other")] {
        assert!(out.stderr.contains(word), "{}", out.stderr);
    }
}

#[test]
fn a_checksum_belongs_to_one_url() {
    let sum = sha256(b"");
    for (line, words) in [
        (format!("ADD --checksum={sum} Dockerfile /"), "--checksum is for addresses"),
        (format!("ADD --checksum={sum} http://127.0.0.1:1/a Dockerfile /"), "--checksum is for one source"),
        ("ADD --checksum=abc http://127.0.0.1:1/a /".to_owned(), "is no digest"),
    ] {
        let context = Context::dockerfile(&format!("FROM scratch\n{line}\n"));
        let out = shared().try_build(&context, &[]).out.fails(1);
        assert!(out.stderr.contains(words), "{}", out.stderr);
    }
}

#[test]
fn archives_are_unpacked_if_that_is_asked_for() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o640);
    archive.append_data(&mut header, "in/side", &b"text"[..]).unwrap();
    let archive = archive.into_inner().unwrap();
    let site = Site::start(move |_| Reply::ok(archive.clone()));
    let url = site.url("/a.tar");
    let context = Context::dockerfile(&format!(
        "FROM scratch\nADD {url} /packed/\nADD --unpack=true --chown=7 {url} /unpacked\n"
    ));
    let files = shared().files_of(&context, &[]);
    assert!(files.has("packed/a.tar"));
    let inside = files.get("unpacked/in/side");
    assert_eq!((inside.mode, inside.uid, &inside.bytes[..]), (0o640, 7, &b"text"[..]));
}

#[test]
fn what_may_pass_is_tried_again_and_a_cut_transfer_is_taken_up() {
    let body: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let sent = body.clone();
    let tries = AtomicUsize::new(0);
    let site = Site::start(move |seen| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(503),
        1 => Reply { cut: Some(400_000), ..Reply::ok(sent.clone()).header("ETag", "\"x\"") },
        _ => {
            let range = seen.header("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
            let start: usize = range.expect("the rest is asked for").parse().unwrap();
            assert_eq!(seen.header("if-range"), "\"x\"");
            let range = format!("bytes {start}-{}/{}", sent.len() - 1, sent.len());
            Reply { status: 206, ..Reply::ok(&sent[start..]) }
                .header("Content-Range", range)
                .header("ETag", "\"x\"")
        }
    });
    let context = Context::dockerfile(&format!(
        "FROM scratch\nADD --checksum={} {} /f\n",
        sha256(&body),
        site.url("/f")
    ));
    shared().build(&context, &[]);
    let seen = site.seen();
    assert_eq!(seen.len(), 3);
    let start: usize = seen[2].header("range")["bytes=".len()..].trim_end_matches('-').parse().unwrap();
    assert!((1..=400_000).contains(&start), "{start}");
}

#[test]
fn errors_name_the_url() {
    let site = Site::start(|seen| match seen.path.as_str() {
        "/loop" => Reply::status(301).header("Location", "/loop"),
        "/busy" => {
            Reply { status: 418, ..Reply::ok("a\x1b[31mteapot\nor two") }.header("Content-Type", "text/plain")
        }
        _ => Reply::status(404),
    });
    for (path, words) in [
        ("/none", "answered 404"),
        ("/busy", "answered 418: a[31mteapot"),
        ("/loop", "more than 10 redirects"),
    ] {
        let context = Context::dockerfile(&format!("FROM scratch\nADD {} /f\n", site.url(path)));
        let out = shared().try_build(&context, &[]).out.fails(1);
        assert!(out.stderr.contains(&site.url(path)) && out.stderr.contains(words), "{}", out.stderr);
        assert!(out.stderr.contains("--> Dockerfile:2"), "{}", out.stderr);
    }
    let context = Context::dockerfile("FROM scratch\nADD http://127.0.0.1:1/x /f\n");
    let out = shared().try_build(&context, &[]).out.fails(1);
    assert!(out.stderr.contains("127.0.0.1:1"), "{}", out.stderr);
}

#[test]
fn secrets_authorize_and_reach_nobody_else() {
    let other = Site::start(|_| Reply::ok("x"));
    let elsewhere = other.url("/y").replace("127.0.0.1", "localhost");
    let site = Site::start(move |seen| match seen.path.as_str() {
        "/away" => Reply::status(302).header("Location", elsewhere.clone()),
        _ if seen.header("authorization") == "Bearer t0ken" => Reply::ok("x"),
        _ => Reply::status(401),
    });
    let context = Context::dockerfile(&format!(
        "FROM scratch\nADD {} /f\nADD {} /g\n",
        site.url("/f"),
        site.url("/away")
    ));
    let mut command = shared().command(&["build", "--progress", "plain"]);
    command
        .args(["--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN", context.text()])
        .env("TOKEN", "t0ken");
    let out = run(command, LIMIT).ok();
    assert!(!out.stderr.contains("t0ken"), "{}", out.stderr);
    let seen = other.seen();
    assert_eq!((seen.len(), seen[0].header("authorization")), (1, ""));
    let out = shared().try_build(&context, &[]).out.fails(1);
    assert!(out.stderr.contains("HTTP_AUTH_TOKEN_127.0.0.1"), "{}", out.stderr);
}

#[test]
fn a_stalled_server_is_given_up_and_ctrl_c_does_not_wait_for_it() {
    let site = Site::start(|_| Reply { pause: Duration::from_secs(60), ..Reply::ok("x") });
    let context = Context::dockerfile(&format!("FROM scratch\nADD {} /f\n", site.url("/f")));
    let mut command = shared().command(&["build", "--progress", "plain", context.text()]);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while site.seen().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Instant::now();
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn history_says_what_was_added() {
    let site = site(b"x");
    let url = site.url("/f");
    let name = unique("added");
    let context = Context::dockerfile(&format!(
        "FROM scratch\nADD --link --unpack=false --checksum={} --chown=1 {url} /f\n",
        sha256(b"x")
    ));
    shared().build(&context, &["--tag", &name]);
    let history = shared().ok(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", &name]);
    assert_eq!(history.stdout.trim_end(), format!("ADD --chown=1 {url} /f # buildkit"));
}

#[test]
fn a_servers_own_certificate_authority_is_trusted_where_the_host_does() {
    let folder = folder();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("page"), "over TLS").unwrap();
    let mut openssl = std::process::Command::new("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=authority", "-addext", "keyUsage=keyCertSign"])
        .args(["-keyout", &file("ca.key"), "-out", &file("ca.crt")]);
    run(openssl, LIMIT).ok();
    let mut openssl = std::process::Command::new("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-CA",
            &file("ca.crt"),
            "-CAkey",
            &file("ca.key"),
        ])
        .args(["-keyout", &file("server.key"), "-out", &file("server.crt")]);
    run(openssl, LIMIT).ok();
    let port = free_port();
    let mut server = std::process::Command::new("openssl")
        .args(["s_server", "-quiet", "-WWW", "-accept", &format!("127.0.0.1:{port}")])
        .args(["-cert", &file("server.crt"), "-key", &file("server.key")])
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "openssl does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let context = Context::dockerfile(&format!("FROM scratch\nADD https://127.0.0.1:{port}/page /\n"));
    let with = |bundle: Option<String>| {
        let mut command = shared().command(&["build", "--progress", "plain", context.text()]);
        if let Some(bundle) = bundle {
            command.env("SSL_CERT_FILE", bundle);
        }
        run(command, LIMIT)
    };
    let refused = with(None);
    let trusted = with(Some(file("ca.crt")));
    server.kill().unwrap();
    server.wait().unwrap();
    let refused = refused.fails(1);
    assert!(refused.stderr.contains("certificate") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    trusted.ok();
}

//! Certificates and proxies. The registry calls itself `registry.example.com`, and a proxy of the test's own leads
//! there, so that nothing of loopback's exceptions holds.

use crate::server::{Real, Scripted, answer, push_image, quick};
use oci::Reference;
use registry::{Client, Error, Options, Unreachable};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const NAME: &str = "registry.example.com/app:1";

/// Makes a certificate that signs itself, or is signed by another one; gives its path and its key's.
fn certificate(dir: &Path, name: &str, signer: Option<(&Path, &Path)>, more: &[&str]) -> (PathBuf, PathBuf) {
    let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).args(more);
    if let Some((authority, authority_key)) = signer {
        command.arg("-CA").arg(authority).arg("-CAkey").arg(authority_key);
    }
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    (certificate, key)
}

/// A proxy that leads every CONNECT to one place; keeps the requests' heads.
struct Proxy {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(place: &str) -> Self {
        Self::cutting(place, 0)
    }

    /// Closes the first `cuts` connections as soon as they stand. Its threads end with the test's process: they only
    /// wait.
    fn cutting(place: &str, mut cuts: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://me:p%40ss@{}", listener.local_addr().unwrap());
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, place) = (heads.clone(), place.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    client.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                let server = TcpStream::connect(&place).unwrap();
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                if cuts > 0 {
                    cuts -= 1;
                    continue;
                }
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        // One side's end is the other's.
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { url, heads }
    }
}

fn through(proxy: &Proxy, change: impl FnOnce(&mut Options)) -> Client {
    let mut options = quick();
    options.proxies.https = Some(proxy.url.clone());
    change(&mut options);
    Client::new(options).unwrap()
}

fn kind(error: &Error) -> Option<Unreachable> {
    match error {
        Error::Unreachable { kind, .. } => Some(*kind),
        _ => None,
    }
}

#[test]
fn certificates_are_checked_and_authorities_can_be_added() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, authority_key) = certificate(dir.path(), "authority", None, &[]);
    let (own, key) = certificate(
        dir.path(),
        "registry.example.com",
        Some((&authority, &authority_key)),
        &["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    let real = Real::start_tls(&own, &key, None);
    let proxy = Proxy::start(&real.host);
    let name: Reference = NAME.parse().unwrap();

    let error = through(&proxy, |_| {}).manifest(&name).unwrap_err();
    assert_eq!(kind(&error), Some(Unreachable::Certificate), "{error}");
    assert!(error.hint().unwrap().contains("/etc/docker/certs.d/registry.example.com/ca.crt"));
    let head = proxy.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("CONNECT registry.example.com:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6cEBzcw==\r\n"), "{head}");

    let trusting = through(&proxy, |options| options.extra_authorities.push(authority.clone()));
    let manifest = push_image(&trusting, &name, b"{}");
    assert_eq!(trusting.manifest(&name).unwrap().bytes, manifest);
    let careless = through(&proxy, |options| options.insecure.push("registry.example.com".into()));
    assert_eq!(careless.manifest(&name).unwrap().bytes, manifest);

    let certs = dir.path().join("certs.d");
    std::fs::create_dir_all(certs.join("registry.example.com")).unwrap();
    std::fs::copy(&authority, certs.join("registry.example.com/ca.crt")).unwrap();
    let configured =
        through(&proxy, |options| options.certs_dirs = vec![dir.path().join("none"), certs.clone()]);
    assert_eq!(configured.manifest(&name).unwrap().bytes, manifest);
    // Another host of that registry is not covered by its certificate, nor by the folder.
    let other = "other.example.com/app:1".parse().unwrap();
    assert_eq!(kind(&configured.manifest(&other).unwrap_err()), Some(Unreachable::Certificate));
    assert_eq!(kind(&trusting.manifest(&other).unwrap_err()), Some(Unreachable::Certificate));

    std::fs::write(certs.join("registry.example.com/bad.crt"), "no PEM").unwrap();
    let error = through(&proxy, |options| options.certs_dirs = vec![certs]).manifest(&name).unwrap_err();
    assert!(error.to_string().contains("bad.crt"), "{error}");
}

#[test]
fn a_server_certificate_that_signs_itself_can_be_trusted() {
    let dir = tempfile::tempdir().unwrap();
    // As openssl makes it by default, it calls itself an authority.
    let (own, key) = certificate(dir.path(), "registry.example.com", None, &[]);
    let real = Real::start_tls(&own, &key, None);
    let proxy = Proxy::start(&real.host);
    let client = through(&proxy, |options| options.extra_authorities.push(own));
    let manifest = push_image(&client, &NAME.parse().unwrap(), b"{}");
    assert_eq!(client.manifest(&NAME.parse().unwrap()).unwrap().bytes, manifest);
    let error = client.manifest(&"other.example.com/app:1".parse().unwrap()).unwrap_err();
    assert_eq!(kind(&error), Some(Unreachable::Certificate), "{error}");
}

#[test]
fn our_own_certificate_is_shown_where_it_belongs() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, authority_key) = certificate(dir.path(), "authority", None, &[]);
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let signer = Some((authority.as_path(), authority_key.as_path()));
    let (own, key) = certificate(dir.path(), "registry.example.com", signer, &leaf);
    let (mine, my_key) = certificate(dir.path(), "me", signer, &leaf);
    let real = Real::start_tls(&own, &key, Some(&authority));
    let proxy = Proxy::start(&real.host);
    let name: Reference = NAME.parse().unwrap();
    let error = through(&proxy, |options| options.extra_authorities.push(authority.clone())).manifest(&name);
    assert!(error.as_ref().unwrap_err().is_unreachable(), "{error:?}");

    let folder = dir.path().join("certs.d/registry.example.com");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(&authority, folder.join("ca.crt")).unwrap();
    std::fs::copy(&mine, folder.join("client.cert")).unwrap();
    let with = || through(&proxy, |options| options.certs_dirs = vec![dir.path().join("certs.d")]);
    let error = with().manifest(&name).unwrap_err().to_string();
    assert!(error.contains("client.key is missing"), "{error}");
    std::fs::copy(&my_key, folder.join("client.key")).unwrap();
    assert!(with().manifest(&name).unwrap_err().is_not_found());
}

#[test]
fn a_handshake_that_breaks_off_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (own, key) = certificate(dir.path(), "registry.example.com", None, &[]);
    let real = Real::start_tls(&own, &key, None);
    let trusting = |proxy: &Proxy| through(proxy, |options| options.extra_authorities.push(own.clone()));
    let name = NAME.parse().unwrap();
    let proxy = Proxy::cutting(&real.host, 2);
    assert!(trusting(&proxy).manifest(&name).unwrap_err().is_not_found());
    assert_eq!(proxy.heads.lock().unwrap().len(), 3);
    let error = trusting(&Proxy::cutting(&real.host, 100)).manifest(&name).unwrap_err();
    assert_eq!(kind(&error), Some(Unreachable::Handshake), "{error}");
    assert!(error.to_string().contains("the TLS handshake broke off"), "{error}");
}

#[test]
fn plain_http_needs_leave() {
    let plain = Real::start(None);
    let proxy = Proxy::start(&plain.host);
    let error = through(&proxy, |_| {}).manifest(&NAME.parse().unwrap()).unwrap_err();
    assert_eq!(kind(&error), Some(Unreachable::PlainHttp), "{error}");
    assert!(error.hint().unwrap().contains("--tls-verify=false"));

    // Plain HTTP goes to its proxy with the whole URL.
    let relay = Scripted::start(|_, stream| answer(stream, "404 Not Found", &[], b"{}"));
    let client = through(&proxy, |options| {
        options.insecure.push("registry.example.com".into());
        options.proxies.http = Some(format!("http://a:b@{}", relay.host()));
    });
    assert!(client.manifest(&NAME.parse().unwrap()).unwrap_err().is_not_found());
    let seen = relay.seen().remove(0);
    assert_eq!(seen.path, "http://registry.example.com/v2/app/manifests/1");
    assert_eq!(seen.header("proxy-authorization"), "Basic YTpi");
    assert_eq!(seen.header("host"), "registry.example.com");
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let refusing = Scripted::start(|_, stream| answer(stream, "407 Proxy Authentication Required", &[], b""));
    let mut options = quick();
    options.proxies.https = Some(refusing.host());
    let error = Client::new(options).unwrap().manifest(&NAME.parse().unwrap()).unwrap_err();
    assert_eq!(kind(&error), Some(Unreachable::Proxy), "{error}");
    let text = error.to_string();
    assert!(text.contains(&refusing.host()) && text.contains("407"), "{text}");
}

//! Against Debian's registry.

use crate::server::{Real, blob_of, client, fetch, noise, push, push_image, quick};
use oci::{Digest, Hasher, media_type};
use registry::{Client, Credential, Error, Pushed};
use std::cell::RefCell;
use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `hush`, by `htpasswd -nbB -C 4 me hush`.
const HTPASSWD: &str = "me:$2y$04$6cF5BDZM/E3HbV5GboLCAebhRjfnxxSJJ1AWh6sRssHRBj.ZhGXH.";

#[test]
fn what_is_pushed_is_pulled() {
    let server = Real::start(None);
    let client = client();
    let name = server.name("team/app:1");
    let layer = noise(3 << 20);
    let descriptor = blob_of(&layer);
    let told = RefCell::new(Vec::new());
    let open =
        || -> std::io::Result<Box<dyn Read + Send>> { Ok(Box::new(std::io::Cursor::new(layer.clone()))) };
    let pushed = client.push_blob(&name, &descriptor, &open, None, &|at| told.borrow_mut().push(at)).unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert_eq!(told.borrow().last(), Some(&descriptor.size));
    assert!(told.borrow().is_sorted());
    assert_eq!(push(&client, &name, &layer, None).unwrap(), Pushed::Existed);
    let other = server.name("team/other:1");
    assert_eq!(push(&client, &other, &layer, Some("team/app")).unwrap(), Pushed::Mounted);
    // A repository that does not have it: the bytes are sent.
    assert_eq!(push(&client, &other, b"small", Some("team/app")).unwrap(), Pushed::Uploaded);
    assert_eq!(push(&client, &name, b"", None).unwrap(), Pushed::Uploaded);

    let manifest = push_image(&client, &name, b"{}");
    let resolved = client.resolve(&name).unwrap();
    assert_eq!(resolved.descriptor.digest, Digest::of(&manifest));
    assert_eq!(resolved.descriptor.size, manifest.len() as u64);
    assert_eq!(resolved.descriptor.media_type, media_type::OCI_MANIFEST);
    let fetched = client.manifest(&name).unwrap();
    assert_eq!(fetched.descriptor(), resolved.descriptor);
    assert_eq!(fetched.bytes, manifest);
    let pinned = name.with_digest(resolved.descriptor.digest);
    assert_eq!(client.manifest(&pinned).unwrap().bytes, manifest);
    assert_eq!(client.resolve(&pinned).unwrap(), resolved);
    assert_eq!(client.tags(&name).unwrap(), ["1"]);
    assert!(client.has_blob(&name, descriptor.digest).unwrap());
    assert!(!client.has_blob(&name, Digest::of(b"none")).unwrap());

    assert!(fetch(&client, &name, &descriptor).unwrap() == layer);
    assert_eq!(fetch(&client, &name, &blob_of(b"")).unwrap(), b"");
    // Bytes that are fetched from elsewhere when they are wanted, by the same client.
    let third = server.name("team/third:1");
    let elsewhere = || -> std::io::Result<Box<dyn Read + Send>> {
        let bytes = fetch(&client, &name, &descriptor).map_err(std::io::Error::other)?;
        Ok(Box::new(std::io::Cursor::new(bytes)))
    };
    let pushed = client.push_blob(&third, &descriptor, &elsewhere, None, &|_| {}).unwrap();
    assert_eq!(pushed, Pushed::Uploaded);

    // The second half, on top of a first half that is here.
    let mut have = Hasher::new();
    have.update(&layer[..1 << 20]);
    let mut rest = Vec::new();
    client.blob(&name, &descriptor, have, &mut rest, &|_| {}).unwrap();
    assert!(rest == layer[1 << 20..]);
}

#[test]
fn threads_share_a_client() {
    let server = Real::start(None);
    let client = client();
    let name = server.name("app");
    std::thread::scope(|scope| {
        for n in 0..8_u8 {
            let (client, name) = (&client, &name);
            scope.spawn(move || {
                let bytes = [noise(200_000), vec![n]].concat();
                assert_eq!(push(client, name, &bytes, None).unwrap(), Pushed::Uploaded);
                assert!(fetch(client, name, &blob_of(&bytes)).unwrap() == bytes);
            });
        }
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Real::start(None);
    let client = client();
    let name = server.name("none:1");
    for error in [
        client.resolve(&name).unwrap_err(),
        client.manifest(&name).unwrap_err(),
        client.tags(&name).unwrap_err(),
        fetch(&client, &name, &blob_of(b"none")).unwrap_err(),
    ] {
        assert!(error.is_not_found() && !error.is_unreachable(), "{error}");
        let text = error.to_string();
        assert!(text.contains(&server.host) && text.contains("none"), "{text}");
    }
    let text = client.manifest(&name).unwrap_err().to_string();
    assert_eq!(text, format!("{0} does not have `{0}/none:1`: manifest unknown", server.host));
}

#[test]
fn passwords_open_and_their_lack_is_told() {
    let server = Real::start(Some(HTPASSWD));
    let name = server.name("app:1");
    let with = |password: Option<&str>| {
        let mut options = quick();
        if let Some(password) = password {
            let credential = Credential::Basic { user: "me".into(), password: password.into() };
            options.credentials.explicit.insert(server.host.clone(), credential);
        }
        Client::new(options).unwrap()
    };
    let mine = with(Some("hush"));
    let manifest = push_image(&mine, &name, b"{}");
    assert_eq!(mine.manifest(&name).unwrap().bytes, manifest);

    let error = with(None).manifest(&name).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { user: None, .. }), "{error}");
    assert!(error.to_string().contains("asks for a login"), "{error}");
    assert!(error.hint().unwrap().contains(&format!("jettison login {}", server.host)));
    let error = push(&with(Some("wrong")), &name, b"x", None).unwrap_err();
    assert!(matches!(&error, Error::Unauthorized { user: Some(user), .. } if user == "me"), "{error}");

    let secret = |password: &str| Credential::Basic { user: "me".into(), password: password.into() };
    assert_eq!(with(None).login(&server.host, &secret("hush")).unwrap(), secret("hush"));
    assert!(with(None).login(&server.host, &secret("wrong")).unwrap_err().is_unauthorized());
}

#[test]
fn an_upload_with_wrong_bytes_fails() {
    let server = Real::start(None);
    let client = client();
    let name = server.name("app");
    let descriptor = blob_of(b"right");
    for (given, words) in
        [(&b"wrong"[..], "digest"), (b"righ", "ends after 4 bytes"), (b"right!", "more than its 5")]
    {
        let open = || -> std::io::Result<Box<dyn Read + Send>> {
            Ok(Box::new(std::io::Cursor::new(given.to_vec())))
        };
        let error = client.push_blob(&name, &descriptor, &open, None, &|_| {}).unwrap_err();
        let whole = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(whole.contains(words), "{whole}");
    }
    assert!(fetch(&client, &name, &descriptor).unwrap_err().is_not_found());
}

/// Leads to a registry; the first connection that carries much is cut.
fn cutting(place: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, place) = (listener.local_addr().unwrap().to_string(), place.to_owned());
    let cut = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect(&place).unwrap();
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            // Each direction ends with its connection.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back_from, &mut back_to);
                let _ = back_to.shutdown(Shutdown::Both);
            });
            let cut = cut.clone();
            std::thread::spawn(move || {
                let (mut buffer, mut passed) = (vec![0; 64 << 10], 0);
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    passed += read;
                    if server.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                    if passed > 2 << 20 && !cut.swap(true, Ordering::SeqCst) {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

#[test]
fn an_upload_that_was_cut_arrives_whole() {
    let server = Real::start(None);
    let relay = cutting(&server.host);
    let client = client();
    let bytes = noise(6 << 20);
    let told = RefCell::new(Vec::new());
    let open =
        || -> std::io::Result<Box<dyn Read + Send>> { Ok(Box::new(std::io::Cursor::new(bytes.clone()))) };
    let name: oci::Reference = format!("{relay}/app").parse().unwrap();
    let pushed =
        client.push_blob(&name, &blob_of(&bytes), &open, None, &|at| told.borrow_mut().push(at)).unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert!(fetch(&client, &server.name("app"), &blob_of(&bytes)).unwrap() == bytes);
    let told = told.borrow();
    assert!(!told.is_sorted(), "the upload began twice: {told:?}");
}

//! Mirrors, locations and redirects.

use crate::server::{Real, Scripted, answer, blob_of, client, fetch, noise, push_image, quick};
use oci::Reference;
use registry::{Client, Error, RegistriesConf};
use std::net::TcpListener;

fn mirrored(mirror: &str, real: &str) -> Client {
    let mut options = quick();
    options.registries = RegistriesConf::parse(&format!(
        "[[registry]]\nprefix = 'example.com'\nlocation = '{real}'\n[[registry.mirror]]\nlocation = '{mirror}'\ninsecure = true"
    ))
    .unwrap();
    Client::new(options).unwrap()
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_where_it_fails() {
    let real = Real::start(None);
    let manifest = push_image(&client(), &real.name("app:1"), b"{}");
    let name: Reference = "example.com/app:1".parse().unwrap();

    let other = Real::start(None);
    let mirror = mirrored(&other.host, &real.host);
    assert_eq!(mirror.manifest(&name).unwrap().endpoint.host, real.host, "the mirror has nothing yet");
    push_image(&client(), &other.name("app:1"), b"{}");
    let resolved = mirror.resolve(&name).unwrap();
    assert_eq!((resolved.endpoint.host.as_str(), resolved.endpoint.mirror), (other.host.as_str(), true));

    // Nobody there: the registry serves, and later requests do not knock again.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mirror = mirrored(&closed, &real.host);
    assert_eq!(mirror.manifest(&name).unwrap().bytes, manifest);
    assert_eq!(fetch(&mirror, &name, &blob_of(b"{}")).unwrap(), b"{}");
}

#[test]
fn a_lying_mirror_is_not_asked_again() {
    let real = Real::start(None);
    push_image(&client(), &real.name("app:1"), b"{}");
    let liar = Scripted::start(|_, stream| answer(stream, "200 OK", &[], b"[]"));
    let mirror = mirrored(&liar.host(), &real.host);
    let name: Reference = "example.com/app:1".parse().unwrap();
    let error = fetch(&mirror, &name, &blob_of(b"{}")).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains(&liar.host()), "{error}");
    assert_eq!(fetch(&mirror, &name, &blob_of(b"{}")).unwrap(), b"{}");
    assert_eq!(liar.lines().len(), 1);
    // A document is held back until it is checked: the next one is asked at once.
    let liar = Scripted::start(|_, stream| {
        let announced = format!("Docker-Content-Digest: {}", oci::Digest::of(b"x"));
        answer(stream, "200 OK", &[&announced], b"{}")
    });
    assert_eq!(mirrored(&liar.host(), &real.host).manifest(&name).unwrap().endpoint.host, real.host);
}

#[test]
fn a_blob_may_come_in_parts_from_several() {
    let bytes = noise(100_000);
    let half = bytes[..50_000].to_vec();
    let mirror = |half: Vec<u8>| {
        Scripted::start(move |request, stream| match request.start() {
            0 => answer(stream, "200 OK", &["Content-Length: 100000"], &half),
            _ => answer(stream, "500 Internal Server Error", &[], b""),
        })
    };
    let content = bytes.clone();
    let real = Scripted::start(move |request, stream| match request.start() {
        0 => answer(stream, "200 OK", &[], &content),
        start => answer(stream, "206 Partial Content", &[], &content[start..]),
    });
    let name: Reference = "example.com/app:1".parse().unwrap();
    let honest = mirror(half.clone());
    assert!(fetch(&mirrored(&honest.host(), &real.host()), &name, &blob_of(&bytes)).unwrap() == bytes);
    assert_eq!(real.seen()[0].start(), 50_000);

    let liar = mirror(half.iter().map(|byte| !byte).collect());
    let client = mirrored(&liar.host(), &real.host());
    assert!(fetch(&client, &name, &blob_of(&bytes)).unwrap_err().is_corrupt());
    assert!(fetch(&client, &name, &blob_of(&bytes)).unwrap() == bytes, "the mirror is not asked again");
}

#[test]
fn all_failures_are_told() {
    let mirror = Scripted::start(|_, stream| answer(stream, "403 Forbidden", &[], b"not you"));
    let real = Real::start(None);
    let error =
        mirrored(&mirror.host(), &real.host).manifest(&"example.com/app:1".parse().unwrap()).unwrap_err();
    assert!(matches!(error, Error::AfterMirrors { .. }) && error.is_not_found(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("not you") && text.contains(&real.host) && text.contains("`example.com/app:1`"),
        "{text}"
    );
}

#[test]
fn blobs_may_be_elsewhere_and_credentials_stay() {
    let storage = Scripted::start(|_, stream| answer(stream, "200 OK", &[], b"right"));
    let target = format!("Location: http://{}/bucket/x?signature=1", storage.host());
    let server = Scripted::start(move |request, stream| {
        if request.header("authorization").is_empty() {
            return answer(stream, "401 Unauthorized", &["WWW-Authenticate: Basic realm=\"r\""], b"");
        }
        match request.path.as_str() {
            "/v2/here" => answer(stream, "200 OK", &[], b"right"),
            path if path.starts_with("/v2/same/") => {
                answer(stream, "307 Temporary Redirect", &["Location: /v2/here"], b"")
            }
            path if path.starts_with("/v2/loop/") => {
                answer(stream, "302 Found", &[&format!("Location: {path}")], b"")
            }
            _ => answer(stream, "307 Temporary Redirect", &[&target], b""),
        }
    });
    let mut options = quick();
    let secret = registry::Credential::Basic { user: "me".into(), password: "hush".into() };
    options.credentials.explicit.insert(server.host(), secret);
    let client = Client::new(options).unwrap();
    assert_eq!(fetch(&client, &server.name("app"), &blob_of(b"right")).unwrap(), b"right");
    assert_eq!(storage.seen()[0].header("authorization"), "");
    assert_eq!(fetch(&client, &server.name("same/app"), &blob_of(b"right")).unwrap(), b"right");
    let error = fetch(&client, &server.name("loop/app"), &blob_of(b"right")).unwrap_err().to_string();
    assert!(error.contains("more than 10 redirects"), "{error}");
}

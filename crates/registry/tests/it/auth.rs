//! Tokens: a registry and its token server, scripted.

use crate::server::{Scripted, Seen, answer, blob_of, fetch, push, quick};
use base64::Engine as _;
use registry::{Client, Credential, Error, Pushed};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// A registry whose tokens are their scopes, from its own `/token`.
fn guarded(life: u64) -> (Scripted, Arc<Mutex<Vec<String>>>) {
    let revoked: Arc<Mutex<Vec<String>>> = Arc::default();
    let known = revoked.clone();
    let server = Scripted::start(move |request, stream| {
        if request.path.starts_with("/token") {
            return token(request, stream, life);
        }
        let sent = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let needed = if request.method == "GET" || request.method == "HEAD" { "pull" } else { "push" };
        let repository = request.path.split('/').nth(2).unwrap_or_default().to_owned();
        let fits = sent.contains(&format!("repository:{repository}:")) && sent.contains(needed);
        let mut revoked = known.lock().unwrap();
        if !fits || revoked.contains(&sent) {
            // A new token is another one.
            revoked.clear();
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"test registry\",scope=\"repository:{repository}:{needed}\"",
                request.header("host")
            );
            return answer(stream, "401 Unauthorized", &[&challenge], b"");
        }
        match request.method.as_str() {
            "GET" => answer(stream, "200 OK", &[], b"right"),
            "HEAD" => answer(stream, "404 Not Found", &[], b""),
            "POST" if request.path.contains("mount=") => answer(stream, "201 Created", &[], b""),
            "POST" => answer(stream, "202 Accepted", &["Location: uploads/1"], b""),
            _ => answer(stream, "201 Created", &[], b""),
        }
    });
    (server, revoked)
}

fn token(request: &Seen, stream: &mut TcpStream, life: u64) -> std::io::Result<()> {
    let secret = base64::engine::general_purpose::STANDARD.encode("me:hush");
    let form = String::from_utf8(request.body.clone()).unwrap();
    let allowed = match request.method.as_str() {
        "POST" => form.contains("grant_type=refresh_token") && form.contains("refresh_token=identity"),
        _ => {
            matches!(request.header("authorization"), "")
                || request.header("authorization") == format!("Basic {secret}")
        }
    };
    if !allowed {
        return answer(stream, "401 Unauthorized", &[], br#"{"details":"incorrect username or password"}"#);
    }
    let asked = if request.method == "POST" { form } else { request.path.clone() };
    let scopes: Vec<String> = asked
        .split(['?', '&'])
        .filter_map(|part| part.strip_prefix("scope="))
        .map(|scope| scope.replace("%3A", ":").replace("%2C", ",").replace("%2F", "/").replace("%20", ";"))
        .collect();
    let refresh = if asked.contains("offline_token=true") { r#","refresh_token":"identity""# } else { "" };
    let body = format!(r#"{{"token":"t;{}","expires_in":{life}{refresh}}}"#, scopes.join(";"));
    answer(stream, "200 OK", &[], body.as_bytes())
}

fn with(server: &Scripted, credential: Option<Credential>) -> Client {
    let mut options = quick();
    options.credentials.explicit.extend(credential.map(|credential| (server.host(), credential)));
    Client::new(options).unwrap()
}

fn secret(password: &str) -> Option<Credential> {
    Some(Credential::Basic { user: "me".into(), password: password.into() })
}

#[test]
fn one_token_serves_until_it_ends() {
    let (server, revoked) = guarded(300);
    let client = with(&server, None);
    let name = server.name("app");
    for _ in 0..3 {
        assert_eq!(fetch(&client, &name, &blob_of(b"right")).unwrap(), b"right");
    }
    let tokens = || server.lines().iter().filter(|line| line.contains("/token")).count();
    assert_eq!(tokens(), 1, "{:?}", server.lines());
    assert_eq!(server.lines()[1], "GET /token?service=test%20registry&scope=repository%3Aapp%3Apull");
    assert_eq!(server.lines().len(), 5, "the challenge is asked for once");
    // Another repository is another token.
    fetch(&client, &server.name("other"), &blob_of(b"right")).unwrap();
    assert_eq!(tokens(), 2);
    let last = server.lines().into_iter().rfind(|line| line.contains("/token")).unwrap();
    assert_eq!(last, "GET /token?service=test%20registry&scope=repository%3Aother%3Apull");
    revoked.lock().unwrap().push("t;repository:app:pull".into());
    assert_eq!(fetch(&client, &name, &blob_of(b"right")).unwrap(), b"right");
    assert_eq!(tokens(), 3);
}

#[test]
fn threads_wait_for_one_token() {
    let (server, _) = guarded(300);
    let client = with(&server, None);
    let name = server.name("app");
    fetch(&client, &name, &blob_of(b"right")).unwrap();
    let other = server.name("other");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| fetch(&client, &other, &blob_of(b"right")).unwrap());
        }
    });
    let tokens = server.lines().iter().filter(|line| line.contains("/token")).count();
    assert_eq!(tokens, 2, "{:?}", server.lines());
}

#[test]
fn threads_that_begin_together_share_a_token() {
    let (server, _) = guarded(300);
    let client = with(&server, None);
    let name = server.name("app");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| fetch(&client, &name, &blob_of(b"right")).unwrap());
        }
    });
    let tokens = server.lines().iter().filter(|line| line.contains("/token")).count();
    assert_eq!(tokens, 1, "{:?}", server.lines());
}

#[test]
fn a_scope_of_its_own_is_asked_for() {
    let server = Scripted::start(|request, stream| match request.path.as_str() {
        path if path.starts_with("/token") => answer(stream, "200 OK", &[], br#"{"access_token":"t"}"#),
        _ if request.header("authorization") == "Bearer t" => answer(stream, "200 OK", &[], b"right"),
        _ => {
            let host = request.header("host");
            let challenge =
                format!("WWW-Authenticate: Bearer realm=\"http://{host}/token?x=1\",scope=\"aws\"");
            answer(stream, "401 Unauthorized", &[&challenge], b"")
        }
    });
    fetch(&with(&server, None), &server.name("app"), &blob_of(b"right")).unwrap();
    assert_eq!(server.lines()[1], "GET /token?x=1&scope=repository%3Aapp%3Apull&scope=aws");
}

#[test]
fn pushes_ask_for_more_and_mounts_for_both() {
    let (server, _) = guarded(300);
    let client = with(&server, secret("hush"));
    assert_eq!(push(&client, &server.name("app"), b"right", None).unwrap(), Pushed::Uploaded);
    assert_eq!(push(&client, &server.name("app"), b"right", Some("base")).unwrap(), Pushed::Mounted);
    let tokens: Vec<Seen> =
        server.seen().into_iter().filter(|seen| seen.path.starts_with("/token")).collect();
    assert_eq!(
        tokens.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(),
        [
            "/token?service=test%20registry&scope=repository%3Aapp%3Apull%2Cpush&account=me",
            "/token?service=test%20registry&scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull&account=me"
        ]
    );
    let upload = server.seen().into_iter().find(|seen| seen.method == "PUT").unwrap();
    assert!(upload.path.starts_with("/v2/app/blobs/uploads/uploads/1?digest="), "{}", upload.path);
}

#[test]
fn identity_tokens_are_exchanged() {
    let (server, _) = guarded(300);
    let identity = |token: &str| Some(Credential::Identity { user: String::new(), token: token.into() });
    assert_eq!(
        fetch(&with(&server, identity("identity")), &server.name("app"), &blob_of(b"right")).unwrap(),
        b"right"
    );
    let exchange = server.seen().into_iter().find(|seen| seen.path == "/token").unwrap();
    let form = String::from_utf8(exchange.body).unwrap();
    assert!(form.contains("client_id=jettison") && form.contains("scope=repository%3Aapp%3Apull"), "{form}");
    let error =
        fetch(&with(&server, identity("other")), &server.name("app"), &blob_of(b"right")).unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
}

#[test]
fn a_login_is_checked_and_gives_what_to_keep() {
    let (server, _) = guarded(300);
    let client = with(&server, None);
    let kept = client.login(&server.host(), &secret("hush").unwrap()).unwrap();
    assert_eq!(kept, Credential::Identity { user: "me".into(), token: "identity".into() });
    let error = client.login(&server.host(), &secret("wrong").unwrap()).unwrap_err();
    assert!(matches!(&error, Error::Unauthorized { user: Some(user), .. } if user == "me"), "{error}");
    assert!(error.to_string().contains("incorrect username or password"), "{error}");
    let error = fetch(&with(&server, secret("wrong")), &server.name("app"), &blob_of(b"right")).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[test]
fn a_token_server_must_make_sense() {
    for (challenge, words) in [
        ("Bearer service=\"x\"", "no realm"),
        ("Bearer realm=\"/token\"", "no whole URL"),
        ("Bearer realm=\"http://example.com/token\"", "without encryption"),
        ("Negotiate", "asks for a login"),
    ] {
        let header = format!("WWW-Authenticate: {challenge}");
        let server = Scripted::start(move |_, stream| answer(stream, "401 Unauthorized", &[&header], b""));
        let error =
            fetch(&with(&server, None), &server.name("app"), &blob_of(b"right")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

//! A token server, as the distribution specification's token and oauth2 pages have it: it knows users by their
//! passwords or identity tokens, and signs what each may do.
//!
//! ```text
//! GET  /token?service=…&scope=repository:NAME:pull,push&scope=…    Authorization: Basic …, or none
//! POST /token    grant_type=refresh_token&refresh_token=…&scope=repository:NAME:pull repository:…
//! ```
//! The answer holds a JSON Web Token, signed by RS256 with a key made here; the registry trusts its certificate.

use super::authority::{Authority, Identity};
use super::site::{Reply, Seen, Site};
use super::{LIMIT, run, run_with_input};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the registry and its tokens call each other.
const SERVICE: &str = "registry-of-the-tests";
const ISSUER: &str = "issuer-of-the-tests";

/// The server.
pub(crate) struct TokenServer {
    site: Site,
    authority: Authority,
}

/// Which actions (`pull`, `push`) a user may do on a repository; `None` is who does not say who they are.
pub(crate) type Rights = fn(user: Option<&str>, repository: &str) -> &'static [&'static str];

/// One request for a token, as it was granted.
#[derive(Debug)]
pub(crate) struct Asked {
    /// How the user was known: `nobody`, `password` or `identity`.
    pub(crate) by: &'static str,
    /// The scopes, sorted.
    pub(crate) scopes: Vec<String>,
}

impl TokenServer {
    /// A server that knows one user by a password.
    pub(crate) fn start(user: &'static str, password: &'static str, rights: Rights) -> Self {
        let authority = Authority::new();
        let signer = authority.sign("tokens");
        let site = Site::start(move |seen| match who(seen, user, password) {
            Err(()) => Reply { body: br#"{"details":"wrong password"}"#.to_vec(), ..Reply::status(401) },
            Ok((name, _)) => {
                let token = sign(&signer, name, &granted(&scopes(seen), name, rights));
                let mut answer = json!({ "token": token, "access_token": token, "expires_in": 300 });
                if fields(seen)
                    .iter()
                    .any(|(key, value)| (key.as_str(), value.as_str()) == ("offline_token", "true"))
                {
                    answer["refresh_token"] = json!(identity(user));
                }
                Reply::ok(answer.to_string()).header("Content-Type", "application/json")
            }
        });
        Self { site, authority }
    }

    /// What the registry is told of it.
    pub(crate) fn settings(&self) -> String {
        format!(
            "auth:\n  token: {{realm: \"{}\", service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: \"{}\"}}\n",
            self.site.url("/token"),
            self.authority.certificate().display()
        )
    }

    /// The requests since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let by = |seen: &Seen| match (seen.method.as_str(), seen.header("authorization")) {
            ("POST", _) => "identity",
            (_, "") => "nobody",
            _ => "password",
        };
        self.site.seen().iter().map(|seen| Asked { by: by(seen), scopes: scopes(seen) }).collect()
    }
}

/// The token that stands for a user's password.
fn identity(user: &str) -> String {
    format!("identity-of-{user}")
}

/// Who asks, and by what that is known.
fn who(seen: &Seen, user: &'static str, password: &str) -> Result<(Option<&'static str>, &'static str), ()> {
    if seen.method == "POST" {
        let fields = fields(seen);
        let has =
            |key: &str, value: &str| fields.iter().any(|(k, v)| (k.as_str(), v.as_str()) == (key, value));
        let known = has("grant_type", "refresh_token") && has("refresh_token", &identity(user));
        return if known { Ok((Some(user), "identity")) } else { Err(()) };
    }
    match seen.header("authorization") {
        "" => Ok((None, "nobody")),
        basic if basic == format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))) => {
            Ok((Some(user), "password"))
        }
        _ => Err(()),
    }
}

/// The fields of the query, and of a form.
fn fields(seen: &Seen) -> Vec<(String, String)> {
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    let form = String::from_utf8_lossy(&seen.body).into_owned();
    let pairs = query.split('&').chain(form.split('&')).filter_map(|field| field.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect()
}

fn scopes(seen: &Seen) -> Vec<String> {
    let fields = fields(seen);
    let values = fields.iter().filter(|(key, _)| key == "scope").flat_map(|(_, value)| value.split(' '));
    let mut scopes: Vec<String> = values.filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    scopes.sort();
    scopes
}

/// A value of a URL's query or of a form.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Of what is asked for, what the user may do.
fn granted(scopes: &[String], user: Option<&str>, rights: Rights) -> Vec<Value> {
    let parts = scopes.iter().filter_map(|scope| {
        let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        Some((name, actions.split(',')))
    });
    parts
        .map(|(name, actions)| {
            let allowed = rights(user, name);
            let actions: Vec<&str> = actions.filter(|action| allowed.contains(action)).collect();
            json!({ "type": "repository", "name": name, "actions": actions })
        })
        .collect()
}

/// A token (RFC 7519) with the signer's certificate in it.
fn sign(signer: &Identity, user: Option<&str>, access: &[Value]) -> String {
    let mut der = Command::new("openssl");
    der.args(["x509", "-outform", "DER", "-in"]).arg(&signer.certificate);
    let certificate = BASE64_STANDARD.encode(run(der, LIMIT).ok().bytes);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let minute = Duration::from_secs(60);
    let claims = json!({
        "iss": ISSUER, "aud": SERVICE, "sub": user.unwrap_or_default(), "jti": "one", "access": access,
        "iat": now.as_secs(), "nbf": (now - minute).as_secs(), "exp": (now + 5 * minute).as_secs(),
    });
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] });
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text =
        format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
    let mut sign = Command::new("openssl");
    sign.args(["dgst", "-sha256", "-sign"]).arg(&signer.key);
    let signature = run_with_input(sign, Some(text.as_bytes()), LIMIT).ok().bytes;
    format!("{text}.{}", encoded(&signature))
}

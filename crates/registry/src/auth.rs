//! Who we are, said as each registry wants it: `WWW-Authenticate` challenges (RFC 9110, 11.6.1), HTTP Basic, and
//! tokens (distribution-spec's token and oauth2 pages).
//!
//! A host's first request goes without credentials. Its 401 names the way, which is kept: from then on every request
//! carries Basic credentials or a token for its scope; tokens are kept by scope until shortly before they expire. One
//! thread fetches a token while the others that need the host wait for it.

use crate::credentials::Credential;
use crate::transport::{Subject, Transport, complaint, whole};
use crate::{Endpoint, Error, Options, Result};
use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use web::host::is_loopback;
use web::{Ask, Body};

/// What a token server's answer may take.
const LONGEST_TOKEN: u64 = 1 << 20;
/// The name by which token servers know us.
const CLIENT_ID: &str = "jettison";

/// One challenge: a scheme in lower case and its parameters, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// All challenges in the `WWW-Authenticate` headers.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse_challenges)
        .collect()
}

/// `scheme name=value, name="quoted \" value", scheme ...`: a word followed by `=` is a parameter of the scheme before
/// it, any other word a scheme.
fn parse_challenges(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        if end == 0 {
            // A stray `=` or quote, as token68 values have them, is passed over; the end of the text ends it.
            match rest.chars().next() {
                None => return found,
                Some(stray) => rest = &rest[stray.len_utf8()..],
            }
            continue;
        }
        let word = &rest[..end];
        rest = &rest[end..];
        match rest.trim_start().strip_prefix('=') {
            None => found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() }),
            Some(after) => {
                let after = after.trim_start();
                let value = match after.strip_prefix('"') {
                    Some(quoted) => {
                        let (value, behind) = unquote(quoted);
                        rest = behind;
                        value
                    }
                    None => {
                        let end = after.find([' ', '\t', ',']).unwrap_or(after.len());
                        rest = &after[end..];
                        after[..end].to_owned()
                    }
                };
                if let Some(challenge) = found.last_mut() {
                    challenge.parameters.insert(word.to_ascii_lowercase(), value);
                }
            }
        }
    }
}

/// A quoted string's value, and what follows its closing quote.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

/// What a request needs to be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// Nothing but to be known.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn pull(repository: &str) -> Self {
        Self(vec![format!("repository:{repository}:pull")])
    }

    /// Push, and pull from `from`, too, to mount a blob from there.
    pub(crate) fn push(repository: &str, from: Option<&str>) -> Self {
        let mut scopes = vec![format!("repository:{repository}:pull,push")];
        scopes.extend(from.map(|from| format!("repository:{from}:pull")));
        Self(scopes)
    }

    /// With what a challenge asks for, where that is about something else.
    fn with(&self, challenge: Option<&String>) -> Vec<String> {
        let mut all = self.0.clone();
        for scope in challenge.map(|text| text.split_whitespace()).into_iter().flatten() {
            let resource = scope.rsplit_once(':').map_or(scope, |(resource, _)| resource);
            let known = all.iter().any(|own| own.rsplit_once(':').is_some_and(|(own, _)| own == resource));
            if !known {
                all.push(scope.to_owned());
            }
        }
        all
    }
}

struct Token {
    value: String,
    until: Instant,
}

#[derive(Default)]
struct Host {
    challenge: Option<Challenge>,
    /// What challenges wanted for requests of these scopes; another repository's challenge wants its own.
    wanted: HashMap<Scopes, String>,
    tokens: HashMap<Scopes, Token>,
    /// By repository, since credentials may be narrower than a host.
    credentials: HashMap<String, Option<Credential>>,
}

/// What is known of each host's way to be told who we are.
#[derive(Default)]
pub(crate) struct Auth {
    hosts: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Host>>>>,
}

impl Auth {
    fn host(&self, name: &str) -> Arc<tokio::sync::Mutex<Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    /// The `Authorization` for a request, as far as the host's way is known, and the user it is for.
    pub(crate) async fn header(
        &self,
        transport: &Transport,
        options: &Options,
        endpoint: &Endpoint,
        scopes: &Scopes,
        subject: Subject<'_>,
    ) -> Result<(Option<HeaderValue>, Option<String>)> {
        let host = self.host(&endpoint.host);
        let mut host = host.lock().await;
        let Some(challenge) = host.challenge.clone() else { return Ok((None, None)) };
        let credential = match host.credentials.get(&endpoint.repository) {
            Some(known) => known.clone(),
            None => {
                let found = options.credentials.find(&endpoint.host, &endpoint.repository)?;
                host.credentials.insert(endpoint.repository.clone(), found.clone());
                found
            }
        };
        let user = credential.as_ref().map(|credential| credential.user().to_owned());
        let text = match (&challenge.scheme[..], &credential) {
            (_, Some(Credential::Bearer { token })) => Some(format!("Bearer {token}")),
            ("basic", Some(credential)) => credential.basic(),
            ("bearer", credential) => {
                let now = Instant::now();
                host.tokens.retain(|_, token| token.until > now);
                if !host.tokens.contains_key(scopes) {
                    let server = TokenServer { transport, options, endpoint, challenge: &challenge, subject };
                    let all = scopes.with(host.wanted.get(scopes));
                    let (token, _) = server.fetch(&all, credential.as_ref(), false).await?;
                    host.tokens.insert(scopes.clone(), token);
                }
                host.tokens.get(scopes).map(|token| format!("Bearer {}", token.value))
            }
            _ => None,
        };
        let value = text.map(|text| secret(&text, subject)).transpose()?;
        Ok((value, user))
    }

    /// Takes a 401's challenges; `sent` is what the refused request carried. Says whether another try makes sense.
    pub(crate) async fn challenged(
        &self,
        endpoint: &Endpoint,
        scopes: &Scopes,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> bool {
        let all = challenges(headers);
        let usable = |scheme: &str| all.iter().find(|challenge| challenge.scheme == scheme);
        let Some(challenge) = usable("bearer").or_else(|| usable("basic")) else { return false };
        let mut challenge = challenge.clone();
        let host = self.host(&endpoint.host);
        let mut host = host.lock().await;
        let is_bearer = challenge.scheme == "bearer";
        if is_bearer {
            // The token that was refused may have been revoked, or lacks what is wanted now. One that another thread
            // got since then is still to be tried.
            let refused =
                |token: &Token| sent.is_some_and(|sent| sent == format!("Bearer {}", token.value).as_str());
            if host.tokens.get(scopes).is_some_and(refused) {
                host.tokens.remove(scopes);
            }
            if let Some(scope) = challenge.parameters.remove("scope") {
                host.wanted.insert(scopes.clone(), scope);
            }
        }
        host.challenge = Some(challenge);
        is_bearer || sent.is_none()
    }

    /// The challenge of a host, once it is known.
    pub(crate) async fn challenge(&self, host: &str) -> Option<Challenge> {
        self.host(host).lock().await.challenge.clone()
    }
}

/// A header's value that is never shown.
fn secret(text: &str, subject: Subject<'_>) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| subject.protocol("its token has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A token server, and for whom it is asked.
pub(crate) struct TokenServer<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) options: &'a Options,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) challenge: &'a Challenge,
    pub(crate) subject: Subject<'a>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: String,
    expires_in: Option<u64>,
}

impl TokenServer<'_> {
    /// Fetches a token, and with `offline` an identity token for the user, where the server gives one.
    async fn fetch(
        &self,
        scopes: &[String],
        credential: Option<&Credential>,
        offline: bool,
    ) -> Result<(Token, Option<String>)> {
        let Self { subject, challenge, options, .. } = *self;
        let parameter = |name: &str| challenge.parameters.get(name);
        let realm = parameter("realm").ok_or_else(|| subject.protocol("its challenge has no realm"))?;
        let realm: Uri =
            realm.parse().map_err(|_| subject.protocol(format!("its realm `{realm}` is no URL")))?;
        let (Some(scheme), Some(authority)) = (realm.scheme_str(), realm.authority()) else {
            return Err(subject.protocol(format!("its realm `{realm}` is no whole URL")));
        };
        // A registry on loopback is trusted as a place, not with what it says of places elsewhere.
        let named_insecure =
            self.endpoint.plain_http || (self.endpoint.insecure && !is_loopback(&self.endpoint.host));
        let insecure = named_insecure || options.is_insecure(authority.as_str());
        if scheme != "https" && !insecure {
            return Err(
                subject.protocol(format!("its realm `{realm}` would take credentials without encryption"))
            );
        }
        let mut form = Form::default();
        if let Some(service) = parameter("service") {
            form.add("service", service);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let (method, uri, body) = match credential {
            Some(Credential::Identity { token, .. }) => {
                form.add("client_id", CLIENT_ID);
                form.add("grant_type", "refresh_token");
                form.add("refresh_token", token);
                form.add("scope", &scopes.join(" "));
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(header::CONTENT_TYPE, kind);
                (Method::POST, realm, Body::Full(Bytes::from(form.0)))
            }
            other => {
                for scope in scopes {
                    form.add("scope", scope);
                }
                if let Some(Credential::Basic { user, .. }) = other {
                    form.add("account", user);
                }
                if offline {
                    form.add("client_id", CLIENT_ID);
                    form.add("offline_token", "true");
                }
                if let Some(value) = other.and_then(Credential::basic) {
                    headers.insert(header::AUTHORIZATION, secret(&value, subject)?);
                }
                let separator = if realm.query().is_some() { '&' } else { '?' };
                let uri = format!("{realm}{separator}{}", form.0);
                let uri =
                    uri.parse().map_err(|_| subject.protocol(format!("its realm `{realm}` is no URL")))?;
                (Method::GET, uri, Body::Empty)
            }
        };
        let named = authority_of(&uri);
        let subject = Subject { registry: &named, ..subject };
        let ask = Ask { method, headers, body, limit: options.timeouts.stall };
        let response = self.transport.send(&uri, !insecure, ask, subject).await?;
        if !response.status().is_success() {
            let user = credential.map(|credential| credential.user().to_owned());
            let error = complaint(response, user.clone(), options.timeouts.stall, subject).await;
            let (what, registry) = (subject.what.to_owned(), self.subject.registry.to_owned());
            return Err(match error {
                // Token servers say all of these for a wrong password or a private repository.
                Error::Unauthorized { message, .. } | Error::Denied { message, .. } => {
                    Error::Unauthorized { what, registry, user, message }
                }
                Error::Server { status: 400, message, .. } => {
                    Error::Unauthorized { what, registry, user, message }
                }
                other => other,
            });
        }
        let bytes = whole(response.into_body(), LONGEST_TOKEN, options.timeouts.stall, subject)
            .await?
            .ok_or_else(|| subject.protocol("its token has no end"))?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|error| subject.protocol(format!("its token answer: {error}")))?;
        let value = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if value.is_empty() {
            return Err(subject.protocol("its answer has no token"));
        }
        // 60 s is what the specification says of an answer without `expires_in`. A tenth is kept for the way.
        let life = Duration::from_secs(answer.expires_in.unwrap_or(60).clamp(10, 24 * 3600)).mul_f32(0.9);
        let refresh = Some(answer.refresh_token).filter(|token| !token.is_empty());
        Ok((Token { value, until: Instant::now() + life }, refresh))
    }

    /// Checks a user's credentials and gives what is worth keeping: an identity token if the server made one.
    pub(crate) async fn login(&self, credential: &Credential) -> Result<Credential> {
        let (_, refresh) = self.fetch(&[], Some(credential), true).await?;
        Ok(match (refresh, credential) {
            (Some(token), Credential::Basic { user, .. }) => {
                Credential::Identity { user: user.clone(), token }
            }
            _ => credential.clone(),
        })
    }
}

fn authority_of(uri: &Uri) -> String {
    uri.authority().map(ToString::to_string).unwrap_or_default()
}

/// `user:password` in base64, behind its scheme.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// What a value of a query or form may not have (RFC 3986, section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Names and values in a query or form.
#[derive(Default)]
pub(crate) struct Form(pub(crate) String);

impl Form {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, VALUE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        parse_challenges(text)
            .into_iter()
            .map(|challenge| (challenge.scheme, challenge.parameters.into_iter().collect()))
            .collect()
    }

    fn one(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let own = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        (scheme.to_owned(), own.collect())
    }

    #[test]
    fn challenges_are_taken_apart() {
        assert_eq!(
            parsed(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            [one(
                "bearer",
                &[
                    ("realm", "https://auth.docker.io/token"),
                    ("scope", "repository:a/b:pull,push"),
                    ("service", "registry.docker.io")
                ]
            )]
        );
        assert_eq!(
            parsed(r#"Basic realm="a \"b\" c", Bearer Realm=x , service = "y", Negotiate"#),
            [
                one("basic", &[("realm", r#"a "b" c"#)]),
                one("bearer", &[("realm", "x"), ("service", "y")]),
                one("negotiate", &[])
            ]
        );
        assert_eq!(parsed(""), []);
        assert_eq!(parsed(r#"="",=, Basic"#), [one("basic", &[])]);
        assert_eq!(parsed(r#"Basic realm="open"#), [one("basic", &[("realm", "open")])]);
    }

    #[test]
    fn a_challenges_other_scopes_are_added() {
        let own = Scopes::push("a/b", Some("c"));
        let asked = |text: &str| own.with(Some(&text.to_owned()));
        assert_eq!(asked("repository:a/b:pull"), ["repository:a/b:pull,push", "repository:c:pull"]);
        assert_eq!(asked("aws"), ["repository:a/b:pull,push", "repository:c:pull", "aws"]);
        assert_eq!(own.with(None).len(), 2);
    }

    #[test]
    fn forms_are_escaped() {
        let mut form = Form::default();
        form.add("scope", "repository:a/b:pull");
        form.add("x", "ü &");
        assert_eq!(form.0, "scope=repository%3Aa%2Fb%3Apull&x=%C3%BC%20%26");
    }

    proptest::proptest! {
        #[test]
        fn no_header_breaks_the_parser(text in ".{0,80}") {
            parse_challenges(&text);
        }

        #[test]
        fn a_quoted_value_comes_back(value in "[ -~]{0,40}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let found = parse_challenges(&format!("Bearer realm=\"{escaped}\", service=x"));
            proptest::prop_assert_eq!(&found[0].parameters["realm"], &value);
            proptest::prop_assert_eq!(&found[0].parameters["service"], "x");
        }
    }
}

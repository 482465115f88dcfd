//! Keys that are lent for a while: by Amazon's STS to whoever shows a token of somebody it trusts (GitHub's OIDC, a
//! cluster of Kubernetes), or by a service beside the container (ECS, EKS).
//!
//! ```text
//! web identity   POST STS  Action=AssumeRoleWithWebIdentity&RoleArn=...&RoleSessionName=...&WebIdentityToken=...
//!                <AccessKeyId> <SecretAccessKey> <SessionToken> <Expiration>
//! container      GET URL   Authorization: TOKEN
//!                {"AccessKeyId": ..., "SecretAccessKey": ..., "Token": ..., "Expiration": ...}
//! ```
//!
//! A key is fetched when the first request needs one, and again some minutes before it ends. Tokens in files are read
//! each time, since who puts them there renews them.

use super::Credentials;
use crate::service::{Payload, Request, Service, header_value, uri};
use crate::{Error, Result, escape, xml};
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use oci::timestamp;
use session::Hidden;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What answers with a key is not longer.
const SHORT: u64 = 1 << 20;
/// So long before its end a key is not used any more.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Where keys may come from without TLS, besides the loopback: the services of ECS and EKS, which are on the machine.
const NEARBY: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Where the key to a bucket comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// It is here.
    Own(Credentials),
    /// STS lends it for a token.
    WebIdentity {
        /// The role, by its ARN.
        role: String,
        /// What the role's log calls this use of it.
        session: String,
        /// The file with the token.
        token_file: PathBuf,
        /// The URL of an STS that is not Amazon's.
        endpoint: Option<String>,
    },
    /// A service beside the container lends it.
    Container {
        /// Its URL: TLS, or on this machine.
        url: String,
        /// What it is shown.
        token: Option<Token>,
    },
}

/// A token that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// This text.
    Text(Hidden),
    /// What this file holds.
    File(PathBuf),
}

impl Token {
    fn read(&self) -> Result<Hidden> {
        let path = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File(path) => path,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Hidden::new(text.trim())),
            Err(source) => Err(Error::Local { what: format!("read the token {}", path.display()), source }),
        }
    }
}

/// A key, and when it ends.
pub(super) struct Lent {
    pub(super) credentials: Credentials,
    until: Option<SystemTime>,
}

impl Lent {
    /// Whether it serves for some more requests.
    pub(super) fn lasts(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now + EARLY < until)
    }
}

impl Key {
    /// Fetches it, if it is not here.
    pub(super) fn fetch(&self, service: &Service, region: &str) -> Result<Lent> {
        let lent = match self {
            Self::Own(credentials) => Lent { credentials: credentials.clone(), until: None },
            Self::WebIdentity { role, session, token_file, endpoint } => {
                let token = Token::File(token_file.clone()).read()?;
                service.hide(token.clone());
                let fields = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", session),
                    ("WebIdentityToken", token.expose()),
                ];
                let form: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={}", escape::value(value))).collect();
                let what = format!("take the role {role}");
                let end = if region.starts_with("cn-") { ".cn" } else { "" };
                let amazons = || format!("https://sts.{region}.amazonaws.com{end}/");
                let url = uri(&endpoint.clone().unwrap_or_else(amazons))?;
                let form = Bytes::from(form.join("&"));
                let reply = service.send(&what, SHORT, &|| {
                    let kind = header_value("application/x-www-form-urlencoded");
                    let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
                    let payload = Payload::Bytes(form.clone());
                    Ok(Request { method: Method::POST, uri: url.clone(), headers, payload })
                })?;
                let text = reply.text();
                let field = |name: &str| xml::text(&text, name);
                lent(
                    field("AccessKeyId"),
                    field("SecretAccessKey"),
                    field("SessionToken"),
                    field("Expiration"),
                )
                .ok_or_else(|| keyless(&what, url.host()))?
            }
            Self::Container { url, token } => {
                let (what, url) = ("fetch the container's key", uri(url)?);
                let host = web::host::host_name(url.host().unwrap_or_default());
                let near = host == "localhost"
                    || NEARBY.contains(&host)
                    || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
                if url.scheme_str() != Some("https") && !near {
                    let reason = "without TLS, a key is taken from this machine alone".to_owned();
                    return Err(Error::Setting {
                        what: format!("the URL `{url}` of the container's key"),
                        reason,
                    });
                }
                let token = token.as_ref().map(Token::read).transpose()?;
                let reply = service.send(what, SHORT, &|| {
                    let mut headers = HeaderMap::new();
                    if let Some(token) = &token {
                        let mut value = header_value(token.expose());
                        value.set_sensitive(true);
                        headers.insert(AUTHORIZATION, value);
                    }
                    Ok(Request { method: Method::GET, uri: url.clone(), headers, payload: Payload::Empty })
                })?;
                let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                let field = |name: &str| document.get(name)?.as_str().map(str::to_owned);
                lent(field("AccessKeyId"), field("SecretAccessKey"), field("Token"), field("Expiration"))
                    .ok_or_else(|| keyless(what, url.host()))?
            }
        };
        service.hide(lent.credentials.secret_access_key.clone());
        lent.credentials.session_token.iter().for_each(|token| service.hide(token.clone()));
        Ok(lent)
    }
}

fn lent(
    id: Option<String>,
    secret: Option<String>,
    token: Option<String>,
    until: Option<String>,
) -> Option<Lent> {
    let credentials = Credentials {
        access_key_id: id.filter(|id| !id.is_empty())?,
        secret_access_key: Hidden::new(secret?),
        session_token: token.map(Hidden::new),
    };
    Some(Lent { credentials, until: until.as_deref().and_then(timestamp::parse) })
}

/// The error of an answer that has no key in it.
fn keyless(what: &str, host: Option<&str>) -> Error {
    let service = host.unwrap_or_default().to_owned();
    Error::Protocol { what: what.to_owned(), service, reason: "answered without a key".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_renewed_before_it_ends() {
        let key = |until: Option<&str>| {
            lent(Some("id".into()), Some("s".into()), None, until.map(str::to_owned)).unwrap()
        };
        let now = timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        assert!(key(None).lasts(now) && key(Some("2026-01-01T00:05:01Z")).lasts(now));
        assert!(
            !key(Some("2026-01-01T00:05:00Z")).lasts(now) && !key(Some("2025-12-31T00:00:00Z")).lasts(now)
        );
        assert!(lent(Some(String::new()), Some("s".into()), None, None).is_none());
        assert!(lent(Some("id".into()), None, None, None).is_none());
    }

    #[test]
    fn a_key_does_not_come_from_another_machine_in_the_clear() {
        let service = Service::new(crate::Options::default(), Vec::new()).unwrap();
        for url in ["http://example.com/key", "http://169.254.1.1/", "http://10.0.0.1/"] {
            let key = Key::Container { url: url.to_owned(), token: None };
            let error = key.fetch(&service, "r").map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("this machine alone"), "{error}");
        }
    }
}

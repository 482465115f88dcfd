//! Which hosts are asked for a name, in which order, and how they are spoken to.
//!
//! 1. The entry of registries.conf with the longest prefix: its mirrors in order (those that serve the kind of name),
//!    then its location. `blocked` ends it.
//! 2. For Docker Hub: Docker's `registry-mirrors`, then `registry-1.docker.io`.
//!
//! HTTPS is tried first everywhere. Plain HTTP follows where HTTPS makes no connection and the host is on loopback or
//! was named insecure; there any certificate does, too.

use crate::conf::{PullFromMirror, RegistriesConf};
use crate::{Error, Options, Result};
use oci::Reference;
use std::net::IpAddr;
use web::host::{host_name, is_loopback, network_holds};

/// One host that is asked for one repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// `host[:port]`, as the connection needs it: `registry-1.docker.io` for Docker Hub.
    pub host: String,
    /// The repository there.
    pub repository: String,
    /// Whether any certificate does and plain HTTP is tried after HTTPS.
    pub insecure: bool,
    /// Whether only plain HTTP is spoken: a mirror with an `http://` URL.
    pub plain_http: bool,
    /// Whether this is a mirror and not the registry itself.
    pub mirror: bool,
}

/// The host that serves the names of `host`.
fn serving(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    }
}

impl Options {
    fn endpoint(&self, location: &str, insecure: bool, mirror: bool) -> Result<Endpoint> {
        let (host, repository) = location.split_once('/').ok_or_else(|| Error::Setting {
            what: format!("the registry location `{location}`"),
            reason: "no repository is left of the image's name".to_owned(),
        })?;
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b)) {
            return Err(Error::Setting {
                what: format!("the registry location `{location}`"),
                reason: "its host is not a domain name or an address".to_owned(),
            });
        }
        Ok(Endpoint {
            host: serving(host).to_owned(),
            repository: repository.to_owned(),
            insecure: insecure || self.is_insecure(host),
            plain_http: false,
            mirror,
        })
    }

    /// Who is asked for `reference`, mirrors first, the registry itself last.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>> {
        let mut endpoints = Vec::new();
        let name = reference.name();
        let mut own = (name.clone(), false);
        if let Some((registry, covered)) = self.registries.find(reference) {
            refuse_blocked(registry, reference)?;
            let rest = name.get(covered..).unwrap_or_default();
            for mirror in &registry.mirrors {
                let wanted = match mirror.pull_from_mirror {
                    _ if registry.mirror_by_digest_only => reference.digest().is_some(),
                    PullFromMirror::All => true,
                    PullFromMirror::DigestOnly => reference.digest().is_some(),
                    PullFromMirror::TagOnly => reference.digest().is_none(),
                };
                if wanted {
                    let location = format!("{}{rest}", mirror.location);
                    endpoints.push(self.endpoint(&location, mirror.insecure, true)?);
                }
            }
            if !registry.location.is_empty() {
                own.0 = format!("{}{rest}", registry.location);
            }
            own.1 = registry.insecure;
        }
        if reference.host() == "docker.io" {
            for url in &self.daemon_mirrors {
                let (plain_http, rest) = match url.split_once("://") {
                    Some(("http", rest)) => (true, rest),
                    Some(("https", rest)) => (false, rest),
                    None => (false, url.as_str()),
                    Some(_) => {
                        return Err(Error::Setting {
                            what: format!("the registry mirror `{url}`"),
                            reason: "it is neither an http nor an https URL".to_owned(),
                        });
                    }
                };
                let location = format!("{}/{}", rest.trim_end_matches('/'), reference.path());
                endpoints.push(Endpoint { plain_http, ..self.endpoint(&location, false, true)? });
            }
        }
        endpoints.push(self.endpoint(&own.0, own.1, false)?);
        Ok(endpoints)
    }

    /// Where `reference` is pushed: its own host, whatever mirrors and locations say; blocked and insecure count.
    pub(crate) fn push_endpoint(&self, reference: &Reference) -> Result<Endpoint> {
        let mut insecure = false;
        if let Some((registry, _)) = self.registries.find(reference) {
            refuse_blocked(registry, reference)?;
            insecure = registry.insecure;
        }
        self.endpoint(&reference.name(), insecure, false)
    }

    /// The endpoint of a host alone, for logins.
    pub(crate) fn host_endpoint(&self, host: &str) -> Result<Endpoint> {
        let host = host.trim_end_matches('/');
        let (plain_http, host) = match host.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some((_, rest)) => (false, rest),
            None => (false, host),
        };
        let host = host.split('/').next().unwrap_or_default();
        let insecure = self.registries.registries.iter().any(|r| r.insecure && r.prefix == host);
        let mut endpoint = self.endpoint(&format!("{host}/"), insecure, false)?;
        endpoint.plain_http = plain_http;
        Ok(endpoint)
    }

    /// Whether `host` may have any certificate and speak plain HTTP.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        if self.insecure_all || is_loopback(host) {
            return true;
        }
        let name = host_name(host);
        let address = name.parse::<IpAddr>().ok();
        self.insecure.iter().any(|entry| {
            entry == host
                || entry == name
                || address.is_some_and(|address| network_holds(entry, address).unwrap_or(false))
        })
    }
}

fn refuse_blocked(registry: &crate::conf::Registry, reference: &Reference) -> Result<()> {
    if registry.blocked {
        let what = format!("`{}`", reference.familiar());
        return Err(Error::Blocked { what, prefix: registry.prefix.clone() });
    }
    Ok(())
}

impl RegistriesConf {
    /// Whether nothing is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.registries.is_empty() && self.unqualified_search_registries.is_empty() && self.aliases.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(options: &Options, name: &str) -> Vec<String> {
        let show = |e: Endpoint| {
            let mut text = format!("{}/{}", e.host, e.repository);
            for (set, word) in [(e.insecure, "insecure"), (e.plain_http, "http"), (e.mirror, "mirror")] {
                if set {
                    text = format!("{text} {word}");
                }
            }
            text
        };
        options.endpoints(&name.parse().unwrap()).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn mirrors_come_first_and_locations_replace_prefixes() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let options = Options {
            registries: RegistriesConf::parse(
                r#"
                [[registry]]
                prefix = "example.com/team"
                location = "inner:5000/t"
                insecure = true
                [[registry.mirror]]
                location = "m1/x"
                [[registry.mirror]]
                location = "m2:80"
                insecure = true
                pull-from-mirror = "digest-only"
                [[registry]]
                prefix = "*.wild.org"
                location = "tame.org/wild"
                [[registry]]
                location = "bad.io"
                blocked = true
                "#,
            )
            .unwrap(),
            daemon_mirrors: vec!["http://hub-mirror:8080/".into()],
            insecure: vec!["10.0.0.0/8".into(), "known".into()],
            ..Options::default()
        };
        assert_eq!(
            shown(&options, "example.com/team/app:1"),
            ["m1/x/app mirror", "inner:5000/t/app insecure"]
        );
        assert_eq!(
            shown(&options, &format!("example.com/team/app@sha256:{hex}")),
            ["m1/x/app mirror", "m2:80/app insecure mirror", "inner:5000/t/app insecure"]
        );
        assert_eq!(shown(&options, "a.wild.org/app"), ["tame.org/wild/app"]);
        assert_eq!(
            shown(&options, "alpine"),
            ["hub-mirror:8080/library/alpine http mirror", "registry-1.docker.io/library/alpine"]
        );
        assert_eq!(shown(&options, "10.1.2.3:5000/a"), ["10.1.2.3:5000/a insecure"]);
        assert_eq!(shown(&options, "11.1.2.3:5000/a"), ["11.1.2.3:5000/a"]);
        assert_eq!(shown(&options, "known:5000/a"), ["known:5000/a insecure"]);
        assert_eq!(shown(&options, "[::1]:5000/a"), ["[::1]:5000/a insecure"]);
        let error = options.endpoints(&"bad.io/a".parse().unwrap()).unwrap_err();
        assert!(matches!(error, Error::Blocked { .. }), "{error}");
        let push = options.push_endpoint(&"example.com/team/app".parse().unwrap()).unwrap();
        assert_eq!(
            (push.host.as_str(), push.repository.as_str(), push.insecure),
            ("example.com", "team/app", true)
        );
    }
}

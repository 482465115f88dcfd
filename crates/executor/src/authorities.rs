//! `--trust-host-ca`: the host's certificate authorities at the places where programs look for them. They are mounts
//! and variables of the running step only: no layer, key or history has them.

use sandbox::{Mount, MountKind};

/// Where distributions keep the bundle, and one place of our own that the variables name.
const PLACES: [&str; 4] = [
    "/run/jettison/ca-certificates.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The variables by which programs are told of a bundle.
const VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// The mounts that show the bundle. Of the distributions' places only those that the root has the directory of: a
/// mount point that is made is removed again, but a program may look whether it is there. `has` answers whether the
/// root has a directory.
pub(crate) fn mounts(bundle: &[u8], has: impl Fn(&str) -> bool) -> Vec<Mount> {
    PLACES
        .iter()
        .enumerate()
        .filter(|(at, place)| *at == 0 || place.rsplit_once('/').is_some_and(|(dir, _)| has(dir)))
        .map(|(_, place)| Mount {
            target: place.into(),
            kind: MountKind::Data { bytes: bundle.to_vec(), mode: 0o444, uid: 0, gid: 0, readonly: true },
        })
        .collect()
}

/// The variables, without those that the step sets itself.
pub(crate) fn variables<'a>(declared: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = String> + 'a {
    VARIABLES.iter().filter(move |name| !declared(name)).map(|name| format!("{name}={}", PLACES[0]))
}

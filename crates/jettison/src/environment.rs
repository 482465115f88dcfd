//! The one door to the environment: every variable that Jettison reads, with what it means.
#![allow(clippy::disallowed_methods, reason = "this is the door")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the environment says. Read once at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    vars: BTreeMap<String, OsString>,
    /// The user on the host, read before any user namespace is entered.
    uid: u32,
}

/// The variables, for the manual: name and meaning.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (
        "JETTISON_ROOT",
        "The folder of the store. The default is /var/lib/jettison for root and $XDG_DATA_HOME/jettison for others.",
    ),
    (
        "JETTISON_TRUST_HOST_CA",
        "If set to 1, steps of a build see the host's certificate authorities, as with --trust-host-ca.",
    ),
    (
        "JETTISON_NETWORK_TIMEOUT",
        "After so many seconds in which nothing moves a transfer is broken off and tried again; the default is 30.",
    ),
    (
        "JETTISON_NETWORK_ATTEMPTS",
        "How often a request is made that a broken connection or a busy server ends; the default is 5.",
    ),
    (
        "JETTISON_NETWORK_DELAY",
        "How many seconds are waited before the second of these attempts, twice as many before each next one; the default is 0.25.",
    ),
    ("BUILDKIT_PROGRESS", "The default of --progress."),
    ("BUILDKIT_COLORS", "Colours of the tty progress, as BuildKit's."),
    (
        "BUILDKIT_TTY_LOG_LINES",
        "How many log lines of a running step the tty progress shows; the default is 6.",
    ),
    (
        "BUILDX_NO_DEFAULT_ATTESTATIONS",
        "If set to 0, images in registries and OCI layouts get provenance with mode=min, as buildx gives it by default.",
    ),
    (
        "BUILDX_METADATA_PROVENANCE",
        "How much provenance the file of --metadata-file has: min (the default), max or disabled.",
    ),
    ("BUILDX_GIT_INFO", "If set to 0, provenance does not say which commit the build context is of."),
    ("BUILDX_GIT_CHECK_DIRTY", "If set to 1, that commit is marked where files differ from it."),
    ("NO_COLOR", "If set and not empty, nothing is coloured."),
    ("DOCKER_CONFIG", "The folder of Docker's config.json; the default is ~/.docker."),
    ("REGISTRY_AUTH_FILE", "A file with registry credentials, read before all others."),
    (
        "CONTAINERS_REGISTRIES_CONF",
        "The registries.conf to read in place of the usual ones; the files of registries.conf.d count all the same.",
    ),
    ("DOCKER_DEFAULT_PLATFORM", "The default of --platform."),
    ("SOURCE_DATE_EPOCH", "The time that an image says it was made at, in seconds since 1970."),
    ("SSH_AUTH_SOCK", "The socket of the ssh agent that `--ssh default` lends to steps."),
    (
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
        "The key to S3 buckets with caches; without it that of AWS_PROFILE in ~/.aws/credentials or ~/.aws/config.",
    ),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME",
        "A token for which STS lends the key of a role (AWS_ENDPOINT_URL_STS: of another STS than Amazon's).",
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "The service beside a container that lends the key; it is shown AWS_CONTAINER_AUTHORIZATION_TOKEN or what \
         AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds.",
    ),
    ("AWS_PROFILE", "The profile in Amazon's files; the default is `default`."),
    ("AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE", "Amazon's files, if they are not in ~/.aws."),
    ("AWS_BUCKET, AWS_REGION", "Bucket and region of caches that do not name theirs."),
    ("AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL", "The service that speaks S3, if it is not Amazon's."),
    (
        "ACTIONS_RUNTIME_TOKEN, ACTIONS_RESULTS_URL, ACTIONS_CACHE_URL, ACTIONS_CACHE_SERVICE_V2",
        "Where GitHub's runner has its cache, and the token to it, for caches of type=gha.",
    ),
    (
        "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL, BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME, BUILDKIT_AZURE_STORAGE_CONTAINER, BUILDKIT_AZURE_STORAGE_PREFIX",
        "Account, container and prefix of caches of type=azblob that do not name theirs.",
    ),
    ("SSL_CERT_FILE", "The host's bundle of certificate authorities."),
    ("XDG_RUNTIME_DIR", "Where sockets and containers/auth.json of a plain user are."),
    ("XDG_DATA_HOME", "Where a plain user's store is; the default is ~/.local/share."),
    (
        "XDG_CONFIG_HOME",
        "Where a plain user's containers/auth.json and registries.conf are; the default is ~/.config.",
    ),
    ("HOME", "The user's home directory."),
    ("PATH", "Where newuidmap, pasta, git and credential helpers are looked for."),
    ("TERM", "The terminal's kind; `dumb` means plain progress."),
];

impl Environment {
    /// Reads the whole environment.
    pub(crate) fn read() -> Self {
        Self {
            vars: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    /// An environment of these variables.
    #[cfg(test)]
    pub(crate) fn of<'a>(vars: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self { vars: vars.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(), uid: 0 }
    }

    /// The same with another folder of Docker's config.json.
    pub(crate) fn with_docker_config(mut self, folder: PathBuf) -> Self {
        self.vars.insert("DOCKER_CONFIG".to_owned(), folder.into());
        self
    }

    /// The user on the host.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// A variable for a build argument or `-e NAME`: also an empty one.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        self.vars.get(name)?.to_str()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.vars.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The user's home directory: that of the environment, else of the users' file.
    pub(crate) fn home(&self) -> PathBuf {
        let given = self.path("HOME").filter(|home| home.is_absolute());
        given
            .or_else(|| home_in(&std::fs::read_to_string("/etc/passwd").ok()?, self.uid))
            .unwrap_or_else(|| "/".into())
    }

    /// The folder of the store.
    pub(crate) fn store_root(&self) -> PathBuf {
        self.path("JETTISON_ROOT").unwrap_or_else(|| {
            if self.uid == 0 {
                "/var/lib/jettison".into()
            } else {
                self.path("XDG_DATA_HOME")
                    .unwrap_or_else(|| self.home().join(".local/share"))
                    .join("jettison")
            }
        })
    }

    /// The folder of a user's settings.
    pub(crate) fn config_home(&self) -> PathBuf {
        self.path("XDG_CONFIG_HOME").unwrap_or_else(|| self.home().join(".config"))
    }

    /// Docker's config.json.
    pub(crate) fn docker_config(&self) -> PathBuf {
        self.path("DOCKER_CONFIG").unwrap_or_else(|| self.home().join(".docker")).join("config.json")
    }

    /// Files with registry credentials, the first that knows a registry counts.
    pub(crate) fn auth_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.path("REGISTRY_AUTH_FILE").into_iter().collect();
        files.extend(self.path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")));
        files.push(self.config_home().join("containers/auth.json"));
        files.push(self.docker_config());
        files
    }

    /// The registries.conf files, the first that is there counts; each with the folders whose files are added to it, in
    /// this order (containers-registries.conf.d(5)): a user's own file leaves out what the system adds.
    pub(crate) fn registries_conf(&self) -> Vec<(PathBuf, Vec<PathBuf>)> {
        let (user, system) = (
            self.config_home().join("containers/registries.conf"),
            PathBuf::from("/etc/containers/registries.conf"),
        );
        let folder = |file: &Path| file.with_extension("conf.d");
        let both = vec![folder(&system), folder(&user)];
        match self.path("CONTAINERS_REGISTRIES_CONF") {
            Some(path) => vec![(path, both)],
            None => vec![(user.clone(), vec![folder(&user)]), (system, both)],
        }
    }

    /// Where the host's bundle of certificate authorities may be, the first that is there counts.
    pub(crate) fn ca_bundles(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.path("SSL_CERT_FILE").into_iter().collect();
        files.extend(
            ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
                .map(PathBuf::from),
        );
        files
    }

    /// The folders of PATH.
    pub(crate) fn program_folders(&self) -> Vec<PathBuf> {
        let path = self.vars.get("PATH").cloned().unwrap_or_default();
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
    }
}

/// The home of a user as passwd(5) has it: `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`.
fn home_in(passwd: &str, uid: u32) -> Option<PathBuf> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut of_user = fields.filter(|fields| fields.get(2).and_then(|id| id.parse().ok()) == Some(uid));
    of_user.find_map(|fields| Some(PathBuf::from(fields.get(5)?)).filter(|home| home.is_absolute()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_stands_in_the_users_file() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad\nodd:x:7:7::home:\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\n";
        for (uid, home) in [(0, Some("/root")), (1000, Some("/home/ann")), (7, None), (8, None)] {
            assert_eq!(home_in(passwd, uid), home.map(PathBuf::from), "{uid}");
        }
        let home = |home: &str| Environment::of([("HOME", home.to_owned())]).home();
        assert_eq!(home("/given"), PathBuf::from("/given"));
        assert_ne!(home("relative"), PathBuf::from("relative"));
    }
}

//! How registries and other servers are reached: what flags, files and environment say, as plain options.

use crate::docker_config;
use crate::engine::RegistryFlags;
use crate::environment::Environment;
use registry::{Credentials, DaemonConf, Error, RegistriesConf, Result, Retry, Timeouts};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What servers know us by.
const USER_AGENT: &str = concat!("jettison/", env!("CARGO_PKG_VERSION"));
/// Docker's settings, of which mirrors and insecure registries count.
const DAEMON_CONF: &str = "/etc/docker/daemon.json";
/// A server may take so many times longer to put an upload in place than to answer anything else.
const COMMIT: u32 = 10;

/// How registries are spoken to. A file that is there and not valid is an error: it may block a registry.
pub(crate) fn registries(environment: &Environment, flags: &RegistryFlags) -> Result<registry::Options> {
    let mut files: Vec<_> = flags.auth_file.iter().cloned().collect();
    files.extend(environment.auth_files());
    let docker = environment.docker_config();
    // As with Docker, a broken one is no reason to fail what needs no login.
    files.retain(|file| *file != docker || docker_config::is_sound(environment));
    let credentials = Credentials {
        files,
        helper_dirs: environment.program_folders(),
        inline: environment
            .get("DOCKER_AUTH_CONFIG")
            .map(|text| registry::credentials::Inline(text.to_owned())),
        ..Credentials::default()
    };
    let daemon = Path::new(DAEMON_CONF);
    let daemon = match text(daemon)? {
        Some(text) => DaemonConf::parse(&text).map_err(|error| in_file(daemon, error))?,
        None => DaemonConf::default(),
    };
    let web = web(environment)?;
    Ok(registry::Options {
        registries: registries_conf(environment)?,
        daemon_mirrors: daemon.registry_mirrors,
        insecure: daemon.insecure_registries.into_iter().chain(flags.insecure_hosts.clone()).collect(),
        insecure_all: flags.insecure,
        certs_dirs: vec![
            environment.config_home().join("containers/certs.d"),
            "/etc/containers/certs.d".into(),
            "/etc/docker/certs.d".into(),
        ],
        credentials,
        proxies: web.proxies,
        user_agent: web.user_agent,
        timeouts: web.timeouts,
        retry: web.retry,
        ..registry::Options::default()
    })
}

/// The settings of containers-registries.conf(5), with what other files add.
fn registries_conf(environment: &Environment) -> Result<RegistriesConf> {
    let read = |path: &Path| -> Result<Option<RegistriesConf>> {
        let parse = |text: String| RegistriesConf::parse(&text).map_err(|error| in_file(path, error));
        text(path)?.map(parse).transpose()
    };
    let mut conf = RegistriesConf::default();
    let mut folders = Vec::new();
    for (path, more) in environment.registries_conf() {
        folders = more;
        if let Some(main) = read(&path)? {
            conf = main;
            break;
        }
    }
    for path in folders.iter().flat_map(|folder| additions(folder)) {
        if let Some(later) = read(&path)? {
            conf.merge(later);
        }
    }
    Ok(conf)
}

/// The files of a folder whose names end in `.conf`, in the order of their names.
fn additions(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.as_os_str().as_encoded_bytes().ends_with(b".conf") && !path.is_dir())
        .collect();
    files.sort();
    files
}

/// How URLs are reached.
pub(crate) fn web(environment: &Environment) -> Result<web::Settings> {
    let (timeouts, retry) = patience(environment)?;
    Ok(web::Settings {
        proxies: web::Proxies {
            http: proxy(environment, "http_proxy"),
            https: proxy(environment, "https_proxy"),
            none: proxy(environment, "no_proxy").unwrap_or_default(),
        },
        user_agent: USER_AGENT.to_owned(),
        timeouts,
        retry,
        ..web::Settings::default()
    })
}

/// A proxy's variable, in small letters or capitals.
pub(crate) fn proxy(environment: &Environment, name: &str) -> Option<String> {
    environment.get(name).or_else(|| environment.get(&name.to_uppercase())).map(str::to_owned)
}

/// How long is waited and how often tried again, as the environment wants it.
fn patience(environment: &Environment) -> Result<(Timeouts, Retry)> {
    let (mut timeouts, mut retry) = (Timeouts::default(), Retry::default());
    if let Some(stall) = seconds(environment, "JETTISON_NETWORK_TIMEOUT")? {
        timeouts.stall = stall;
        timeouts.connect = timeouts.connect.min(stall);
        timeouts.commit = stall.saturating_mul(COMMIT);
    }
    if let Some(delay) = seconds(environment, "JETTISON_NETWORK_DELAY")? {
        retry.first_delay = delay;
    }
    let attempts = "JETTISON_NETWORK_ATTEMPTS";
    if let Some(text) = environment.get(attempts) {
        let number = text.parse().ok().filter(|number| *number > 0);
        retry.attempts = number.ok_or_else(|| wrong(attempts, text, "a number from 1 on"))?;
    }
    Ok((timeouts, retry))
}

/// A variable with a time in seconds, with or without a fraction.
fn seconds(environment: &Environment, name: &str) -> Result<Option<Duration>> {
    let Some(text) = environment.get(name) else { return Ok(None) };
    let number: Option<f64> = text.parse().ok().filter(|number| *number > 0.0);
    match number.and_then(|number| Duration::try_from_secs_f64(number).ok()) {
        Some(time) => Ok(Some(time)),
        None => Err(wrong(name, text, "a number of seconds above 0")),
    }
}

fn wrong(name: &str, text: &str, wanted: &str) -> Error {
    Error::Setting { what: name.to_owned(), reason: format!("`{text}` is not {wanted}") }
}

/// A file's text; nothing where it is not there or is not for this user to read.
fn text(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::Setting { what: path.display().to_string(), reason: error.to_string() }),
    }
}

/// The error of a file's text with the path of the file.
fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Setting { reason, .. } => Error::Setting { what: path.display().to_string(), reason },
        other => other,
    }
}

//! What Docker's `config.json` says besides credentials, which the crate `registry` reads: the proxies that builds and
//! containers are given.
//!
//! ```json
//! { "proxies": { "default": { "httpProxy": "http://proxy:3128", "httpsProxy": "...", "noProxy": "localhost,.example",
//!                             "ftpProxy": "...", "allProxy": "..." } } }
//! ```
//!
//! A file that cannot be read as JSON costs a warning, as with Docker, and then says nothing.

use crate::environment::Environment;
use crate::screen;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Once;

/// The file is not larger.
const LARGEST: u64 = 16 << 20;
/// What Docker's daemon is called where nothing else is said.
const DAEMON: &str = "unix:///var/run/docker.sock";

/// The part of the file that is read here.
#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    proxies: BTreeMap<String, Proxies>,
}

/// The proxies for the containers of one daemon.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Proxies {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    ftp_proxy: String,
    all_proxy: String,
}

/// Whether credentials can be looked for in the file. One that is broken is told of.
pub(crate) fn is_sound(environment: &Environment) -> bool {
    match read::<serde::de::IgnoredAny>(&environment.docker_config()) {
        Ok(_) => true,
        Err(warning) => {
            say(&warning);
            false
        }
    }
}

/// The proxies that steps and containers are given, as variables in capitals and small letters. A broken file is told
/// of.
pub(crate) fn proxies(environment: &Environment) -> Vec<(String, String)> {
    let file = read::<File>(&environment.docker_config()).unwrap_or_else(|warning| {
        say(&warning);
        None
    });
    let Some(mut proxies) = file.map(|file| file.proxies) else { return Vec::new() };
    let daemon = environment.get("DOCKER_HOST").unwrap_or(DAEMON);
    let chosen = proxies.remove(daemon).or_else(|| proxies.remove("default")).unwrap_or_default();
    let given = [
        ("HTTP_PROXY", chosen.http_proxy),
        ("HTTPS_PROXY", chosen.https_proxy),
        ("NO_PROXY", chosen.no_proxy),
        ("FTP_PROXY", chosen.ftp_proxy),
        ("ALL_PROXY", chosen.all_proxy),
    ];
    given
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_lowercase(), value)])
        .collect()
}

/// Warns, once.
fn say(warning: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| screen::say(warning));
}

/// Reads the file; nothing where it is not there, is empty, or is not for this user to read. The error is the warning.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, String> {
    let Ok(file) = std::fs::File::open(path) else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())
        .and_then(|_| match bytes.iter().all(u8::is_ascii_whitespace) {
            true => Ok(None),
            false => serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string()),
        })
        .map_err(|error| format!("warning: {} is passed over: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(text: &str, host: Option<&str>) -> (tempfile::TempDir, Environment) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        let mut vars = vec![("DOCKER_CONFIG", path)];
        vars.extend(host.map(|host| ("DOCKER_HOST", host.to_owned())));
        (folder, Environment::of(vars))
    }

    #[test]
    fn proxies_are_those_of_the_daemon_or_the_default() {
        let text = r#"{"auths":{},"proxies":{"default":{"httpProxy":"http://p:1","noProxy":"a,b"},
            "tcp://other:2375":{"allProxy":"socks5://s:2"}}}"#;
        let names = |host| {
            let (_folder, environment) = environment(text, host);
            let all = proxies(&environment).into_iter();
            all.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let default = ["HTTP_PROXY=http://p:1", "http_proxy=http://p:1", "NO_PROXY=a,b", "no_proxy=a,b"];
        assert_eq!(names(None), default);
        assert_eq!(names(Some("tcp://unknown:1")), default);
        assert_eq!(names(Some("tcp://other:2375")), ["ALL_PROXY=socks5://s:2", "all_proxy=socks5://s:2"]);
    }

    #[test]
    fn what_is_broken_says_nothing_and_is_not_sound() {
        for (text, sound) in [("", true), ("  \n", true), ("{}", true), ("{", false), ("nothing", false)] {
            let (_folder, environment) = environment(text, None);
            assert_eq!(is_sound(&environment), sound, "{text}");
            assert!(proxies(&environment).is_empty());
        }
        let (folder, environment) = environment("{}", None);
        std::fs::remove_file(folder.path().join("config.json")).unwrap();
        assert!(is_sound(&environment));
    }
}

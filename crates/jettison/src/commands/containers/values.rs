//! Values of flags: sizes, environment files, limits, hosts, keys.

use crate::docker_config;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// The largest `--env-file` or `--label-file`, in bytes.
const LARGEST: u64 = 4 << 20;

/// Bytes with Docker's units: `512`, `64m`, `1.5GiB`; powers of 1024.
pub(super) fn bytes(flag: &str, text: &str) -> Outcome<u64> {
    let wrong =
        || CommandError::usage(format!("invalid value `{text}` for {flag}: a size such as 512m or 2g"));
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().to_ascii_lowercase();
    let factor: u64 = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        "p" => 1 << 50,
        _ => return Err(wrong()),
    };
    let value = number * factor as f64;
    if (0.0..1e18).contains(&value) { Ok(value as u64) } else { Err(wrong()) }
}

/// `-e NAME=value`, or `NAME` for the caller's own value; one that the caller has not is left out.
pub(super) fn variable(entry: &str, environment: &Environment) -> Outcome<Option<String>> {
    if entry.is_empty() || entry.starts_with('=') {
        return Err(CommandError::usage(format!("invalid environment variable `{entry}`: it has no name")));
    }
    if entry.contains('=') {
        return Ok(Some(entry.to_owned()));
    }
    Ok(environment.exact(entry).map(|value| format!("{entry}={value}")))
}

/// All variables: files first, then single ones.
pub(super) fn variables(
    files: &[std::path::PathBuf],
    entries: &[String],
    environment: &Environment,
) -> Outcome<Vec<String>> {
    let mut all = Vec::new();
    for file in files {
        for line in lines(file)? {
            all.extend(variable(&line, environment)?);
        }
    }
    for entry in entries {
        all.extend(variable(entry, environment)?);
    }
    Ok(all)
}

/// The variables of a container: those that are given, and the proxies of Docker's settings that they do not set.
pub(super) fn with_proxies(mut given: Vec<String>, environment: &Environment) -> Vec<String> {
    let is_given = |name: &str| given.iter().any(|entry| entry.split('=').next() == Some(name));
    let proxies = docker_config::proxies(environment).into_iter().filter(|(name, _)| !is_given(name));
    let proxies: Vec<String> = proxies.map(|(name, value)| format!("{name}={value}")).collect();
    given.extend(proxies);
    given
}

/// The lines of an environment or label file: without empty ones and comments, without space before them.
fn lines(path: &Path) -> Outcome<Vec<String>> {
    let fail =
        |error: std::io::Error| CommandError::usage(format!("cannot read `{}`: {error}", path.display()));
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.len() > LARGEST {
        return Err(CommandError::usage(format!("`{}` is larger than 4 MiB", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let text = text.trim_start_matches('\u{feff}');
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(CommandError::usage(format!(
                "{}:{}: `{name}` is no variable name",
                path.display(),
                number + 1
            )));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

/// `-l key=value` and label files.
pub(super) fn labels(files: &[std::path::PathBuf], entries: &[String]) -> Outcome<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    let mut add = |entry: &str| {
        let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
        all.insert(key.to_owned(), value.to_owned());
    };
    for file in files {
        lines(file)?.iter().for_each(|line| add(line));
    }
    entries.iter().for_each(|entry| add(entry));
    Ok(all)
}

/// `--ulimit name=soft[:hard]`.
pub(super) fn ulimit(text: &str) -> Outcome<(String, i64, i64)> {
    let wrong = || CommandError::usage(format!("invalid value `{text}` for --ulimit: NAME=SOFT[:HARD]"));
    let (name, limits) = text.split_once('=').ok_or_else(wrong)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number =
        |text: &str| if text == "unlimited" { Ok(-1) } else { text.parse::<i64>().map_err(|_| wrong()) };
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard >= 0 && (soft > hard || soft < 0) {
        return Err(CommandError::usage(format!(
            "invalid value `{text}` for --ulimit: the soft limit is above the hard one"
        )));
    }
    Ok((name.to_owned(), soft, hard))
}

/// `--add-host name:address`, with `=` too and brackets around IPv6; `host-gateway` is the address 0.0.0.0.
pub(super) fn host(text: &str) -> Outcome<(String, IpAddr)> {
    let wrong = || CommandError::usage(format!("invalid value `{text}` for --add-host: NAME:ADDRESS"));
    let at = text.find(['=', ':']).ok_or_else(wrong)?;
    let (name, address) = (&text[..at], &text[at + 1..]);
    let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if name.is_empty() {
        return Err(wrong());
    }
    let address = if address == "host-gateway" {
        IpAddr::from([0, 0, 0, 0])
    } else {
        address.parse().map_err(|_| wrong())?
    };
    Ok((name.to_owned(), address))
}

/// `--cpus 1.5`, in billionths.
pub(super) fn cpus(text: &str) -> Outcome<u64> {
    let number: f64 = text
        .parse()
        .map_err(|_| CommandError::usage(format!("invalid value `{text}` for --cpus: a number")))?;
    if !(number > 0.0 && number < 1e6) {
        return Err(CommandError::usage(format!("invalid value `{text}` for --cpus: more than 0")));
    }
    Ok((number * 1e9) as u64)
}

/// A Go duration in nanoseconds, for `--health-interval` and its like.
pub(super) fn nanoseconds(flag: &str, text: &str) -> Outcome<u64> {
    container::time::parse_duration(text)
        .map(|duration| duration.as_nanos())
        .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
        .ok_or_else(|| {
            CommandError::usage(format!("invalid value `{text}` for {flag}: a duration such as 30s or 1m30s"))
        })
}

/// `--signal`, `--stop-signal`.
pub(super) fn signal(text: &str) -> Outcome<i32> {
    container::signal::parse(text)
        .filter(|number| (1..=64).contains(number))
        .ok_or_else(|| CommandError::new(format!("invalid signal: {text}")))
}

/// `--detach-keys`: keys apart by commas, a letter each or `ctrl-` and one of `a-z @ [ \ ] ^ _`.
pub(super) fn keys(text: &str) -> Outcome<Vec<u8>> {
    text.split(',')
        .map(|key| {
            let wrong = || {
                CommandError::usage(format!("invalid value `{text}` for --detach-keys: `{key}` is no key"))
            };
            match key.strip_prefix("ctrl-").map(str::as_bytes) {
                Some([letter @ b'a'..=b'z']) => Ok(letter - b'a' + 1),
                Some([other @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => Ok(other & 0x1f),
                Some(_) => Err(wrong()),
                None if key.len() == 1 => Ok(key.as_bytes()[0]),
                None => Err(wrong()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_dockers_units() {
        for (text, size) in
            [("512", 512), ("1k", 1024), ("64m", 64 << 20), ("1.5GiB", 3 << 29), ("2gb", 2 << 30), ("7b", 7)]
        {
            assert_eq!(bytes("-m", text).unwrap(), size, "{text}");
        }
        for text in ["", "m", "1x", "-1", "1e9"] {
            assert!(bytes("-m", text).is_err(), "{text}");
        }
    }

    #[test]
    fn detach_keys() {
        assert_eq!(keys("ctrl-p,ctrl-q").unwrap(), [0x10, 0x11]);
        assert_eq!(keys("ctrl-@,a,ctrl-[").unwrap(), [0, b'a', 0x1b]);
        assert!(keys("ctrl-1").is_err() && keys("ab").is_err() && keys("").is_err());
    }

    #[test]
    fn hosts_and_limits() {
        assert_eq!(host("db:192.0.2.1").unwrap(), ("db".into(), "192.0.2.1".parse().unwrap()));
        assert_eq!(host("db=[::1]").unwrap().1, "::1".parse::<IpAddr>().unwrap());
        assert!(host("db:::1").is_ok() && host("h:host-gateway").unwrap().1.is_unspecified());
        assert!(host("db").is_err() && host(":1.2.3.4").is_err());
        assert_eq!(ulimit("nofile=1:2").unwrap(), ("nofile".into(), 1, 2));
        assert_eq!(ulimit("core=-1").unwrap(), ("core".into(), -1, -1));
        assert!(ulimit("nofile=2:1").is_err() && ulimit("nofile").is_err());
    }

    #[test]
    fn environment_files_have_rules() {
        let dir = std::env::temp_dir().join(format!("jettison-env-file-{}", std::process::id()));
        std::fs::write(&dir, "\u{feff}# no\n\n  A=1 2\nB=\nJETTISON_NOT_SET\n").unwrap();
        let all = variables(std::slice::from_ref(&dir), &["C=3".into()], &Environment::default()).unwrap();
        assert_eq!(all, ["A=1 2", "B=", "C=3"]);
        std::fs::write(&dir, "A B=1\n").unwrap();
        let error = variables(std::slice::from_ref(&dir), &[], &Environment::default()).unwrap_err();
        assert!(error.message.contains(":1: "), "{}", error.message);
        std::fs::remove_file(&dir).unwrap();
    }
}

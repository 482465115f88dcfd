//! The version of a main module that was built in its own work tree: Go knows none, but says what it was told.

use super::go::{BuildInfo, DEVELOPMENT, Module};
use oci::timestamp;
use std::borrow::Cow;

/// Names of variables, in small letters, that linkers are told a version by.
const VARIABLES: [&str; 9] = [
    "version",
    "ver",
    "tag",
    "gitversion",
    "buildversion",
    "releaseversion",
    "gittag",
    "release",
    "appversion",
];

/// The version of the main module: its own, or the one that the linker was told (`-X main.version=1.2.3`), or the
/// pseudo-version of the commit that it was built from, or `(devel)`.
pub(super) fn main_version<'a>(info: &BuildInfo<'a>, main: &Module<'a>) -> Cow<'a, str> {
    if main.version != DEVELOPMENT {
        return main.version.into();
    }
    let told = info.setting("-ldflags").and_then(|flags| linked(flags, main.path));
    told.or_else(|| pseudo(info)).map_or(main.version.into(), Into::into)
}

/// The first value of three numbers that a variable of `main` or of the main module's packages got, whose name is one
/// of a version.
fn linked(flags: &str, module: &str) -> Option<String> {
    let assignments = flags.split_whitespace().map(|word| word.trim_matches(['\'', '"']));
    assignments.filter_map(|word| word.split_once('=')).find_map(|(variable, value)| {
        let (package, name) = variable.rsplit_once('.')?;
        let own = package.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let name = name.to_ascii_lowercase();
        if !(own || package == "main") || !VARIABLES.contains(&&*name) {
            return None;
        }
        semantic(value.rsplit('/').next().unwrap_or(value))
    })
}

/// `v1.2.3-rc.1` with or without its `v`; nothing where it does not begin with three numbers.
fn semantic(text: &str) -> Option<String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut numbers = text.splitn(3, '.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (major, minor, patch) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let digits = patch.bytes().take_while(u8::is_ascii_digit).count();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.+~".contains(c);
    let good = is_number(major) && is_number(minor) && digits > 0 && patch.chars().all(fits);
    good.then(|| format!("v{text}"))
}

/// `v0.0.0-YYYYMMDDhhmmss-COMMIT`, as Go names what has no tag.
fn pseudo(info: &BuildInfo<'_>) -> Option<String> {
    let (revision, time) = (info.setting("vcs.revision")?, info.setting("vcs.time")?);
    let time = timestamp::rfc3339(timestamp::parse(time)?);
    let digits: String = time.chars().filter(char::is_ascii_digit).take(14).collect();
    let good = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then(|| format!("v0.0.0-{digits}-{}", &revision[..revision.len().min(12)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkers_are_told_versions() {
        let module = "example.org/tool";
        for (flags, expected) in [
            ("-w -X main.version=1.2.3 -X main.date=2024.1.1", Some("v1.2.3")),
            ("-X 'example.org/tool/cmd.GitVersion=v1.2.3-rc.1+x'", Some("v1.2.3-rc.1+x")),
            ("-X example.org/tool.Tag=release/v1.2.3", Some("v1.2.3")),
            ("-X example.org/toolbox.version=1.2.3", None),
            ("-X main.version=main", None),
            ("-X main.goVersion=1.22.1", None),
            ("-X main.version=1.2", None),
        ] {
            assert_eq!(linked(flags, module).as_deref(), expected, "{flags}");
        }
    }
}

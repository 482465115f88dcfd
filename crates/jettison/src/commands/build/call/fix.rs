//! `build --check --fix`: the file after its fix, written where it was, and shown as a diff.

use crate::error::{CommandError, Outcome};
use crate::screen;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// What happens with the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fix {
    /// The file is written, and the diff shown.
    Write,
    /// Only the diff is shown.
    Diff,
}

/// Where the text came from.
pub(super) enum Origin<'a> {
    /// A file of the user's.
    File(&'a Path),
    /// Standard input: the fixed text goes to standard output.
    Input,
    /// Something that cannot be written to, such as an archive; the words name it.
    Elsewhere(&'static str),
}

/// Shows, and writes, what was fixed.
pub(super) fn give(
    fix: Fix,
    origin: &Origin<'_>,
    uri: &str,
    before: &str,
    fixed: &advice::Fixed,
) -> Outcome<()> {
    let diff = || advice::unified(uri, before, &fixed.text);
    match (fix, origin) {
        (Fix::Write, Origin::Input) => screen::out(&fixed.text),
        (Fix::Write, Origin::Elsewhere(what)) => {
            return Err(CommandError::usage(format!("--fix cannot write to {what}"))
                .hint("`--fix=diff` only shows what it would change"));
        }
        (Fix::Write, Origin::File(path)) if !fixed.changes.is_empty() => {
            replace(path, before, &fixed.text).map_err(|error| {
                CommandError::new(format!("cannot write the Dockerfile {}: {error}", path.display()))
            })?;
            screen::out(&diff());
        }
        (Fix::Write, Origin::File(_)) => {}
        (Fix::Diff, _) => screen::out(&diff()),
    }
    Ok(())
}

/// What was fixed and what is left, in a sentence on standard error.
pub(super) fn say(fix: Fix, uri: &str, fixed: usize, left: usize) {
    let findings =
        |count: usize| if count == 1 { "1 finding".to_owned() } else { format!("{count} findings") };
    let done = match (fix, fixed) {
        (_, 0) => format!("nothing in {uri} can be rewritten safely"),
        (Fix::Diff, _) => format!("{} in {uri} can be rewritten", findings(fixed)),
        (Fix::Write, 1) => format!("1 finding in {uri} was mended"),
        (Fix::Write, _) => format!("{} in {uri} were mended", findings(fixed)),
    };
    let more = match left {
        0 => "none is left".to_owned(),
        1 => "1 is left, which `--check` without `--fix` shows".to_owned(),
        _ => format!("{left} are left, which `--check` without `--fix` shows"),
    };
    screen::say(&format!("{done}; {more}"));
}

/// Puts another file in the place of one, with its mode and owner, at once. A link stays one; what it leads to is
/// replaced.
fn replace(path: &Path, before: &str, after: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let found = fs::metadata(&path)?;
    let temporary = beside(&path);
    let written = write(&temporary, after, &found).and_then(|()| {
        if fs::read(&path)? != before.as_bytes() {
            return Err(io::Error::other("somebody changed it meanwhile"));
        }
        fs::rename(&temporary, &path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A name in the same folder that nothing has.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:016x}", random()))
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u64::from_ne_bytes(bytes)
}

fn write(path: &Path, text: &str, like: &fs::Metadata) -> io::Result<()> {
    let mut file: File = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(like.mode() & 0o7777))?;
    file.sync_all()
}

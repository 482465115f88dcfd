//! Why a result was not known: the key of this build beside the key that stood in the same place before.

use crate::{EnvVar, FileAction, Key, KeyInput, KeyOp, Mount, MountKind, RunOp};
use oci::Digest;
use std::fmt;

/// Why a step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// `--no-cache`, or the stage is named by `--no-cache-filter`.
    NoCacheAsked,
    /// Nothing stood in this place of this build before.
    NeverBuilt,
    /// The same key was built before, but its result was removed by `prune` or the size limit.
    Evicted,
    /// The instruction says something else.
    CommandChanged {
        /// What it said.
        old: String,
        /// What it says.
        new: String,
    },
    /// A build argument has another value.
    ArgChanged {
        /// Its name.
        name: String,
        /// Its value before, if it had one.
        old: Option<String>,
        /// Its value, if it has one.
        new: Option<String>,
    },
    /// An environment variable has another value.
    EnvChanged {
        /// Its name.
        name: String,
        /// Its value before, if it had one.
        old: Option<String>,
        /// Its value, if it has one.
        new: Option<String>,
    },
    /// User, directory, mounts, network or limits differ.
    SettingChanged {
        /// Which.
        what: &'static str,
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// Files that are taken differ.
    FilesChanged {
        /// The first few, in order.
        first: Vec<FileChange>,
        /// How many there are in all; 0 where the old list is gone.
        count: usize,
    },
    /// What it stands on differs: the base image, or the step before.
    BaseChanged,
}

/// How a file differs from the one of the build before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// It is new.
    Added(String),
    /// Its content, mode or type differs.
    Changed(String),
    /// It is gone.
    Removed(String),
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(path) => write!(f, "{path} (new)"),
            Self::Changed(path) => f.write_str(path),
            Self::Removed(path) => write!(f, "{path} (removed)"),
        }
    }
}

impl MissReason {
    /// One word for machines.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoCacheAsked => "no-cache-asked",
            Self::NeverBuilt => "never-built",
            Self::Evicted => "evicted",
            Self::CommandChanged { .. } => "command-changed",
            Self::ArgChanged { .. } => "arg-changed",
            Self::EnvChanged { .. } => "env-changed",
            Self::SettingChanged { .. } => "setting-changed",
            Self::FilesChanged { .. } => "files-changed",
            Self::BaseChanged => "base-changed",
        }
    }
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value =
            |value: &Option<String>| value.as_ref().map_or("unset".to_owned(), |v| format!("`{}`", short(v)));
        match self {
            Self::NoCacheAsked => f.write_str("runs because of --no-cache"),
            Self::NeverBuilt => f.write_str("runs because it was not built before"),
            Self::Evicted => f.write_str("runs because its result was pruned"),
            Self::CommandChanged { old, new } => {
                write!(f, "runs because the instruction changed from `{}` to `{}`", short(old), short(new))
            }
            Self::ArgChanged { name, old, new } => {
                write!(f, "runs because build argument {name} changed from {} to {}", value(old), value(new))
            }
            Self::EnvChanged { name, old, new } => {
                write!(
                    f,
                    "runs because environment variable {name} changed from {} to {}",
                    value(old),
                    value(new)
                )
            }
            Self::SettingChanged { what, old, new } => {
                let shown = |text: &str| match text {
                    "" => "unset".to_owned(),
                    text => format!("`{}`", short(text)),
                };
                write!(f, "runs because its {what} changed from {} to {}", shown(old), shown(new))
            }
            Self::FilesChanged { first, count } if first.is_empty() && *count == 0 => {
                f.write_str("runs because the files it copies changed")
            }
            Self::FilesChanged { first, count } => {
                let names: Vec<String> = first.iter().map(ToString::to_string).collect();
                write!(f, "runs because {} changed: {}", plural(*count, "file"), names.join(", "))?;
                if *count > first.len() { f.write_str(", ...") } else { Ok(()) }
            }
            Self::BaseChanged => f.write_str("runs because what it stands on changed"),
        }
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The first line of a text, at most 60 characters.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut cut: String = line.chars().take(60).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}

/// Compares the key of a step with the one that stood in its place before. `files` answers which taken files differ,
/// and is asked only when the files' digest does.
pub fn explain(old: &Key, new: &Key, files: impl FnOnce() -> (Vec<FileChange>, usize)) -> MissReason {
    match (&old.op, &new.op) {
        (KeyOp::Run(before), KeyOp::Run(now)) => {
            if let Some(reason) = explain_run(before, now) {
                return reason;
            }
        }
        (KeyOp::File(before), KeyOp::File(now)) if before != now => {
            let text = |op: &crate::FileOp| op.actions.iter().map(describe).collect::<Vec<_>>().join("; ");
            return MissReason::CommandChanged { old: text(before), new: text(now) };
        }
        (before, now) if std::mem::discriminant(before) != std::mem::discriminant(now) => {
            return MissReason::CommandChanged { old: describe_op(before), new: describe_op(now) };
        }
        _ => {}
    }
    let taken = |key: &Key| -> Vec<Digest> {
        key.inputs
            .iter()
            .filter_map(|i| if let KeyInput::Files(digest) = i { Some(*digest) } else { None })
            .collect()
    };
    if taken(old) != taken(new) {
        let (first, count) = files();
        return MissReason::FilesChanged { first, count };
    }
    if old.inputs != new.inputs {
        return MissReason::BaseChanged;
    }
    if old.mode != new.mode {
        let mode = |key: &Key| key.mode.clone().unwrap_or_else(|| "all ids".to_owned());
        return MissReason::SettingChanged { what: "mapping of owners", old: mode(old), new: mode(new) };
    }
    if old.version != new.version {
        let version = |key: &Key| key.version.to_string();
        return MissReason::SettingChanged { what: "format of keys", old: version(old), new: version(new) };
    }
    if old.op != new.op {
        return MissReason::BaseChanged;
    }
    MissReason::Evicted
}

fn explain_run(old: &RunOp, new: &RunOp) -> Option<MissReason> {
    if old.args != new.args || old.pipes != new.pipes {
        return Some(MissReason::CommandChanged { old: command(old), new: command(new) });
    }
    for name in new.env.vars().into_iter().chain(old.env.vars()).map(|var| var.name.as_str()) {
        let (before, now) = (old.env.get(name), new.env.get(name));
        if before.map(|var| &var.value) != now.map(|var| &var.value) {
            let arg = now.or(before).is_some_and(|var| var.arg);
            let value = |var: Option<&EnvVar>| var.map(|var| var.value.clone());
            let (name, old, new) = (name.to_owned(), value(before), value(now));
            return Some(if arg {
                MissReason::ArgChanged { name, old, new }
            } else {
                MissReason::EnvChanged { name, old, new }
            });
        }
    }
    let setting = |what, old: String, new: String| {
        (old != new).then_some(MissReason::SettingChanged { what, old, new })
    };
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    let limits = |op: &RunOp| {
        let limits = op.ulimits.iter().map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard));
        limits.collect::<Vec<_>>().join(" ")
    };
    let mounts = |op: &RunOp| op.mounts.iter().map(describe_mount).collect::<Vec<_>>().join(" ");
    let lower = |value: &dyn fmt::Debug| format!("{value:?}").to_lowercase();
    setting("working directory", old.cwd.clone(), new.cwd.clone())
        .or_else(|| setting("user", old.user.clone(), new.user.clone()))
        .or_else(|| setting("network", lower(&old.network), lower(&new.network)))
        .or_else(|| setting("confinement", lower(&old.security), lower(&new.security)))
        .or_else(|| setting("platform", old.platform.to_string(), new.platform.to_string()))
        .or_else(|| setting("mounts", mounts(old), mounts(new)))
        .or_else(|| {
            let name = |op: &RunOp| op.hostname.clone().unwrap_or_default();
            setting("host name", name(old), name(new))
        })
        .or_else(|| setting("host entries", pairs(&old.extra_hosts), pairs(&new.extra_hosts)))
        .or_else(|| setting("size of /dev/shm", old.shm_size.to_string(), new.shm_size.to_string()))
        .or_else(|| setting("limits", limits(old), limits(new)))
        // What is left is the order of the environment, and details of mounts.
        .or_else(|| (old != new).then(|| MissReason::CommandChanged { old: command(old), new: command(new) }))
}

/// A mount as people write it.
fn describe_mount(mount: &Mount) -> String {
    let target = &mount.target;
    match &mount.kind {
        MountKind::Bind { source, writable, .. } => {
            format!("type=bind,source={source},target={target}{}", if *writable { ",rw" } else { "" })
        }
        MountKind::Cache { id, sharing, mode, uid, gid, readonly, .. } => {
            let sharing = format!("{sharing:?}").to_lowercase();
            let readonly = if *readonly { ",ro" } else { "" };
            format!(
                "type=cache,id={id},target={target},sharing={sharing},mode={mode:o},uid={uid},gid={gid}{readonly}"
            )
        }
        MountKind::Tmpfs { size, readonly } => {
            format!("type=tmpfs,target={target},size={size}{}", if *readonly { ",ro" } else { "" })
        }
        MountKind::Secret { id, file, env, required, mode, uid, gid } => {
            let file = if *file { format!(",target={target}") } else { String::new() };
            let env = env.as_ref().map(|name| format!(",env={name}")).unwrap_or_default();
            format!("type=secret,id={id}{file}{env},required={required},mode={mode:o},uid={uid},gid={gid}")
        }
        MountKind::Ssh { id, required, mode, uid, gid } => {
            format!("type=ssh,id={id},target={target},required={required},mode={mode:o},uid={uid},gid={gid}")
        }
    }
}

/// The command as people wrote it: the last argument of `/bin/sh -c TEXT`, else all words.
fn command(run: &RunOp) -> String {
    match &run.args[..] {
        [_, flag, text] if flag == "-c" => text.clone(),
        args => args.join(" "),
    }
}

fn describe(action: &FileAction) -> String {
    match action {
        FileAction::Copy(copy) => {
            let mut text = format!("{} {}", copy.sources.join(" "), copy.destination);
            if let Some(owner) = &copy.chown {
                text = format!("--chown={owner} {text}");
            }
            if let Some(mode) = &copy.chmod {
                text = format!("--chmod={mode} {text}");
            }
            if copy.parents {
                text = format!("--parents {text}");
            }
            text
        }
        FileAction::MakeDirectory(make) => format!("directory {}", make.path),
        FileAction::MakeFile(make) => format!("file {}", make.path),
    }
}

fn describe_op(op: &KeyOp) -> String {
    match op {
        KeyOp::Scratch => "scratch".to_owned(),
        KeyOp::Image { .. } => "an image".to_owned(),
        KeyOp::Http { name, .. } => format!("the file {name} by its URL"),
        KeyOp::Git { commit, .. } => format!("the commit {commit}"),
        KeyOp::Run(run) => command(run),
        KeyOp::File(file) => file.actions.iter().map(describe).collect::<Vec<_>>().join("; "),
        KeyOp::Merge => "a merge".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, env: &[(&str, &str, bool)], base: &[u8]) -> Key {
        let op = RunOp {
            args: vec!["/bin/sh".into(), "-c".into(), text.into()],
            env: env
                .iter()
                .map(|(n, v, arg)| EnvVar { name: (*n).into(), value: (*v).into(), arg: *arg })
                .collect(),
            cwd: "/".into(),
            ..RunOp::default()
        };
        Key::new(KeyOp::Run(Box::new(op)), vec![KeyInput::Snapshot(Digest::of(base))])
    }

    fn why(old: &Key, new: &Key) -> String {
        explain(old, new, || (vec![FileChange::Changed("src/a.js".into()), FileChange::Added("b".into())], 5))
            .to_string()
    }

    #[test]
    fn each_part_of_a_key_has_its_own_words() {
        let plain = run("npm ci", &[("V", "1", true), ("E", "1", false)], b"base");
        assert_eq!(
            why(&plain, &run("npm i", &[], b"x")),
            "runs because the instruction changed from `npm ci` to `npm i`"
        );
        assert_eq!(
            why(&plain, &run("npm ci", &[("V", "2", true), ("E", "1", false)], b"base")),
            "runs because build argument V changed from `1` to `2`"
        );
        assert_eq!(
            why(&plain, &run("npm ci", &[("V", "1", true)], b"base")),
            "runs because environment variable E changed from `1` to unset"
        );
        assert_eq!(
            why(&plain, &run("npm ci", &[("V", "1", true), ("E", "1", false)], b"other")),
            "runs because what it stands on changed"
        );
        assert_eq!(why(&plain, &plain), "runs because its result was pruned");
        let copy = |digest: &[u8]| {
            Key::new(KeyOp::File(crate::FileOp::default()), vec![KeyInput::Files(Digest::of(digest))])
        };
        assert_eq!(why(&copy(b"1"), &copy(b"2")), "runs because 5 files changed: src/a.js, b (new), ...");
        assert_eq!(why(&copy(b"1"), &plain), "runs because the instruction changed from `` to `npm ci`");
    }
}

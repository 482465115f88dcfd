//! `RUN --mount`: its fields as written, and what they mean once variables are expanded.
//!
//! ```text
//! --mount=type=cache,target=/root/.npm,id=npm,sharing=locked
//! --mount=type=secret,id=token,env=TOKEN
//! --mount=target=/src                        (type=bind, read-only)
//! ```
//!
//! The flag is split at commas first and each value is expanded then, so a value may hold a comma that a variable
//! brought.

use crate::source::Span;
use crate::{csv, number, suggest};

/// A `--mount` flag as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountFlag {
    /// The value of the flag, without the quotes of the line.
    pub text: String,
    /// Where the value stands.
    pub span: Span,
    /// Its fields in order.
    pub fields: Vec<MountField>,
}

/// One field of a mount: `key=value`, or `key` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountField {
    /// The key in lower case.
    pub key: String,
    /// The value, not expanded.
    pub value: Option<String>,
}

/// What a mount puts at its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MountType {
    /// Files of the context, a stage, an image or a named context. What is written is thrown away.
    #[default]
    Bind,
    /// A directory that stays from build to build.
    Cache,
    /// An empty file system in memory.
    Tmpfs,
    /// A secret of the build, as a file or a variable.
    Secret,
    /// The socket of an ssh agent.
    Ssh,
}

impl MountType {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }
}

/// Who may use a cache mount at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Each its own.
    Private,
    /// One after the other.
    Locked,
}

impl Sharing {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Locked => "locked",
        }
    }
}

/// A mount as it is meant. Defaults that depend on the stage or the platform are left to the frontend: the id of a
/// cache is its cleaned target, the target of a secret `/run/secrets/` and its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// What it is.
    pub kind: MountType,
    /// `from`: a stage, an image or a named context; empty is the build context (for caches: nothing).
    pub from: String,
    /// `source`, `src`: the path inside `from`; for a secret another word for its id.
    pub source: String,
    /// `target`, `dst`, `destination`: the path in the step; may be empty for secret and ssh.
    pub target: String,
    /// Whether the step may not write to it: `ro`, `rw` and their long names, else by type: yes for bind, secret and
    /// ssh.
    pub read_only: bool,
    /// `size` of a tmpfs in bytes; 0 is no limit.
    pub size: u64,
    /// `id` of a cache, a secret or an ssh agent; empty when not given.
    pub id: String,
    /// `sharing` of a cache; `None` when not given, which means shared.
    pub sharing: Option<Sharing>,
    /// `required` of a secret or an ssh agent.
    pub required: bool,
    /// `env` of a secret: the variable that takes it; an empty name means the id.
    pub env: Option<String>,
    /// `mode`, given in octal digits.
    pub mode: Option<u32>,
    /// `uid`.
    pub uid: Option<u32>,
    /// `gid`.
    pub gid: Option<u32>,
}

/// What is wrong with a mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is described by its message, each field by its name in it")]
pub enum MountError {
    #[error("the fields of `{text}` cannot be told apart: a quote is misplaced")]
    Fields { text: String },
    #[error("unknown key `{key}`{}", did_you_mean(.nearest))]
    UnknownKey { key: String, nearest: Option<String> },
    #[error("`{key}` needs a value, as in `{key}=...`")]
    NeedsValue { key: String },
    #[error("unknown type `{value}`{}", did_you_mean(.nearest))]
    UnknownType { value: String, nearest: Option<String> },
    #[error("unknown sharing `{value}`{}", did_you_mean(.nearest))]
    UnknownSharing { value: String, nearest: Option<String> },
    #[error("`{value}` is no value for `{key}`, which takes {takes}")]
    InvalidValue { key: String, value: String, takes: &'static str },
    #[error("a {kind} mount has no `{key}`")]
    NotForType { kind: &'static str, key: String },
    #[error("a secret mount needs an `id` or a `target`")]
    SecretWithoutName,
    #[error("a secret mount takes `id` or `source`, not both")]
    SecretNamedTwice,
    #[error("`from` does not expand variables (`{value}`)")]
    FromVariable { value: String },
    #[error("{0}")]
    Expand(#[from] crate::expand::ExpandError),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

impl MountFlag {
    /// Splits a flag's value into fields; says what can be said without the values of variables.
    pub fn parse(text: &str, span: Span) -> Result<MountFlag, MountError> {
        let fields = csv::fields(text).ok_or_else(|| MountError::Fields { text: text.to_owned() })?;
        let fields = fields.iter().map(|field| MountField::parse(field)).collect::<Vec<_>>();
        for field in &fields {
            if let ("from", Some(value)) = (field.key.as_str(), &field.value)
                && value.find('$').is_some_and(|at| at + 1 < value.len())
            {
                return Err(MountError::FromVariable { value: value.clone() });
            }
        }
        Ok(MountFlag { text: text.to_owned(), span, fields })
    }

    /// The stage, image or context that `from` names, if the flag has one.
    pub fn from(&self) -> Option<&str> {
        let given = self.fields.iter().rev().find(|field| field.key == "from")?;
        given.value.as_deref().filter(|value| !value.is_empty())
    }

    /// What the fields mean; `expand` gives each value its variables.
    pub fn resolve<E: From<MountError>>(
        &self,
        mut expand: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Mount, E> {
        let mut mount = Mount::default();
        let mut read_only = None;
        for field in &self.fields {
            let value = field.value.as_deref().map(&mut expand).transpose()?;
            mount.set(&field.key, value, &mut read_only)?;
        }
        mount.check(read_only)?;
        Ok(mount)
    }
}

impl MountField {
    fn parse(field: &str) -> Self {
        match field.split_once('=') {
            Some((key, value)) => Self { key: key.to_lowercase(), value: Some(value.to_owned()) },
            None => Self { key: field.to_lowercase(), value: None },
        }
    }
}

impl Mount {
    /// Reads the value of a `--mount` flag whose variables are expanded already.
    pub fn parse(text: &str) -> Result<Mount, MountError> {
        MountFlag::parse(text, Span::default())?.resolve(|value| Ok::<_, MountError>(value.to_owned()))
    }

    fn set(
        &mut self,
        key: &str,
        value: Option<String>,
        read_only: &mut Option<bool>,
    ) -> Result<(), MountError> {
        let boolean = |value: Option<String>| match value {
            None => Ok(true),
            Some(value) => number::boolean(&value).ok_or_else(|| MountError::InvalidValue {
                key: key.to_owned(),
                value,
                takes: "`true` or `false`",
            }),
        };
        match key {
            "readonly" | "ro" => {
                *read_only = Some(boolean(value)?);
                return Ok(());
            }
            "readwrite" | "rw" => {
                *read_only = Some(!boolean(value)?);
                return Ok(());
            }
            "required" => {
                if !matches!(self.kind, MountType::Secret | MountType::Ssh) {
                    return Err(self.not_for_type(key));
                }
                self.required = boolean(value)?;
                return Ok(());
            }
            _ => {}
        }
        let Some(value) = value else {
            return Err(if KEYS.contains(&key) {
                MountError::NeedsValue { key: key.to_owned() }
            } else {
                unknown_key(key)
            });
        };
        let id = |value: String| {
            value.parse().map_err(|_| MountError::InvalidValue {
                key: key.to_owned(),
                value,
                takes: "a number",
            })
        };
        match key {
            "type" => {
                let kinds =
                    [MountType::Bind, MountType::Cache, MountType::Tmpfs, MountType::Secret, MountType::Ssh];
                let known = kinds.into_iter().find(|kind| value.eq_ignore_ascii_case(kind.name()));
                self.kind = known.ok_or_else(|| MountError::UnknownType {
                    nearest: suggest::nearest(&value, kinds.map(MountType::name), true),
                    value,
                })?;
            }
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "size" if self.kind != MountType::Tmpfs => return Err(self.not_for_type(key)),
            "size" => {
                self.size = number::bytes(&value).ok_or_else(|| MountError::InvalidValue {
                    key: key.to_owned(),
                    value,
                    takes: "a size such as `64m`",
                })?;
            }
            "id" => self.id = value,
            "sharing" => {
                let all = [Sharing::Shared, Sharing::Private, Sharing::Locked];
                let known = all.into_iter().find(|sharing| value.eq_ignore_ascii_case(sharing.name()));
                self.sharing = Some(known.ok_or_else(|| MountError::UnknownSharing {
                    nearest: suggest::nearest(&value, all.map(Sharing::name), true),
                    value,
                })?);
            }
            "mode" => {
                let mode = u32::from_str_radix(&value, 8).ok().filter(|_| !value.starts_with('+'));
                self.mode = Some(mode.ok_or_else(|| MountError::InvalidValue {
                    key: key.to_owned(),
                    value,
                    takes: "octal digits",
                })?);
            }
            "uid" => self.uid = Some(id(value)?),
            "gid" => self.gid = Some(id(value)?),
            "env" => self.env = Some(value),
            _ => return Err(unknown_key(key)),
        }
        Ok(())
    }

    /// The rules between fields, once all are read.
    fn check(&mut self, read_only: Option<bool>) -> Result<(), MountError> {
        if matches!(self.kind, MountType::Bind | MountType::Tmpfs) {
            let given = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
            if let Some((key, _)) = given.into_iter().find(|(_, value)| value.is_some()) {
                return Err(self.not_for_type(key));
            }
        }
        self.read_only = read_only.unwrap_or(!matches!(self.kind, MountType::Cache | MountType::Tmpfs));
        if self.kind == MountType::Secret {
            if !self.from.is_empty() {
                return Err(self.not_for_type("from"));
            }
            if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                return Err(MountError::SecretWithoutName);
            }
            if !self.source.is_empty() && !self.id.is_empty() {
                return Err(MountError::SecretNamedTwice);
            }
        }
        if self.sharing.is_some() && self.kind != MountType::Cache {
            return Err(self.not_for_type("sharing"));
        }
        Ok(())
    }

    fn not_for_type(&self, key: &str) -> MountError {
        MountError::NotForType { kind: self.kind.name(), key: key.to_owned() }
    }
}

fn unknown_key(key: &str) -> MountError {
    MountError::UnknownKey {
        key: key.to_owned(),
        nearest: (key.len() > 1).then(|| suggest::nearest(key, KEYS, true)).flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Mount::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_types_and_their_defaults() {
        let bind = Mount::parse("target=/src,src=a,from=base").unwrap();
        assert_eq!((bind.kind, bind.read_only, bind.from.as_str()), (MountType::Bind, true, "base"));
        assert!(!Mount::parse("type=bind,target=/src,rw").unwrap().read_only);
        assert!(Mount::parse("target=/src,readwrite=false").unwrap().read_only);
        let cache = Mount::parse("type=Cache,dst=/c,sharing=LOCKED,mode=0700,uid=1000,gid=7").unwrap();
        assert_eq!((cache.sharing, cache.mode, cache.uid), (Some(Sharing::Locked), Some(0o700), Some(1000)));
        assert!(!cache.read_only);
        assert_eq!(Mount::parse("type=tmpfs,target=/t,size=1g").unwrap().size, 1 << 30);
        let secret = Mount::parse("type=secret,id=t,required,env=T").unwrap();
        assert_eq!((secret.required, secret.env.as_deref()), (true, Some("T")));
        assert!(!Mount::parse("type=ssh,required=0").unwrap().required);
    }

    #[test]
    fn messages_name_the_field() {
        assert_eq!(error("type=cahe"), "unknown type `cahe`; did you mean `cache`?");
        assert_eq!(error("targte=/x"), "unknown key `targte`; did you mean `target`?");
        assert_eq!(error("target"), "`target` needs a value, as in `target=...`");
        assert_eq!(error("target=/x,required"), "a bind mount has no `required`");
        assert_eq!(error("type=bind,size=5"), "a bind mount has no `size`");
        assert_eq!(error("type=tmpfs,mode=700"), "a tmpfs mount has no `mode`");
        assert_eq!(
            error("type=cache,target=/x,mode=9"),
            "`9` is no value for `mode`, which takes octal digits"
        );
        assert_eq!(error("type=cache,uid=me"), "`me` is no value for `uid`, which takes a number");
        assert_eq!(error("type=cache,sharing=lock"), "unknown sharing `lock`; did you mean `locked`?");
        assert_eq!(error("type=secret"), "a secret mount needs an `id` or a `target`");
        assert_eq!(error("type=secret,id=a,src=b"), "a secret mount takes `id` or `source`, not both");
        assert_eq!(error("type=secret,id=a,from=b"), "a secret mount has no `from`");
        assert_eq!(error("type=ssh,sharing=locked"), "a ssh mount has no `sharing`");
        assert_eq!(error("from=$x,target=/y"), "`from` does not expand variables (`$x`)");
        assert_eq!(error("ro=maybe"), "`maybe` is no value for `ro`, which takes `true` or `false`");
    }

    #[test]
    fn values_are_expanded_after_the_split() {
        let flag = MountFlag::parse("type=$t,target=/x", Span::default()).unwrap();
        let mount = flag.resolve(|value| Ok::<_, MountError>(value.replace("$t", "cache"))).unwrap();
        assert_eq!(mount.kind, MountType::Cache);
    }
}

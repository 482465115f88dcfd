//! The build context and the Dockerfile in it: a folder, or standard input.

use super::{BuildArgs, remote};
use crate::error::{CommandError, Outcome};
use dockerfile::ignore::Patterns;
use executor::LocalContext;
use frontend::NamedContext;
use graph::HttpOp;
use oci::Digest;
use source::Root;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest Dockerfile and the largest ignore file.
pub(super) const LARGEST: u64 = 16 << 20;

/// A build context that was opened.
pub(crate) struct Context {
    /// The folder; of an archive on standard input a temporary one; empty for what another machine holds.
    path: PathBuf,
    /// What stands for it in the build's identity.
    identity: String,
    /// A Dockerfile that came on standard input.
    given: Option<Vec<u8>>,
    /// The file of `--ignorefile`.
    ignorefile: Option<PathBuf>,
    /// Removes what was unpacked.
    _temporary: Option<Temporary>,
}

/// The Dockerfile's bytes and how messages call it.
pub(crate) struct DockerfileText {
    pub(crate) bytes: Vec<u8>,
    pub(crate) name: String,
    /// The file's name inside the context, for `<name>.dockerignore`.
    pub(super) inside: Option<String>,
}

impl DockerfileText {
    /// The file that it was read from; none for one on standard input.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.inside.as_deref().map(Path::new)
    }
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens the context that the command line names.
pub(crate) fn open(args: &BuildArgs) -> Outcome<Context> {
    let from_input = args.file.as_deref() == Some("-");
    if args.context == "-" {
        if from_input {
            return Err(CommandError::usage("the context and the Dockerfile cannot both be standard input"));
        }
        return from_standard_input(args);
    }
    if remote::address(args, &[], None)?.is_some() {
        return Err(CommandError::usage(format!(
            "the context `{}` is an address: what is asked for takes a folder or `-`",
            args.context
        ))
        .hint("fetch it and name the folder"));
    }
    let path = std::fs::canonicalize(&args.context).map_err(|error| {
        CommandError::new(format!("cannot open the build context `{}`: {error}", args.context))
    })?;
    if !path.is_dir() {
        return Err(CommandError::new(format!("the build context `{}` is not a folder", args.context))
            .hint("name a Dockerfile with --file and a folder as the context"));
    }
    let given = from_input.then(read_standard_input).transpose()?;
    let identity = path.to_string_lossy().into_owned();
    Ok(Context { path, identity, given, ignorefile: args.ignorefile.clone(), _temporary: None })
}

/// A context that another machine holds, under the name that the build has by it.
pub(crate) fn elsewhere(identity: String) -> Context {
    Context { path: PathBuf::new(), identity, given: None, ignorefile: None, _temporary: None }
}

/// What `--build-context NAME=VALUE` means.
pub(crate) fn named(name: &str, value: &str) -> Outcome<NamedContext> {
    let wrong = |reason: String| CommandError::usage(format!("--build-context {name}={value}: {reason}"));
    if let Some(image) = value.strip_prefix("docker-image://") {
        return Ok(NamedContext::Image(image.to_owned()));
    }
    if let Some(layout) = value.strip_prefix("oci-layout://") {
        let mut layout =
            export::place::LayoutName::parse(layout).map_err(|error| wrong(error.to_string()))?;
        layout.folder = std::fs::canonicalize(&layout.folder)
            .map_err(|error| wrong(format!("cannot open `{}`: {error}", layout.folder.display())))?;
        return Ok(NamedContext::Image(layout.to_string()));
    }
    if value.starts_with("target:") {
        return Err(wrong("`target:` names a target of a bake file, and this build has none".to_owned())
            .hint("name the stage in the Dockerfile, or give an image by `docker-image://NAME`"));
    }
    if Path::new(value).is_dir() {
        return Ok(NamedContext::Local);
    }
    match dockerfile::git::parse(value) {
        Err(error) => Err(wrong(error.to_string())),
        Ok(Some(url)) => {
            let keep = url.keep_git_dir.unwrap_or(false);
            Ok(NamedContext::Git(frontend::git_op(url, keep, None)))
        }
        Ok(None) if dockerfile::remote::is_http(value) => Ok(NamedContext::Http(HttpOp {
            url: value.to_owned(),
            name: "context".to_owned(),
            checksum: None,
        })),
        Ok(None) if value.contains("://") => Err(wrong("this kind of address is not known".to_owned())
            .hint("folders, docker-image://, oci-layout://, git repositories and http(s):// are known")),
        Ok(None) => Ok(NamedContext::Local),
    }
}

pub(super) fn read_standard_input() -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CommandError::new(format!("cannot read standard input: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(CommandError::new("the Dockerfile on standard input is larger than 16 MiB"));
    }
    if bytes.is_empty() {
        return Err(CommandError::new("standard input is empty"));
    }
    Ok(bytes)
}

/// A tar archive, compressed or not, or else a Dockerfile without a context.
fn from_standard_input(args: &BuildArgs) -> Outcome<Context> {
    let mut input = std::io::stdin().lock();
    let mut head = Vec::new();
    let fail = |error: std::io::Error| CommandError::new(format!("cannot read standard input: {error}"));
    input.by_ref().take(512).read_to_end(&mut head).map_err(fail)?;
    let folder = std::env::temp_dir().join(format!("jettison-context-{}", random()));
    std::fs::create_dir(&folder)
        .map_err(|error| CommandError::new(format!("cannot make {}: {error}", folder.display())))?;
    let temporary = Some(Temporary(folder.clone()));
    let ignorefile = args.ignorefile.clone();
    let archive = head.get(257..262) == Some(b"ustar")
        || [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"]
            .iter()
            .any(|magic| head.starts_with(magic));
    if archive {
        source::tar::context(head.chain(input), Root::open(&folder)?)?;
        let identity = format!("-{}", args.file.as_deref().unwrap_or_default());
        return Ok(Context { path: folder, identity, given: None, ignorefile, _temporary: temporary });
    }
    if head.is_empty() {
        return Err(CommandError::new("standard input is empty")
            .hint("give a folder as the context, or pipe a tar archive or a Dockerfile in"));
    }
    let mut bytes = head;
    input.take(LARGEST).read_to_end(&mut bytes).map_err(fail)?;
    Ok(Context {
        path: folder,
        identity: "-".to_owned(),
        given: Some(bytes),
        ignorefile,
        _temporary: temporary,
    })
}

fn random() -> String {
    let mut bytes = [0; 8];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format!("{:016x}", u64::from_ne_bytes(bytes))
}

impl Context {
    /// The Dockerfile: that of `--file`, else `Dockerfile`, else `Containerfile` in the context.
    pub(crate) fn dockerfile(&self, args: &BuildArgs) -> Outcome<DockerfileText> {
        if let Some(bytes) = &self.given {
            return Ok(DockerfileText {
                bytes: bytes.clone(),
                name: "Dockerfile (standard input)".to_owned(),
                inside: None,
            });
        }
        if let Some(file) = &args.file {
            let path = self.find_file(args, Path::new(file));
            let bytes = read(&path)?.ok_or_else(|| {
                CommandError::new(format!("the Dockerfile `{file}` is not there"))
                    .hint("--file is relative to the current folder")
            })?;
            let inside =
                path.file_name().map(|name| path.with_file_name(name).to_string_lossy().into_owned());
            return Ok(DockerfileText { bytes, name: file.clone(), inside });
        }
        for name in ["Dockerfile", "Containerfile"] {
            let path = self.path.join(name);
            if let Some(bytes) = read(&path)? {
                return Ok(DockerfileText {
                    bytes,
                    name: name.to_owned(),
                    inside: Some(path.to_string_lossy().into_owned()),
                });
            }
        }
        Err(CommandError::new(format!("there is no Dockerfile in `{}`", args.context))
            .hint("name one with --file, or give the folder that has it as the context"))
    }

    /// `--file` is relative to the current folder; in an archive, to its root.
    fn find_file(&self, args: &BuildArgs, file: &Path) -> PathBuf {
        if args.context == "-" { self.path.join(file) } else { file.to_owned() }
    }

    /// The folder, where there is one: a Dockerfile alone on standard input has none.
    pub(crate) fn folder(&self) -> Option<&Path> {
        (self.given.is_none() || self._temporary.is_none()).then_some(&self.path)
    }

    /// Whether the folder is a copy that was made for this command.
    pub(crate) fn is_temporary(&self) -> bool {
        self._temporary.is_some()
    }

    /// What is left out of the build context: as `--ignorefile` says, else the Dockerfile's own ignore file, else the
    /// context's.
    pub(crate) fn ignored(&self, dockerfile: &DockerfileText) -> Outcome<Option<Patterns>> {
        if let Some(path) = &self.ignorefile {
            let name = path.display().to_string();
            let bytes = read(path)?
                .ok_or_else(|| CommandError::new(format!("the ignore file `{name}` is not there")))?;
            return Ok(Some(patterns(&name, &bytes)?));
        }
        if let Some(path) = &dockerfile.inside {
            let name = format!("{path}.dockerignore");
            if let Some(bytes) = read(Path::new(&name))? {
                return Ok(Some(patterns(&name, &bytes)?));
            }
        }
        ignore_file(&self.path)
    }

    /// The build's folders, with what is left out of each.
    pub(crate) fn locals(
        &self,
        args: &BuildArgs,
        dockerfile: &DockerfileText,
    ) -> Outcome<HashMap<String, LocalContext>> {
        let mut locals = HashMap::new();
        if !self.path.as_os_str().is_empty() {
            let ignore = self.ignored(dockerfile)?;
            locals.insert("context".to_owned(), LocalContext { path: self.path.clone(), ignore });
        }
        for (name, value) in args.contexts()? {
            // The build context and nothing cannot be replaced.
            if !matches!(named(&name, &value)?, NamedContext::Local) || name == "context" || name == "scratch"
            {
                continue;
            }
            let path = std::fs::canonicalize(&value).map_err(|error| {
                CommandError::new(format!("cannot open the context `{name}` at `{value}`: {error}"))
            })?;
            let ignore = ignore_file(&path)?;
            locals.insert(name, LocalContext { path, ignore });
        }
        Ok(locals)
    }

    /// Names this build across time: what stood in a place of it before explains why a step runs now.
    pub(crate) fn identity(&self, dockerfile: &DockerfileText, args: &BuildArgs) -> String {
        let text = format!("{}\0{}\0{}", self.identity, dockerfile.name, args.platform.join(","));
        Digest::of(text.as_bytes()).hex()
    }
}

fn ignore_file(folder: &Path) -> Outcome<Option<Patterns>> {
    let root = Root::open(folder)?;
    match root.read(b".dockerignore", LARGEST)? {
        Some(bytes) => Ok(Some(patterns(".dockerignore", &bytes)?)),
        None => Ok(None),
    }
}

fn patterns(name: &str, bytes: &[u8]) -> Outcome<Patterns> {
    Patterns::parse(bytes).map_err(|error| CommandError::new(format!("{name}: {error}")))
}

pub(super) fn read(path: &Path) -> Outcome<Option<Vec<u8>>> {
    let fail = |error: std::io::Error| CommandError::new(format!("cannot read {}: {error}", path.display()));
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if file.metadata().map_err(fail)?.is_dir() {
        return Err(CommandError::new(format!("{} is a folder, not a file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(CommandError::new(format!("{} is larger than 16 MiB", path.display())));
    }
    Ok(Some(bytes))
}

//! Lowers a text with a few images at hand, and shows the result for people to read.

use dockerfile::ignore::Patterns;
use frontend::{BaseImage, BoxError, Error, Lowered, MetaResolver, NamedContext, Options, lower};
use graph::{FileAction, Mount, MountKind, Node, Op, RunOp};
use oci::{Digest, ImageConfig, Platform};
use std::cell::RefCell;
use std::fmt::Write;

/// Images by name; `alpine` sets a PATH and a CMD. It notes what it was asked for.
#[derive(Default)]
pub(crate) struct Images {
    images: Vec<(String, String)>,
    ignored: Option<Patterns>,
    pub(crate) asked: RefCell<Vec<String>>,
}

pub(crate) fn images() -> Images {
    let alpine = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/bin:/bin"],"Cmd":["/bin/sh"]},
        "rootfs":{"type":"layers","diff_ids":["sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}}"#;
    Images::default().with("alpine", alpine)
}

impl Images {
    /// One image more, by its configuration.
    pub(crate) fn with(mut self, name: &str, config: &str) -> Self {
        self.images.push((name.to_owned(), config.to_owned()));
        self
    }

    /// One image more, by the `config` of its configuration.
    pub(crate) fn with_config(self, name: &str, config: &str) -> Self {
        let digest = Digest::of(name.as_bytes());
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#
        );
        self.with(name, &text)
    }

    /// What is left out of the context.
    pub(crate) fn ignoring(mut self, text: &str) -> Self {
        self.ignored = Some(Patterns::parse(text.as_bytes()).unwrap());
        self
    }
}

impl MetaResolver for Images {
    fn image(&self, reference: &str, platform: &Platform) -> Result<BaseImage, BoxError> {
        self.asked.borrow_mut().push(format!("{reference} {platform}"));
        let found = self.images.iter().find(|(name, _)| name == reference);
        let (name, config) = found.ok_or_else(|| format!("no registry knows `{reference}`"))?;
        Ok(BaseImage {
            reference: name.clone(),
            resolved: None,
            manifest: None,
            id: Digest::of(config.as_bytes()),
            config: ImageConfig::parse(config.as_bytes())?,
        })
    }

    fn ignored(&self) -> Option<&Patterns> {
        self.ignored.as_ref()
    }
}

/// Options on a machine of linux/amd64.
pub(crate) fn options() -> Options {
    let platform: Platform = "linux/amd64".parse().unwrap();
    Options { platform: platform.clone(), build_platform: platform, ..Options::default() }
}

pub(crate) fn with_args(args: &[(&str, &str)]) -> Options {
    let build_args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Options { build_args, ..options() }
}

pub(crate) fn with_target(target: &str) -> Options {
    Options { target: Some(target.to_owned()), ..options() }
}

pub(crate) fn with_contexts(contexts: &[(&str, NamedContext)]) -> Options {
    let contexts = contexts.iter().map(|(name, context)| ((*name).to_owned(), context.clone())).collect();
    Options { contexts, ..options() }
}

/// Graph, configuration and history of what a text makes; warnings too, if there are any.
pub(crate) fn dump(text: &str) -> String {
    dump_with(text, &options(), &images())
}

pub(crate) fn dump_with(text: &str, options: &Options, images: &Images) -> String {
    let lowered = lowered(text, options, images);
    let mut out = graph(&lowered);
    let config = &lowered.config;
    let json = serde_json::to_value(&config.config).unwrap();
    for (name, value) in json.as_object().unwrap() {
        // That is so in every image with a CMD, and in many lines.
        if name != "ArgsEscaped" {
            writeln!(out, "{name}: {value}").unwrap();
        }
    }
    if let Some(author) = &config.author {
        writeln!(out, "author: {author}").unwrap();
    }
    out.push_str(&history(&lowered));
    for warning in &lowered.warnings {
        let rule = warning.rule.unwrap_or("warning");
        writeln!(out, "{rule}: {}", warning.message).unwrap();
    }
    out
}

pub(crate) fn lowered(text: &str, options: &Options, images: &Images) -> Lowered {
    let dockerfile = dockerfile::parse(text, "Dockerfile").unwrap();
    lower(&dockerfile, options, images).unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

/// One line a node: its number (`*` is the target), what it does, what it is called.
pub(crate) fn graph(lowered: &Lowered) -> String {
    let mut out = String::new();
    for id in lowered.graph.ids() {
        let node = lowered.graph.node(id);
        let mark = if id == lowered.target { "*" } else { " " };
        let fresh = if node.about.no_cache { " (no cache)" } else { "" };
        let name = if node.about.name.is_empty() { String::new() } else { format!("  {}", node.about.name) };
        writeln!(out, "{mark}{} {}{fresh}{name}", id.index(), operation(node)).unwrap();
    }
    out
}

/// One line an entry; `-` is one without a layer.
pub(crate) fn history(lowered: &Lowered) -> String {
    let mut out = String::new();
    for entry in &lowered.config.history {
        let layer = if entry.empty_layer { '-' } else { '+' };
        writeln!(out, "{layer} {}", entry.created_by.as_deref().unwrap_or_default()).unwrap();
    }
    out
}

fn operation(node: &Node) -> String {
    let input = |at: usize| node.inputs[at].index();
    match &node.op {
        Op::Scratch => "scratch".to_owned(),
        Op::Image(image) => format!("image {} {}", image.reference, image.platform),
        Op::Local(local) => format!("local {}", local.name),
        Op::Http(http) => {
            let checksum = http.checksum.map(|digest| format!(" {digest}")).unwrap_or_default();
            format!("http {} as {:?}{checksum}", http.url, http.name)
        }
        Op::Git(git) => format!("git {git:?}"),
        Op::Merge => format!("merge {:?}", node.inputs.iter().map(|id| id.index()).collect::<Vec<_>>()),
        Op::Run(run) => format!("run on {}: {}", input(0), process(run, &input)),
        Op::File(file) => {
            let actions: Vec<String> = file.actions.iter().map(|one| action(one, &input)).collect();
            format!("file on {}: {}", input(0), actions.join("; "))
        }
    }
}

fn action(action: &FileAction, input: &dyn Fn(usize) -> usize) -> String {
    let mut flags = String::new();
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(flags, " {name}={value}").unwrap();
        }
    };
    match action {
        FileAction::Copy(copy) => {
            flag("chown", copy.chown.clone());
            flag("chmod", copy.chmod.clone());
            flag("parents", copy.parents.then(|| "yes".to_owned()));
            flag("unpack", copy.unpack.then(|| "yes".to_owned()));
            flag("exclude", (!copy.exclude.is_empty()).then(|| copy.exclude.join(",")));
            format!("{}:{:?} -> {}{flags}", input(copy.input), copy.sources, copy.destination)
        }
        FileAction::MakeDirectory(make) => {
            flag("owner", make.owner.clone());
            format!("mkdir {} {:o}{flags}", make.path, make.mode)
        }
        FileAction::MakeFile(make) => {
            flag("owner", make.owner.clone());
            format!("write {} {:o} {:?}{flags}", make.path, make.mode, make.content)
        }
    }
}

fn process(run: &RunOp, input: &dyn Fn(usize) -> usize) -> String {
    let mut out = format!("{:?}", run.args);
    for var in run.env.vars() {
        // Of the environment, what is not always so.
        if var.name != "PATH" {
            write!(out, " {}{}={}", if var.arg { "arg:" } else { "" }, var.name, var.value).unwrap();
        }
    }
    for (name, value) in &run.proxies {
        write!(out, " proxy:{name}={value}").unwrap();
    }
    if run.cwd != "/" {
        write!(out, " in {}", run.cwd).unwrap();
    }
    if !run.user.is_empty() {
        write!(out, " as {}", run.user).unwrap();
    }
    for mount in &run.mounts {
        write!(out, " [{}]", shown_mount(mount, input)).unwrap();
    }
    for (name, content) in &run.pipes {
        write!(out, " pipe {name} {content:?}").unwrap();
    }
    out
}

fn shown_mount(mount: &Mount, input: &dyn Fn(usize) -> usize) -> String {
    let target = &mount.target;
    match &mount.kind {
        MountKind::Bind { input: at, source, writable } => {
            format!("bind {}:{source} at {target}{}", input(*at), if *writable { " rw" } else { "" })
        }
        MountKind::Cache { id, sharing, from, mode, uid, gid, readonly } => {
            let from =
                from.as_ref().map(|(at, path)| format!(" from {}:{path}", input(*at))).unwrap_or_default();
            let readonly = if *readonly { " ro" } else { "" };
            format!("cache {id} at {target} {sharing:?} {mode:o} {uid}:{gid}{from}{readonly}")
        }
        other => format!("{other:?} at {target}"),
    }
}

/// What someone with a wrong Dockerfile sees.
pub(crate) fn error(text: &str) -> String {
    error_with(text, &options(), &images())
}

pub(crate) fn error_with(text: &str, options: &Options, images: &Images) -> String {
    let dockerfile = dockerfile::parse(text, "Dockerfile").unwrap();
    let error = lower(&dockerfile, options, images).expect_err("the text is wrong");
    show(&dockerfile.source, &error)
}

fn show(source: &dockerfile::Source, error: &Error) -> String {
    match error.diagnostic() {
        Some(diagnostic) => dockerfile::diagnostic::render(source, &[diagnostic], false),
        None => format!("{error:?}"),
    }
}

/// The findings and warnings of a text, as they are shown.
pub(crate) fn warnings_with(text: &str, options: &Options, images: &Images) -> String {
    let dockerfile = dockerfile::parse(text, "Dockerfile").unwrap();
    let lowered = lower(&dockerfile, options, images).unwrap_or_else(|error| panic!("{error}"));
    dockerfile::diagnostic::render(&dockerfile.source, &lowered.warnings, false)
}

//! The instructions, typed. Nothing here is expanded: variables, quotes and escapes are as written, for
//! [`crate::expand::Lex`] to work on, except in flags, where quotes and escapes of the line are gone.

use crate::device::Device;
use crate::heredoc::Heredoc;
use crate::mount::MountFlag;
use crate::source::{Span, Spanned};
use std::time::Duration;

/// What an instruction says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the instruction of its name; the structs tell more")]
pub enum Command {
    From(FromCommand),
    Arg(ArgCommand),
    Env(EnvCommand),
    Label(LabelCommand),
    Run(RunCommand),
    Copy(CopyCommand),
    Add(AddCommand),
    Workdir(WorkdirCommand),
    User(UserCommand),
    Expose(ExposeCommand),
    Volume(VolumeCommand),
    Cmd(CmdCommand),
    Entrypoint(EntrypointCommand),
    Shell(ShellCommand),
    StopSignal(StopSignalCommand),
    HealthCheck(HealthCheckCommand),
    OnBuild(OnBuildCommand),
    Maintainer(MaintainerCommand),
}

/// `FROM [--platform=P] base [AS name]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromCommand {
    /// `--platform`.
    pub platform: Option<Spanned<String>>,
    /// The image, stage or `scratch`.
    pub base: Spanned<String>,
    /// The stage's name in lower case.
    pub name: Option<Spanned<String>>,
    /// The stage's name as typed; lint rules ask for it.
    pub typed_name: Option<String>,
    /// The word `AS` as typed.
    pub as_word: Option<Spanned<String>>,
}

/// `ARG name[=default]...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgCommand {
    /// The arguments in order; each is expanded with those before it set.
    pub args: Vec<ArgDefinition>,
}

/// One argument of ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDefinition {
    /// Its name.
    pub name: Spanned<String>,
    /// Its default, with quotes. `None` without `=`.
    pub default: Option<Spanned<String>>,
    /// The description from a comment `# name text` above the instruction.
    pub description: Option<String>,
}

/// One pair of ENV or LABEL. Name and value hold their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Before the `=`.
    pub key: Spanned<String>,
    /// After it.
    pub value: Spanned<String>,
    /// Written the old way, `ENV key value`.
    pub legacy: bool,
}

/// `ENV key=value...`; all values are expanded with the environment before the instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvCommand {
    /// The pairs in order.
    pub pairs: Vec<KeyValue>,
}

/// `LABEL key=value...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCommand {
    /// The pairs in order.
    pub pairs: Vec<KeyValue>,
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON array: the arguments as they are.
    Exec(Vec<String>),
    /// A text for the shell (SHELL, else `/bin/sh -c`); empty for a bare instruction.
    Shell(String),
}

/// `RUN [--mount=..] [--network=..] [--security=..] [--device=..] command`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCommand {
    /// The command, without the bodies of heredocs.
    pub form: Form,
    /// Where the command stands.
    pub span: Span,
    /// The heredocs of the command.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, in order.
    pub mounts: Vec<MountFlag>,
    /// `--network`; `None` when not given.
    pub network: Option<NetworkMode>,
    /// `--security`; `None` when not given.
    pub security: Option<SecurityMode>,
    /// `--device`, in order.
    pub devices: Vec<Device>,
}

/// What a RUN starts, once heredocs are taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The arguments as they are.
    Exec(Vec<String>),
    /// A text for the shell; heredocs and their bodies are part of it.
    Shell(String),
    /// A heredoc that begins with `#!`: a file of mode 0755 with this content, seen by the step (read-only) as
    /// `/dev/pipes/<name>`; that path is the text for the shell.
    Script {
        /// The heredoc's word.
        name: String,
        /// The file's content.
        content: String,
    },
}

impl RunCommand {
    /// What the step starts.
    pub fn program(&self) -> Program {
        let line = match &self.form {
            Form::Exec(arguments) => return Program::Exec(arguments.clone()),
            Form::Shell(line) => line,
        };
        let Some(first) = self.heredocs.first() else { return Program::Shell(line.clone()) };
        if crate::heredoc::parse_word(line).is_some() {
            let content = first.text();
            if content.starts_with("#!") {
                return Program::Script { name: first.name.clone(), content };
            }
            return Program::Shell(content);
        }
        // The shell reads them itself: the bodies follow the line as they stood in the file.
        let mut text = line.clone();
        for heredoc in &self.heredocs {
            text.push('\n');
            text.push_str(&heredoc.content);
            text.push_str(&heredoc.name);
        }
        Program::Shell(text)
    }
}

/// `RUN --network`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NetworkMode {
    /// What the build says.
    #[default]
    Default,
    /// No network but the loopback.
    None,
    /// The host's; must be allowed.
    Host,
}

/// `RUN --security`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SecurityMode {
    /// As every step.
    #[default]
    Sandbox,
    /// With all capabilities and no filter; must be allowed.
    Insecure,
}

/// A file of COPY or ADD whose content stands in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineFile {
    /// The heredoc's word: the name of the file.
    pub name: Spanned<String>,
    /// The content, leading tabs stripped where `<<-` says so; to be expanded with [`crate::expand::Lex::heredoc`]
    /// when `expand` is set.
    pub content: String,
    /// Whether variables in the content are expanded.
    pub expand: bool,
}

/// The sources and the destination of COPY and ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPaths {
    /// Paths (and for ADD, addresses) in order, without the heredocs.
    pub sources: Vec<Spanned<String>>,
    /// Heredocs among the sources; they are copied after the others. The same word twice is there once.
    pub inline: Vec<InlineFile>,
    /// The last argument.
    pub destination: Spanned<String>,
}

/// `COPY [flags] source... destination`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyCommand {
    /// What goes where.
    pub paths: CopyPaths,
    /// `--from`: a stage's name or number, an image, a named context; `None` is the build context.
    pub from: Option<Spanned<String>>,
    /// `--chown`.
    pub chown: Option<Spanned<String>>,
    /// `--chmod`.
    pub chmod: Option<Spanned<String>>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, in order; never expanded.
    pub exclude: Vec<Spanned<String>>,
}

/// `ADD [flags] source... destination`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCommand {
    /// What goes where.
    pub paths: CopyPaths,
    /// `--chown`.
    pub chown: Option<Spanned<String>>,
    /// `--chmod`.
    pub chmod: Option<Spanned<String>>,
    /// `--link`.
    pub link: bool,
    /// `--checksum`.
    pub checksum: Option<Spanned<String>>,
    /// `--keep-git-dir`; `None` when not given.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`; `None` when not given.
    pub unpack: Option<bool>,
    /// `--exclude`, in order; never expanded.
    pub exclude: Vec<Spanned<String>>,
}

/// `WORKDIR path`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkdirCommand {
    /// The whole rest of the line.
    pub path: Spanned<String>,
}

/// `USER user[:group]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCommand {
    /// The whole rest of the line.
    pub user: Spanned<String>,
}

/// `EXPOSE port...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposeCommand {
    /// The words in the order of the file; BuildKit's history shows them sorted. Each may expand to several
    /// ([`crate::expand::Lex::expand_words`]), which [`crate::port::parse`] reads.
    pub ports: Vec<Spanned<String>>,
}

/// `VOLUME path...`, or a JSON array
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeCommand {
    /// The paths in order.
    pub paths: Vec<Spanned<String>>,
}

/// `CMD`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmdCommand {
    /// The command.
    pub form: Form,
}

/// `ENTRYPOINT`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrypointCommand {
    /// The command.
    pub form: Form,
}

/// `SHELL ["program", "argument"...]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// The program and its arguments; never empty.
    pub shell: Vec<String>,
}

/// `STOPSIGNAL signal`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignalCommand {
    /// A name or a number, for [`crate::signal::parse`] once expanded.
    pub signal: Spanned<String>,
}

/// `HEALTHCHECK`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheckCommand {
    /// `HEALTHCHECK NONE`: the one of the base is off.
    None,
    /// `HEALTHCHECK [flags] CMD command`
    Check(HealthCheck),
}

/// A health check. A duration that is zero or was not given is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The command.
    pub form: Form,
    /// `--interval`.
    pub interval: Option<Duration>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--start-period`.
    pub start_period: Option<Duration>,
    /// `--start-interval`.
    pub start_interval: Option<Duration>,
    /// `--retries`; 0 when not given.
    pub retries: u32,
}

/// `ONBUILD instruction`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnBuildCommand {
    /// The trigger's instruction in upper case.
    pub trigger: String,
    /// The trigger as it is kept in the image's config, with the bodies of heredocs; [`crate::parse_trigger`] reads
    /// it. BuildKit does not check it before it is triggered, except that its words can be told apart.
    pub expression: String,
    /// The trigger read as an instruction, where that is possible; it has spans of this file.
    pub instruction: Option<Box<Command>>,
}

/// `MAINTAINER name`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintainerCommand {
    /// The whole rest of the line.
    pub author: Spanned<String>,
}

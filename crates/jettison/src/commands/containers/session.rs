//! Commands that hold a process's streams: `run`, `create`, `start`, `exec`, `attach`.

use super::arguments::{ContainerArgs, CreateArgs, RunArgs};
use super::{open, values};
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, OUTPUT_GONE, Outcome, USAGE};
use crate::interrupts;
use crate::pulling::{self, Wanted};
use crate::screen;
use crate::showing::{ProgressArgs, Showing};
use clap::{ArgAction, Args};
use container::{Attached, Containers, Created, Exec, Outcome as Ended, Streams};
use export::place::Place;
use oci::{Digest, Platform, Reference};
use progress::Progress;
use sandbox::signals::Watch;
use sandbox::tty::{self, RawMode};
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Docker's own.
const DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// Signals that are passed on (HUP, INT, QUIT, USR1, USR2, TERM, CONT), and WINCH for the size of the window.
const SIGNALS: [i32; 8] = [1, 2, 3, 10, 12, 15, 18, 28];

/// Start containers
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Attach to standard output and error
    #[arg(short, long)]
    attach: bool,
    /// Attach to standard input
    #[arg(short, long)]
    interactive: bool,
    /// The keys that leave a container running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to the process
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    sig_proxy: bool,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Run a command in a running container
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// The keys that leave the process running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// All capabilities and no filter
    #[arg(long)]
    privileged: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// The user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The container, then the command and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    words: Vec<String>,
}

/// Connect to a running container's streams
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The keys that leave the container running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Do not attach standard input
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the process
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    sig_proxy: bool,
    /// Name or id
    container: String,
}

/// Runs `run`.
pub(super) fn run(args: RunArgs, environment: Environment) -> Outcome {
    let wanted = &args.container;
    let attach = Streamed::of(&wanted.attach, wanted.interactive)?;
    if args.detach && !wanted.attach.is_empty() {
        return Err(CommandError::usage("--attach and --detach exclude each other"));
    }
    let keys = values::keys(args.detach_keys.as_deref().unwrap_or(DETACH_KEYS))?;
    let stdin = attach.stdin && !args.detach;
    if wanted.tty && stdin && !std::io::stdin().is_terminal() {
        return Err(CommandError::usage("the input device is not a terminal")
            .hint("leave out -t where standard input is a pipe or a file"));
    }
    let mut new = wanted.container(&environment, args.rm, !args.detach && attach.stdin)?;
    let (engine, containers) = open(environment, Some(&wanted.registry))?;
    // Before anything is made, so that an interrupt is not lost in between.
    let signals = if args.detach { None } else { Some(sandbox::signals::watch(&SIGNALS)?) };
    new.image = image(&engine, wanted)?;
    // It begins while the container is made.
    let monitor = containers.monitor().map_err(failed)?;
    let created = make(&containers, wanted, &new)?;
    let size = wanted.tty.then(terminal_size).flatten();
    let started = match containers.start_with(Some(monitor), &created.id, !args.detach, stdin, size) {
        Ok(started) => started,
        Err(error) => {
            // It never ran: nothing half-made stays, and its name is free.
            let _ = containers.remove(&created.id, true, true);
            return Err(failed(error));
        }
    };
    warn(&started.warnings);
    let Some(attached) = started.attached else {
        screen::line(&created.id);
        return Ok(0);
    };
    engine.store()?.end_lease();
    let session = Session { tty: wanted.tty, streamed: attach, keys, proxy: args.sig_proxy };
    let ended = session.run(attached, signals.as_ref());
    if args.rm && !matches!(ended, Ok(code) if code != OUTPUT_GONE) {
        // As a program at the head of a pipeline would, it ends with its reader.
        let _ = containers.kill(&created.id, 9);
    }
    ended
}

/// Runs `create`.
pub(super) fn create(args: CreateArgs, environment: Environment) -> Outcome {
    let wanted = &args.container;
    let attach = Streamed::of(&wanted.attach, wanted.interactive)?;
    let mut new = wanted.container(&environment, args.rm, attach.stdin)?;
    let (engine, containers) = open(environment, Some(&wanted.registry))?;
    new.image = image(&engine, wanted)?;
    let _interrupts = interrupts::watch("the container was not made: interrupted", &Progress::none())?;
    let created = make(&containers, wanted, &new)?;
    screen::line(&created.id);
    Ok(0)
}

/// Makes the container.
fn make(containers: &Containers, args: &ContainerArgs, new: &container::NewContainer) -> Outcome<Created> {
    let created = containers.create(new).map_err(failed)?;
    warn(&created.warnings);
    if let Some(file) = &args.cidfile {
        write_id(file, &created.id)?;
    }
    Ok(created)
}

fn write_id(file: &Path, id: &str) -> Outcome<()> {
    std::fs::File::create_new(file)
        .and_then(|mut file| file.write_all(id.as_bytes()))
        .map_err(|error| CommandError::new(format!("cannot write `{}`: {error}", file.display())))
}

/// The image, pulled where that is needed: as the user named it.
fn image(engine: &Engine, args: &ContainerArgs) -> Outcome<String> {
    if let Some(file) = &args.cidfile
        && file.exists()
    {
        return Err(CommandError::new(format!("the id file `{}` is there already", file.display()))
            .hint("remove it, or choose another"));
    }
    let name = args.image();
    let asked = args.platform(&engine.environment)?;
    let wanted = Wanted::These(vec![asked.clone().unwrap_or_else(Platform::host)]);
    if let Some(layout) = pulling::layout(name)? {
        // What a layout has is here: nothing is fetched, but what changed there counts.
        let id = fetch(engine, &Place::Layout(layout), Vec::new(), &wanted, args.quiet)?;
        return Ok(id.to_string());
    }
    let pull = match args.pull.as_str() {
        "always" => true,
        "never" => false,
        "missing" => here(engine, name, asked.as_ref())?.is_none(),
        other => {
            return Err(CommandError::usage(format!(
                "invalid value `{other}` for --pull: always, missing or never"
            )));
        }
    };
    if pull {
        let reference: Reference =
            name.parse().map_err(|error: oci::Error| CommandError::usage(error.to_string()))?;
        if args.pull == "missing" && !args.quiet {
            screen::say(&format!("Unable to find image `{}` locally, pulling it.", reference.familiar()));
        }
        let client = engine.client(reference.host())?;
        let place = Place::Registry { client, reference: reference.clone() };
        fetch(engine, &place, vec![reference], &wanted, args.quiet)?;
    }
    Ok(here(engine, name, asked.as_ref())?.unwrap_or_else(|| name.to_owned()))
}

/// The image of the store, for a platform if one is asked for: as it was named, or by its id if that is another one than
/// the name stands for by itself.
fn here(engine: &Engine, name: &str, asked: Option<&Platform>) -> Outcome<Option<String>> {
    let store = engine.store()?;
    let own = store.image_id(name)?;
    let chosen = match asked {
        Some(platform) => store.image_for(name, platform)?.map(|image| image.id),
        None => own,
    };
    Ok(chosen.map(|id| if own == Some(id) { name.to_owned() } else { id.to_string() }))
}

/// Brings an image into the store, and shows how far it is.
fn fetch(
    engine: &Engine,
    place: &Place<'_>,
    names: Vec<Reference>,
    wanted: &Wanted,
    quiet: bool,
) -> Outcome<Digest> {
    let showing = Showing::new(&ProgressArgs::default(), quiet, "Pulling", &engine.environment);
    let _interrupts = showing.interruptible(pulling::INTERRUPTED)?;
    let vertex = showing.start(&format!("pulling {}", pulling::shown(place)));
    let pulled = Showing::end(&vertex, engine.pull(place, names, wanted, &vertex));
    showing.sum_up();
    engine.store()?.finish()?;
    pulled
}

/// Runs `start`.
pub(super) fn start(args: &StartArgs, environment: Environment) -> Outcome {
    let attach = args.attach || args.interactive;
    if attach && args.containers.len() > 1 {
        return Err(CommandError::new("only one container can be attached to at a time"));
    }
    let keys = values::keys(args.detach_keys.as_deref().unwrap_or(DETACH_KEYS))?;
    let (_engine, containers) = open(environment, None)?;
    if !attach {
        let mut code = 0;
        for name in &args.containers {
            match containers.start(name, false, false, None) {
                Ok(started) => {
                    warn(&started.warnings);
                    screen::line(name);
                }
                // What runs already is started.
                Err(container::Error::Running { .. }) => screen::line(name),
                Err(error) => {
                    failed(error).show();
                    code = 1;
                }
            }
        }
        return Ok(code);
    }
    let name = &args.containers[0];
    let config = containers.get(name)?.config;
    let signals = sandbox::signals::watch(&SIGNALS)?;
    let stdin = args.interactive && config.options.open_stdin;
    let size = config.options.tty.then(terminal_size).flatten();
    let attached = match containers.start(name, true, stdin, size) {
        Ok(started) => {
            warn(&started.warnings);
            started.attached.ok_or_else(|| CommandError::new(format!("cannot attach to {name}")))?
        }
        Err(container::Error::Running { .. }) => containers.attach(name, stdin, size)?,
        Err(error) => return Err(failed(error)),
    };
    let streamed = Streamed { stdin, stdout: true, stderr: true };
    Session { tty: config.options.tty, streamed, keys, proxy: args.sig_proxy }.run(attached, Some(&signals))
}

/// Runs `exec`.
pub(super) fn exec(args: &ExecArgs, environment: Environment) -> Outcome {
    let keys = values::keys(args.detach_keys.as_deref().unwrap_or(DETACH_KEYS))?;
    let stdin = args.interactive && !args.detach;
    if args.tty && stdin && !std::io::stdin().is_terminal() {
        return Err(CommandError::new("the input device is not a terminal")
            .hint("leave out -t where standard input is a pipe or a file"));
    }
    let exec = Exec {
        args: args.words[1..].to_vec(),
        env: values::variables(&args.env_file, &args.env, &environment)?,
        cwd: args.workdir.clone(),
        user: args.user.clone(),
        tty: args.tty,
        stdin,
        detach: args.detach,
        privileged: args.privileged,
        size: args.tty.then(terminal_size).flatten(),
    };
    let (_engine, containers) = super::open_index(environment)?;
    let signals = sandbox::signals::watch(&SIGNALS)?;
    let attached = containers.exec(&args.words[0], &exec).map_err(failed)?;
    warn(&attached.warnings);
    if args.detach {
        return Ok(0);
    }
    let streamed = Streamed { stdin, stdout: true, stderr: true };
    Session { tty: args.tty, streamed, keys, proxy: false }.run(attached, Some(&signals))
}

/// Runs `attach`.
pub(super) fn attach(args: &AttachArgs, environment: Environment) -> Outcome {
    let keys = values::keys(args.detach_keys.as_deref().unwrap_or(DETACH_KEYS))?;
    let (_engine, containers) = super::open_index(environment)?;
    let config = containers.get(&args.container)?.config;
    let stdin = config.options.open_stdin && !args.no_stdin;
    let signals = sandbox::signals::watch(&SIGNALS)?;
    let size = config.options.tty.then(terminal_size).flatten();
    let attached = containers.attach(&args.container, stdin, size)?;
    let streamed = Streamed { stdin, stdout: true, stderr: true };
    Session { tty: config.options.tty, streamed, keys, proxy: args.sig_proxy }.run(attached, Some(&signals))
}

/// Which of the caller's streams are attached.
#[derive(Clone, Copy)]
struct Streamed {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Streamed {
    /// `--attach`; without it output and error, and input where it is kept open.
    fn of(names: &[String], interactive: bool) -> Outcome<Self> {
        if names.is_empty() {
            return Ok(Self { stdin: interactive, stdout: true, stderr: true });
        }
        let mut found = Self { stdin: false, stdout: false, stderr: false };
        for name in names {
            match name.to_ascii_lowercase().as_str() {
                "stdin" => found.stdin = true,
                "stdout" => found.stdout = true,
                "stderr" => found.stderr = true,
                _ => {
                    return Err(CommandError::usage(format!(
                        "invalid value `{name}` for --attach: stdin, stdout or stderr"
                    )));
                }
            }
        }
        Ok(found)
    }
}

/// The user's side of one process.
struct Session {
    tty: bool,
    streamed: Streamed,
    keys: Vec<u8>,
    proxy: bool,
}

impl Session {
    /// Holds the streams to the end; the exit code is the process's own.
    fn run(self, attached: Attached, signals: Option<&Watch>) -> Outcome {
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let raw = if self.tty && self.streamed.stdin && stdin.is_terminal() {
            Some(RawMode::enter(&stdin)?)
        } else {
            None
        };
        let terminal =
            self.tty.then(|| a_terminal([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])).flatten();
        let streams = Streams {
            stdin: self.streamed.stdin.then(|| stdin.as_fd()),
            stdout: self.streamed.stdout.then(|| stdout.as_fd()),
            stderr: self.streamed.stderr.then(|| stderr.as_fd()),
            // Keys are of a terminal: what is piped in goes through as it is.
            detach_keys: if raw.is_some() { self.keys } else { Vec::new() },
            signals,
            // The keys of a terminal reach the process as they are; a signal is for this side.
            proxy_signals: self.proxy && !self.tty,
            terminal,
        };
        let ended = attached.run(&streams);
        drop(raw);
        match ended? {
            Ended::Ended(code) => Ok(u8::try_from(code & 0xff).unwrap_or(255)),
            Ended::Detached => {
                screen::say("detached: the container runs on");
                Ok(0)
            }
            Ended::OutputGone => Ok(OUTPUT_GONE),
            Ended::OutputFailed(error) => Err(CommandError::usage(format!(
                "cannot write to standard output: {}",
                std::io::Error::from_raw_os_error(error)
            ))),
            Ended::Interrupted(signal) => Ok(u8::try_from(128 + signal).unwrap_or(255)),
        }
    }
}

fn a_terminal(streams: [BorrowedFd<'_>; 3]) -> Option<BorrowedFd<'_>> {
    streams.into_iter().find(|stream| tty::is_terminal(stream))
}

/// Rows and columns of the caller's terminal.
fn terminal_size() -> Option<(u16, u16)> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let terminal = a_terminal([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
    tty::size(terminal).ok().filter(|size| *size != (0, 0))
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        screen::say(&format!("warning: {warning}"));
    }
}

/// An error with the exit code of `run` and its kin.
fn failed(error: container::Error) -> CommandError {
    let code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
    let hint = error.hint();
    let mut shown = CommandError::from(error).with_code(code);
    if let Some(hint) = hint
        && !shown.hints.contains(&hint)
    {
        shown.hints.push(hint);
    }
    shown
}

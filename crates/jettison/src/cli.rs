//! The command line: one definition, from which help, manual pages and completions are made. Doc comments are the
//! manual.

use crate::commands::{self, build, builders, containers, images, registry as registry_commands, system};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome, USAGE};
use crate::globals::GlobalArgs;
use crate::{parsing, screen};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

/// Builds container images from Dockerfiles and runs them, without a daemon.
///
/// The commands are Docker's, in both spellings: `jettison build` is `jettison image build`, `jettison run` is
/// `jettison container run`. Called by the name `docker` it behaves the same.
#[derive(Debug, Parser)]
#[command(
    name = "jettison",
    version,
    disable_help_subcommand = true,
    disable_version_flag = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Build an image from a Dockerfile
    Build(Box<build::BuildArgs>),
    /// Commands about images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Commands about builds
    Builder(BuilderArgs),
    /// Commands about builds
    Buildx(BuilderArgs),
    /// Commands about containers that have the same name alone and after `container`.
    #[command(flatten)]
    Containers(containers::Command),
    /// List containers
    Ps(containers::ListArgs),
    /// Commands about containers
    #[command(subcommand)]
    Container(containers::ContainerCommand),
    /// List images
    Images(images::ListArgs),
    /// Show everything about images and containers as JSON
    Inspect(images::InspectArgs),
    /// Show the history of an image
    History(images::HistoryArgs),
    /// Give an image another name
    Tag(images::TagArgs),
    /// Remove images
    Rmi(images::RemoveArgs),
    /// Fetch images from a registry
    Pull(registry_commands::PullArgs),
    /// Send an image to a registry
    Push(registry_commands::PushArgs),
    /// Copy an image between registries and OCI layouts, without the store
    Copy(registry_commands::CopyArgs),
    /// Look at images in registries, and make indexes there
    #[command(subcommand)]
    Imagetools(registry_commands::ImagetoolsCommand),
    /// Log in to a registry
    Login(registry_commands::LoginArgs),
    /// Log out from a registry
    Logout(registry_commands::LogoutArgs),
    /// Load images from an archive
    Load(images::LoadArgs),
    /// Make an image of a tar with a file system
    Import(images::ImportArgs),
    /// Save images to an archive
    Save(images::SaveArgs),
    /// Commands about the whole store
    #[command(subcommand)]
    System(system::SystemCommand),
    /// Remove what is not used
    Prune(system::PruneArgs),
    /// Commands about volumes
    #[command(subcommand)]
    Volume(system::VolumeCommand),
    /// Show facts about this machine and the store
    Info(system::InfoArgs),
    /// Show the version
    Version(system::VersionArgs),
    /// Build the targets of a bake file
    #[command(hide = true)]
    Bake(BakeArgs),
    /// Write the manual pages or completions to a folder
    #[command(hide = true)]
    Generate(commands::generate::GenerateArgs),
}

/// Commands about images.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(Box<build::BuildArgs>),
    /// List images
    #[command(alias = "list")]
    Ls(images::ListArgs),
    /// Show everything about images as JSON
    Inspect(images::InspectArgs),
    /// Show the history of an image
    History(images::HistoryArgs),
    /// Give an image another name
    Tag(images::TagArgs),
    /// Remove images
    #[command(alias = "remove")]
    Rm(images::RemoveArgs),
    /// Fetch images from a registry
    Pull(registry_commands::PullArgs),
    /// Send an image to a registry
    Push(registry_commands::PushArgs),
    /// Load images from an archive
    Load(images::LoadArgs),
    /// Make an image of a tar with a file system
    Import(images::ImportArgs),
    /// Save images to an archive
    Save(images::SaveArgs),
    /// Remove images that are not used
    Prune(system::PruneArgs),
}

/// Commands about builds, with the flags that buildx takes before their names.
#[derive(Debug, Args)]
struct BuilderArgs {
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    #[command(subcommand)]
    command: BuilderCommand,
}

/// Whatever is said to `bake`.
#[derive(Debug, Args)]
struct BakeArgs {
    #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Commands about builds.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum BuilderCommand {
    /// Build an image from a Dockerfile
    Build(Box<build::BuildArgs>),
    /// Remove what builds left
    Prune(system::PruneArgs),
    /// Show what builds left
    Du(system::DfArgs),
    /// The commands about builders.
    #[command(flatten)]
    Builders(builders::Command),
    /// Build the targets of a bake file
    #[command(hide = true)]
    Bake(BakeArgs),
    /// Look at images in registries, and make indexes there
    #[command(subcommand)]
    Imagetools(registry_commands::ImagetoolsCommand),
}

/// Flags of every command that speaks to registries.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RegistryArgs {
    /// With `false`, accept any certificate and plain HTTP
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) tls_verify: bool,
    /// Read registry credentials from this file first
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<std::path::PathBuf>,
    /// Log in to the registry as USER with PASSWORD
    #[arg(long, value_name = "USER:PASSWORD")]
    pub(crate) creds: Option<String>,
}

/// Runs the command line and gives the exit code.
pub(crate) fn run(mut args: Vec<OsString>, environment: Environment) -> u8 {
    if let [_, word] = &args[..]
        && word == containers::MONITOR
    {
        return containers::monitor();
    }
    // `help image build` is `image build --help`.
    if args.get(1).is_some_and(|word| word == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    let matches = match parsing::parse(Cli::command, &args) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are answers, not errors; so is the help of a group that is called alone.
            let answer =
                !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            let text = error.render();
            if answer {
                screen::out(&text.to_string());
                return 0;
            }
            screen::say(text.to_string().trim_end());
            return USAGE;
        }
    };
    let outcome = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.globals.apply(environment).and_then(|environment| dispatch(cli.command, environment)),
        Err(error) => Err(CommandError::usage(error.to_string())),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            error.show();
            error.code
        }
    }
}

fn dispatch(command: Command, environment: Environment) -> Outcome {
    match command {
        Command::Build(args) | Command::Image(ImageCommand::Build(args)) => build::build(*args, environment),
        Command::Builder(group) | Command::Buildx(group) => builder(group, environment),
        Command::Bake(args) => bake(&args),
        Command::Containers(command) => containers::command(command, environment),
        Command::Ps(args) => containers::list(&args, environment),
        Command::Container(command) => containers::group(command, environment),
        Command::Images(args) | Command::Image(ImageCommand::Ls(args)) => images::list(&args, environment),
        Command::Inspect(args) => images::inspect(&args, environment, true),
        Command::Image(ImageCommand::Inspect(args)) => images::inspect(&args, environment, false),
        Command::History(args) | Command::Image(ImageCommand::History(args)) => {
            images::history(&args, environment)
        }
        Command::Tag(args) | Command::Image(ImageCommand::Tag(args)) => images::tag(&args, environment),
        Command::Rmi(args) | Command::Image(ImageCommand::Rm(args)) => images::remove(&args, environment),
        Command::Pull(args) | Command::Image(ImageCommand::Pull(args)) => {
            registry_commands::pull(&args, environment)
        }
        Command::Push(args) | Command::Image(ImageCommand::Push(args)) => {
            registry_commands::push(&args, environment)
        }
        Command::Copy(args) => registry_commands::copy(&args, environment),
        Command::Imagetools(command) => registry_commands::imagetools(&command, environment),
        Command::Login(args) => registry_commands::login(args, environment),
        Command::Logout(args) => registry_commands::logout(&args, environment),
        Command::Load(args) | Command::Image(ImageCommand::Load(args)) => images::load(&args, environment),
        Command::Import(args) | Command::Image(ImageCommand::Import(args)) => {
            images::import(&args, environment)
        }
        Command::Save(args) | Command::Image(ImageCommand::Save(args)) => images::save(&args, environment),
        Command::System(command) => system::system(&command, environment),
        Command::Prune(args) => system::prune(&args, environment, system::What::All),
        Command::Image(ImageCommand::Prune(args)) => system::prune(&args, environment, system::What::Images),
        Command::Volume(command) => system::volume(&command, environment),
        Command::Info(args) => system::info(&args, environment),
        Command::Version(args) => system::version(&args),
        Command::Generate(args) => commands::generate::generate(&args, Cli::command()),
    }
}

/// A command after `builder` or `buildx`.
fn builder(group: BuilderArgs, environment: Environment) -> Outcome {
    match group.command {
        BuilderCommand::Build(args) => build::build(*args, environment),
        BuilderCommand::Prune(args) => system::prune(&args, environment, system::What::Builds),
        BuilderCommand::Du(args) => system::du(&args, environment),
        BuilderCommand::Imagetools(command) => registry_commands::imagetools(&command, environment),
        BuilderCommand::Builders(command) => builders::command(command, group.builder.as_deref()),
        BuilderCommand::Bake(args) => bake(&args),
    }
}

/// `bake` is not there yet, and says so.
fn bake(args: &BakeArgs) -> Outcome {
    let target = args.words.iter().find(|word| !word.starts_with('-')).map_or("TARGET", String::as_str);
    Err(CommandError::new("`bake` is not supported yet")
        .hint(format!("build a target by itself, as `jettison build --file FILE --tag {target} .`")))
}

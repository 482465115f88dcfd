//! `buildx create`, `use`, `ls` and their kin. There is one builder, this program, and it is always ready; scripts that
//! make and choose one first go on with it.

use crate::error::{CommandError, Outcome};
use crate::{screen, table::Table, template};
use clap::{Args, Subcommand};
use oci::Platform;
use serde_json::{Value, json};
use std::path::Path;

/// What the builder is called where nobody names one.
const NAME: &str = "default";
/// The `buildx` whose commands and flags these are: scripts compare it with what they need.
const BUILDX: &str = "v0.31.0";
/// What the kernel may have been told to run programs of other platforms with.
const EMULATORS: [(&str, &str); 8] = [
    ("qemu-x86_64", "linux/amd64"),
    ("qemu-i386", "linux/386"),
    ("qemu-aarch64", "linux/arm64"),
    ("qemu-arm", "linux/arm/v7"),
    ("qemu-riscv64", "linux/riscv64"),
    ("qemu-ppc64le", "linux/ppc64le"),
    ("qemu-s390x", "linux/s390x"),
    ("qemu-loongarch64", "linux/loong64"),
];
/// That a builder is no thing of its own here.
const NOTE: &str = "note: there is one builder, this program, and nothing to make or to choose";

/// The commands about builders.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Take the flags that make a builder; there is one, always ready
    Create(CreateArgs),
    /// Choose a builder; there is one
    Use(UseArgs),
    /// List builders
    Ls(LsArgs),
    /// Show the builder
    Inspect(InspectArgs),
    /// Remove a builder, of which nothing remains to be removed
    Rm(NamesArgs),
    /// Stop a builder, which runs only as long as a build
    Stop(NamesArgs),
    /// Show the version
    Version,
    /// Make `docker build` be this, which it is
    #[command(hide = true)]
    Install,
    /// As install
    #[command(hide = true)]
    Uninstall,
}

/// Take the flags that make a builder.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Where the builder is
    #[arg(value_name = "ENDPOINT")]
    endpoint: Option<String>,
    /// The builder's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Choose it
    #[arg(long = "use")]
    chosen: bool,
    /// Make it ready
    #[arg(long)]
    bootstrap: bool,
    #[arg(long, hide = true)]
    append: bool,
    #[arg(long, hide = true)]
    leave: bool,
    #[arg(long, hide = true)]
    driver: Option<String>,
    #[arg(long, hide = true)]
    driver_opt: Vec<String>,
    #[arg(long, hide = true)]
    node: Option<String>,
    #[arg(long, hide = true)]
    platform: Vec<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    buildkitd_flags: Option<String>,
    #[arg(long, hide = true, alias = "config")]
    buildkitd_config: Option<String>,
    #[arg(long, hide = true)]
    timeout: Option<String>,
}

/// Choose a builder.
#[derive(Debug, Args)]
pub(crate) struct UseArgs {
    /// The builder's name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long = "default", hide = true)]
    of_context: bool,
    #[arg(long, hide = true)]
    global: bool,
}

/// List builders.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// `table`, `json`, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Cut nothing off
    #[arg(long)]
    no_trunc: bool,
    #[arg(long, hide = true)]
    timeout: Option<String>,
}

/// Show the builder.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The builder's name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Make it ready
    #[arg(long)]
    bootstrap: bool,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    timeout: Option<String>,
}

/// Name builders.
#[derive(Debug, Args)]
pub(crate) struct NamesArgs {
    /// The builders' names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    all_inactive: bool,
    #[arg(short, long, hide = true)]
    force: bool,
    #[arg(long, hide = true)]
    keep_daemon: bool,
    #[arg(long, hide = true)]
    keep_state: bool,
    #[arg(long, hide = true)]
    timeout: Option<String>,
}

/// Runs a command about builders; `chosen` is the name before or after it (`--builder`).
pub(crate) fn command(command: Command, chosen: Option<&str>) -> Outcome {
    match command {
        Command::Create(args) => {
            if args.leave && args.name.is_none() {
                return Err(CommandError::new("--leave needs --name"));
            }
            screen::say(NOTE);
            screen::line(args.name.as_deref().unwrap_or(NAME));
        }
        Command::Use(args) => {
            if args.name.or(args.builder).as_deref().or(chosen).is_some_and(|name| name != NAME) {
                screen::say(NOTE);
            }
        }
        Command::Ls(args) => screen::out(&list(&args)?),
        Command::Inspect(args) => {
            screen::out(&inspected(args.name.or(args.builder).as_deref().or(chosen).unwrap_or(NAME)))
        }
        Command::Rm(NamesArgs { names, .. }) => {
            names.iter().for_each(|name| screen::say(&format!("{name} removed")));
        }
        Command::Version => {
            screen::line(&format!("jettison/buildx {BUILDX} jettison-{}", env!("CARGO_PKG_VERSION")))
        }
        Command::Stop(_) | Command::Install | Command::Uninstall => {}
    }
    Ok(0)
}

/// The platforms that steps can run for: this machine's, what its processor runs, too, and what is emulated.
fn platforms() -> Vec<String> {
    let host = Platform::host();
    let mut all = vec![host.to_string()];
    all.extend((host.architecture == "amd64").then(|| "linux/386".to_owned()));
    for (emulator, platform) in EMULATORS {
        let registered = Path::new("/proc/sys/fs/binfmt_misc").join(emulator).exists();
        if registered && !all.iter().any(|known| known == platform) {
            all.push(platform.to_owned());
        }
    }
    all
}

fn list(args: &LsArgs) -> Outcome<String> {
    let version = format!("jettison-{}", env!("CARGO_PKG_VERSION"));
    let platforms = platforms();
    match args.format.as_deref() {
        None | Some("" | "table") => {
            let mut rows = Table::new(&["NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT", "PLATFORMS"]);
            let row = |words: [&str; 5]| words.map(str::to_owned).to_vec();
            rows.row(row([&format!("{NAME}*"), "jettison", "", "", ""]));
            let node = format!(" \\_ {NAME}");
            rows.row(row([&node, &node, "running", &version, &platforms.join(", ")]));
            Ok(rows.text())
        }
        Some("json") => {
            let node = json!({"Name": NAME, "Endpoint": NAME, "Status": "running", "Version": version, "Platforms": platforms});
            let builder = json!({
                "Current": true,
                "Driver": "jettison",
                "Dynamic": false,
                "LastActivity": "0001-01-01T00:00:00Z",
                "Name": NAME,
                "Nodes": [node],
            });
            Ok(format!("{builder}\n"))
        }
        // As with buildx a row for the builder, then one for its node.
        Some(format) => {
            let row = |endpoint: &str, status: &str, version: &str, platforms: &str| {
                json!({"Name": NAME, "DriverEndpoint": endpoint, "Status": status, "Buildkit": version,
                       "Platforms": platforms, "LastActivity": "", "Error": ""})
            };
            let rows: [Value; 2] =
                [row("jettison", "", "", ""), row(NAME, "running", &version, &platforms.join(", "))];
            template::list(format, &rows, &[])
        }
    }
}

/// What `buildx inspect` prints.
fn inspected(name: &str) -> String {
    let line = |key: &str, value: &str| format!("{:<18}{value}\n", format!("{key}:"));
    let version = format!("jettison-{}", env!("CARGO_PKG_VERSION"));
    [
        line("Name", name),
        line("Driver", "jettison"),
        "\nNodes:\n".to_owned(),
        line("Name", name),
        line("Endpoint", NAME),
        line("Status", "running"),
        line("BuildKit version", &version),
        line("Platforms", &platforms().join(", ")),
    ]
    .concat()
}

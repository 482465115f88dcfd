//! `version` and `info`.

use crate::commands::rootless;
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::Outcome;
use crate::{screen, template};
use clap::Args;
use oci::Platform;
use serde_json::{Value, json};

/// Show the version.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// `json` or a template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Runs `version`.
pub(crate) fn version(args: &VersionArgs) -> Outcome {
    let platform = Platform::host();
    let one = json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "Os": platform.os,
        "Arch": platform.architecture,
        "KernelVersion": kernel(),
    });
    // There is no server; scripts that ask for its version get this program's.
    let value = json!({ "Client": one, "Server": one });
    match args.format.as_deref() {
        Some("json") => screen::line(&value.to_string()),
        Some(format) => screen::line(&template::render(format, &value)?),
        None => {
            screen::line("Jettison, one program without a daemon");
            screen::line(&format!(" Version:   {}", env!("CARGO_PKG_VERSION")));
            screen::line(&format!(" OS/Arch:   {platform}"));
            screen::line(&format!(" Kernel:    {}", kernel()));
        }
    }
    Ok(0)
}

/// Show facts about this machine and the store.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// `json` or a template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Runs `info`.
pub(crate) fn info(args: &InfoArgs, environment: Environment) -> Outcome {
    let engine = Engine::new(environment, RegistryFlags::default());
    let store = engine.store()?;
    let system = rustix::system::uname();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let cgroup = if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" };
    let value = json!({
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Name": system.nodename().to_string_lossy(),
        "KernelVersion": kernel(),
        "OperatingSystem": os_name(),
        "OSType": "linux",
        "Architecture": system.machine().to_string_lossy(),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory.unwrap_or(0) * 1024,
        "Driver": "overlay2",
        "CgroupVersion": cgroup,
        "DockerRootDir": store.options().root,
        "Images": store.images()?.len(),
        "Containers": store.containers()?.len(),
        "Rootless": rootless::is_rootless(),
        "SingleId": rootless::single_id(),
    });
    match args.format.as_deref() {
        Some("json") => screen::line(&value.to_string()),
        Some(format) => screen::line(&template::render(format, &value)?),
        None => screen::out(&text(&value)),
    }
    Ok(0)
}

fn text(value: &Value) -> String {
    let names = [
        ("ServerVersion", "Version"),
        ("DockerRootDir", "Store"),
        ("Images", "Images"),
        ("Containers", "Containers"),
        ("Rootless", "Rootless"),
        ("SingleId", "Single id"),
        ("KernelVersion", "Kernel"),
        ("OperatingSystem", "Operating system"),
        ("Architecture", "Architecture"),
        ("CgroupVersion", "Control groups"),
        ("NCPU", "Processors"),
        ("MemTotal", "Memory"),
    ];
    let line = |(field, name): &(&str, &str)| {
        let shown = match &value[field] {
            Value::String(text) => text.clone(),
            Value::Number(number) if *field == "MemTotal" => crate::table::size(number.as_u64().unwrap_or(0)),
            other => other.to_string(),
        };
        format!("{:<18}{shown}\n", format!("{name}:"))
    };
    names.iter().map(line).collect()
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn os_name() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

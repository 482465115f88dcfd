//! What this process can do here, asked once per launcher.

use std::fs;
use std::path::Path;

use crate::sys;

/// Facts that do not change while a launcher lives.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Outside the initial user namespace: no device nodes, `userxattr`, some mounts only as binds.
    pub(crate) in_user_namespace: bool,
    /// The user namespace forbids setgroups(2), as with a single mapped id.
    pub(crate) groups_denied: bool,
    /// What a child can have at most.
    pub(crate) capabilities: u64,
}

impl Host {
    pub(crate) fn detect() -> Self {
        Self {
            in_user_namespace: in_user_namespace(),
            groups_denied: fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny"),
            capabilities: sys::capabilities().unwrap_or(0),
        }
    }
}

/// Whether this process is outside the initial user namespace: its ids are a map of others. Overlays then need
/// [`crate::overlay::Options::userxattr`].
#[must_use]
pub fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// Docker's masked paths, those that exist here, and whether each is a directory.
pub(crate) fn masked_paths() -> &'static [(String, bool)] {
    use std::sync::LazyLock;
    static FOUND: LazyLock<Vec<(String, bool)>> = LazyLock::new(|| {
        let mut paths: Vec<String> = [
            "/proc/acpi",
            "/proc/asound",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/sys/devices/virtual/powercap",
            "/sys/firmware",
        ]
        .map(str::to_owned)
        .into();
        for cpu in fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten() {
            let name = cpu.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.strip_prefix("cpu").is_some_and(|n| n.parse::<u32>().is_ok()) {
                paths.push(format!("/sys/devices/system/cpu/{name}/thermal_throttle"));
            }
        }
        paths
            .into_iter()
            .filter_map(|path| {
                let directory = fs::symlink_metadata(Path::new(&path)).ok()?.is_dir();
                Some((path, directory))
            })
            .collect()
    });
    &FOUND
}

/// Docker's read-only paths.
pub(crate) const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

//! Control groups with limits, on version 1, version 2 and hybrid hosts.
//!
//! A group is made below the process's own group where that may have children with controllers, else beside it, else
//! at the top. What cannot be had (no controller, no permission) is one warning and no error: the process runs without
//! that limit.
//!
//! ```text
//! v1:  /sys/fs/cgroup/<controller>/<own group>/<name>/{tasks, memory.limit_in_bytes, pids.max, cpu.cfs_quota_us, ...}
//! v2:  /sys/fs/cgroup/<group>/<name>/{cgroup.procs, memory.max, pids.max, cpu.max, ...}
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// What a group may use at most. `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory and swap together in bytes; `u64::MAX` is unlimited swap.
    pub memory_swap: Option<u64>,
    /// Memory below which the kernel tries to stay under pressure, in bytes.
    pub memory_reservation: Option<u64>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
    /// Processor time in each period, in microseconds.
    pub cpu_quota: Option<u64>,
    /// The period in microseconds; 100,000 where `None`.
    pub cpu_period: Option<u64>,
    /// Relative weight, 2 to 262144; Docker's default is 1024.
    pub cpu_shares: Option<u64>,
    /// Processors, such as `0-3,6`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
}

/// What a group uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in bytes, page cache included.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processor time since the group was made.
    pub cpu: Option<Duration>,
}

/// One hierarchy that the group is in.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// v1: `tasks`, open for writing. v2: the directory.
    fd: OwnedFd,
    unified: bool,
}

/// A group of this process's making. Dropping it removes it once nothing runs in it.
#[derive(Debug)]
pub struct Cgroup {
    parts: Vec<Part>,
    keep: bool,
}

/// Where a hierarchy is mounted and what group this process is in.
#[derive(Debug, Clone)]
struct Hierarchy {
    /// v1 controllers; empty for v2.
    controllers: Vec<String>,
    mount: PathBuf,
    own: PathBuf,
}

impl Cgroup {
    /// Makes a group of this name (one path component) with these limits. Also returns a line for each limit that
    /// cannot be had here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name with a slash; a value that the kernel refuses is [`Error::Os`] and names the file.
    pub fn create(name: &str, limits: &Limits) -> Result<(Self, Vec<String>)> {
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            return Err(Error::Invalid(format!("`{name}` cannot name a control group")));
        }
        let hierarchies = hierarchies();
        let mut group = Self { parts: Vec::new(), keep: false };
        let mut warnings = Vec::new();
        for (controller, wanted) in limits.by_controller() {
            if wanted.is_empty() {
                continue;
            }
            if let Err(reason) = group.limit(&hierarchies, name, controller, &wanted)? {
                warnings.push(format!("no {controller} limit: {reason}"));
            }
        }
        if group.parts.is_empty()
            && let Some(unified) = hierarchies.iter().find(|h| h.controllers.is_empty())
        {
            // Without a limit the group still names what runs in it.
            let _ = group.enter_unified(unified, name, None);
        }
        Ok((group, warnings))
    }

    /// Sets one controller's files. The inner error is a reason to go without.
    fn limit(
        &mut self,
        hierarchies: &[Hierarchy],
        name: &str,
        controller: &str,
        wanted: &[(Files, String)],
    ) -> Result<std::result::Result<(), String>> {
        let v1 = hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == controller));
        let v2 = hierarchies.iter().find(|h| h.controllers.is_empty());
        let made = match (v1, v2) {
            (Some(hierarchy), _) => self.enter_v1(hierarchy, name),
            (None, Some(hierarchy)) => self.enter_unified(hierarchy, name, Some(controller)),
            (None, None) => Err("control groups are not mounted".into()),
        };
        let path = match made {
            Ok(path) => path,
            Err(reason) => return Ok(Err(reason)),
        };
        for (files, value) in wanted {
            let (file, value) = match (v1.is_some(), files) {
                (true, Files { v1: Some(file), .. }) => (file, value.clone()),
                (false, Files { v2: Some(file), .. }) => (file, files.unified_value(value)),
                _ => continue,
            };
            let file = path.join(file);
            if let Err(source) = fs::write(&file, &value) {
                // A kernel without swap accounting has no such file.
                if source.kind() == std::io::ErrorKind::NotFound {
                    return Ok(Err(format!("the kernel has no `{}`", file.display())));
                }
                return Err(Error::os("set the limit", format!("{} to {value}", file.display()), source));
            }
        }
        Ok(Ok(()))
    }

    fn enter_v1(&mut self, hierarchy: &Hierarchy, name: &str) -> std::result::Result<PathBuf, String> {
        let path = below(&hierarchy.mount, &hierarchy.own).join(name);
        if self.parts.iter().any(|part| part.path == path) {
            return Ok(path);
        }
        make(&path)?;
        // One thread is moved by itself, through `tasks`: that takes no lock which waits for other processors.
        let tasks = path.join("tasks");
        let fd = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(&tasks)
            .map_err(|error| format!("cannot open `{}`: {error}", tasks.display()))?;
        if hierarchy.controllers.iter().any(|c| c == "cpuset") {
            // A fresh cpuset is empty and takes nobody.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let parent = path.parent().unwrap_or(&path).join(file);
                if let Ok(value) = fs::read_to_string(parent) {
                    let _ = fs::write(path.join(file), value.trim());
                }
            }
        }
        self.parts.push(Part { path: path.clone(), fd: fd.into(), unified: false });
        Ok(path)
    }

    fn enter_unified(
        &mut self,
        hierarchy: &Hierarchy,
        name: &str,
        controller: Option<&str>,
    ) -> std::result::Result<PathBuf, String> {
        let own = below(&hierarchy.mount, &hierarchy.own);
        let beside = own.parent().filter(|p| p.starts_with(&hierarchy.mount)).unwrap_or(&own);
        let mut reason = "the controller is not in the unified hierarchy".to_owned();
        if let Some(part) = self.parts.iter().find(|part| part.unified) {
            let parent = part.path.parent().unwrap_or(&part.path);
            return match controller.map_or(Ok(()), |controller| enable(parent, controller)) {
                Ok(()) => Ok(part.path.clone()),
                Err(reason) => Err(reason),
            };
        }
        for parent in [own.as_path(), beside, hierarchy.mount.as_path()] {
            if let Some(controller) = controller
                && let Err(why) = enable(parent, controller)
            {
                reason = why;
                continue;
            }
            let path = parent.join(name);
            match make(&path).and_then(|()| {
                File::open(&path).map_err(|error| format!("cannot open `{}`: {error}", path.display()))
            }) {
                Ok(directory) => {
                    self.parts.push(Part { path: path.clone(), fd: directory.into(), unified: true });
                    return Ok(path);
                }
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// The directories of the group, one a hierarchy.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    /// How many processes of the group the kernel killed for lack of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        let read = |path: &Path, file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        self.parts
            .iter()
            .map(|part| read(&part.path, if part.unified { "memory.events" } else { "memory.oom_control" }))
            .filter_map(|text| {
                text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
            })
            .max()
            .unwrap_or(0)
    }

    /// What the group uses now; a value is `None` where no controller counts it.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let number = |v1: &str, v2: &str| {
            self.parts.iter().find_map(|part| {
                let file = part.path.join(if part.unified { v2 } else { v1 });
                fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
            })
        };
        let cpu = self.parts.iter().find_map(|part| {
            if part.unified {
                let text = fs::read_to_string(part.path.join("cpu.stat")).ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                return line.trim().parse::<u64>().ok().map(Duration::from_micros);
            }
            let text = fs::read_to_string(part.path.join("cpuacct.usage")).ok()?;
            text.trim().parse::<u64>().ok().map(Duration::from_nanos)
        });
        Usage {
            memory: number("memory.usage_in_bytes", "memory.current"),
            pids: number("pids.current", "pids.current"),
            cpu,
        }
    }

    /// Leaves the group in place when this value goes.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// The v2 directory to clone into.
    pub(crate) fn unified_fd(&self) -> Option<RawFd> {
        self.parts.iter().find(|part| part.unified).map(|part| part.fd.as_raw_fd())
    }

    /// The v1 `tasks` files.
    pub(crate) fn task_fds(&self) -> impl Iterator<Item = RawFd> {
        self.parts.iter().filter(|part| !part.unified).map(|part| part.fd.as_raw_fd())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for part in &self.parts {
            // The last process may still be on its way out.
            for wait in [0, 1, 4, 16, 64] {
                std::thread::sleep(Duration::from_millis(wait));
                match fs::remove_dir(&part.path) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                    _ => break,
                }
            }
        }
    }
}

/// A file's name in each version, and whether its value differs.
#[derive(Debug, Clone, Copy)]
struct Files {
    v1: Option<&'static str>,
    v2: Option<&'static str>,
}

impl Files {
    const fn new(v1: &'static str, v2: &'static str) -> Self {
        Self { v1: Some(v1), v2: Some(v2) }
    }

    /// Weights run from 1 to 10,000 in version 2; "-1" is "max".
    fn unified_value(self, value: &str) -> String {
        match (self.v2, value.parse::<u64>()) {
            (Some("cpu.weight"), Ok(shares)) => {
                let shares = shares.clamp(2, 262_144);
                (1 + (shares - 2) * 9_999 / 262_142).to_string()
            }
            _ if value == "-1" => "max".into(),
            _ => value.into(),
        }
    }
}

impl Limits {
    /// Whether there is any limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn by_controller(&self) -> Vec<(&'static str, Vec<(Files, String)>)> {
        let mut memory = Vec::new();
        if let Some(bytes) = self.memory {
            memory.push((Files::new("memory.limit_in_bytes", "memory.max"), bytes.to_string()));
        }
        if let Some(bytes) = self.memory_reservation {
            memory.push((Files::new("memory.soft_limit_in_bytes", "memory.low"), bytes.to_string()));
        }
        if let Some(both) = self.memory_swap {
            let v1 = if both == u64::MAX { "-1".into() } else { both.to_string() };
            memory.push((Files { v1: Some("memory.memsw.limit_in_bytes"), v2: None }, v1.clone()));
            // Version 2 counts swap alone.
            let v2 =
                if both == u64::MAX { v1 } else { (both - self.memory.unwrap_or(0).min(both)).to_string() };
            memory.push((Files { v1: None, v2: Some("memory.swap.max") }, v2));
        }
        let pids = self
            .pids
            .map(|pids| (Files::new("pids.max", "pids.max"), pids.to_string()))
            .into_iter()
            .collect();
        let mut cpu = Vec::new();
        let period = self.cpu_period.unwrap_or(100_000);
        if self.cpu_period.is_some() || self.cpu_quota.is_some() {
            cpu.push((Files { v1: Some("cpu.cfs_period_us"), v2: None }, period.to_string()));
            let quota = self.cpu_quota.map_or("-1".into(), |quota| quota.to_string());
            cpu.push((Files { v1: Some("cpu.cfs_quota_us"), v2: None }, quota.clone()));
            let quota = if quota == "-1" { "max" } else { &quota };
            cpu.push((Files { v1: None, v2: Some("cpu.max") }, format!("{quota} {period}")));
        }
        if let Some(shares) = self.cpu_shares {
            cpu.push((Files::new("cpu.shares", "cpu.weight"), shares.to_string()));
        }
        let mut cpuset = Vec::new();
        if let Some(cpus) = &self.cpuset_cpus {
            cpuset.push((Files::new("cpuset.cpus", "cpuset.cpus"), cpus.clone()));
        }
        if let Some(mems) = &self.cpuset_mems {
            cpuset.push((Files::new("cpuset.mems", "cpuset.mems"), mems.clone()));
        }
        vec![("memory", memory), ("pids", pids), ("cpu", cpu), ("cpuset", cpuset)]
    }
}

/// A group's directory, whether the group is named from the root of the host's or of this namespace's hierarchy.
fn below(mount: &Path, group: &Path) -> PathBuf {
    let path = mount.join(group.strip_prefix("/").unwrap_or(group));
    // Inside a container the name may be that of the host, of which only a part is mounted.
    if path.is_dir() { path } else { mount.to_path_buf() }
}

fn make(path: &Path) -> std::result::Result<(), String> {
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!("cannot make `{}`: {error}", path.display())),
    }
}

/// Lets children of a v2 group have a controller.
fn enable(parent: &Path, controller: &str) -> std::result::Result<(), String> {
    let has = |file: &str| {
        fs::read_to_string(parent.join(file))
            .is_ok_and(|text| text.split_whitespace().any(|c| c == controller))
    };
    if has("cgroup.subtree_control") {
        return Ok(());
    }
    if !has("cgroup.controllers") {
        return Err(format!("`{}` has no {controller} controller", parent.display()));
    }
    let file = parent.join("cgroup.subtree_control");
    OpenOptions::new()
        .write(true)
        .open(&file)
        .and_then(|mut file| file.write_all(format!("+{controller}").as_bytes()))
        .map_err(|error| format!("cannot write `{}`: {error}", file.display()))
}

/// The hierarchies mounted here, from `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn hierarchies() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        // 36 35 98:0 /root /mount/point options [fields] - type source super-options
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut right = right.split(' ');
        let fstype = right.next().unwrap_or_default();
        let options = right.nth(1).unwrap_or_default();
        let Some(mount) = left.split(' ').nth(4) else { continue };
        let controllers: Vec<String> = match fstype {
            "cgroup2" => Vec::new(),
            "cgroup" => {
                options.split(',').filter(|o| !matches!(*o, "rw" | "ro")).map(str::to_owned).collect()
            }
            _ => continue,
        };
        let own = groups.lines().find_map(|line| {
            // 4:memory:/group
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            let same = if controllers.is_empty() {
                names.is_empty()
            } else {
                names.split(',').any(|name| controllers.iter().any(|c| c == name))
            };
            same.then(|| PathBuf::from(path))
        });
        if let Some(own) = own
            && !found.iter().any(|h| h.controllers == controllers)
        {
            found.push(Hierarchy { controllers, mount: mount.into(), own });
        }
    }
    found
}

/// The controllers that version 1 has here, those mounted alone: that is how their directories are named.
pub(crate) fn v1_controllers() -> Vec<String> {
    hierarchies()
        .into_iter()
        .filter_map(|hierarchy| match &hierarchy.controllers[..] {
            [only] if !only.contains('=') => Some(only.clone()),
            _ => None,
        })
        .collect()
}

/// Files into which `0` is written to join the groups of another process: those of it that differ from ours.
pub(crate) fn open_groups_of(pid: i32) -> Vec<OwnedFd> {
    let theirs = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mut files = Vec::new();
    for hierarchy in hierarchies() {
        let group = theirs.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            let same = if hierarchy.controllers.is_empty() {
                names.is_empty()
            } else {
                names.split(',').any(|name| hierarchy.controllers.iter().any(|c| c == name))
            };
            same.then(|| PathBuf::from(path))
        });
        if let Some(group) = group.filter(|group| *group != hierarchy.own) {
            let file = if hierarchy.controllers.is_empty() { "cgroup.procs" } else { "tasks" };
            let path = hierarchy.mount.join(group.strip_prefix("/").unwrap_or(&group)).join(file);
            if let Ok(file) = OpenOptions::new().write(true).custom_flags(libc::O_CLOEXEC).open(path) {
                files.push(file.into());
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_unlimited_convert() {
        let weight = Files::new("cpu.shares", "cpu.weight");
        assert_eq!(weight.unified_value("2"), "1");
        assert_eq!(weight.unified_value("262144"), "10000");
        assert_eq!(weight.unified_value("1024"), "39");
        assert_eq!(Files::new("a", "memory.swap.max").unified_value("-1"), "max");
    }

    #[test]
    fn a_name_is_one_component() {
        for name in ["", "..", "a/b", ".hidden"] {
            assert!(Cgroup::create(name, &Limits::default()).is_err(), "{name}");
        }
    }
}

//! The minimal Debian under most of the images, and the packages that are unpacked beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::layout::{Image, Layer, Layout};
use super::tree::Tree;
use crate::setup::is_root;
use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// The suite that the images are named after.
const SUITE: &str = "bookworm";

/// Packages that are fetched, with what they need, but not installed: parts of other images are
/// taken out of them, so none of their maintainers' scripts has to run.
const BESIDE: &str = "nginx-light ca-certificates busybox-static";

/// What a container has no use for, as starts of paths. The last four are this machine's.
const DROPPED: &[&str] = &[
    "dev/",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/lintian/",
    "usr/share/bash-completion/",
    "usr/lib/systemd/",
    "var/cache/",
    "var/lib/apt/",
    "var/log/",
    "var/cache/debconf/",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
];

/// A minimal Debian and, unpacked one by one on demand, the packages beside it.
pub(crate) struct Debian {
    /// The root of the bottom layer.
    pub(crate) root: Tree,
    archives: PathBuf,
}

impl Debian {
    /// Fetches and installs, by mmdebstrap; about 20 seconds.
    pub(crate) fn make(making: &Path) -> Result<Self> {
        let begun = Instant::now();
        super::say("Debian: fetching and unpacking a minimal root (mmdebstrap)");
        let archives = making.join("debs");
        fs::create_dir_all(&archives).doing(|| format!("make the folder `{}`", archives.display()))?;
        let tar = making.join("debian.tar");
        bootstrap(&tar)?;
        let file = fs::File::open(&tar).doing(|| format!("open `{}`", tar.display()))?;
        let mut root =
            Tree::read("mmdebstrap's archive", std::io::BufReader::new(file), |path| Some(path.to_owned()))?;
        for (path, _) in root.iter() {
            if let Some(name) =
                path.strip_prefix("var/cache/apt/archives/").filter(|name| name.ends_with(".deb"))
            {
                let to = archives.join(name);
                fs::write(&to, root.bytes(path)?).doing(|| format!("write `{}`", to.display()))?;
            }
        }
        root.retain(|path| !DROPPED.iter().any(|start| path.starts_with(start)));
        for folder in ["dev", "var/cache", "var/lib/apt", "var/log"] {
            root.folder(folder, 0o755);
        }
        for folder in ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial"] {
            root.folder(folder, 0o755);
        }
        root.complete(None);
        super::say(&format!("Debian: {:.0} s", begun.elapsed().as_secs_f64()));
        Ok(Self { root, archives })
    }

    /// The files of the packages beside the root whose names start with `prefix`; none is an error.
    pub(crate) fn package(&self, prefix: &str) -> Result<Tree> {
        let listing = fs::read_dir(&self.archives).doing(|| format!("list `{}`", self.archives.display()))?;
        let mut all = Tree::default();
        let mut found = false;
        for file in listing {
            let file = file.doing(|| format!("list `{}`", self.archives.display()))?;
            if !file.file_name().to_string_lossy().starts_with(prefix) {
                continue;
            }
            found = true;
            let unpacked = shell::output(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(file.path()))?;
            all.merge(Tree::read(prefix, unpacked.as_slice(), |path| Some(path.to_owned()))?);
        }
        if found { Ok(all) } else { Err(Trouble::Said(format!("apt fetched no package `{prefix}...`"))) }
    }

    /// The certificates of the public authorities, as one PEM file.
    pub(crate) fn certificates(&self) -> Result<Vec<u8>> {
        let package = self.package("ca-certificates_")?;
        let mut bundle = Vec::new();
        for (path, _) in package.iter().filter(|(path, _)| path.ends_with(".crt")) {
            bundle.extend_from_slice(package.bytes(path)?);
        }
        Ok(bundle)
    }
}

/// Tries bookworm first, then the host's own suite (a company's mirror may hold only that), each as
/// this user and, where that does not do, by sudo.
fn bootstrap(tar: &Path) -> Result<()> {
    let own = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or(SUITE);
    let mut suites = vec![SUITE];
    if own != SUITE {
        suites.push(own);
    }
    let mut first = None;
    for suite in suites {
        for sudo in [false, true] {
            if sudo && (is_root() || !shell::has("sudo")) {
                continue;
            }
            let Err(trouble) = shell::output(&mut mmdebstrap(suite, sudo, tar)) else {
                if suite != SUITE {
                    super::say(&format!("Debian: {SUITE} could not be had, the images are made of {suite}"));
                }
                return Ok(());
            };
            first.get_or_insert(trouble);
        }
    }
    Err(first.expect("because every suite is tried at least once without sudo"))
}

fn mmdebstrap(suite: &str, sudo: bool, tar: &Path) -> Command {
    let mut command = Command::new(if sudo { "sudo" } else { "mmdebstrap" });
    if sudo {
        command.args(["--non-interactive", "mmdebstrap"]);
    }
    command.args(["--variant=apt", "--format=tar", "--skip=cleanup/apt/cache"]);
    // Without usr-is-merged apt takes usrmerge, which brings all of Perl (50 MB).
    let hooks = "/usr/share/mmdebstrap/hooks/maybe-merged-usr";
    if Path::new(hooks).is_dir() {
        command.arg(format!("--hook-dir={hooks}"));
    }
    command.arg("--include=libstdc++6,usr-is-merged");
    for option in ["APT::Install-Recommends \"false\"", "Acquire::Languages \"none\""] {
        command.arg(format!("--aptopt={option}"));
    }
    for option in [
        "force-unsafe-io",
        "path-exclude=/usr/share/doc/*",
        "path-exclude=/usr/share/man/*",
        "path-exclude=/usr/share/locale/*",
    ] {
        command.arg(format!("--dpkgopt={option}"));
    }
    command.arg(format!(
        "--customize-hook=APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get --yes --download-only install {BESIDE}"
    ));
    command.arg(suite).arg(tar).stdout(Stdio::null());
    command
}

/// The image that is nothing but Debian.
pub(crate) fn image(layout: &Layout, bottom: &Layer) -> Result<Vec<Value>> {
    layout.image(Image {
        names: &["docker.io/library/debian:bookworm-slim", "docker.io/library/debian:latest"],
        layers: &[bottom],
        config: json!({ "Env": [super::PATH], "Cmd": ["bash"] }),
        stands_in_for: "debian:bookworm-slim",
    })
}

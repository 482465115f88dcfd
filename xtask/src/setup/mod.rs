//! Installs what the chores need, on Debian and Ubuntu, as root or by sudo; some tools come from PyPI and npm.

mod node;
pub(crate) mod python;

use std::process::Command;
use std::sync::OnceLock;

use crate::shell::{has, output};
use crate::trouble::{Result, Trouble};

/// A program, or a file where no program tells, with the package that brings it and who needs it.
struct Need {
    program: &'static str,
    package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// What making the stand-in base images takes.
const BASES: &[Need] = &[need("mmdebstrap", "mmdebstrap"), need("npm", "npm")];

/// What the tests take besides.
const TESTS: &[Need] = &[
    // Peers that must read what jettison writes, and write what it reads.
    need("skopeo", "skopeo"),
    need("podman", "podman"),
    need("umoci", "umoci"),
    // A real registry, and htpasswd for one that asks who is there.
    need("docker-registry", "docker-registry"),
    need("htpasswd", "apache2-utils"),
    // The peer of the differential tests, with its client.
    need("dockerd", "docker.io"),
    // Its runtime, which podman takes too.
    need("runc", "runc"),
    // Certificates of the tests' own.
    need("openssl", "openssl"),
    // A plain user's ids and networks.
    need("newuidmap", "uidmap"),
    need("pasta", "passt"),
    need("slirp4netns", "slirp4netns"),
    need("setpriv", "util-linux"),
    need("script", "bsdutils"),
    need("zstd", "zstd"),
    // Namespaces and bridges as seen from outside.
    need("ip", "iproute2"),
    need("nft", "nftables"),
    need("git", "git"),
    // Archives of all kinds.
    need("xz", "xz-utils"),
    need("bzip2", "bzip2"),
    // System calls, counted.
    need("strace", "strace"),
    // Agents and keys that are lent to steps.
    need("ssh-agent", "openssh-client"),
    // Sections put into programs, as compilers would.
    need("objcopy", "binutils"),
    // What reads our file system images besides the kernel.
    need("fsck.erofs", "erofs-utils"),
];

/// Installs what the tests need where it is missing. A tool that cannot be had is an error.
pub(crate) fn for_tests() -> Result<()> {
    install(&[BASES, TESTS])?;
    ubuntu_keyring()?;
    python::TESTS.iter().try_for_each(python::Tool::ready)?;
    node::TESTS.iter().try_for_each(node::Tool::ready)
}

/// Installs what making the base images needs.
pub(crate) fn for_bases() -> Result<()> {
    install(&[BASES])?;
    ubuntu_keyring()
}

/// Ubuntu's apt does not know Debian's keys, with which the base images' packages are signed.
fn ubuntu_keyring() -> Result<()> {
    if std::path::Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        return Ok(());
    }
    apt(&["debian-archive-keyring"])
}

fn install(needs: &[&[Need]]) -> Result<()> {
    let missing = || needs.iter().copied().flatten().filter(|need| !has(need.program));
    let mut packages: Vec<&str> = missing().map(|need| need.package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    apt(&packages)?;
    let still: Vec<String> =
        missing().map(|need| format!("`{}` (package `{}`)", need.program, need.package)).collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(Trouble::Said(format!("these are needed and missing after the installation: {}", still.join(", "))))
}

fn apt(packages: &[&str]) -> Result<()> {
    if !has("apt-get") {
        return Err(Trouble::Said(format!(
            "these packages are needed, and this is neither Debian nor Ubuntu: {}. Please install them by hand",
            packages.join(", ")
        )));
    }
    eprintln!("setup: installing {}", packages.join(", "));
    // The lists of a new machine may be missing or too old to name files that are still there. A source
    // that does not answer is no reason to stop: what matters is whether the packages come.
    if let Err(trouble) = output(&mut apt_get(&["update"])) {
        eprintln!("setup: {trouble}");
    }
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(packages);
    output(&mut apt_get(&words)).map(drop)
}

fn apt_get(words: &[&str]) -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut command = Command::new("sudo");
        command.arg("env");
        command
    };
    command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").arg("--quiet").args(words);
    command
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim_ascii() == b"0"))
}

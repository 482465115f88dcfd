//! The works: what is built and run.
//!
//! Each has a salt in everything that a cache could know it by, so that a work made anew is new to every
//! runner.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::runners::Network;
use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// The base of all works but `express`, and what `run` runs.
pub(super) const DEBIAN: &str = "debian:bookworm-slim";
/// The base of `express`.
pub(super) const NODE: &str = "node:22-alpine";

/// The steps of `chain`.
const STEPS: usize = 60;
/// The stages of `wide`.
const STAGES: usize = 40;
/// The folders of `bigctx`, with [`FILES`] each.
const FOLDERS: usize = 500;
const FILES: usize = 100;
const FILE_BYTES: usize = 400;
/// The stages of `parse`, with [`STAGE_LINES`] lines each.
const PARSED_STAGES: usize = 250;
const STAGE_LINES: usize = 40;

/// One work and its lines in the table.
pub(super) struct Work {
    pub(super) name: &'static str,
    /// What it is, for the reader of a table.
    pub(super) what: &'static str,
    /// The network of its steps, the same for all.
    pub(super) network: Network,
    /// In this order, in the same folder.
    pub(super) phases: &'static [Phase],
    content: fn(&Path, &str) -> Result<()>,
}

/// One line of the table.
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// At most this long, says the project's plan, where it says something.
    pub(super) goal: Option<Duration>,
    pub(super) does: Does,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Build,
    /// One file of the context is changed, which is not timed, then a build.
    ChangeAndBuild,
    /// A build of what is known, out as a docker archive.
    Archive,
    /// A container of [`DEBIAN`] that does nothing.
    Run,
    /// The Dockerfile is read and judged, and nothing is built.
    Check,
    /// A build that no line tells of, for the phases after it.
    Ready,
    /// The image out of the bench's registry, unpacked.
    Pull,
    /// What was built, compressed and sent to the bench's registry.
    Push,
    /// What was built, out as an OCI archive with all layers compressed like this.
    Pack(Packing),
}

/// How layers are compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// gzip at level 1.
    Gzip,
    /// zstd at level 1.
    Zstd,
}

impl Packing {
    /// As every command line here spells it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Work {
    /// Whether it needs a registry on loopback.
    pub(super) fn needs_registry(&self) -> bool {
        self.phases.iter().any(|phase| matches!(phase.does, Does::Pull | Does::Push))
    }
}

impl Phase {
    /// Whether it has a line in the table.
    pub(super) fn is_shown(&self) -> bool {
        self.does != Does::Ready
    }

    /// Whether it makes something, so that the time until that is on the disk counts as well. What finds
    /// everything done writes nothing that would need it.
    pub(super) fn writes(&self) -> bool {
        match self.does {
            Does::Build => !self.name.contains(','),
            Does::ChangeAndBuild | Does::Archive | Does::Pull | Does::Push | Does::Pack(_) => true,
            Does::Run | Does::Check | Does::Ready => false,
        }
    }
}

/// A goal of zero is none.
const fn phase(name: &'static str, goal_ms: u64, does: Does) -> Phase {
    let goal = if goal_ms == 0 { None } else { Some(Duration::from_millis(goal_ms)) };
    Phase { name, goal, does }
}

/// Every work, in the order of the table.
pub(super) const WORKS: [&Work; 9] = [
    &Work {
        name: "chain",
        what: "60 times `RUN echo N > /fN` on Debian",
        network: Network::None,
        phases: &[phase("chain", 500, Does::Build), phase("chain, cached", 10, Does::Build)],
        content: chain,
    },
    &Work {
        name: "wide",
        what: "40 stages that each write 2 MB of random bytes, joined by 40 `COPY --from`",
        network: Network::None,
        phases: &[phase("wide", 1000, Does::Build), phase("wide, cached", 0, Does::Build)],
        content: wide,
    },
    &Work {
        name: "bigctx",
        what: "`COPY` of 50,000 files of 400 bytes in 500 folders, then `RUN true`",
        network: Network::None,
        phases: &[
            phase("bigctx", 1500, Does::Build),
            phase("bigctx, unchanged", 100, Does::Build),
            phase("bigctx, one file changed", 1200, Does::ChangeAndBuild),
            phase("bigctx, docker archive", 700, Does::Archive),
        ],
        content: bigctx,
    },
    &Work {
        name: "express",
        what: "fixtures/express/Dockerfile: `npm ci` over the network, two stages",
        network: Network::Host,
        phases: &[phase("express", 0, Does::Build), phase("express, cached", 10, Does::Build)],
        content: express,
    },
    &Work {
        name: "run",
        what: "`run --rm debian:bookworm-slim true`",
        network: Network::None,
        phases: &[phase("run", 15, Does::Run)],
        content: |_, _| Ok(()),
    },
    &Work {
        name: "parse",
        what: "`build --check` of a Dockerfile of 10,000 lines in 250 stages",
        network: Network::None,
        phases: &[phase("parse", 0, Does::Check)],
        content: long,
    },
    &Work {
        name: "pull",
        what: "an image of three layers, together 180 MB unpacked and 70 MB of gzip, from a registry on loopback",
        network: Network::None,
        phases: &[phase("pull", 0, Does::Pull)],
        content: payload,
    },
    &Work {
        name: "push",
        what: "an image of that size to a registry on loopback, compressed as each program does by itself",
        network: Network::None,
        phases: &[phase("", 0, Does::Ready), phase("push", 0, Does::Push)],
        content: payload,
    },
    &Work {
        name: "pack",
        what: "an image with a layer of 1 GB, already built, out as an OCI archive",
        network: Network::None,
        phases: &[
            phase("", 0, Does::Ready),
            // 250 and 500 MB/s for the layer and its base.
            phase("pack, gzip level 1", 4400, Does::Pack(Packing::Gzip)),
            phase("pack, zstd level 1", 2200, Does::Pack(Packing::Zstd)),
        ],
        content: large,
    },
];

/// What every runner builds once before it is measured: each base gets a step.
pub(super) const AWAKE: Work = Work {
    name: "awake",
    what: "a step on each base",
    network: Network::None,
    phases: &[],
    content: |folder, _| {
        let text =
            format!("FROM {NODE} AS node\nRUN true > /a\nFROM {DEBIAN}\nCOPY --from=node /a /a\nRUN true\n");
        write(&folder.join("Dockerfile"), text)
    },
};

/// An image without anything, to see whether a program builds at all.
pub(super) const EMPTY: Work = Work {
    name: "empty",
    what: "an image without files",
    network: Network::None,
    phases: &[],
    content: |folder, _| write(&folder.join("Dockerfile"), "FROM scratch\nLABEL a=b\n"),
};

/// The works with these names, or all.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static Work>> {
    if let Some(name) = names.iter().find(|name| !WORKS.iter().any(|work| work.name == **name)) {
        let all: Vec<&str> = WORKS.iter().map(|work| work.name).collect();
        return Err(Trouble::Said(format!("no work is named `{name}`; there are {}", all.join(", "))));
    }
    let wanted = |work: &&&Work| names.is_empty() || names.iter().any(|name| name == work.name);
    Ok(WORKS.iter().filter(wanted).copied().collect())
}

/// Makes the context of `work` in `folder`, which must not be there.
pub(super) fn make(work: &Work, folder: &Path, salt: &str) -> Result<()> {
    fs::create_dir_all(folder).doing(|| format!("make the folder `{}`", folder.display()))?;
    (work.content)(folder, salt)
}

/// Gives one file of `bigctx` other content of the same length.
pub(super) fn change_one_file(folder: &Path, salt: &str) -> Result<()> {
    let mut random = Random::of(salt);
    write(&folder.join("data/d250/f50"), random.bytes(FILE_BYTES))
}

fn chain(folder: &Path, salt: &str) -> Result<()> {
    chain_of(STEPS, folder, salt)
}

/// A chain of `steps` steps.
pub(crate) fn chain_of(steps: usize, folder: &Path, salt: &str) -> Result<()> {
    let mut text = format!("FROM {DEBIAN}\n");
    for step in 0..steps {
        let _ = writeln!(text, "RUN echo {salt}-{step} > /f{step}");
    }
    write(&folder.join("Dockerfile"), text)
}

fn wide(folder: &Path, salt: &str) -> Result<()> {
    wide_of(STAGES, folder, salt)
}

/// `stages` stages, joined.
pub(super) fn wide_of(stages: usize, folder: &Path, salt: &str) -> Result<()> {
    let mut text = String::new();
    for stage in 0..stages {
        let _ = writeln!(text, "FROM {DEBIAN} AS s{stage}");
        let _ = writeln!(text, "RUN head -c 2000000 /dev/urandom > /r{stage} # {salt}");
    }
    let _ = writeln!(text, "FROM {DEBIAN}");
    for stage in 0..stages {
        let _ = writeln!(text, "COPY --from=s{stage} /r{stage} /r{stage}");
    }
    write(&folder.join("Dockerfile"), text)
}

fn bigctx(folder: &Path, salt: &str) -> Result<()> {
    bigctx_of(FOLDERS, folder, salt)
}

/// A context of `folders` folders with 100 files each.
pub(crate) fn bigctx_of(folders: usize, folder: &Path, salt: &str) -> Result<()> {
    write(&folder.join("Dockerfile"), format!("FROM {DEBIAN}\nCOPY data /data\nRUN true\n"))?;
    let mut random = Random::of(salt);
    for number in 0..folders {
        let inner = folder.join(format!("data/d{number}"));
        fs::create_dir_all(&inner).doing(|| format!("make the folder `{}`", inner.display()))?;
        for file in 0..FILES {
            write(&inner.join(format!("f{file}")), random.bytes(FILE_BYTES))?;
        }
    }
    Ok(())
}

/// A context with one file of `megabytes`, which does not compress.
pub(super) fn file_of(megabytes: usize, folder: &Path, salt: &str) -> Result<()> {
    write(&folder.join("Dockerfile"), format!("FROM {DEBIAN}\nCOPY file /file\nRUN true\n"))?;
    let path = folder.join("file");
    let doing = || format!("write `{}`", path.display());
    let mut file = fs::File::create(&path).doing(doing)?;
    let mut random = Random::of(salt);
    for _ in 0..megabytes {
        std::io::Write::write_all(&mut file, &random.bytes(1_000_000)).doing(doing)?;
    }
    Ok(())
}

/// Stages as people write them, each with a file of the one before, with nothing that a check would warn of.
fn long(folder: &Path, salt: &str) -> Result<()> {
    let mut text = String::new();
    let mut copy = "--chmod=644 Dockerfile".to_owned();
    for stage in 0..PARSED_STAGES {
        let _ = writeln!(text, "# stage {stage} of {salt}\nFROM {DEBIAN} AS s{stage}\nARG VERSION=1.{stage}");
        let _ = writeln!(text, "ENV NAME=\"part {stage}\" \\\n    PATH=\"/opt/{stage}/bin:$PATH\"");
        let _ = writeln!(text, "WORKDIR /opt/{stage}\nCOPY {copy} ./\nLABEL part=\"{stage}\"");
        let _ = writeln!(text, "USER 1000:1000\nCMD [\"/opt/{stage}/bin/run\", \"--now\"]");
        for step in 0..(STAGE_LINES - 10) / 3 {
            let _ = writeln!(text, "RUN set -eux; \\\n    mkdir -p \"/tmp/$NAME\"; \\");
            let _ = writeln!(text, "    echo \"$VERSION {step}\" > \"/tmp/$NAME/{step}\"");
        }
        copy = format!("--from=s{stage} /etc/hostname");
    }
    write(&folder.join("Dockerfile"), text)
}

/// Three layers of programs, libraries and texts as images have them, each new.
fn payload(folder: &Path, salt: &str) -> Result<()> {
    let mut text = format!("FROM {DEBIAN} AS made\nRUN mkdir /a /b /c && cp -r /usr /a && cp -r /usr /b");
    let _ = writeln!(text, " && cp -r /usr/lib /c && for to in /a /b /c; do echo {salt} > $to/salt; done");
    text.push_str("FROM scratch\nCOPY --from=made /a /a\nCOPY --from=made /b /b\nCOPY --from=made /c /c\n");
    write(&folder.join("Dockerfile"), text)
}

/// One layer of 1 GB, of what images hold.
fn large(folder: &Path, salt: &str) -> Result<()> {
    let mut text =
        format!("FROM {DEBIAN}\nRUN for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do mkdir -p /big/$n");
    let _ = writeln!(text, " && cp -r /usr /big/$n/ || exit 1; done; echo {salt} > /big/salt");
    write(&folder.join("Dockerfile"), text)
}

/// The fixture, with a `package.json` of its own, so that `npm ci` is new, and with the host's
/// certificate authorities bound to that step: some networks are behind an authority of their own, and
/// this way is one that every runner has.
fn express(folder: &Path, salt: &str) -> Result<()> {
    let fixture = shell::repository().join("fixtures/express");
    shell::output(std::process::Command::new("cp").arg("-R").arg(fixture.join(".")).arg(folder))?;
    let path = folder.join("package.json");
    let mut package: Value = serde_json::from_str(&read(&path)?)
        .map_err(|source| Trouble::Json { what: path.display().to_string(), source })?;
    package["description"] = Value::String(salt.to_owned());
    write(&path, package.to_string())?;
    let Some(bundle) = authorities() else { return Ok(()) };
    fs::copy(&bundle, folder.join("authorities.pem")).doing(|| format!("copy `{}`", bundle.display()))?;
    let path = folder.join("Dockerfile");
    let bound = "RUN --mount=type=bind,source=authorities.pem,target=/run/authorities.pem \
                 NODE_EXTRA_CA_CERTS=/run/authorities.pem npm ci";
    write(&path, read(&path)?.replace("RUN npm ci", bound))
}

/// The bundle of authorities that programs on this machine are told to trust, or the distribution's.
fn authorities() -> Option<PathBuf> {
    let told = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"].into_iter().filter_map(std::env::var_os);
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
    told.map(PathBuf::from).chain(usual.map(PathBuf::from)).find(|path| path.is_file())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).doing(|| format!("read `{}`", path.display()))
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, content).doing(|| format!("write `{}`", path.display()))
}

/// Marsaglia's xorshift64: quick bytes that do not compress and are the same for the same salt.
struct Random(u64);

impl Random {
    fn of(salt: &str) -> Self {
        // FNV-1a of the salt; never zero, which xorshift cannot leave.
        let hash = salt.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash | 1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend(self.0.to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_its_salt_in_every_step() {
        let folder = tempfile::tempdir().unwrap();
        chain(folder.path(), "salt").unwrap();
        let text = read(&folder.path().join("Dockerfile")).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("RUN echo salt-")).count(), STEPS);
    }

    #[test]
    fn a_wide_work_takes_from_every_stage() {
        let folder = tempfile::tempdir().unwrap();
        wide(folder.path(), "salt").unwrap();
        let text = read(&folder.path().join("Dockerfile")).unwrap();
        assert_eq!(text.matches("# salt").count(), STAGES);
        assert_eq!(text.matches("COPY --from=s").count(), STAGES);
    }

    #[test]
    fn a_long_dockerfile_has_as_many_lines_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        long(folder.path(), "salt").unwrap();
        let text = read(&folder.path().join("Dockerfile")).unwrap();
        assert_eq!(text.lines().count(), 10_000);
        assert_eq!(text.matches("of salt").count(), PARSED_STAGES);
    }

    #[test]
    fn a_change_keeps_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/d250/f50");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        change_one_file(folder.path(), "one").unwrap();
        let one = fs::read(&path).unwrap();
        change_one_file(folder.path(), "two").unwrap();
        let two = fs::read(&path).unwrap();
        assert_eq!((one.len(), two.len()), (FILE_BYTES, FILE_BYTES));
        assert_ne!(one, two);
    }

    #[test]
    fn the_express_work_is_the_fixture_with_another_description() {
        let folder = tempfile::tempdir().unwrap();
        express(folder.path(), "salt").unwrap();
        let package: Value =
            serde_json::from_str(&read(&folder.path().join("package.json")).unwrap()).unwrap();
        assert_eq!(package["description"], "salt");
        assert!(package["dependencies"]["express"].is_string());
        let text = read(&folder.path().join("Dockerfile")).unwrap();
        assert!(text.contains("npm ci --omit=dev"));
        assert_eq!(text.contains("/run/authorities.pem"), authorities().is_some());
    }

    #[test]
    fn only_what_makes_something_waits_for_the_disk() {
        let phases = || WORKS.iter().flat_map(|work| work.phases);
        let writes: Vec<&str> = phases().filter(|phase| phase.writes()).map(|phase| phase.name).collect();
        assert!(writes.contains(&"chain") && writes.contains(&"bigctx, one file changed"));
        assert!(!writes.contains(&"chain, cached") && !writes.contains(&"bigctx, unchanged"));
        assert!(phases().all(|phase| phase.is_shown() != phase.name.is_empty()));
    }

    #[test]
    fn a_file_has_the_size_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        file_of(3, folder.path(), "salt").unwrap();
        assert_eq!(fs::metadata(folder.path().join("file")).unwrap().len(), 3_000_000);
    }

    #[test]
    fn works_are_chosen_by_name() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&names).map(|works| works.iter().map(|work| work.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), WORKS.len());
        assert_eq!(names(&["run", "chain"]).unwrap(), ["chain", "run"]);
        assert!(names(&["tall"]).unwrap_err().to_string().contains("`tall`"));
    }
}

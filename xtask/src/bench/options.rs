//! The words after `cargo xtask bench`.

use std::path::PathBuf;
use std::time::Duration;

use crate::trouble::{Result, Trouble};

/// What `cargo xtask bench --help` prints.
pub(super) const USAGE: &str = "\
Usage: cargo xtask bench [growth] [options]

`growth` measures how jettison's times grow with steps, stages, files and bytes, and draws them; it takes
--works (chain, wide, bigctx, file), --json, --record, --rounds (1), --program and --keep.

  --works A,B      only these works (chain, wide, bigctx, express, run, parse, pull, push, pack)
  --peers A,B      only these peers (docker, buildah, podman, buildkit), or `none`; else all that are found
  --rounds N       how often each work is done by each (3)
  --once-past S    a peer that takes longer than S seconds for a work does it in the first round only
  --json           print JSON instead of a table
  --record         write the table into BENCHMARKS.md as well
  --buildkit DIR   where buildctl and buildkitd are, if not in PATH
  --program FILE   measure this jettison instead of building one
  --keep           leave the stores in target/bench for a look
";

/// Every peer that the bench can drive.
pub(super) const PEERS: [&str; 4] = ["docker", "buildah", "podman", "buildkit"];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Names of works; none means all.
    pub(super) works: Vec<String>,
    /// Names of peers; absent means all that are found.
    pub(super) peers: Option<Vec<String>>,
    pub(super) rounds: u32,
    /// A peer that takes longer for a work does it once.
    pub(super) once_past: Option<Duration>,
    pub(super) json: bool,
    pub(super) record: bool,
    /// The folder of buildctl and buildkitd.
    pub(super) buildkit: Option<PathBuf>,
    pub(super) program: Option<PathBuf>,
    pub(super) keep: bool,
    /// Growth instead of the works.
    pub(super) growth: bool,
}

impl Options {
    /// Reads the words; nothing comes back when help was asked for. A value stands behind its option or
    /// behind `=`.
    pub(super) fn parse(words: &[String]) -> Result<Option<Self>> {
        let mut options = Self {
            works: Vec::new(),
            peers: None,
            rounds: 0,
            once_past: None,
            json: false,
            record: false,
            buildkit: None,
            program: None,
            keep: false,
            growth: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                inline
                    .clone()
                    .or_else(|| words.next().cloned())
                    .ok_or_else(|| Trouble::Said(format!("`{name}` needs a value")))
            };
            match name {
                "--works" => options.works = list(&value()?),
                "--peers" => options.peers = Some(peers(&value()?)?),
                "--rounds" => options.rounds = rounds(&value()?)?,
                "--once-past" => options.once_past = Some(seconds(&value()?)?),
                "growth" => options.growth = true,
                "--buildkit" => options.buildkit = Some(PathBuf::from(value()?)),
                "--program" => options.program = Some(PathBuf::from(value()?)),
                "--json" => options.json = true,
                "--record" => options.record = true,
                "--keep" => options.keep = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(Trouble::Said(format!("`bench` has no option `{word}`\n\n{USAGE}"))),
            }
        }
        let compares = options.peers.is_some() || options.buildkit.is_some();
        if options.rounds == 0 {
            options.rounds = if options.growth { 1 } else { 3 };
        }
        if options.growth && compares {
            return Err(Trouble::Said("`bench growth` takes no peers".to_owned()));
        }
        if options.growth && options.record && !options.works.is_empty() {
            return Err(Trouble::Said("`bench growth --record` takes all works".to_owned()));
        }
        Ok(Some(options))
    }

    /// Whether a peer is wanted.
    pub(super) fn wants(&self, peer: &str) -> bool {
        self.peers.as_ref().is_none_or(|peers| peers.iter().any(|one| one == peer))
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn peers(text: &str) -> Result<Vec<String>> {
    let names = list(text);
    if names == ["none"] {
        return Ok(Vec::new());
    }
    match names.iter().find(|name| !PEERS.contains(&name.as_str())) {
        Some(name) => {
            Err(Trouble::Said(format!("no peer is named `{name}`; there are {}", PEERS.join(", "))))
        }
        None => Ok(names),
    }
}

fn rounds(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(rounds @ 1..=100) => Ok(rounds),
        _ => Err(Trouble::Said(format!("`--rounds` takes 1 to 100, not `{text}`"))),
    }
}

fn seconds(text: &str) -> Result<Duration> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(Trouble::Said(format!("`--once-past` takes whole seconds, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Options>> {
        Options::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn values_stand_behind_the_option_or_an_equals_sign() {
        let options = parse("--works chain,run --rounds=5 --peers docker --json").unwrap().unwrap();
        assert_eq!(options.works, ["chain", "run"]);
        assert_eq!(options.rounds, 5);
        assert!(options.json && !options.record);
        assert!(options.wants("docker") && !options.wants("buildah"));
    }

    #[test]
    fn all_peers_are_wanted_unless_some_are_named() {
        assert!(parse("").unwrap().unwrap().wants("podman"));
        assert!(!parse("--peers none").unwrap().unwrap().wants("podman"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("--rounds 0", "`0`"),
            ("--once-past soon", "`soon`"),
            ("--rounds", "needs a value"),
            ("--peers kaniko", "`kaniko`"),
            ("--fast", "`--fast`"),
            ("growth --peers docker", "no peers"),
            ("growth --record --works file", "all works"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(named), "{text}: {said}");
        }
    }

    #[test]
    fn help_asks_for_nothing_else() {
        assert_eq!(parse("--help --rounds 0").unwrap(), None);
    }
}

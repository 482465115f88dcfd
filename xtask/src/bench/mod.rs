//! `cargo xtask bench`: jettison and the peers on this machine, by the same works, in turn.
//!
//! ```text
//! once      the release binary is built; the base images go into every runner's own store; each builds
//!           something small, so that daemons are awake and bases are unpacked
//! a round   makes every work anew, with content that no runner has seen: nothing can be cached by
//!           anyone, and nobody's cache needs clearing by a command that means something else elsewhere
//!   a work    its phases by jettison, then by the first peer, then by the second, ...
//!     a phase   sync(2); then the wall time of one whole process, from its start to its end
//! ```
//!
//! Everything lies below `target/bench` and is removed at the end, but for `last.json`.

mod figures;
mod machine;
mod options;
mod record;
mod report;
mod runners;
mod works;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::trouble::{Doing, Result, Trouble};
use crate::{bases, shell};
use figures::Figures;
use machine::Machine;
use options::Options;
use runners::{Build, Network, Runner};
use works::{Does, Work};

/// What a report is made of.
struct Outcome {
    machine: Machine,
    /// The load of one minute when the last work had ended.
    load_after: String,
    rounds: u32,
    /// Peers that took longer for a work did it in the first round only.
    once_past: Option<Duration>,
    /// Name and version of each runner, jettison first.
    runners: Vec<(String, String)>,
    works: Vec<&'static Work>,
    figures: Figures,
    /// What did not go as it should have, in full sentences.
    caveats: Vec<String>,
}

/// Runs the chore with the words that follow its name.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let Some(options) = Options::parse(words)? else {
        print!("{}", options::USAGE);
        return Ok(());
    };
    let program = match &options.program {
        Some(program) => std::path::absolute(program).doing(|| format!("find `{}`", program.display()))?,
        None => {
            say("building the release binary");
            shell::run(shell::cargo().args(["build", "--quiet", "--release", "--package", "jettison"]))?;
            shell::target().join("release/jettison")
        }
    };
    let place = Place::take(options.keep)?;
    let outcome = measure(&options, &program, &place)?;
    let json = report::json(&outcome);
    let last = place.folder.join("last.json");
    fs::write(&last, &json).doing(|| format!("write `{}`", last.display()))?;
    if options.record {
        record::write(&report::markdown(&outcome))?;
    }
    if options.json {
        print!("{json}");
    } else {
        print!("{}", report::text(&outcome));
    }
    Ok(())
}

fn measure(options: &Options, program: &Path, place: &Place) -> Result<Outcome> {
    let works = works::chosen(&options.works)?;
    let layout = bases::ready()?;
    let mut machine = Machine::look(&place.folder);
    if options.program.is_some() {
        machine.revision = "unknown (--program)".to_owned();
    }
    let found = runners::find(options, program, &layout, place)?;
    say("loading the base images, and one small build by each");
    let archive = place.folder.join("bases.tar");
    let mut caveats = found.left_out;
    let mut able: Vec<Box<dyn Runner>> = Vec::new();
    for mut runner in found.runners {
        if able.is_empty() {
            runner.save_bases(&archive)?;
        }
        match awake(runner.as_mut(), &archive, place) {
            Ok(()) => able.push(runner),
            Err(trouble) if runner.is_peer() => caveats.push(left_out(runner.name(), &trouble)),
            Err(trouble) => return Err(trouble),
        }
    }
    let mut outcome = Outcome {
        machine,
        load_after: String::new(),
        rounds: options.rounds,
        once_past: options.once_past,
        runners: Vec::new(),
        works,
        figures: Figures::default(),
        caveats,
    };
    for runner in &able {
        let (name, version) = (runner.name().to_owned(), runner.version().to_owned());
        if !outcome.runners.iter().any(|(known, _)| *known == name) {
            outcome.runners.push((name, version));
        }
    }
    // Runners that failed at a work, or took too long to do it twice.
    let mut given_up = BTreeSet::new();
    for round in 1..=options.rounds {
        for work in outcome.works.clone() {
            let folder = place.folder.join("works").join(format!("{}-{round}", work.name));
            works::make(work, &folder, &place.salt(work.name, round))?;
            for (number, runner) in able.iter().enumerate() {
                if !runner.takes(work) || given_up.contains(&(number, work.name)) {
                    continue;
                }
                say(&format!("round {round} of {}: {} by {}", options.rounds, work.name, runner.label()));
                match one(runner.as_ref(), work, &folder, place, round, &mut outcome.figures) {
                    Ok(took) if runner.is_peer() && options.once_past.is_some_and(|limit| took > limit) => {
                        given_up.insert((number, work.name));
                    }
                    Ok(_) => {}
                    Err(trouble) => {
                        given_up.insert((number, work.name));
                        let what = format!("{} by {}", work.name, runner.label());
                        outcome.caveats.push(left_out(&what, &trouble));
                    }
                }
            }
        }
    }
    outcome.load_after = machine::load();
    Ok(outcome)
}

/// Gives a runner the base images and has it build something, so that what it does once is done.
fn awake(runner: &mut dyn Runner, archive: &Path, place: &Place) -> Result<()> {
    runner.load(archive)?;
    if !runner.builds() {
        return Ok(());
    }
    let context = place.folder.join("works/awake");
    works::make(&works::AWAKE, &context, "awake")?;
    let build = Build { context: &context, tag: "jettison-bench-awake", network: Network::None };
    for mut command in runner.build(&build) {
        shell::output(&mut command)?;
    }
    Ok(())
}

/// One work by one runner: its phases in order. Nothing is removed afterwards: what a removal has the disk
/// do (discards, a journal) would fall into somebody's next measurement. Returns the sum of the times.
fn one(
    runner: &dyn Runner,
    work: &'static Work,
    folder: &Path,
    place: &Place,
    round: u32,
    figures: &mut Figures,
) -> Result<Duration> {
    // The name holds the round, so that no build replaces the image of another.
    let tag = format!("jettison-bench-{}-{round}", work.name);
    let build = Build { context: folder, tag: &tag, network: work.network };
    let archive = place.folder.join("works").join(format!("{tag}-{}.tar", runner.name()));
    let mut sum = Duration::ZERO;
    for phase in work.phases {
        let commands = match phase.does {
            Does::Build => runner.build(&build),
            Does::ChangeAndBuild => {
                works::change_one_file(
                    folder,
                    &format!("{} {}", runner.label(), place.salt(work.name, round)),
                )?;
                runner.build(&build)
            }
            Does::Archive => runner.archive(&build, &archive),
            Does::Run => runner.run(works::DEBIAN, work.network),
        };
        if commands.is_empty() {
            continue;
        }
        let took = timed(commands, place)?;
        figures.add(phase.name, runner.name(), runner.variant(), round, took);
        sum += took;
    }
    Ok(sum)
}

/// The wall time of the commands one after another, from the first's start to the last's end. What was
/// written before is on the disk when it begins, so that nobody pays for somebody else's files.
fn timed(commands: Vec<Command>, place: &Place) -> Result<Duration> {
    rustix::fs::sync();
    let log = place.folder.join("last.log");
    let mut took = Duration::ZERO;
    for mut command in commands {
        let stderr = File::create(&log).doing(|| format!("write `{}`", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let begun = Instant::now();
        let status = command.status().doing(|| format!("start `{}`", shell::said(&command)))?;
        took += begun.elapsed();
        if !status.success() {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let tail: String = lines
                .iter()
                .skip(lines.len().saturating_sub(8))
                .map(|line| format!("\n    {line}"))
                .collect();
            return Err(Trouble::Failed {
                program: shell::said(&command),
                status: status.to_string(),
                said: tail,
            });
        }
    }
    Ok(took)
}

/// `target/bench`, held by one bench at a time, and a short folder for sockets, whose names may have
/// 107 bytes.
struct Place {
    folder: PathBuf,
    sockets: PathBuf,
    keep: bool,
    /// Tells this run's contents from every other run's.
    begun: u128,
    _held: File,
}

impl Place {
    fn take(keep: bool) -> Result<Self> {
        let folder = shell::target().join("bench");
        fs::create_dir_all(&folder).doing(|| format!("make the folder `{}`", folder.display()))?;
        let lock = folder.join("lock");
        let held = File::create(&lock).doing(|| format!("open `{}`", lock.display()))?;
        if held.try_lock().is_err() {
            return Err(Trouble::Said(format!(
                "another `cargo xtask bench` holds `{}`; two at once would measure each other",
                lock.display()
            )));
        }
        let sockets = std::env::temp_dir().join(format!("jettison-bench-{}", std::process::id()));
        fs::create_dir_all(&sockets).doing(|| format!("make the folder `{}`", sockets.display()))?;
        let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        let place = Self { folder, sockets, keep, begun, _held: held };
        place.clear()?;
        Ok(place)
    }

    /// Where a runner keeps its images.
    fn store(&self, runner: &str) -> PathBuf {
        self.folder.join("stores").join(runner)
    }

    /// Content that no run has had before.
    fn salt(&self, work: &str, round: u32) -> String {
        format!("{work}-{:x}-{round}", self.begun)
    }

    fn clear(&self) -> Result<()> {
        for name in ["stores", "works"] {
            let path = self.folder.join(name);
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).doing(|| format!("remove `{}`", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.sockets);
        let _ = fs::remove_file(self.folder.join("bases.tar"));
        if self.keep {
            say(&format!("kept: {}", self.folder.display()));
        } else if let Err(trouble) = self.clear() {
            say(&format!("{trouble}"));
        }
    }
}

/// A failure as one sentence, with its causes.
fn left_out(what: &str, trouble: &Trouble) -> String {
    let mut text = format!("{what} is left out: {trouble}");
    let mut source = std::error::Error::source(trouble);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    say(&text);
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn say(text: &str) {
    eprintln!("bench: {text}");
}

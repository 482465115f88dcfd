//! `cargo xtask bench`: jettison and the peers on this machine, by the same works, in turn.
//!
//! ```text
//! once      the release binary is built; the base images go into every runner's own store; each builds
//!           something small, so that daemons are awake and bases are unpacked
//! a round   makes every work anew, with content that no runner has seen: nothing can be cached by
//!           anyone, and nobody's cache needs clearing by a command that means something else elsewhere
//!   a work    its phases by jettison, then by the first peer, then by the second, ...
//!     a phase   sync(2); then the wall time of one whole process, from its start to its end, and of another
//!               sync(2) where something was made: whoever leaves that to the kernel pays for it here
//! ```
//!
//! `growth` is another chore with the same tools. Everything lies below `target/bench` and is removed at the end, but for
//! `last.json`; however a bench ends, `warden` sees to that.

mod figures;
mod growth;
mod machine;
mod options;
mod place;
mod process;
mod record;
mod report;
mod runners;
mod warden;
pub(crate) mod works;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::trouble::{Doing, Result, Trouble};
use crate::{bases, shell};
use figures::Figures;
use machine::Machine;
use options::Options;
use place::Place;
use process::{Took, timed};
use runners::{Build, Network, Registry, Runner};
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
    if let Some((warden::WORD, words)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return warden::run(words);
    }
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
    if options.growth {
        return growth::run(&options, &program, &place);
    }
    let outcome = measure(&options, &program, &place)?;
    let json = report::json(&outcome);
    let last = place.folder.join("last.json");
    fs::write(&last, &json).doing(|| format!("write `{}`", last.display()))?;
    if options.record {
        record::write(record::WORKS, &report::markdown(&outcome))?;
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
    let mut works = works;
    let mut registry = None;
    if works.iter().any(|work| work.needs_registry()) {
        match Registry::start(program, &archive, place) {
            Ok(started) => registry = Some(started),
            Err(trouble) => {
                works.retain(|work| !work.needs_registry());
                caveats.push(left_out("pull and push", &trouble));
            }
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
            let registry = registry.as_ref().filter(|_| work.needs_registry());
            let bench = Bench { place, registry, round };
            if let Some(registry) = registry
                && work.phases.iter().any(|phase| phase.does == Does::Pull)
            {
                registry.offer(&folder, &bench.pulled(registry))?;
            }
            for (number, runner) in able.iter().enumerate() {
                if !runner.takes(work) || given_up.contains(&(number, work.name)) {
                    continue;
                }
                say(&format!("round {round} of {}: {} by {}", options.rounds, work.name, runner.label()));
                match bench.one(runner.as_ref(), work, &folder, &mut outcome.figures) {
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

/// What a work needs beside its folder.
struct Bench<'a> {
    place: &'a Place,
    registry: Option<&'a Registry>,
    round: u32,
}

impl Bench<'_> {
    /// The image that everyone pulls in this round.
    fn pulled(&self, registry: &Registry) -> String {
        format!("{}/jettison-bench/pulled:{}", registry.host, self.round)
    }

    /// One work by one runner: its phases in order. Of what was made nothing is removed afterwards but archives: what
    /// a removal has the disk do (discards, a journal) would fall into somebody's next measurement. Returns the sum
    /// of the times.
    fn one(
        &self,
        runner: &dyn Runner,
        work: &'static Work,
        folder: &Path,
        figures: &mut Figures,
    ) -> Result<Duration> {
        let (place, round) = (self.place, self.round);
        // The name holds the round, so that no build replaces the image of another.
        let tag = match self.registry {
            Some(registry) => {
                format!("{}/jettison-bench/{}-{}:{round}", registry.host, work.name, runner.name())
            }
            None => format!("jettison-bench-{}-{round}", work.name),
        };
        let build = Build { context: folder, tag: &tag, network: work.network };
        let name = format!("{}-{round}-{}", work.name, runner.name());
        let archive = place.folder.join("works").join(format!("{name}.tar"));
        let log = place.folder.join("last.log");
        let mut sum = Duration::ZERO;
        for phase in work.phases {
            let commands = match phase.does {
                Does::Build => runner.build(&build),
                Does::ChangeAndBuild => {
                    let salt = format!("{} {}", runner.label(), place.salt(work.name, round));
                    works::change_one_file(folder, &salt)?;
                    runner.build(&build)
                }
                Does::Archive => runner.archive(&build, &archive),
                Does::Run => runner.run(works::DEBIAN, work.network),
                Does::Check => runner.check(&build),
                Does::Ready => runner.ready(&build),
                Does::Pull => match self.registry {
                    Some(registry) => {
                        runner.pull(&self.pulled(registry), &place.folder.join("works").join(&name))?
                    }
                    None => Vec::new(),
                },
                Does::Push => runner.push(&build),
                Does::Pack(packing) => runner.pack(&build, packing, &archive),
            };
            if commands.is_empty() {
                continue;
            }
            let took: Took = timed(commands, phase.writes(), &log)?;
            if phase.is_shown() {
                figures.add(phase.name, runner.name(), runner.variant(), round, took);
            }
            sum += took.wall;
            if archive.exists() {
                fs::remove_file(&archive).doing(|| format!("remove `{}`", archive.display()))?;
            }
        }
        Ok(sum)
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

//! What came of a bench, as a table for people, for BENCHMARKS.md, and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::Outcome;
use super::figures::{Times, shown, size};
use super::machine::is_busy;
use super::works::Does;

/// What holds for every run, beside what went wrong in one.
const ALWAYS: [&str; 9] = [
    "A time is the wall time of whole processes, from start to end, and where something was made also of a \
     sync(2) after it, for everyone: jettison syncs at the end by itself, daemons leave it to the kernel. What \
     daemons do still later is not counted. Everything is synced before each measurement.",
    "Memory is the largest of jettison's processes (rusage, its children included); `cores` is its processor \
     time by its wall time. Work that the kernel or a registry does for it is not in it.",
    "Every round's works are new to everyone: a salt is in each step, file and stage. No cache is cleared, \
     because there is nothing in it; the base images are in every store, and unpacked.",
    "Steps have no network but in `express`, where they have the host's, the same for all. Jettison's own \
     default, a private network for each step, has lines of its own.",
    "`docker` and `buildah` write an archive by `save` and `push` after the cached build: both commands \
     are counted.",
    "Every program has its default options: `buildah` builds one stage after another unless told otherwise.",
    "`pull`: every layer is new to every program. `buildkit` pulls when a step needs the files, so its line has \
     a step that copies one small file; the others only pull. `push`: each compresses with gzip as it does by \
     itself, at levels of its own, and the registry's own work is in the time.",
    "`pack`: docker writes no compressed archive and is left out. `buildah` and `buildkit` are told the same level; \
     what level 1 means depends on their libraries.",
    "`express` asks the npm registry; its first line measures the network as well.",
];

/// One line of a table: a phase, in one of jettison's variants.
struct Line {
    name: String,
    goal: Option<Duration>,
    /// In the order of the runners.
    times: Vec<Option<Times>>,
}

fn lines(outcome: &Outcome) -> Vec<Line> {
    let mut lines = Vec::new();
    for phase in outcome.works.iter().flat_map(|work| work.phases).filter(|phase| phase.is_shown()) {
        let of = |variant| {
            let runners = outcome.runners.iter();
            runners.map(|(runner, _)| outcome.figures.of(phase.name, runner, variant)).collect::<Vec<_>>()
        };
        lines.push(Line { name: phase.name.to_owned(), goal: phase.goal, times: of("") });
        for variant in outcome.figures.variants(phase.name, "jettison") {
            if !variant.is_empty() {
                lines.push(Line {
                    name: format!("{}, {variant}", phase.name),
                    goal: None,
                    times: of(variant),
                });
            }
        }
    }
    lines
}

/// The table with columns aligned, the machine above and the caveats below.
pub(super) fn text(outcome: &Outcome) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", about(outcome));
    let rows = rows(outcome);
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ =
                if column == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let _ = writeln!(out, "\nMedian of {}; in brackets the shortest and longest.", rounds(outcome.rounds));
    let _ = writeln!(out, "N x: what the peer takes, in jettison's times of the same rounds.\n");
    for caveat in caveats(outcome) {
        let _ = writeln!(out, "- {caveat}");
    }
    out
}

/// The same for BENCHMARKS.md.
pub(super) fn markdown(outcome: &Outcome) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}\n", about(outcome));
    for (number, row) in rows(outcome).iter().enumerate() {
        let _ = writeln!(out, "| {} |", row.join(" | "));
        if number == 0 {
            let _ = writeln!(out, "|---|{}", "---:|".repeat(row.len() - 1));
        }
    }
    let _ = writeln!(
        out,
        "\nMedian of {}, in brackets the shortest and the longest; *N x* is what the peer takes in jettison's \
         times of the same rounds; *goal* is the time that the project wants to stay under.\n",
        rounds(outcome.rounds)
    );
    for caveat in caveats(outcome) {
        let _ = writeln!(out, "- {caveat}");
    }
    out
}

fn rounds(rounds: u32) -> String {
    if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") }
}

fn about(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let mut out = format!(
        "{}, jettison of revision {}. {} ({} cores, {:.0} GB), kernel {}, {}; load {} before, {} after.",
        machine.date,
        machine.revision,
        machine.cpu,
        machine.cores,
        machine.memory as f64 / 1e9,
        machine.kernel,
        machine.file_system,
        machine.load,
        outcome.load_after,
    );
    if machine.nice != 0 {
        let _ = write!(out, " Niceness of all: {}.", machine.nice);
    }
    for (name, version) in &outcome.runners {
        let _ = write!(out, " {name}: {version}.");
    }
    out
}

fn rows(outcome: &Outcome) -> Vec<Vec<String>> {
    let mut head = ["work", "jettison", "goal", "memory", "cores"].map(str::to_owned).to_vec();
    for (name, _) in outcome.runners.iter().skip(1) {
        head.extend([name.clone(), "N x".to_owned()]);
    }
    let mut rows = vec![head];
    for line in lines(outcome) {
        let own = line.times.first().and_then(Option::as_ref);
        let mut row = vec![line.name];
        row.push(own.map_or_else(dash, cell));
        row.push(line.goal.map_or_else(dash, shown));
        row.push(own.map_or_else(dash, |own| size(own.memory())));
        row.push(own.map_or_else(dash, |own| format!("{:.1}", own.cores())));
        for peer in line.times.iter().skip(1) {
            row.push(peer.as_ref().map_or_else(dash, cell));
            row.push(match (own, peer) {
                (Some(own), Some(peer)) => own.ratio(peer).map_or_else(dash, times),
                _ => dash(),
            });
        }
        rows.push(row);
    }
    rows
}

fn cell(times: &Times) -> String {
    let (least, most) = times.spread();
    match times.all().len() {
        1 => shown(times.median()),
        _ => format!("{} ({} – {})", shown(times.median()), shown(least), shown(most)),
    }
}

fn times(ratio: f64) -> String {
    if ratio < 9.95 { format!("{ratio:.1} x") } else { format!("{ratio:.0} x") }
}

fn dash() -> String {
    "-".to_owned()
}

fn caveats(outcome: &Outcome) -> Vec<String> {
    let mut caveats = outcome.caveats.clone();
    if is_busy(&outcome.machine.load) {
        caveats.insert(
            0,
            format!(
                "THE MACHINE WAS BUSY before the bench began (load {} on {} cores): times are too long, and \
                 ratios tell more than they do.",
                outcome.machine.load, outcome.machine.cores
            ),
        );
    }
    if let Some(limit) = outcome.once_past {
        caveats.push(format!(
            "A peer that took longer than {} for a work's phases together did that work in the first round only \
             (`--once-past`).",
            shown(limit)
        ));
    }
    let has = |does| outcome.works.iter().any(|work| work.phases.iter().any(|phase| phase.does == does));
    let concerns = |text: &&&str| {
        (has(Does::Archive) || !text.contains("an archive"))
            && ["express", "pull", "pack"].iter().all(|name| {
                !text.starts_with(&format!("`{name}`")) || outcome.works.iter().any(|work| work.name == *name)
            })
    };
    caveats.extend(ALWAYS.iter().filter(concerns).map(|text| (*text).to_owned()));
    caveats
}

/// Everything, times in seconds:
/// `{machine, rounds, runners: [{name, version}], lines: [{work, goal, runners: {NAME: {median, least, most,
/// all, memory, cores, ratio}}}], caveats}`. `memory` is in bytes and without the daemons of those who have one; `ratio` is absent where jettison was not measured.
pub(super) fn json(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let runner = |(name, version): &(String, String)| json!({ "name": name, "version": version });
    let works = outcome.works.iter().map(|work| (work.name.to_owned(), Value::from(work.what)));
    let whole = json!({
        "machine": {
            "date": machine.date,
            "revision": machine.revision,
            "cpu": machine.cpu,
            "cores": machine.cores,
            "memory": machine.memory,
            "kernel": machine.kernel,
            "file_system": machine.file_system,
            "nice": machine.nice,
            "load_before": machine.load,
            "load_after": outcome.load_after,
        },
        "rounds": outcome.rounds,
        "runners": outcome.runners.iter().map(runner).collect::<Vec<_>>(),
        "works": works.collect::<serde_json::Map<_, _>>(),
        "lines": lines(outcome).iter().map(|line| json_line(outcome, line)).collect::<Vec<_>>(),
        "caveats": caveats(outcome),
    });
    format!("{whole:#}\n")
}

fn json_line(outcome: &Outcome, line: &Line) -> Value {
    let seconds = |time: &Duration| (time.as_secs_f64() * 1e6).round() / 1e6;
    let own = line.times.first().and_then(Option::as_ref);
    let mut runners = serde_json::Map::new();
    for ((name, _), times) in outcome.runners.iter().zip(&line.times) {
        let Some(times) = times else { continue };
        let (least, most) = times.spread();
        let mut value = json!({
            "median": seconds(&times.median()),
            "least": seconds(&least),
            "most": seconds(&most),
            "all": times.all().iter().map(seconds).collect::<Vec<_>>(),
            "memory": times.memory(),
            "cores": (times.cores() * 100.0).round() / 100.0,
        });
        if let Some(ratio) = own.filter(|_| name != "jettison").and_then(|own| own.ratio(times)) {
            value["ratio"] = json!((ratio * 100.0).round() / 100.0);
        }
        runners.insert(name.clone(), value);
    }
    json!({ "work": line.name, "goal": line.goal.as_ref().map(seconds), "runners": runners })
}

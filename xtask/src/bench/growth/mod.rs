//! `cargo xtask bench growth`: how jettison's times grow with the size of the work.
//!
//! Each series is one work in several sizes, smallest first: a first build, then the same command again. What matters
//! is the **exponent** between two sizes, log(time ratio) / log(size ratio): 1 where twice the work takes twice the
//! time, 2 where it takes four times. A fixed cost pulls it below 1.

mod plot;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::figures::{shown, size};
use super::machine::{self, Machine, is_busy};
use super::options::Options;
use super::process::{Took, timed};
use super::{Place, record, say, works};
use crate::trouble::{Doing, Result, Trouble};
use crate::{bases, shell};

/// One work in several sizes.
struct Series {
    name: &'static str,
    /// What is counted.
    unit: &'static str,
    /// What it is, for the reader of a table.
    what: &'static str,
    sizes: &'static [usize],
    make: fn(usize, &Path, &str) -> Result<()>,
    /// Bytes on the disk for one of the unit: context, store, and what is between them.
    bytes: u64,
}

const SERIES: [Series; 4] = [
    Series {
        name: "chain",
        unit: "steps",
        what: "`RUN echo N > /fN`, one upon the other",
        sizes: &[10, 30, 100, 400],
        make: works::chain_of,
        bytes: 100 << 10,
    },
    Series {
        name: "wide",
        unit: "stages",
        what: "stages that each write 2 MB, joined by as many `COPY --from`",
        sizes: &[10, 40, 100, 500],
        make: works::wide_of,
        bytes: 5 << 20,
    },
    Series {
        name: "bigctx",
        unit: "files",
        what: "`COPY` of files of 400 bytes, then `RUN true`",
        sizes: &[10_000, 100_000, 500_000, 1_000_000],
        make: |files, folder, salt| works::bigctx_of(files / 100, folder, salt),
        bytes: 10 << 10,
    },
    Series {
        name: "file",
        unit: "MB",
        what: "`COPY` of one file, then `RUN true`",
        sizes: &[50, 500, 5_000],
        make: works::file_of,
        bytes: 3_000_000,
    },
];

/// What was measured of one size.
struct Point {
    size: usize,
    first: Took,
    cached: Took,
}

/// Measures, and prints or records.
pub(super) fn run(options: &Options, program: &Path, place: &Place) -> Result<()> {
    let machine = Machine::look(&place.folder);
    let layout = bases::ready()?;
    let (mut all, mut left_out) = (Vec::new(), String::new());
    if let Some(name) = options.works.iter().find(|name| SERIES.iter().all(|series| series.name != **name)) {
        return Err(Trouble::Said(format!("`bench growth` has no work named `{name}`")));
    }
    let wanted =
        |series: &&Series| options.works.is_empty() || options.works.iter().any(|name| name == series.name);
    for series in SERIES.iter().filter(wanted) {
        let points = measure(series, options.rounds, program, &layout, place, &mut left_out)?;
        all.push((series, points));
    }
    let text = table(&machine, options.rounds, &all) + &left_out;
    if options.record {
        let picture = "![Times by size of the work, on logarithmic axes](docs/growth.svg)\n\n";
        record::write(record::GROWTH, &format!("{picture}{text}"))?;
        let path = shell::repository().join("docs/growth.svg");
        fs::create_dir_all(shell::repository().join("docs"))
            .and_then(|()| fs::write(&path, plot::svg(&panels(&all))))
            .doing(|| format!("write `{}`", path.display()))?;
    }
    if options.json {
        print!("{}", as_json(&all));
    } else {
        print!("{text}");
    }
    Ok(())
}

fn measure(
    series: &Series,
    rounds: u32,
    program: &Path,
    layout: &Path,
    place: &Place,
    left_out: &mut String,
) -> Result<Vec<Point>> {
    let store = place.store("growth");
    let command = |words: &[&str]| {
        let mut command = Command::new(program);
        command.env("JETTISON_ROOT", &store).args(words);
        command
    };
    shell::output(command(&["load", "--quiet", "--input"]).arg(layout))?;
    let mut points = Vec::new();
    for &size in series.sizes {
        let free = rustix::fs::statvfs(&place.folder).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
        let needed = size as u64 * series.bytes;
        if free < needed {
            let (needed, free) = (needed / 1_000_000, free / 1_000_000);
            let _ = writeln!(
                left_out,
                "- `{}` with {size} {} is left out: it needs {needed} MB on the disk, and {free} MB are free.",
                series.name, series.unit
            );
            continue;
        }
        let mut taken: Vec<(Took, Took)> = Vec::new();
        for round in 1..=rounds {
            say(&format!("{} with {size} {}, round {round} of {rounds}", series.name, series.unit));
            let folder = place.folder.join("works").join(format!("growth-{}-{size}-{round}", series.name));
            fs::create_dir_all(&folder).doing(|| format!("make the folder `{}`", folder.display()))?;
            (series.make)(size, &folder, &place.salt(series.name, round))?;
            let tag = format!("growth-{}-{size}-{round}", series.name);
            let build = || {
                let mut build = command(&["build", "--quiet", "--network", "none", "--tag", &tag]);
                build.arg(&folder);
                vec![build]
            };
            let log = place.folder.join("last.log");
            taken.push((timed(build(), true, &log)?, timed(build(), false, &log)?));
            remove(&folder)?;
        }
        taken.sort_by_key(|(first, _)| first.wall);
        let (first, _) = taken[taken.len() / 2];
        taken.sort_by_key(|(_, cached)| cached.wall);
        let (_, cached) = taken[taken.len() / 2];
        points.push(Point { size, first, cached });
    }
    remove(&store)?;
    Ok(points)
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).doing(|| format!("remove `{}`", folder.display()))
}

/// How a time grew from one size to the next.
fn exponent(sizes: (usize, usize), times: (Duration, Duration)) -> f64 {
    let ratio = times.1.as_secs_f64() / times.0.as_secs_f64().max(1e-9);
    ratio.ln() / (sizes.1 as f64 / sizes.0 as f64).ln()
}

fn table(machine: &Machine, rounds: u32, all: &[(&Series, Vec<Point>)]) -> String {
    let mut out = format!(
        "{}, jettison of revision {}. {} ({} cores), kernel {}, {}; load {} before, {} after; the middle of {rounds}.\n",
        machine.date,
        machine.revision,
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.file_system,
        machine.load,
        machine::load(),
    );
    if is_busy(&machine.load) {
        out.push_str("\nTHE MACHINE WAS BUSY: times are too long, and no two may be compared.\n");
    }
    out.push_str("\n| work | size | first | exponent | again | exponent | memory |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for (series, points) in all {
        for (number, point) in points.iter().enumerate() {
            let before = number.checked_sub(1).map(|number| &points[number]);
            let grown = |of: fn(&Point) -> Duration| {
                before.map_or_else(
                    || "-".to_owned(),
                    |before| format!("{:.2}", exponent((before.size, point.size), (of(before), of(point)))),
                )
            };
            let _ = writeln!(
                out,
                "| {} | {} {} | {} | {} | {} | {} | {} |",
                series.name,
                point.size,
                series.unit,
                shown(point.first.wall),
                grown(|point| point.first.wall),
                shown(point.cached.wall),
                grown(|point| point.cached.wall),
                size(point.first.memory.max(point.cached.memory)),
            );
        }
    }
    out.push('\n');
    for (series, _) in all {
        let _ = writeln!(out, "- `{}`: {}.", series.name, series.what);
    }
    out
}

fn panels(all: &[(&Series, Vec<Point>)]) -> Vec<plot::Panel> {
    let line = |points: &[Point], of: fn(&Point) -> Duration| {
        points.iter().map(|point| (point.size as f64, of(point).as_secs_f64())).collect::<Vec<_>>()
    };
    let panel = |(series, points): &(&Series, Vec<Point>)| plot::Panel {
        title: series.name,
        unit: series.unit,
        lines: vec![
            ("first build", line(points, |point| point.first.wall)),
            ("again, nothing changed", line(points, |point| point.cached.wall)),
        ],
    };
    all.iter().map(panel).collect()
}

/// `[{work, unit, points: [{size, first: {seconds, cpu, memory}, again: {..}}]}]`; memory in bytes.
fn as_json(all: &[(&Series, Vec<Point>)]) -> String {
    let took = |took: &Took| json!({ "seconds": took.wall.as_secs_f64(), "cpu": took.cpu.as_secs_f64(), "memory": took.memory });
    let point = |point: &Point| json!({ "size": point.size, "first": took(&point.first), "again": took(&point.cached) });
    let series = |(series, points): &(&Series, Vec<Point>)| {
        let points: Vec<_> = points.iter().map(point).collect();
        json!({ "work": series.name, "unit": series.unit, "points": points })
    };
    format!("{:#}\n", all.iter().map(series).collect::<serde_json::Value>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_work_in_twice_the_time_is_an_exponent_of_one() {
        let ms = Duration::from_millis;
        assert!((exponent((10, 20), (ms(5), ms(10))) - 1.0).abs() < 1e-9);
        assert!((exponent((10, 100), (ms(5), ms(500))) - 2.0).abs() < 1e-9);
        assert!(exponent((10, 100), (ms(5), ms(5))).abs() < 1e-9);
    }

    #[test]
    fn a_table_has_a_row_for_each_size() {
        let took =
            |ms| Took { wall: Duration::from_millis(ms), cpu: Duration::from_millis(ms), memory: 1 << 20 };
        let points = vec![
            Point { size: 10, first: took(100), cached: took(5) },
            Point { size: 100, first: took(1000), cached: took(5) },
        ];
        let text = table(&Machine::look(Path::new("/")), 1, &[(&SERIES[0], points)]);
        assert!(text.contains("| chain | 10 steps | 100 ms | - | 5.0 ms | - | 1 MiB |"), "{text}");
        assert!(text.contains("| chain | 100 steps | 1.00 s | 1.00 | 5.0 ms | 0.00 | 1 MiB |"), "{text}");
    }
}

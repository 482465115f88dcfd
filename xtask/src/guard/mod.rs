//! `cargo xtask guard`: what a build costs that has nothing to do, counted and not timed.
//!
//! A time depends on who else uses the machine; the system calls of a cached build do not. `strace -f -c` counts them,
//! several times, and the smallest count of each run is compared with `xtask/guard.toml`: more than the headroom above
//! what is written there fails, and says which calls grew. What a process asks for while it waits (`futex`, `poll`
//! and the like) is left out, since that does depend on others.
//!
//! | work | what |
//! |---|---|
//! | `chain-cached` | the bench's chain of 60 steps, all known |
//! | `bigctx-unchanged` | the bench's context, with 10,000 files that did not change |
//!
//! The program is the one that the end-to-end tests run. For a store of a plain user counts are others, so this is done
//! as root, by sudo if need be.

mod bounds;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::works;
use crate::trouble::{Doing, Result, Trouble};
use crate::{bases, setup, shell};
use bounds::{Bounds, Counts};

/// Each work is counted this often.
const TIMES: usize = 3;

const USAGE: &str = "\
Usage: cargo xtask guard [--write] [--times N] [--program FILE]

  --write          write what is counted into xtask/guard.toml
  --times N        count each work N times and show every count (3)
  --program FILE   count this jettison instead of building the one of the tests
";

/// A work: its name, and what makes its context.
type Work = (&'static str, fn(&Path) -> Result<()>);

const WORKS: [Work; 2] = [
    ("chain-cached", |folder| works::chain_of(60, folder, "guard")),
    ("bigctx-unchanged", |folder| works::bigctx_of(100, folder, "guard")),
];

/// The chore.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let (mut write, mut times, mut program) = (false, TIMES, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--write" => write = true,
            "--times" => match words.next().and_then(|text| text.parse().ok()).filter(|times| *times > 0) {
                Some(number) => times = number,
                None => return Err(Trouble::Said("`--times` takes a number above 0".to_owned())),
            },
            "--program" => program = words.next().cloned(),
            "--help" | "-h" => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(Trouble::Said(format!("`guard` has no option `{word}`\n\n{USAGE}"))),
        }
    }
    let program = match program {
        Some(program) => program.into(),
        None => {
            shell::run(shell::cargo().args(["build", "--quiet", "--package", "jettison"]))?;
            shell::target().join("debug/jettison")
        }
    };
    let program = fs::canonicalize(&program).doing(|| format!("find `{}`", program.display()))?;
    let layout = bases::ready()?;
    if !setup::is_root() {
        let mut sudo = Command::new("sudo");
        let own = std::env::current_exe().doing(|| "find this program".to_owned())?;
        // The folder of the base images: sudo keeps no environment.
        sudo.arg("env").arg(format!("JETTISON_BASES={}", layout.parent().unwrap_or(&layout).display()));
        sudo.arg(own).args(["guard", "--times", &times.to_string(), "--program"]).arg(&program);
        if write {
            sudo.arg("--write");
        }
        return shell::run(&mut sudo);
    }
    let folder = std::env::temp_dir().join(format!("jettison-guard-{}", std::process::id()));
    let counted = count(&program, &layout, &folder, times);
    fs::remove_dir_all(&folder).doing(|| format!("remove `{}`", folder.display()))?;
    let counted = counted?;
    let path = shell::repository().join("xtask/guard.toml");
    if write {
        return fs::write(&path, bounds::text(&counted)).doing(|| format!("write `{}`", path.display()));
    }
    let text = fs::read_to_string(&path).doing(|| format!("read `{}`", path.display()))?;
    let bounds = Bounds::parse(&text, &path)?;
    let grown: Vec<String> = counted.iter().filter_map(|(work, counts)| bounds.judge(work, counts)).collect();
    if grown.is_empty() {
        return Ok(());
    }
    Err(Trouble::Said(format!(
        "a build that has nothing to do now does more:\n{}\nIf that is worth it, `cargo xtask guard --write` and say \
         why in the commit.",
        grown.join("\n")
    )))
}

/// Builds each work once and counts it afterwards, in a store of its own below `folder`.
fn count(
    program: &Path,
    layout: &Path,
    folder: &Path,
    times: usize,
) -> Result<BTreeMap<&'static str, Counts>> {
    let make =
        |path: &Path| fs::create_dir_all(path).doing(|| format!("make the folder `{}`", path.display()));
    let (home, store) = (folder.join("home"), folder.join("store"));
    make(&home)?;
    // As little as possible of this machine: no settings of a user, no locale, no proxies.
    let clean = |command: &mut Command| {
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", &home);
        command.env("JETTISON_ROOT", &store).current_dir(folder);
    };
    let mut load = Command::new(program);
    clean(&mut load);
    shell::output(load.args(["load", "--quiet", "--input"]).arg(layout))?;
    let mut all = BTreeMap::new();
    for (name, content) in WORKS {
        let context = folder.join(name);
        make(&context)?;
        content(&context)?;
        let build = ["build", "--quiet", "--network", "none", "--tag", name];
        // The first makes it, the second finds it; neither a stat index nor a log of the index is new to the third.
        for _ in 0..2 {
            let mut command = Command::new(program);
            clean(&mut command);
            shell::output(command.args(build).arg(&context))?;
        }
        let mut counts: Vec<Counts> = Vec::new();
        for _ in 0..times {
            let out = folder.join("calls");
            let mut strace = Command::new("strace");
            clean(&mut strace);
            strace.args(["-f", "-qq", "-c", "-U", "calls,name", "-o"]).arg(&out).arg(program).args(build);
            shell::output(strace.arg(&context))?;
            let text = fs::read_to_string(&out).doing(|| format!("read `{}`", out.display()))?;
            counts.push(Counts::parse(&text)?);
        }
        let shown: Vec<String> = counts.iter().map(|counts| counts.total().to_string()).collect();
        println!("guard: {name}: {} system calls", shown.join(", "));
        counts.sort_by_key(Counts::total);
        all.insert(name, counts.swap_remove(0));
    }
    Ok(all)
}

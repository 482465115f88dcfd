//! `--verify-reproducible`: everything is built once more without the cache, and the first files that differ are shown.

use super::output::Built;
use crate::error::{CommandError, Outcome};
use crate::screen;
use export::reproducible::{Difference, differences};
use graph::Graph;
use layer::Time;
use snapshot::Forms;
use solver::Solved;

/// How many files are shown.
const SHOWN: usize = 10;

/// The graph with every step to be run.
pub(crate) fn again(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for id in graph.ids() {
        let about = graph.about_mut(id);
        about.no_cache = true;
        about.name = format!("{} (again)", about.name);
        // The next build compares with the first.
        about.slot.clear();
    }
    graph
}

/// Compares what was built with what the second solve made. With SOURCE_DATE_EPOCH times after it are the same.
///
/// # Errors
/// The builds differ: the first files are told.
pub(crate) fn compare(forms: &Forms, built: &[Built], second: &Solved, epoch: Option<u64>) -> Outcome<()> {
    let latest =
        epoch.map(|seconds| Time { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanoseconds: 0 });
    let mut all = 0;
    for (first, second) in built.iter().zip(&second.targets) {
        let (found, count) = differences(forms, (&first.stack, &second.stack), latest, SHOWN)?;
        for Difference { layer, path, what } in &found {
            let platform = if built.len() > 1 { format!("{}: ", first.platform) } else { String::new() };
            screen::say(&format!("{platform}layer {layer}: {path} {what}"));
        }
        if count > found.len() {
            screen::say(&format!("... and {} more", count - found.len()));
        }
        all += count;
    }
    if all == 0 {
        screen::say("Built twice, the second time without the cache: nothing differs.");
        return Ok(());
    }
    let files = if all == 1 { "1 file differs".to_owned() } else { format!("{all} files differ") };
    let error = CommandError::new(format!("the build is not reproducible: {files}"));
    Err(if epoch.is_some() {
        error
    } else {
        error.hint(
            "with SOURCE_DATE_EPOCH set, and `rewrite-timestamp=true` on the output, times do not count",
        )
    })
}

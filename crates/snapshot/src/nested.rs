//! Deep stacks: runs of folders as overlays of their own, each mounted once a process.
//!
//! Every mount of an overlay looks at each of its folders, and every name that is first looked up in its root is looked
//! for in each of them. A chain of steps would pay that again for each step: its time would grow with the square of its
//! length. So from [`FEW`] folders on, whole runs of [`RUN`] folders, and of [`RUN`] such runs, are mounted as read-only
//! overlays; a step stands on those and on the folders above them, fewer than a run. The kernel keeps what it found in
//! a run for all steps. The runs of a stack are the digits of its length, so the next step stands on the same ones:
//!
//! ```text
//! 150 folders: [0 64) [64 128) [128 136) [136 144) 144 145 146 147 148 149
//! 151 folders: [0 64) [64 128) [128 136) [136 144) 144 145 146 147 148 149 150
//! 152 folders: [0 64) [64 128) [128 136) [136 144) [144 152)
//! ```
//!
//! What is light in a long run is one folder in memory ([`gathered`](crate::gathered)). Each folder is looked at once for each length of run, and each step looks at some ten things, however deep it is.
//!
//! A whiteout or an opaque directory hides nothing any more that is below the overlay that it is in. So what hides stands
//! by itself, or in the lowest run, below which there is nothing: that then reaches up to where nothing hides any more.
//! If it would have to reach too near to the top, it is the folders up to a number that grows by a step at once: with
//! `n` folders in steps of `r` a mount looks at one and a half `r` on average, and one of `r` mounts at all `n`: together
//! that is least where `r` is the root of two thirds of `n`.
//!
//! The kernel allows two file systems over each other, so images (themselves over a file) stand by themselves.

use crate::Forms;
use layer::{Flavour, LayerId};
use std::collections::HashMap;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Up to so many folders are mounted as they are.
pub(crate) const FEW: usize = 12;
/// So many folders are a run, and so many runs a longer one.
const RUN: usize = 8;
const LONG_RUN: usize = RUN * RUN;
/// Stages have stacks of their own, and short runs become part of long ones: of more overlays than so many those are let go
/// that nobody asked for the longest.
const MOST: usize = 32;

/// What a layer of a stack is, for who mounts it together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A folder whose files are added to what is below.
    Adds,
    /// A folder that hides some of what is below.
    Hides,
    /// An image.
    Apart,
}

/// The overlays that this process has mounted.
#[derive(Debug, Default)]
pub(crate) struct Nested {
    mounted: Mutex<Mounted>,
    /// Whether one could be mounted and used.
    works: AtomicBool,
    /// Whether one could not (Linux before 6.15 makes no overlay of a detached one): nobody tries again.
    refused: AtomicBool,
}

/// Mounts by their layers, with the time when they were last asked for.
#[derive(Debug, Default)]
struct Mounted {
    runs: HashMap<Box<[LayerId]>, (Arc<OwnedFd>, u64)>,
    now: u64,
}

impl Mounted {
    fn get(&mut self, layers: &[LayerId]) -> Option<Arc<OwnedFd>> {
        self.now += 1;
        let (mount, asked) = self.runs.get_mut(layers)?;
        *asked = self.now;
        Some(mount.clone())
    }

    /// Gives what is let go for it, since the end of a mount takes its time.
    fn put(&mut self, layers: &[LayerId], mount: Arc<OwnedFd>) -> Option<Arc<OwnedFd>> {
        self.now += 1;
        self.runs.insert(layers.into(), (mount, self.now));
        if self.runs.len() <= MOST {
            return None;
        }
        let oldest =
            self.runs.iter().min_by_key(|(_, (_, asked))| *asked).map(|(layers, _)| layers.clone())?;
        self.runs.remove(&oldest).map(|(mount, _)| mount)
    }
}

impl Nested {
    /// Whether a stack of so many layers is worth a try.
    pub(crate) fn is_for(&self, layers: usize) -> bool {
        layers > FEW && !self.refused.load(Ordering::Relaxed)
    }
}

impl Forms {
    /// A run of folders, lowest first, as one mount; nothing where that is not to be had.
    pub(crate) fn run(&self, layers: &[LayerId]) -> Option<Arc<OwnedFd>> {
        let nested = &*self.nested;
        if nested.refused.load(Ordering::Relaxed) {
            return None;
        }
        let mut mounted = nested.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mount) = mounted.get(layers) {
            return Some(mount);
        }
        let plain = || (layers.iter().map(|id| self.folder(*id)).collect(), Vec::new());
        let gathered = if layers.len() == LONG_RUN { self.gathered(layers).ok() } else { None };
        let (mut lowers, _mounts) = gathered.unwrap_or_else(plain);
        lowers.reverse();
        let options = sandbox::overlay::Options {
            userxattr: self.flavour() == Flavour::User,
            volatile: false,
            readonly: true,
        };
        let mount = sandbox::overlay::mount_detached(&lowers, None, options).and_then(|mount| {
            if !nested.works.load(Ordering::Relaxed) {
                // A kernel that makes no overlay of it makes no copy of it either, which is quicker to try.
                sandbox::mount::bind_detached_fd(&mount, false, true)?;
                nested.works.store(true, Ordering::Relaxed);
            }
            Ok(mount)
        });
        let Ok(mount) = mount else {
            nested.refused.store(true, Ordering::Relaxed);
            return None;
        };
        let mount = Arc::new(mount);
        let gone = mounted.put(layers, mount.clone());
        drop(mounted);
        drop(gone);
        Some(mount)
    }
}

/// The runs of a stack, lowest first. What stands by itself is a run of one.
pub(crate) fn runs(parts: &[Part]) -> Vec<Range<usize>> {
    let count = parts.len();
    let mut runs = Vec::new();
    let mut at = 0;
    if count > FEW {
        at = lowest(parts);
        if at > 0 {
            runs.push(0..at);
        }
    }
    while at < count {
        let is_run = |length: usize| {
            let end = at + length;
            // Nothing is below the first.
            let adds =
                |(place, part): (usize, &Part)| *part == Part::Adds || (place == 0 && *part == Part::Hides);
            count > FEW
                && at.is_multiple_of(length)
                && end <= count
                && parts[at..end].iter().enumerate().all(|(place, part)| adds((at + place, part)))
        };
        let length = [LONG_RUN, RUN].into_iter().find(|length| is_run(*length)).unwrap_or(1);
        runs.push(at..at + length);
        at += length;
    }
    runs
}

/// How many folders the lowest run must have because some of them hide others; 0 where none does, or there are images
/// among them.
fn lowest(parts: &[Part]) -> usize {
    let hides = parts.iter().skip(1).rposition(|part| *part == Part::Hides).map(|at| at + 1);
    let Some(top) = hides else { return 0 };
    let step = (parts.len() * 2 / 3).isqrt().next_power_of_two();
    let most = ((parts.len() / step - 1) * step).min(sandbox::overlay::MAX_LOWERS);
    let count = (top + 1).next_multiple_of(LONG_RUN).min(most);
    if parts[..count].contains(&Part::Apart) { 0 } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many folders and runs the mounts of a whole chain look at.
    fn looked(steps: usize, part: impl Fn(usize) -> Part) -> usize {
        let parts: Vec<Part> = (0..steps).map(part).collect();
        let mut mounted = std::collections::HashSet::new();
        let mut all = 0;
        for folders in 1..=steps {
            let runs = runs(&parts[..folders]);
            all += runs.len();
            let new = runs.into_iter().filter(|run| run.len() > 1 && mounted.insert(run.clone()));
            all += new.map(|run| run.len()).sum::<usize>();
        }
        all
    }

    #[test]
    fn a_step_of_a_long_chain_looks_at_few_folders() {
        let adds = |_| Part::Adds;
        assert_eq!(looked(10, adds), 55);
        for (steps, each) in [(60, 9), (100, 9), (400, 12), (900, 16)] {
            assert!(looked(steps, adds) < steps * each, "{steps}: {}", looked(steps, adds));
        }
    }

    #[test]
    fn what_hides_is_in_the_lowest_run_or_alone() {
        let hides = |_| Part::Hides;
        assert!(looked(60, hides) < 60 * 61 / 2 * 6 / 10, "{}", looked(60, hides));
        assert!(looked(400, hides) < 400 * 401 / 2 / 4, "{}", looked(400, hides));
        let mut parts = vec![Part::Adds; 150];
        let shown = |parts: &[Part]| {
            let shown = |run: Range<usize>| {
                if run.len() == 1 { format!("{}", run.start) } else { format!("{run:?}") }
            };
            runs(parts).into_iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&parts), "0..64 64..128 128..136 136..144 144 145 146 147 148 149");
        // The first has nothing to hide.
        parts[0] = Part::Hides;
        assert_eq!(shown(&parts), "0..64 64..128 128..136 136..144 144 145 146 147 148 149");
        parts[70] = Part::Hides;
        assert_eq!(shown(&parts), "0..128 128..136 136..144 144 145 146 147 148 149");
        parts[130] = Part::Hides;
        let high = "0..128 128 129 130 131 132 133 134 135 136..144 144 145 146 147 148 149";
        assert_eq!(shown(&parts), high);
        // Over an image there are runs too, but not of what hides.
        (parts[1], parts[130]) = (Part::Apart, Part::Adds);
        assert!(shown(&parts).starts_with("0 1 2 3 4 5 6 7 8..16 16..24 24..32 "), "{}", shown(&parts));
        assert!(shown(&parts).contains(" 56..64 64 65 66 67 68 69 70 71 72..80 "), "{}", shown(&parts));
    }
}

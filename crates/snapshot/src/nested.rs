//! Deep stacks: the oldest folders as one overlay of their own, mounted once a process.
//!
//! Every mount of an overlay looks at each of its folders, and every name that is first looked up in its root is looked
//! for in each of them. A chain of steps would pay that again for each step: its time would grow with the square of its
//! length. So from [`FEW`] folders on, the lowest are mounted as a read-only overlay, in whole runs; a step stands on
//! that and on the folders above it, fewer than two runs. The kernel keeps what it found in the lower one for all
//! steps. Nothing is hidden from what is below, for nothing is below: whiteouts work as in one overlay.
//!
//! With `n` folders in runs of `r` a step looks at one and a half `r` on average, and one of `r` steps at all `n`:
//! together that is least where `r` is the root of two thirds of `n`, so runs are that long, as a power of two.
//!
//! The kernel allows two file systems over each other, so a stack with an image (itself over a file) stays flat.

use crate::Forms;
use layer::{Flavour, LayerId};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Up to so many folders are mounted as they are.
const FEW: usize = 12;
/// Stages have stacks of their own: the overlays of more than so many are let go.
const MOST: usize = 64;

/// The overlays that this process has mounted, by their layers.
#[derive(Debug, Default)]
pub(crate) struct Nested {
    mounted: Mutex<HashMap<Vec<LayerId>, Arc<OwnedFd>>>,
    /// Whether one could be mounted and used.
    works: AtomicBool,
    /// Whether one could not (Linux before 6.15 makes no overlay of a detached one): nobody tries again.
    refused: AtomicBool,
}

impl Forms {
    /// The oldest folders of a stack as one mount, and how many they are; nothing where that is not worth it or not to
    /// be had. `folders` are those of the whole stack, lowest first.
    pub(crate) fn nested(&self, stack: &[LayerId], folders: &[PathBuf]) -> Option<(Arc<OwnedFd>, usize)> {
        let nested = &*self.nested;
        if folders.len() <= FEW || nested.refused.load(Ordering::Relaxed) {
            return None;
        }
        let cut = oldest(folders.len()).min(sandbox::overlay::MAX_LOWERS);
        let mut mounted = nested.mounted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mount) = mounted.get(&stack[..cut]) {
            return Some((mount.clone(), cut));
        }
        let lowers: Vec<PathBuf> = folders[..cut].iter().rev().cloned().collect();
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
        if mounted.len() >= MOST {
            mounted.clear();
        }
        let mount = Arc::new(mount);
        mounted.insert(stack[..cut].to_vec(), mount.clone());
        Some((mount, cut))
    }
}

/// How many of `folders` are mounted together: it grows by a run at once, so that it is seldom another number.
fn oldest(folders: usize) -> usize {
    let run = (folders * 2 / 3).isqrt().next_power_of_two();
    (folders / run - 1) * run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_long_chain_looks_at_few_folders() {
        // How many folders the mounts of a whole chain look at.
        let looked = |steps: usize| {
            let (mut all, mut mounted) = (0, 0);
            for folders in 1..=steps {
                let cut = if folders <= FEW { 0 } else { oldest(folders) };
                if cut != mounted {
                    (all, mounted) = (all + cut, cut);
                }
                all += folders - cut + usize::from(cut > 0);
            }
            all
        };
        assert_eq!(looked(10), 55);
        assert!(looked(60) < 60 * 61 / 2 * 6 / 10, "{}", looked(60));
        assert!(looked(100) < 100 * 101 / 2 / 2, "{}", looked(100));
        assert!(looked(400) < 400 * 401 / 2 / 4, "{}", looked(400));
    }
}

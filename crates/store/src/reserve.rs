//! Room for deleting: a file of some MiB that is given up when the disk is full.
//!
//! Removing things means writing first: the index notes what goes before its files go, and its log must grow for that.
//! On a full disk it cannot, and the disk would stay full. So a store keeps a file that only deleting may use up; it is
//! made anew afterwards.

use crate::{Options, Result, Store};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// The sizes of the reserve in bytes, the first that there is room for: the log of a large collection.
const SIZES: [u64; 3] = [4 << 20, 2 << 20, 1 << 20];
/// With less than this free the reserve is given up.
const SHORT: u64 = 8 << 20;

fn file(root: &Path) -> PathBuf {
    root.join("reserve")
}

/// Bytes that this user may still write; nothing where the file system does not say.
fn free(root: &Path) -> Option<u64> {
    let known = rustix::fs::statvfs(root).ok()?;
    Some(known.f_bavail.saturating_mul(known.f_frsize))
}

impl Store {
    /// Opens a store for removing things from it: where the disk is full, room is made for that first.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_to_remove(options: Options) -> Result<Self> {
        if free(&options.root).is_some_and(|free| free < SHORT) {
            // Where there is none, what follows may still fit.
            let _ = fs::remove_file(file(&options.root));
        }
        let store = Self::open(options)?;
        store.inner.removes.store(true, Ordering::Release);
        Ok(store)
    }
}

/// Makes the reserve where it is missing and there is room. A store works without one.
pub(crate) fn keep(root: &Path) {
    let path = file(root);
    if path.exists() {
        return;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let Ok(made) = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) else { return };
    let fits = |size: &u64| rustix::fs::fallocate(&made, FallocateFlags::empty(), 0, *size).is_ok();
    if !SIZES.iter().any(fits) {
        let _ = fs::remove_file(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_store_has_a_reserve_and_keeps_it_while_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().join("store"));
        let store = Store::open(options.clone()).unwrap();
        assert_eq!(fs::metadata(file(store.root())).unwrap().len(), SIZES[0]);
        drop(Store::open_to_remove(options).unwrap());
        assert!(file(store.root()).exists());
        // Used up, it comes back with the next collection.
        fs::remove_file(file(store.root())).unwrap();
        store.prune(&crate::Prune::default()).unwrap();
        assert!(file(store.root()).exists());
    }
}

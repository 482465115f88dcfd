//! Light layers of a long run as one folder in memory.
//!
//! A name that no step has used yet is looked for in every folder below, each time by the disk's file system. In a
//! chain of steps that make a file each that is the most of what grows. So layers that hold little are copied together
//! once they are part of a long run: one folder is looked at for all of them. The copy is mounted only, never
//! exported, and goes with the mount.

use crate::nested::Part;
use crate::{Forms, Result};
use layer::{Kind, LayerId, Listing, View};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A layer of more entries or bytes is not copied.
const ENTRIES: usize = 64;
const BYTES: u64 = 16 << 10;
/// What a file takes in memory at least.
const PAGE: u64 = 4096;
/// Fewer layers in a row are mounted as they are.
const FEW: usize = 8;

impl Forms {
    /// The folders of a long run, lowest first, with light layers that lie upon each other as one folder, and the mounts
    /// that some of the paths lead to.
    pub(crate) fn gathered(&self, layers: &[LayerId]) -> Result<(Vec<PathBuf>, Vec<OwnedFd>)> {
        let parts = self.parts(layers)?;
        let mut light = Vec::with_capacity(layers.len());
        for (id, part) in layers.iter().zip(parts) {
            light.push(part == Part::Adds && is_light(&*self.store().listing(*id)?));
        }
        let (mut paths, mut mounts) = (Vec::new(), Vec::new());
        let mut at = 0;
        for same in light.chunk_by(|a, b| a == b) {
            let layers = &layers[at..at + same.len()];
            at += same.len();
            let copy = if same[0] && same.len() >= FEW { self.copied(layers) } else { None };
            if let Some((path, mount)) = copy {
                paths.push(path);
                mounts.push(mount);
            } else {
                paths.extend(layers.iter().map(|id| self.folder(*id)));
            }
        }
        Ok((paths, mounts))
    }

    /// What some layers add, in memory; nothing where that cannot be had.
    fn copied(&self, layers: &[LayerId]) -> Option<(PathBuf, OwnedFd)> {
        let (listing, mut content) = self.merged(layers).ok()?;
        let size = (listing.size() + PAGE * (listing.len() as u64 + 16)) * 2;
        let flags = sandbox::mount::MountFlags::default();
        let mount = sandbox::mount::tmpfs_detached(Some(size), 0o755, flags).ok()?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
        self.write_folder(&listing, &mut content, &path, &View::default()).ok()?;
        same_root(&self.folder(*layers.last()?), &path).ok()?;
        Some((path, mount))
    }
}

/// Whether a copy of a layer is as good as the layer, and costs little.
fn is_light(listing: &Listing) -> bool {
    listing.len() <= ENTRIES
        && listing.size() <= BYTES
        && listing.entries().all(|entry| {
            let plain = matches!(
                entry.kind,
                Kind::Directory { opaque: false } | Kind::Symlink { .. } | Kind::File { .. }
            );
            // A directory that the listing lacks looks as it does further below.
            let parent = entry.path.iter().rposition(|byte| *byte == b'/').map(|at| &entry.path[..at]);
            plain && entry.xattrs.is_empty() && parent.is_none_or(|parent| listing.find(parent).is_some())
        })
}

/// The root of a stack looks like that of its topmost folder.
fn same_root(top: &Path, root: &Path) -> std::io::Result<()> {
    let (known, new) = (std::fs::metadata(top)?, std::fs::metadata(root)?);
    if (known.uid(), known.gid()) != (new.uid(), new.gid()) {
        std::os::unix::fs::chown(root, Some(known.uid()), Some(known.gid()))?;
    }
    std::fs::set_permissions(root, known.permissions())
}

//! The first content of volumes: what the image has at the place where a new volume is mounted, copied once.

use crate::archive;
use crate::config::{Config, MountSource};
use crate::{Error, Result};
use sandbox::lock::OfdLock;
use sandbox::overlay;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use store::{Store, Xattrs};

/// Copies the image's files into those of the container's volumes that are new and empty. `lowers` are the image's
/// folders, lowest first.
pub(crate) fn initialise(store: &Store, config: &Config, lowers: &[PathBuf]) -> Result<()> {
    let mut root: Option<OwnedFd> = None;
    for mount in &config.mounts {
        let MountSource::Volume { name, subpath, nocopy } = &mount.source else { continue };
        let Some(volume) = store.volume(name)? else {
            return Err(store::Error::NotFound { kind: "volume", name: name.clone() }.into());
        };
        if volume.initialised || *nocopy || !subpath.is_empty() {
            continue;
        }
        // Of several containers that begin with the same volume, one copies.
        let _lock = OfdLock::exclusive(&store.root().join("locks").join(format!("volume-{name}")))?;
        if store.volume(name)?.is_some_and(|volume| volume.initialised) {
            continue;
        }
        let folder = archive::open_directory(&volume.path)?;
        if is_empty(&folder, &volume.path)? && !lowers.is_empty() {
            let root = match &root {
                Some(root) => root,
                None => root.insert(view(store, lowers)?),
            };
            archive::copy_directory(root.as_fd(), mount.target.as_bytes(), folder.as_fd())?;
        }
        store.set_volume_initialised(name)?;
    }
    Ok(())
}

/// The image's files, read-only.
fn view(store: &Store, lowers: &[PathBuf]) -> Result<OwnedFd> {
    let lowers: Vec<PathBuf> = lowers.iter().rev().cloned().collect();
    let userxattr = store.options().xattrs == Xattrs::User;
    Ok(overlay::mount_detached(
        &lowers,
        None,
        overlay::Options { userxattr, volatile: false, readonly: true },
    )?)
}

fn is_empty(folder: &OwnedFd, path: &std::path::Path) -> Result<bool> {
    let fail = |error: rustix::io::Errno| Error::io("read", path, error);
    for entry in rustix::fs::Dir::read_from(folder).map_err(fail)? {
        if !matches!(entry.map_err(fail)?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

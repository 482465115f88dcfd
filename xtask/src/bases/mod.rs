//! Stand-in base images, for machines that reach no image registry.
//!
//! They are made from packages: a minimal Debian by mmdebstrap, nginx from Debian, Node.js, npm and yarn
//! from the npm registry. One OCI image layout holds them all:
//!
//! ```text
//! $JETTISON_BASES, else target/bases
//!   layout/     the OCI image layout (see `layout`), whole or absent
//!   making/     where the next layout is put together
//!   lock        held while one is made, so that two chores make it once
//! ```
//!
//! | image | layers | also named |
//! |---|---|---|
//! | `debian:bookworm-slim` | Debian | `debian:latest` |
//! | `node:22-alpine` | Debian, Node | `node:22`, `node:latest`, `node:alpine`, `node:lts-alpine`, `node:14.4.0`, `node:14.4.0-alpine` |
//! | `nginx:stable-alpine` | Debian, nginx | `nginx:latest` |
//! | `gcr.io/distroless/nodejs22-debian12` | libraries, Node | |
//! | `busybox:latest` | busybox | `alpine:latest` |
//!
//! They have the users, paths, environment and configs that the guides count on of the images they stand in
//! for; they are not Alpine, and a label `dev.jettison.stand-in=true` says what they are.

mod busybox;
mod debian;
mod distroless;
mod layout;
mod nginx;
mod node;
mod tree;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::trouble::{Doing, Result, Trouble};
use crate::{setup, shell};
use layout::Layout;

/// Changes whenever the images' content does: a layout of another version is made anew.
const VERSION: &str = "1";
/// The annotation of the layout's index that holds [`VERSION`].
const VERSION_KEY: &str = "dev.jettison.bases.version";
/// The `PATH` that all these images set.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The folder of the OCI layout with every stand-in image, made now if it is missing or of another
/// version. Takes under a minute, mostly for downloads; prints what it does on standard error.
pub(crate) fn ready() -> Result<PathBuf> {
    let folder = match std::env::var_os("JETTISON_BASES") {
        Some(folder) => PathBuf::from(folder),
        None => shell::target().join("bases"),
    };
    fs::create_dir_all(&folder).doing(|| format!("make the folder `{}`", folder.display()))?;
    let lock = folder.join("lock");
    let held = File::create(&lock).doing(|| format!("open `{}`", lock.display()))?;
    held.lock().doing(|| format!("lock `{}`", lock.display()))?;

    let layout = folder.join("layout");
    if version(&layout).as_deref() == Some(VERSION) {
        return Ok(layout);
    }
    setup::for_bases()?;
    let begun = Instant::now();
    say("making the stand-in base images (once; they are kept)");
    let making = folder.join("making");
    remove(&making)?;
    let fresh = making.join("layout");
    make(&making, &fresh)?;
    remove(&layout)?;
    fs::rename(&fresh, &layout).doing(|| format!("move the images to `{}`", layout.display()))?;
    remove(&making)?;
    say(&format!("done in {:.0} s: {}", begun.elapsed().as_secs_f64(), layout.display()));
    Ok(layout)
}

/// Every name in a layout, in the order of its index.
pub(crate) fn names(layout: &Path) -> Result<Vec<String>> {
    let path = layout.join("index.json");
    let bytes = fs::read(&path).doing(|| format!("read `{}`", path.display()))?;
    let index: Value = serde_json::from_slice(&bytes)
        .map_err(|source| Trouble::Json { what: path.display().to_string(), source })?;
    let manifests = index["manifests"].as_array().cloned().unwrap_or_default();
    Ok(manifests
        .iter()
        .filter_map(|entry| entry["annotations"]["io.containerd.image.name"].as_str())
        .map(str::to_owned)
        .collect())
}

fn make(making: &Path, fresh: &Path) -> Result<()> {
    let layout = Layout::start(fresh)?;
    // The packages of Debian and of npm come at the same time, and the Node layer, the largest by far, is
    // compressed while Debian is still being unpacked.
    let (debian, node) = std::thread::scope(|scope| {
        let node = scope.spawn(|| node::Parts::make(making, &layout));
        let debian = debian::Debian::make(making);
        (debian, node.join())
    });
    let (debian, node) =
        (debian?, node.map_err(|_| Trouble::Said("the thread for Node.js panicked".into()))??);
    say("writing Debian, nginx, distroless and busybox");
    let bottom = layout.layer(&debian.root, "mmdebstrap --variant=apt")?;
    let manifests = [
        busybox::image(making, &layout, &debian)?,
        debian::image(&layout, &bottom)?,
        node.image(&layout, &debian, &bottom)?,
        nginx::image(&layout, &debian, &bottom)?,
        distroless::image(&layout, &debian, &node)?,
    ];
    layout.finish(&manifests.concat(), VERSION)
}

fn version(layout: &Path) -> Option<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()?;
    index["annotations"][VERSION_KEY].as_str().map(str::to_owned)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

fn say(text: &str) {
    eprintln!("bases: {text}");
}

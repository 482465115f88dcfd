//! `--cache-from` and `--cache-to`: caches that other machines share.
//!
//! | type | `--cache-from` | `--cache-to` |
//! |---|---|---|
//! | `registry` | `ref` | `ref`, `image-manifest`, `oci-mediatypes` |
//! | `local` | `src`, `tag`, `digest` | `dest`, `tag`, `image-manifest`, `oci-mediatypes` |
//! | `inline` | as `registry` | no attributes: the image itself has the records |
//! | `s3`, `gha`, `azblob` | as module `services` has it | the same |
//!
//! All of `--cache-to` know `mode=min|max` (not inline), `compression`, `compression-level`, `force-compression` and
//! `ignore-error`. A name alone is `type=registry,ref=NAME`. A cache that cannot be read or written costs a warning and a
//! limited time, never the build: unlike BuildKit's, `ignore-error` is true unless it is given.

mod attributes;
mod import;
mod services;
mod write;

pub(crate) use write::write;

use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome, USAGE};
use crate::screen;
use attributes::Attributes;
use executor::SharedCache;
use export::Packing;
use export::cache::Mode;
use export::place::LayoutName;
use import::{Asked, Imported};
use layer::Compression;
use oci::{Digest, Reference};
use services::{Given, Service};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Registry(Reference),
    Layout(LayoutName),
    Objects(Service),
}

/// One `--cache-to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheTo {
    /// Nothing is inline.
    to: Option<At>,
    mode: Mode,
    packing: Packing,
    as_index: bool,
    ignore_error: bool,
}

impl CacheTo {
    /// Whether the image itself has the records.
    pub(crate) fn is_inline(&self) -> bool {
        self.to.is_none()
    }
}

fn no_type(flag: &str, kind: &str) -> CommandError {
    CommandError::usage(format!("{flag}: the type `{kind}` is not supported"))
        .hint("there are registry, local, inline, s3, gha and azblob")
}

fn say_left_out(flag: &str, kind: &str, reason: &str) {
    screen::say(&format!("warning: {flag}: type={kind} is left out; {reason}"));
}

fn reference(attributes: &mut Attributes) -> Outcome<Reference> {
    let text = attributes.need("registry", "ref")?;
    text.parse().map_err(|error: oci::Error| attributes.wrong(error))
}

/// The folder that an attribute names, from the root.
fn folder(attributes: &mut Attributes, key: &str) -> Outcome<PathBuf> {
    let folder = attributes.need("local", key)?;
    std::path::absolute(&folder).map_err(|error| attributes.wrong(format_args!("`{folder}`: {error}")))
}

/// The caches of `--cache-to`.
pub(crate) fn to(texts: &[String], environment: &Environment) -> Outcome<Vec<CacheTo>> {
    const FLAG: &str = "--cache-to";
    let parse = |text: &String| {
        let mut attributes = Attributes::parse(FLAG, text)?;
        let kind = attributes.take("type").unwrap_or_else(|| "registry".to_owned());
        let mode = match attributes.take("mode").as_deref() {
            None | Some("min") => Mode::Min,
            Some("max") => Mode::Max,
            Some(other) => return Err(attributes.wrong(format_args!("mode is min or max, not `{other}`"))),
        };
        let oci = attributes.boolean("oci-mediatypes", true)?;
        let as_manifest = attributes.boolean("image-manifest", oci)?;
        if as_manifest && !oci {
            return Err(attributes.wrong("image-manifest=true and oci-mediatypes=false do not go together"));
        }
        let compression = match attributes.take("compression").as_deref() {
            None => None,
            Some("uncompressed") => Some(Compression::None),
            Some("gzip") => Some(Compression::Gzip),
            Some("zstd") => Some(Compression::Zstd),
            Some(other) => {
                return Err(attributes
                    .wrong(format_args!("there is no compression `{other}`"))
                    .hint("there are uncompressed, gzip and zstd"));
            }
        };
        let level = attributes
            .take("compression-level")
            .map(|level| level.parse())
            .transpose()
            .map_err(|_| attributes.wrong("compression-level is a number"))?;
        let force = attributes.boolean("force-compression", false)?;
        let ignore_error = attributes.boolean("ignore-error", true)?;
        let to = match kind.as_str() {
            "registry" => Some(At::Registry(reference(&mut attributes)?)),
            "local" => {
                let folder = folder(&mut attributes, "dest")?;
                let tag = Some(attributes.take("tag").unwrap_or_else(|| "latest".to_owned()));
                Some(At::Layout(LayoutName { folder, tag, digest: None }))
            }
            "inline" => None,
            other => match Service::parse(other, &mut attributes, environment)? {
                Given::Service(service) => Some(At::Objects(service)),
                Given::LeftOut(reason) => {
                    say_left_out(FLAG, other, reason);
                    return Ok(None);
                }
                Given::Other => return Err(no_type(FLAG, other)),
            },
        };
        attributes.end(&kind)?;
        let packing = Packing { compression, level, force, docker: !oci, ..Packing::default() };
        Ok(Some(CacheTo { to, mode, packing, as_index: !as_manifest, ignore_error }))
    };
    texts.iter().filter_map(|text| parse(text).transpose()).collect()
}

/// The caches of `--cache-from`: the solver asks them for results, and `engine` for blobs. `wanted`: whether the build
/// still goes on.
pub(crate) fn from<'a>(
    engine: &Engine,
    texts: &[String],
    wanted: &Arc<dyn Fn() -> bool + Send + Sync>,
) -> Outcome<Vec<Box<dyn SharedCache + 'a>>> {
    let mut caches = Vec::with_capacity(texts.len());
    for text in texts {
        match one_from(engine, text, wanted) {
            Ok(imported) => caches.extend(imported.map(Arc::new)),
            Err(error) if error.code == USAGE => return Err(error),
            Err(error) => screen::say(&format!("warning: a cache is not used: {}", error.message)),
        }
    }
    engine.lend(caches.iter().map(|cache| Arc::clone(cache) as _).collect());
    Ok(caches.into_iter().map(|cache| Box::new(Asked(cache)) as Box<dyn SharedCache>).collect())
}

/// One cache; nothing where it is left out.
fn one_from(
    engine: &Engine,
    text: &str,
    wanted: &Arc<dyn Fn() -> bool + Send + Sync>,
) -> Outcome<Option<Imported>> {
    const FLAG: &str = "--cache-from";
    let mut attributes = Attributes::parse(FLAG, text)?;
    let kind = attributes.take("type").unwrap_or_else(|| "registry".to_owned());
    let at = match kind.as_str() {
        "registry" | "inline" => At::Registry(reference(&mut attributes)?),
        "local" => {
            let folder = folder(&mut attributes, "src")?;
            let digest = attributes.take("digest").map(|digest| digest.parse::<Digest>()).transpose();
            let digest = digest.map_err(|error| attributes.wrong(error))?;
            let tag = attributes.take("tag").or_else(|| digest.is_none().then(|| "latest".to_owned()));
            At::Layout(LayoutName { folder, tag, digest })
        }
        other => match Service::parse(other, &mut attributes, &engine.environment)? {
            Given::Service(service) => At::Objects(service),
            Given::LeftOut(reason) => {
                say_left_out(FLAG, other, reason);
                return Ok(None);
            }
            Given::Other => return Err(no_type(FLAG, other)),
        },
    };
    attributes.end(&kind)?;
    Imported::new(engine, at, wanted.clone()).map(Some)
}

//! `--cache-from` and `--cache-to`: caches that other machines share.
//!
//! | type | `--cache-from` | `--cache-to` |
//! |---|---|---|
//! | `registry` | `ref` | `ref`, `image-manifest`, `oci-mediatypes` |
//! | `local` | `src`, `tag`, `digest` | `dest`, `tag`, `image-manifest`, `oci-mediatypes` |
//! | `inline` | as `registry` | no attributes: the image itself has the records |
//!
//! All of `--cache-to` know `mode=min|max` (not inline), `compression`, `compression-level`, `force-compression` and
//! `ignore-error`. A name alone is `type=registry,ref=NAME`. A cache that cannot be read costs a warning and a limited
//! time, never the build.

use super::output::boolean;
use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use crate::screen;
use executor::{SharedCache, SharedResult};
use export::cache::{self, Found, Mode, SharedRecords, Step};
use export::place::{LayoutName, Place};
use export::push::Pusher;
use export::{Packing, layout};
use layer::{Compression, LayerId};
use oci::{Digest, Reference};
use progress::Progress;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Registry(Reference),
    Layout(LayoutName),
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

struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn parse(flag: &str, text: &str) -> Outcome<Self> {
        if !text.contains('=') {
            let pairs = [("type", "registry"), ("ref", text)];
            return Ok(Self(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()));
        }
        let fields = dockerfile::csv_fields(text)
            .ok_or_else(|| CommandError::usage(format!("{flag}: `{text}` has a quote out of place")))?;
        let pair = |field: &String| {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| CommandError::usage(format!("{flag}: `{field}` is not KEY=VALUE")))?;
            Ok((key.trim().to_lowercase(), value.to_owned()))
        };
        Ok(Self(fields.iter().map(pair).collect::<Outcome<_>>()?))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().rposition(|(known, _)| known == key)?;
        let (_, value) = self.0.swap_remove(at);
        self.0.retain(|(known, _)| known != key);
        Some(value)
    }

    fn boolean(&mut self, flag: &str, key: &str, default: bool) -> Outcome<bool> {
        self.take(key).map_or(Ok(default), |value| boolean(flag, key, &value))
    }

    fn end(self, flag: &str, kind: &str) -> Outcome<()> {
        match self.0.first() {
            Some((key, _)) => {
                Err(CommandError::usage(format!("{flag}: the type `{kind}` has no attribute `{key}`")))
            }
            None => Ok(()),
        }
    }
}

fn no_type(flag: &str, kind: &str) -> CommandError {
    CommandError::usage(format!("{flag}: the type `{kind}` is not supported"))
        .hint("there are registry, local and inline")
}

fn reference(flag: &str, attributes: &mut Attributes) -> Outcome<Reference> {
    let text = attributes.take("ref").ok_or_else(|| CommandError::usage(format!("{flag} needs a ref")))?;
    text.parse().map_err(|error: oci::Error| CommandError::usage(format!("{flag}: {error}")))
}

/// The caches of `--cache-to`.
pub(crate) fn to(texts: &[String]) -> Outcome<Vec<CacheTo>> {
    const FLAG: &str = "--cache-to";
    let parse = |text: &String| {
        let mut attributes = Attributes::parse(FLAG, text)?;
        let kind = attributes.take("type").unwrap_or_else(|| "registry".to_owned());
        let mode = match attributes.take("mode").as_deref() {
            None | Some("min") => Mode::Min,
            Some("max") => Mode::Max,
            Some(other) => {
                return Err(CommandError::usage(format!("{FLAG}: mode is min or max, not `{other}`")));
            }
        };
        let oci = attributes.boolean(FLAG, "oci-mediatypes", true)?;
        let as_manifest = attributes.boolean(FLAG, "image-manifest", oci)?;
        if as_manifest && !oci {
            return Err(CommandError::usage(format!(
                "{FLAG}: image-manifest=true and oci-mediatypes=false do not go together"
            )));
        }
        let compression = match attributes.take("compression").as_deref() {
            None => None,
            Some("uncompressed") => Some(Compression::None),
            Some("gzip") => Some(Compression::Gzip),
            Some("zstd") => Some(Compression::Zstd),
            Some(other) => {
                return Err(CommandError::usage(format!("{FLAG}: there is no compression `{other}`"))
                    .hint("there are uncompressed, gzip and zstd"));
            }
        };
        let level = attributes
            .take("compression-level")
            .map(|level| level.parse())
            .transpose()
            .map_err(|_| CommandError::usage(format!("{FLAG}: compression-level is a number")))?;
        let force = attributes.boolean(FLAG, "force-compression", false)?;
        let ignore_error = attributes.boolean(FLAG, "ignore-error", false)?;
        let to = match kind.as_str() {
            "registry" => Some(At::Registry(reference(FLAG, &mut attributes)?)),
            "local" => {
                let folder = attributes
                    .take("dest")
                    .ok_or_else(|| CommandError::usage(format!("{FLAG}: type=local needs a dest")))?;
                let folder = std::path::absolute(&folder)
                    .map_err(|error| CommandError::usage(format!("{FLAG}: `{folder}`: {error}")))?;
                let tag = Some(attributes.take("tag").unwrap_or_else(|| "latest".to_owned()));
                Some(At::Layout(LayoutName { folder, tag, digest: None }))
            }
            "inline" => None,
            other => return Err(no_type(FLAG, other)),
        };
        attributes.end(FLAG, &kind)?;
        let packing = Packing { compression, level, force, docker: !oci, ..Packing::default() };
        Ok(CacheTo { to, mode, packing, as_index: !as_manifest, ignore_error })
    };
    texts.iter().map(parse).collect()
}

/// The caches of `--cache-from`.
pub(crate) fn from<'a>(engine: &'a Engine, texts: &[String]) -> Outcome<Vec<Box<dyn SharedCache + 'a>>> {
    const FLAG: &str = "--cache-from";
    let parse = |text: &String| {
        let mut attributes = Attributes::parse(FLAG, text)?;
        let kind = attributes.take("type").unwrap_or_else(|| "registry".to_owned());
        let at = match kind.as_str() {
            "registry" | "inline" => At::Registry(reference(FLAG, &mut attributes)?),
            "local" => {
                let folder = attributes
                    .take("src")
                    .ok_or_else(|| CommandError::usage(format!("{FLAG}: type=local needs a src")))?;
                let folder: PathBuf = std::path::absolute(&folder)
                    .map_err(|error| CommandError::usage(format!("{FLAG}: `{folder}`: {error}")))?;
                let digest = attributes.take("digest").map(|digest| digest.parse::<Digest>()).transpose();
                let digest = digest.map_err(|error| CommandError::usage(format!("{FLAG}: {error}")))?;
                let tag = attributes.take("tag").or_else(|| digest.is_none().then(|| "latest".to_owned()));
                At::Layout(LayoutName { folder, tag, digest })
            }
            other => return Err(no_type(FLAG, other)),
        };
        attributes.end(FLAG, &kind)?;
        let imported: Box<dyn SharedCache + 'a> = Box::new(Imported { engine, at, records: OnceLock::new() });
        Ok(imported)
    };
    texts.iter().map(parse).collect()
}

/// A cache of `--cache-from`, read when the store first lacks something.
struct Imported<'a> {
    engine: &'a Engine,
    at: At,
    records: OnceLock<SharedRecords>,
}

impl Imported<'_> {
    /// How fetchers and messages call it.
    fn name(&self) -> String {
        match &self.at {
            At::Registry(reference) => reference.to_string(),
            At::Layout(name) => name.to_string(),
        }
    }

    fn records(&self) -> &SharedRecords {
        self.records.get_or_init(|| match self.read() {
            Ok(Found::Records(records)) => records,
            Ok(Found::Foreign) => {
                let name = self.name();
                screen::say(&format!(
                    "warning: the cache {name} was written by another builder, so none of its keys can match"
                ));
                SharedRecords::default()
            }
            Ok(Found::Nothing) => {
                screen::say(&format!("warning: the image {} has no cache in it", self.name()));
                SharedRecords::default()
            }
            Err(error) => {
                let CommandError { message, .. } = error;
                screen::say(&format!("warning: the cache {} is not used: {message}", self.name()));
                SharedRecords::default()
            }
        })
    }

    /// Reads it, but not for long.
    fn read(&self) -> Outcome<Found> {
        match &self.at {
            At::Layout(name) => Ok(cache::read(&Place::Layout(name.clone()))?),
            At::Registry(reference) => {
                let client = self.engine.impatient_client(reference.host())?;
                Ok(cache::read(&Place::Registry { client: &client, reference: reference.clone() })?)
            }
        }
    }
}

impl SharedCache for Imported<'_> {
    fn link(&self, key: &Digest) -> Option<Digest> {
        self.records().link(key)
    }

    fn result(&self, key: &Digest) -> Option<SharedResult> {
        let layers = self.records().result(key)?.to_vec();
        Some(SharedResult { reference: self.name(), layers })
    }
}

/// Writes the caches of `--cache-to` that are not inline.
pub(crate) fn write(
    engine: &Engine,
    caches: &[CacheTo],
    steps: &[Step],
    targets: &[Vec<LayerId>],
    progress: &Progress,
) -> Outcome<()> {
    for cache in caches {
        let Some(at) = &cache.to else { continue };
        let vertex = progress.start(match at {
            At::Registry(_) => "exporting cache to registry",
            At::Layout(_) => "exporting cache to client directory",
        });
        let written = one(engine, cache, at, (steps, targets), &vertex);
        match written {
            Ok(()) => vertex.done(),
            Err(error) if cache.ignore_error => {
                vertex.note(&format!("the cache was not written: {}", error.message));
                vertex.done();
            }
            Err(error) => {
                vertex.fail(&error.message);
                return Err(error);
            }
        }
    }
    Ok(())
}

fn one(
    engine: &Engine,
    cache: &CacheTo,
    at: &At,
    build: (&[Step], &[Vec<LayerId>]),
    vertex: &progress::VertexHandle,
) -> Outcome<()> {
    let (store, forms) = (engine.store()?, engine.forms()?);
    let bundle = cache::bundle(store, &forms, build, cache.mode, &cache.packing, cache.as_index)?;
    let Some(bundle) = bundle else {
        vertex.note("no step has a result that the cache could have");
        return Ok(());
    };
    match at {
        At::Registry(reference) => {
            let client = engine.client(reference.host())?;
            Pusher { store, forms: &forms, client, vertex, tell: &|_| {} }
                .bundle(&bundle, reference, false)?;
        }
        At::Layout(name) => layout::write_tagged(&forms, &bundle, name)?,
    }
    Ok(())
}

//! A cache of `--cache-from`: read when the store first lacks something, and no longer than the build can wait.

use super::At;
use super::services::Use;
use crate::engine::{BlobSource, Engine};
use crate::error::{CommandError, Outcome};
use crate::screen;
use executor::{SharedCache, SharedResult};
use export::cache::{self, Found, Keys, SharedRecords};
use export::place::Place;
use objects::{Blob, Objects};
use oci::{Descriptor, Digest};
use registry::Client;
use snapshot::BoxError;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A cache that is read.
pub(super) struct Imported {
    from: From,
    records: OnceLock<SharedRecords>,
    /// It failed to give a blob: it is not asked for another one.
    broken: AtomicBool,
}

/// Where it is, and who speaks to it.
enum From {
    Registry { reference: oci::Reference, options: Box<registry::Options> },
    Layout(export::place::LayoutName),
    Objects(Arc<dyn Objects>),
}

/// As the solver asks it.
pub(super) struct Asked(pub(super) Arc<Imported>);

impl Imported {
    pub(super) fn new(engine: &Engine, at: At, wanted: Arc<dyn Fn() -> bool + Send + Sync>) -> Outcome<Self> {
        let from = match at {
            At::Registry(reference) => {
                let options = Box::new(engine.impatient_options(reference.host())?);
                From::Registry { reference, options }
            }
            At::Layout(name) => From::Layout(name),
            At::Objects(service) => From::Objects(service.open(Use::Read, engine.web()?, wanted)?),
        };
        Ok(Self { from, records: OnceLock::new(), broken: AtomicBool::new(false) })
    }

    fn records(&self) -> &SharedRecords {
        self.records.get_or_init(|| {
            let name = self.name();
            match self.read() {
                Ok(Found { records, keys }) => {
                    match keys {
                        Keys::Ours => {}
                        Keys::Foreign => screen::say(&format!(
                            "warning: the cache {name} was written by another builder, so none of its keys can match"
                        )),
                        Keys::None if matches!(self.from, From::Objects(_)) => {
                            screen::say(&format!("warning: there is no cache in {name} yet"));
                        }
                        Keys::None => screen::say(&format!("warning: the image {name} has no cache in it")),
                    }
                    records
                }
                Err(CommandError { message, .. }) => {
                    screen::say(&format!("warning: the cache {name} is not used: {message}"));
                    SharedRecords::default()
                }
            }
        })
    }

    fn read(&self) -> Outcome<Found> {
        Ok(match &self.from {
            From::Layout(name) => cache::read(&Place::Layout(name.clone()))?,
            From::Registry { reference, options } => {
                let client = Client::new((**options).clone())?;
                cache::read(&Place::Registry { client: &client, reference: reference.clone() })?
            }
            From::Objects(objects) => cache::read_documents(objects.name(), &objects.documents()?)?,
        })
    }
}

impl SharedCache for Asked {
    fn link(&self, key: &Digest) -> Option<Digest> {
        self.0.records().link(key)
    }

    fn result(&self, key: &Digest) -> Option<SharedResult> {
        let layers = self.0.records().result(key)?.to_vec();
        Some(SharedResult { reference: self.0.name(), layers })
    }
}

impl BlobSource for Imported {
    fn name(&self) -> String {
        match &self.from {
            From::Registry { reference, .. } => reference.to_string(),
            From::Layout(name) => name.to_string(),
            From::Objects(objects) => objects.name().to_owned(),
        }
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        !self.broken.load(Ordering::Acquire) && self.records().has_blob(descriptor)
    }

    fn blob(
        &self,
        descriptor: &Descriptor,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Option<Result<(), BoxError>> {
        let From::Objects(objects) = &self.from else { return None };
        if self.broken.load(Ordering::Acquire) {
            return Some(Err("it is not asked again after it failed".into()));
        }
        let blob = Blob { digest: descriptor.digest, size: descriptor.size };
        let done = objects.blob(blob, sink, progress);
        if done.is_err() {
            self.broken.store(true, Ordering::Release);
        }
        Some(done.map_err(Into::into))
    }
}

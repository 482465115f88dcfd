//! Writing the caches of `--cache-to`.

use super::services::Use;
use super::{At, CacheTo};
use crate::engine::Engine;
use crate::error::Outcome;
use export::cache::{self, Step};
use export::layout;
use export::push::Pusher;
use layer::LayerId;
use progress::{Progress, VertexHandle};
use registry::Client;
use std::sync::Arc;

/// Writes the caches that are not inline. `wanted`: whether the build still goes on.
pub(crate) fn write(
    engine: &Engine,
    caches: &[CacheTo],
    steps: &[Step],
    targets: &[Vec<LayerId>],
    progress: &Progress,
    wanted: &Arc<dyn Fn() -> bool + Send + Sync>,
) -> Outcome<()> {
    for cache in caches {
        let Some(at) = &cache.to else { continue };
        let vertex = progress.start(match at {
            At::Registry(_) => "exporting cache to registry",
            At::Layout(_) => "exporting cache to client directory",
            At::Objects(service) => service.writing(),
        });
        let written = one(engine, cache, at, (steps, targets), &vertex, wanted);
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
    vertex: &VertexHandle,
    wanted: &Arc<dyn Fn() -> bool + Send + Sync>,
) -> Outcome<()> {
    let forms = engine.forms()?.with_progress(vertex.progress().clone()).packing_at(vertex);
    let store = engine.store()?;
    let contents = cache::contents(store, &forms, build, cache.mode, &cache.packing)?;
    let Some(contents) = contents else {
        vertex.note("no step has a result that the cache could have");
        return Ok(());
    };
    let bundle = |contents| cache::bundle(contents, &cache.packing, cache.as_index);
    match at {
        At::Registry(reference) => {
            let client = Client::new(engine.impatient_options(reference.host())?)?;
            Pusher { store, forms: &forms, client: &client, vertex, tell: &|_| {} }.bundle(
                &bundle(contents),
                reference,
                false,
            )?;
        }
        At::Layout(name) => layout::write_tagged(&forms, &bundle(contents), name)?,
        At::Objects(service) => {
            let objects = service.open(Use::Write, engine.web()?, wanted.clone())?;
            cache::send(&*objects, &contents, &forms, vertex)?;
        }
    }
    Ok(())
}

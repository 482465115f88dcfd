//! An image in the store: the configuration is completed with the layers' digests and the times of its history.
//!
//! Times follow what BuildKit does, so that a rebuild from the cache gives the same image: a layer's entry has the time
//! at which the layer was made, an entry without a layer that of the layer before it (or of the first new layer, where
//! none was made before it), and the image that of its last entry.

use crate::{Result, cache, image};
use layer::LayerId;
use oci::{Digest, ImageConfig, Reference, timestamp};
use snapshot::Forms;
use store::{Image, Store};

/// What is to become an image.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// The configuration, with the whole history and without layers.
    pub config: ImageConfig,
    /// How many entries of the history are the base image's.
    pub base_history: usize,
    /// The layers, lowest first.
    pub stack: Vec<LayerId>,
    /// What it is called.
    pub names: Vec<Reference>,
    /// SOURCE_DATE_EPOCH: the time that everything new says it was made at, RFC 3339.
    pub epoch: Option<String>,
    /// The steps that an inline cache has records of; none is no such cache.
    pub inline: Vec<cache::Step>,
}

/// Completes an image and names it in the store. Its layers are all there afterwards: what was still remote is fetched
/// first. Gives the image.
pub fn finish(store: &Store, forms: &Forms, new: NewImage) -> Result<Image> {
    forms.complete(&new.stack, &progress::VertexHandle::none())?;
    let diff_ids = forms.diff_ids(&new.stack)?;
    let made = store.layers_made(&new.stack);
    let times: Vec<Option<String>> = made.into_iter().map(|made| made.map(timestamp::rfc3339)).collect();
    let mut config = new.config;
    config.rootfs.diff_ids = diff_ids.iter().map(|diff| diff.digest).collect();
    image::date(&mut config, new.base_history, &times, new.epoch.as_deref());
    // That of the base speaks of other layers.
    config.other.remove(cache::INLINE);
    if let Some((field, text)) = cache::inline(store, &new.inline, &new.stack, &config.rootfs.diff_ids) {
        config.other.insert(field.to_owned(), text.into());
    }
    let bytes = config.to_bytes();
    // An unchanged build writes nothing, and so has nothing to sync.
    let id = Digest::of(&bytes);
    let named = |image: &store::Image| {
        new.names.iter().all(|name| image.names.iter().any(|known| known.reference == name.to_string()))
    };
    if let Some(known) = store.image(&id.to_string())?
        && known.stack == new.stack
        && named(&known)
    {
        return Ok(known);
    }
    let image =
        store::NewImage { config: bytes, stack: new.stack, manifest: None, names: new.names, pulled: None };
    store.put_image(&image)?;
    store.image(&id.to_string())?.ok_or_else(|| crate::Error::NoImage { name: id.to_string() })
}

/// Fills the times in. `times` are those of all layers of the stack.
fn date(config: &mut ImageConfig, base_history: usize, times: &[Option<String>], epoch: Option<&str>) {
    let base_layers = config.history.iter().take(base_history).filter(|entry| !entry.empty_layer).count();
    let mut layer = base_layers;
    let new_times = times.get(base_layers..).unwrap_or_default();
    let base_time = config.history.iter().take(base_history).rev().find_map(|entry| entry.created.clone());
    let mut last = new_times.first().cloned().flatten().or(base_time);
    for entry in config.history.iter_mut().skip(base_history) {
        if !entry.empty_layer {
            last = times.get(layer).cloned().flatten().or(last);
            layer += 1;
        }
        entry.created = epoch.map(str::to_owned).or_else(|| last.clone());
    }
    config.created = match epoch {
        Some(epoch) => Some(epoch.to_owned()),
        None => config.history.iter().rev().find_map(|entry| entry.created.clone()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::History;

    fn entry(created: Option<&str>, empty_layer: bool) -> History {
        History { created: created.map(str::to_owned), empty_layer, ..History::default() }
    }

    #[test]
    fn entries_take_the_times_of_their_layers() {
        let mut config = ImageConfig {
            history: vec![
                entry(Some("base"), false),
                entry(None, true),
                entry(None, false),
                entry(None, true),
                entry(None, false),
            ],
            ..ImageConfig::default()
        };
        let times = [Some("pulled".to_owned()), Some("one".to_owned()), Some("two".to_owned())];
        date(&mut config, 1, &times, None);
        let dates: Vec<_> = config.history.iter().map(|e| e.created.clone().unwrap()).collect();
        assert_eq!(dates, ["base", "one", "one", "one", "two"]);
        assert_eq!(config.created.as_deref(), Some("two"));
        date(&mut config, 1, &times, Some("epoch"));
        assert_eq!(config.history[4].created.as_deref(), Some("epoch"));
        assert_eq!(config.history[0].created.as_deref(), Some("base"));
    }
}

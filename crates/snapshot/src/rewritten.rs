//! Layers whose files are no newer than a point in time: what `rewrite-timestamp` makes of a build's layers.
//!
//! Only the listing is new; the bytes are borrowed from the layer it was made of. The result is kept under a record of
//! its own, so that the next build with the same time finds it.

use crate::{Error, Forms, Result};
use layer::{Content, Entry, Kind, LayerId, Listing, Place, Time};
use oci::Digest;
use store::{Commit, NewRecord};

impl Forms {
    /// The layer with every time after `latest` set to it; the layer itself where none is.
    ///
    /// # Errors
    /// The layer is gone, or the store cannot be written.
    pub fn rewritten(&self, id: LayerId, latest: Time) -> Result<LayerId> {
        let listing = self.view(&[id])?.layers()[0].clone();
        if listing.entries().all(|entry| entry.mtime <= latest) {
            return Ok(id);
        }
        let text = format!("{{\"rewritten\":\"{id}\",\"seconds\":{}}}", latest.seconds);
        let key = Digest::of(text.as_bytes());
        if let Some(hit) = self.store().find(&[key])?
            && let [known] = hit.record.stack[..]
        {
            return Ok(known);
        }
        let mut borrowed = listing.borrowed().to_vec();
        borrowed.push(id);
        let own = u32::try_from(borrowed.len() - 1).map_err(|_| Error::NoLayer { id })?;
        let entries = listing.entries().map(|entry| rewrite(entry, latest, own));
        let mut draft = self.store().new_layer()?;
        draft.write_listing(&Listing::new(entries, borrowed))?;
        let made = draft.id();
        let record = NewRecord { stack: vec![made], text, ..NewRecord::default() };
        self.store().commit(Commit {
            layers: vec![draft],
            record: Some((key, record)),
            ..Commit::default()
        })?;
        Ok(made)
    }
}

fn rewrite(mut entry: Entry<'_>, latest: Time, own: u32) -> Entry<'_> {
    entry.mtime = entry.mtime.min(latest);
    if let Kind::File { content, .. } = &mut entry.kind
        && let Content::Own(place) = content
    {
        let place = match place {
            Place::Folder => Place::FolderAt(entry.path.clone()),
            place => place.clone(),
        };
        *content = Content::Borrowed { layer: own, place };
    }
    entry
}

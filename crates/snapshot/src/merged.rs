//! A whole stack as one listing: what a container would see, for outputs that are no images.

use crate::{Forms, Result};
use layer::{Content, Kind, LayerFiles, LayerId, Listing, ListingBuilder, Place, StoredContent};
use std::collections::HashMap;

impl Forms {
    /// What a stack shows, as one listing without whiteouts, and where its bytes are.
    pub fn merged(&self, stack: &[LayerId]) -> Result<(Listing, StoredContent)> {
        let view = self.view(stack)?;
        let mut borrowed: Vec<LayerId> = Vec::new();
        let mut links: HashMap<(usize, u32), u32> = HashMap::new();
        let mut entries = ListingBuilder::default();
        for found in view.below(b"") {
            let mut entry = found.entry();
            match &mut entry.kind {
                Kind::Directory { opaque } => *opaque = false,
                Kind::File { link, content, .. } => {
                    let owner = stack[found.layer()];
                    let (layer, place) = match content {
                        Content::Own(place) => (owner, place.clone()),
                        Content::Borrowed { layer, place } => {
                            (view.layers()[found.layer()].borrowed()[*layer as usize], place.clone())
                        }
                    };
                    let place = match place {
                        Place::Folder => Place::FolderAt(found.path().into()),
                        place => place,
                    };
                    let index = borrowed.iter().position(|known| *known == layer).unwrap_or_else(|| {
                        borrowed.push(layer);
                        borrowed.len() - 1
                    });
                    if *link != 0 {
                        let fresh = u32::try_from(links.len() + 1).unwrap_or(0);
                        *link = *links.entry((found.layer(), *link)).or_insert(fresh);
                    }
                    *content = Content::Borrowed { layer: u32::try_from(index).unwrap_or(u32::MAX), place };
                }
                _ => {}
            }
            entries.push(&entry);
        }
        let listing = entries.finish(borrowed);
        let files = listing.borrowed().iter().map(|id| self.layer_files(*id)).collect::<Result<Vec<_>>>()?;
        Ok((listing, StoredContent::new(LayerFiles::default(), files)))
    }
}

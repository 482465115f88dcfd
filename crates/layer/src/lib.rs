//! Layers: what one step of a build changed in a file tree.
//!
//! **Knows**: the [`Listing`] of a layer (every path it sets, with mode, ids, times, xattrs and content digest), how
//! listings lie over each other ([`View`]), and the way between tars, folders and listings.
//! **Must never know**: where layers are stored, who asked for one, Dockerfiles, registries.
#![forbid(unsafe_code)]

mod compare;
mod compress;
mod content;
mod encoding;
mod error;
mod folder;
mod id;
pub mod key;
mod links;
mod listing;
mod materialize;
mod overlay;
mod pack;
mod scan;
mod tar;
mod unpack;
mod view;

pub use compare::{compare, prune_unchanged};
pub use compress::{Compressed, Compression, Compressor, Decompressor, ReadAhead, decompress, sniff};
pub use content::{Bytes, ContentSource, LayerFiles, StoredContent};
pub use error::Error;
pub use folder::Owners;
pub use id::LayerId;
pub use listing::{Content, Entry, Kind, Listing, Place, Time, Xattr, compare_paths, is_below};
pub use materialize::{MaterializeOptions, materialize};
pub use overlay::Flavour;
pub use pack::{PackWriter, Packed};
pub use scan::{ScanOptions, scan};
pub use tar::{Chunk, Member, MemberKind, TarReader, WRITER_VERSION, write_tar};
pub use unpack::{Lower, UnpackOptions, unpack, unpack_to_pack};
pub use view::{Found, View};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

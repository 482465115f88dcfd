//! The tar format: reading any tar that image tools make, writing one kind of it.

pub(crate) mod header;
pub(crate) mod pax;
pub(crate) mod read;
pub(crate) mod sparse;
pub(crate) mod write;

pub use read::{Chunk, Member, MemberKind, TarReader};
pub use write::{WRITER_VERSION, write_tar, write_tar_as};

/// The unit of the format, in bytes.
pub(crate) const BLOCK: usize = 512;

/// How many bytes of padding follow `size` bytes of content.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

//! A plan as one read-only file system: an EROFS image to be mounted as a lower layer, in place of a folder.
//!
//! A folder of 50,000 small files costs a second of system calls; this image is one file written from front to back,
//! and it names the bytes of files where the store already has them: pack files are *devices* of the file system. Only
//! bytes that lie elsewhere (in folders, or in packs at odd offsets) are copied into the image. It is only ever made
//! here from a listing and mounted by whoever made it, or by a process of the same store; images of others are never
//! read.
//!
//! ```text
//!    0  nothing            1024 superblock (128 bytes)      1152 one slot of 128 bytes a device
//!  then inodes, 64 bytes each with extended attributes and short link targets behind them, in the listing's order
//!  then directories' blocks, each directory's when all below it is done
//!  then bytes of files that lie in no device
//! ```
//! Blocks have 512 bytes, so that a small file takes little room in a pack. All is uncompressed ("flat"); a file is one
//! run of blocks in an address space that has the image first and the devices after it (Linux, fs/erofs/erofs_fs.h).
//! The image depends on the listing, the layers' ids and the sizes of packs alone. Three passes over the listing make
//! it; what is kept in memory is some 24 bytes a directory and the names of the directories that stand open.

mod format;
mod layout;
mod write;

pub use format::read_devices as erofs_devices;
pub use write::{ErofsOptions, Packs, write_erofs};

/// Blocks of this many bits are what is made; others are for tests with tools that know one size only.
pub const EROFS_BLOCK_BITS: u32 = 9;

//! How much is read of what. A file past its bound is skipped whole, so that no bill of material is half of one.

/// A database of installed packages: `status` of dpkg, `installed` of apk. Debian's largest have 10 MiB.
pub const DATABASE: u64 = 64 << 20;
/// The manifest of one package: `package.json`, `METADATA`, one file of `status.d`.
pub const MANIFEST: u64 = 4 << 20;
/// A small text: `os-release`, `copyright`, `direct_url.json`.
pub const TEXT: u64 = 1 << 20;
/// The packed list of crates in a program.
pub const CRATES: u64 = 8 << 20;
/// The list of crates unpacked: a few bytes can stand for very much.
pub const CRATES_UNPACKED: u64 = 32 << 20;
/// The list of Go modules in a program.
pub const MODULES: u64 = 16 << 20;
/// The section headers, program headers and section names of a program, each.
pub const HEADERS: u64 = 4 << 20;
/// The directory of one zip archive.
pub const ARCHIVE_DIRECTORY: u64 = 32 << 20;
/// An archive inside an archive, unpacked.
pub const ARCHIVE_INSIDE: u64 = 64 << 20;
/// All archives inside an archive, unpacked.
pub const ARCHIVES_INSIDE: u64 = 512 << 20;
/// The packages of one tree. What comes after is skipped.
pub const PACKAGES: usize = 200_000;
/// The packages that one file tells of.
pub const PACKAGES_OF_A_FILE: usize = 50_000;
/// The edges between packages in one document.
pub const DEPENDENCIES: usize = 1_000_000;
/// The bytes of one name, version or other word; what is longer is no package.
pub const WORD: usize = 1024;

//! Bills of material: which packages a file system holds, told by what package managers and compilers left in it, and
//! the SPDX 2.3 document that says so.
//!
//! **Knows**: the databases of installed packages, the manifests of installed language packages, what compilers embed
//! in programs, package URLs, licence expressions, SPDX.
//! **Must never know**: where a file system comes from (a [`Tree`] is asked), layers but for their numbers, images,
//! attestations, the network: it says what is written in the files and looks nothing up.
//!
//! | packages of | are read from | as |
//! |---|---|---|
//! | Debian, Ubuntu | `lib/dpkg/status`, `lib/dpkg/status.d/*`; licences from `usr/share/doc/NAME/copyright` | `deb` |
//! | Alpine | `lib/apk/db/installed` | `apk` |
//! | Fedora, RHEL and others | `rpmdb.sqlite` in `var/lib/rpm` and `usr/lib/sysimage/rpm` | `rpm` |
//! | npm | every `package.json` with a name and a version | `npm` |
//! | Python | `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, `*.egg-info` | `python` |
//! | Ruby | `specifications/*.gemspec` | `gem` |
//! | PHP | composer's `installed.json` | `php-composer` |
//! | Go | the build information in a program | `go-module` |
//! | Rust | the section `.dep-v0`, which cargo-auditable writes into a program | `rust-crate` |
//!
//! All of it is hostile: a file is read up to a bound ([`limits`]), what does not parse is left out and said so
//! ([`Skipped`]), and nothing that a file says leads to another file but through [`Tree::open`].
//!
//! The same tree gives the same [`Inventory`], and with the same [`About`] the same document, however many threads read.
#![forbid(unsafe_code)]

mod distribution;
mod draft;
mod error;
mod fields;
mod inventory;
mod licence;
pub mod limits;
mod purl;
mod scan;
mod scanners;
mod spdx;
mod tree;

pub use distribution::Distribution;
pub use error::Error;
pub use inventory::{Checksum, Evidence, Inventory, Kind, Package, Party, Skipped, Source};
pub use scan::{ScanOptions, scan};
pub use spdx::{About, spdx};
pub use tree::{Content, File, Tree};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

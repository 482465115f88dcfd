//! How overlayfs writes what is removed (Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
//! directories").
//!
//! A whiteout is a character device 0:0, which needs no privilege to make since Linux 5.8, or an empty file with the
//! xattr `overlay.whiteout`. A directory is opaque by the xattr `overlay.opaque` = `y`. These xattrs are in the
//! `trusted.` namespace, or in `user.` where the overlay is mounted with `userxattr`.

/// In which namespace overlayfs keeps its own attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// `trusted.overlay.`: mounted by root of the initial user namespace.
    #[default]
    Trusted,
    /// `user.overlay.`: mounted with `userxattr` in a user namespace.
    User,
}

impl Flavour {
    /// The name of the attribute that makes a directory opaque; its value is `y`.
    pub(crate) fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }
}

/// Whether the attribute is overlayfs's own and so belongs to no layer.
pub(crate) fn is_private(name: &[u8]) -> bool {
    private_name(name).is_some()
}

/// What follows `overlay.` in one of overlayfs's own attributes.
pub(crate) fn private_name(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"trusted.overlay.").or_else(|| name.strip_prefix(b"user.overlay."))
}

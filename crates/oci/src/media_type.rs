//! Media types of OCI (image-spec, media-types.md) and their Docker schema 2 twins.

/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An OCI layer: plain tar.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An OCI layer: tar with gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// An OCI layer: tar with zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The empty JSON document of OCI artifacts.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker schema 2 manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A Docker layer: plain tar.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// A Docker layer: tar with gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A Docker layer: tar with zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// A Docker layer that may not be redistributed (Windows bases).
pub const DOCKER_FOREIGN_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Whether `media_type` names an index or a manifest list.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// Whether `media_type` names an image manifest.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// How a layer's tar is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Plain tar.
    None,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The compression that a layer's media type names, or nothing where it is no layer of a known kind.
#[must_use]
pub fn layer_compression(media_type: &str) -> Option<Compression> {
    Some(match media_type {
        OCI_LAYER | DOCKER_LAYER => Compression::None,
        OCI_LAYER_GZIP | DOCKER_LAYER_GZIP | DOCKER_FOREIGN_LAYER_GZIP => Compression::Gzip,
        OCI_LAYER_ZSTD | DOCKER_LAYER_ZSTD => Compression::Zstd,
        _ => return None,
    })
}

/// The media type of a layer with `compression`, in OCI's words or in Docker's.
#[must_use]
pub fn layer(compression: Compression, docker: bool) -> &'static str {
    match (compression, docker) {
        (Compression::None, false) => OCI_LAYER,
        (Compression::Gzip, false) => OCI_LAYER_GZIP,
        (Compression::Zstd, false) => OCI_LAYER_ZSTD,
        (Compression::None, true) => DOCKER_LAYER,
        (Compression::Gzip, true) => DOCKER_LAYER_GZIP,
        (Compression::Zstd, true) => DOCKER_LAYER_ZSTD,
    }
}

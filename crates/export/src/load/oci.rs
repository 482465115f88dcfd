//! OCI layouts (image-spec, image-layout.md): `index.json` names manifests by digest, or indexes that do.

use super::import::{Contents, Found, FoundIndex, Part};
use super::members::{Members, chain};
use super::wrong;
use crate::Result;
use crate::layout::{label, reference};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};

/// Indexes within indexes go so deep.
const DEEPEST: usize = 4;

/// Whether a layout's `index.json` names an index.
pub(super) fn has_indexes(index: &[u8]) -> bool {
    Index::parse(index)
        .is_ok_and(|index| index.manifests.iter().any(|entry| media_type::is_index(&entry.media_type)))
}

/// What a layout has: of an index all images that are there, or that for `platform`. Of manifests with one name that for
/// this platform, or else this machine's, is taken; an image that there is for other platforms only is taken as it is.
pub(super) fn images(
    members: &dyn Members,
    index: &[u8],
    platform: Option<&Platform>,
    name: &str,
) -> Result<Contents> {
    if let Some(layout) = members.document("oci-layout")? {
        check_version(&layout, name)?;
    }
    let index = parse(Index::parse(index), "index.json", name)?;
    let host = platform.cloned().unwrap_or_else(Platform::host);
    // Manifests of one name are one image for several platforms.
    let mut groups: Vec<(Option<String>, Vec<&Descriptor>)> = Vec::new();
    for descriptor in index.manifests.iter().filter(|descriptor| is_image(descriptor)) {
        let label = label(descriptor);
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((Some(_), group)) => group.push(descriptor),
            Some((None, group)) if descriptor.platform.is_some() => group.push(descriptor),
            _ => groups.push((label, vec![descriptor])),
        }
    }
    let mut found: Vec<Found> = Vec::new();
    let mut indexes: Vec<FoundIndex> = Vec::new();
    for (label, group) in groups {
        let names: Vec<Reference> = label.as_deref().and_then(reference).into_iter().collect();
        let rank =
            |descriptor: &Descriptor| descriptor.platform.as_ref().and_then(|platform| host.rank(platform));
        let best = group.iter().max_by_key(|descriptor| rank(descriptor)).copied();
        // Of equals the first.
        let chosen = best.and_then(|best| group.iter().find(|descriptor| rank(descriptor) == rank(best)));
        let Some(chosen) = chosen else { continue };
        if let Some(known) = indexes.iter_mut().find(|known| known.root.digest == chosen.digest) {
            known.names.extend(names);
            continue;
        }
        if let Some((index, images)) = whole(members, chosen, platform, name)? {
            indexes.push(FoundIndex { names, ..index });
            found.extend(images);
            continue;
        }
        let mut image = resolve(members, chosen, &host, name, 0)?;
        match found.iter_mut().find(|known| known.id == image.id) {
            Some(known) => known.names.extend(names),
            None => {
                image.names = names;
                found.push(image);
            }
        }
    }
    if found.is_empty() {
        return Err(wrong(name, "its `index.json` names no image"));
    }
    Ok(Contents { images: found, indexes })
}

/// An index with its images that are there, if that is what an entry names. Indexes in it are for [`resolve`].
fn whole(
    members: &dyn Members,
    descriptor: &Descriptor,
    platform: Option<&Platform>,
    name: &str,
) -> Result<Option<(FoundIndex, Vec<Found>)>> {
    if !media_type::is_index(&descriptor.media_type) {
        return Ok(None);
    }
    let bytes = document(members, descriptor, name)?;
    let index = parse(Index::parse(&bytes), &path(&descriptor.digest), name)?;
    if index.manifests.iter().any(|entry| media_type::is_index(&entry.media_type)) {
        return Ok(None);
    }
    let entries: Vec<&Descriptor> = match platform {
        None => index.manifests.iter().collect(),
        Some(platform) => vec![choose(&index, platform, name)?],
    };
    let (mut images, mut others, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let there = path(&entry.digest);
        if !members.has(&there)? {
            continue;
        }
        let manifest = parse(Manifest::parse(&document(members, entry, name)?), &there, name)?;
        let mut all = manifest.layers.iter().chain([&manifest.config]);
        // `docker save --platform` keeps the manifests of what it leaves out.
        if !all.try_fold(true, |all, blob| Ok::<_, crate::Error>(all && members.has(&path(&blob.digest))?))? {
            continue;
        }
        if is_image(entry) {
            let image = resolve(members, entry, &Platform::host(), name, 0)?;
            images.push((entry.digest, image.id));
            found.push(image);
        } else {
            others.push((there, entry.digest));
            let blobs = manifest.layers.iter().chain([&manifest.config]);
            others.extend(blobs.map(|blob| (path(&blob.digest), blob.digest)));
        }
    }
    if found.is_empty() {
        return Err(wrong(name, format!("none of the images of the index {} is there", descriptor.digest)));
    }
    let root = Descriptor::new(&descriptor.media_type, descriptor.digest, bytes.len() as u64);
    Ok(Some((FoundIndex { root, bytes, images, others, names: Vec::new() }, found)))
}

fn check_version(layout: &[u8], name: &str) -> Result<()> {
    let layout: serde_json::Value = serde_json::from_slice(layout)
        .map_err(|error| wrong(name, format!("its `oci-layout` cannot be read: {error}")))?;
    match layout.get("imageLayoutVersion").and_then(serde_json::Value::as_str) {
        Some(version) if version.starts_with("1.") => Ok(()),
        version => {
            let version = version.unwrap_or("none");
            Err(wrong(name, format!("its layout has version `{version}`; only 1.0.0 is known")))
        }
    }
}

/// Attestations and artifacts are no images.
fn is_image(descriptor: &Descriptor) -> bool {
    let kind = &descriptor.media_type;
    (media_type::is_index(kind) || media_type::is_manifest(kind))
        && descriptor.artifact_type.is_none()
        && descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

/// Follows a descriptor down to an image.
fn resolve(
    members: &dyn Members,
    descriptor: &Descriptor,
    host: &Platform,
    name: &str,
    depth: usize,
) -> Result<Found> {
    let bytes = document(members, descriptor, name)?;
    let path = path(&descriptor.digest);
    if media_type::is_index(&descriptor.media_type) {
        if depth >= DEEPEST {
            return Err(wrong(name, format!("it has indexes in indexes, more than {DEEPEST} deep")));
        }
        let index = parse(Index::parse(&bytes), &path, name)?;
        let mut images = index.manifests.iter().filter(|descriptor| is_image(descriptor));
        let chosen = match (images.next(), images.next()) {
            (Some(only), None) => only,
            _ => choose(&index, host, name)?,
        };
        return resolve(members, chosen, host, name, depth + 1);
    }
    let manifest = parse(Manifest::parse(&bytes), &path, name)?;
    let kind = &manifest.config.media_type;
    if kind != media_type::OCI_CONFIG && kind != media_type::DOCKER_CONFIG {
        return Err(wrong(
            name,
            format!("manifest {} is no image: its configuration is `{kind}`", descriptor.digest),
        ));
    }
    let config = document(members, &manifest.config, name)?;
    let parsed = parse(ImageConfig::parse(&config), &self::path(&manifest.config.digest), name)?;
    let parts = manifest
        .layers
        .into_iter()
        .map(|descriptor| Part { path: self::path(&descriptor.digest), descriptor: Some(descriptor) })
        .collect();
    let plain = Descriptor::new(&descriptor.media_type, descriptor.digest, bytes.len() as u64);
    Found::new(manifest.config.digest, config, parsed, parts, Some((plain, bytes)), Vec::new(), name)
}

/// The image of an index for a platform.
fn choose<'a>(index: &'a Index, platform: &Platform, name: &str) -> Result<&'a Descriptor> {
    index.choose(platform).ok_or_else(|| {
        let images = index.manifests.iter().filter(|descriptor| is_image(descriptor));
        let known: Vec<String> =
            images.filter_map(|d| d.platform.as_ref()).map(ToString::to_string).collect();
        wrong(name, format!("it has no image for {platform}, only for: {}", known.join(", ")))
    })
}

/// A document by its digest, which is checked.
fn document(members: &dyn Members, descriptor: &Descriptor, name: &str) -> Result<Vec<u8>> {
    let path = path(&descriptor.digest);
    let bytes =
        members.document(&path)?.ok_or_else(|| wrong(name, format!("`{path}` is named and not there")))?;
    let actual = Digest::of(&bytes);
    if actual != descriptor.digest {
        return Err(wrong(name, format!("`{path}` has the digest {actual}")));
    }
    Ok(bytes)
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn parse<T>(parsed: oci::Result<T>, path: &str, name: &str) -> Result<T> {
    parsed.map_err(|error| wrong(name, format!("`{path}`: {}", chain(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_tag_is_no_name() {
        let name = |label: &str| reference(label).map(|r| r.familiar());
        for label in ["latest", "1.2", "v3", "", "x/UPPER"] {
            assert_eq!(name(label), None, "{label}");
        }
        assert_eq!(name("app"), Some("app:latest".into()));
        assert_eq!(name("app:1"), Some("app:1".into()));
        assert_eq!(name("docker.io/library/app:1"), Some("app:1".into()));
    }
}

//! Where images are besides the store: a repository of a registry, or an OCI layout (image-spec, image-layout.md).
//!
//! ```text
//! docker://HOST/NAME[:TAG|@DIGEST], HOST/NAME...       a registry
//! oci-layout://FOLDER[:TAG|@DIGEST]                    a layout; the tag is its `ref.name`; alone it is the only image
//! ```

use crate::folder::Folder;
use crate::layout::{self, TAG};
use crate::sink::blob_name;
use crate::{Error, Result};
use oci::{Descriptor, Digest, Hasher, Index, Reference, media_type};
use registry::Client;
use std::io::{Read, Write};
use std::path::PathBuf;

/// One place for an image.
pub enum Place<'a> {
    /// A repository of a registry.
    Registry {
        /// Who speaks to it.
        client: &'a Client,
        /// The name there.
        reference: Reference,
    },
    /// A layout's folder.
    Layout(LayoutName),
}

/// An image of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutName {
    /// The folder.
    pub folder: PathBuf,
    /// Its tag, if one was given.
    pub tag: Option<String>,
    /// Its digest, if one was given.
    pub digest: Option<Digest>,
}

/// A manifest or an index with its bytes, whose digest was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl LayoutName {
    /// Reads what follows `oci-layout://`.
    ///
    /// # Errors
    /// A digest that is none; an empty path.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: &str| Error::Layout { name: text.to_owned(), reason: reason.to_owned() };
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| wrong("what follows the `@` is no digest"))?))
            }
            None => (text, None),
        };
        // A colon in a folder's name has a slash after it.
        let (folder, tag) = match rest.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') && !tag.is_empty() => (folder, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if folder.is_empty() {
            return Err(wrong("it names no folder"));
        }
        Ok(Self { folder: folder.into(), tag, digest })
    }

    /// The name of one manifest of the same layout.
    #[must_use]
    pub fn pinned(&self, manifest: Digest) -> Self {
        Self { folder: self.folder.clone(), tag: None, digest: Some(manifest) }
    }

    fn fail(&self, reason: impl Into<String>) -> Error {
        Error::Layout { name: self.to_string(), reason: reason.into() }
    }

    /// The bytes of a document that must be there.
    fn read(&self, folder: &Folder, name: &str) -> Result<Vec<u8>> {
        let found = folder.document(name, oci::MAX_DOCUMENT)?;
        found.ok_or_else(|| self.fail(format!("it has no `{name}`")))
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Fetched> {
        let bytes = self.read(&Folder::open(&self.folder)?, &blob_name(&descriptor.digest))?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(self.fail(format!("blob {} has the digest {found}", descriptor.digest)));
        }
        let size = bytes.len() as u64;
        Ok(Fetched { descriptor: Descriptor::new(&descriptor.media_type, found, size), bytes })
    }

    /// The entries of the layout's index, and those of them that the name stands for, each document once.
    fn entries(&self) -> Result<(Index, Vec<Descriptor>)> {
        let index = Index::parse(&self.read(&Folder::open(&self.folder)?, "index.json")?)?;
        let named = |entry: &&Descriptor| match (&self.digest, &self.tag) {
            (Some(digest), _) => entry.digest == *digest,
            (None, Some(tag)) => entry.annotations.get(TAG) == Some(tag),
            (None, None) => true,
        };
        let mut found: Vec<Descriptor> = index.manifests.iter().filter(named).cloned().collect();
        if self.digest.is_none() && self.tag.is_none() && found.len() > 1 {
            found.retain(|entry| entry.annotations.get(TAG).is_none_or(|tag| tag == "latest"));
        }
        found.dedup_by_key(|entry| entry.digest);
        Ok((index, found))
    }

    /// What the name stands for.
    ///
    /// # Errors
    /// No layout; nothing of that tag or digest; several images and no tag.
    pub fn resolve(&self) -> Result<Fetched> {
        let (index, found) = self.entries()?;
        match (&found[..], self.digest) {
            ([one], _) => self.document(one),
            // A digest may also be that of a manifest which an index names.
            ([], Some(digest)) => self.document(&Descriptor::new("", digest, 0)).map(typed),
            ([], None) => {
                let tags: Vec<&str> = index
                    .manifests
                    .iter()
                    .filter_map(|entry| Some(entry.annotations.get(TAG)?.as_str()))
                    .collect();
                Err(self.fail(format!("it has no image of that name; it has {}", tags.join(", "))))
            }
            _ => Err(self.fail("it has several images: name one with `:TAG` or `@DIGEST`")),
        }
    }

    /// What the layout calls the image: a whole name, not a tag alone.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn image_name(&self) -> Result<Option<Reference>> {
        let (_, found) = self.entries()?;
        Ok(found.iter().find_map(|entry| layout::reference(&layout::label(entry)?)))
    }
}

/// The type of a document by what it says of itself.
fn typed(mut fetched: Fetched) -> Fetched {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        media_type: Option<String>,
        manifests: Option<Vec<serde::de::IgnoredAny>>,
    }
    let said = serde_json::from_slice::<Said>(&fetched.bytes).ok();
    fetched.descriptor.media_type = match said {
        Some(Said { media_type: Some(said), .. }) => said,
        Some(Said { manifests: Some(_), .. }) => media_type::OCI_INDEX.to_owned(),
        _ => media_type::OCI_MANIFEST.to_owned(),
    };
    fetched
}

impl std::fmt::Display for LayoutName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "oci-layout://{}", self.folder.display())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Registry { reference, .. } => write!(f, "{reference}"),
            Self::Layout(name) => write!(f, "{name}"),
        }
    }
}

impl Place<'_> {
    /// What the name stands for.
    ///
    /// # Errors
    /// What the registry says; as [`LayoutName::resolve`].
    pub fn resolve(&self) -> Result<Fetched> {
        match self {
            Self::Registry { client, reference } => {
                let fetched = client.manifest(reference)?;
                Ok(Fetched { descriptor: fetched.descriptor(), bytes: fetched.bytes })
            }
            Self::Layout(name) => name.resolve(),
        }
    }

    /// A manifest or index of the same place, by its digest.
    ///
    /// # Errors
    /// What the registry says; a document that is not there or damaged.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Fetched> {
        match self {
            Self::Registry { client, reference } => {
                let fetched = client.manifest(&reference.with_digest(descriptor.digest))?;
                Ok(Fetched { descriptor: fetched.descriptor(), bytes: fetched.bytes })
            }
            Self::Layout(name) => name.document(descriptor),
        }
    }

    /// Writes a blob of the same place to `sink`, checked as it comes.
    ///
    /// # Errors
    /// What the registry says; a blob that is not there or damaged; the sink fails.
    pub fn blob(&self, descriptor: &Descriptor, sink: &mut dyn Write, progress: &dyn Fn(u64)) -> Result<()> {
        match self {
            Self::Registry { client, reference } => {
                Ok(client.blob(reference, descriptor, Hasher::new(), sink, progress)?)
            }
            Self::Layout(name) => {
                let member = blob_name(&descriptor.digest);
                let file = Folder::open(&name.folder)?.file(&member)?;
                let (file, _) = file.ok_or_else(|| name.fail(format!("it has no `{member}`")))?;
                let mut file = file.take(descriptor.size.saturating_add(1));
                let path = name.folder.join(member);
                let io = |action| {
                    let path = path.clone();
                    move |source| Error::Io { action, path, source }
                };
                let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 20]);
                loop {
                    let count = file.read(&mut buffer).map_err(io("read"))?;
                    if count == 0 {
                        break;
                    }
                    hasher.update(&buffer[..count]);
                    sink.write_all(&buffer[..count]).map_err(io("pass on"))?;
                    progress(hasher.size());
                }
                let (size, found) = (hasher.size(), hasher.finish());
                if size != descriptor.size || found != descriptor.digest {
                    let wanted = descriptor.digest;
                    return Err(name.fail(format!("blob {wanted} is damaged: it has the digest {found}")));
                }
                Ok(())
            }
        }
    }

    /// Whether blobs of `self` are in the same registry as `other`, in another repository: then they can be mounted.
    pub(crate) fn mounts_from(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Registry { reference, .. }, Self::Registry { reference: source, .. })
                if reference.host() == source.host() && reference.path() != source.path() =>
            {
                Some(source.path().to_owned())
            }
            _ => None,
        }
    }

    /// Puts a document there, under its digest.
    ///
    /// # Errors
    /// What the registry says; the layout cannot be written.
    pub fn put(&self, document: &Fetched) -> Result<()> {
        match self {
            Self::Registry { client, reference } => {
                let name = reference.with_digest(document.descriptor.digest);
                client.push_manifest(&name, &document.bytes, &document.descriptor.media_type)?;
                Ok(())
            }
            Self::Layout(name) => layout::add_document(&name.folder, document),
        }
    }

    /// Puts the tag of this place's name on a document that is there, or, in a layout, an entry without one.
    ///
    /// # Errors
    /// What the registry says; the layout's index cannot be written.
    pub fn name(&self, root: &Fetched) -> Result<()> {
        match self {
            Self::Registry { client, reference } => {
                client.push_manifest(reference, &root.bytes, &root.descriptor.media_type)?;
                Ok(())
            }
            Self::Layout(name) => layout::add_entry(&name.folder, &root.descriptor, name.tag.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_layouts() {
        let parse = |text| LayoutName::parse(text).map(|name| (name.folder.display().to_string(), name.tag));
        assert_eq!(parse("/a/b").unwrap(), ("/a/b".to_owned(), None));
        assert_eq!(parse("b:v1").unwrap(), ("b".to_owned(), Some("v1".to_owned())));
        assert_eq!(parse("/a:b/c").unwrap(), ("/a:b/c".to_owned(), None));
        let digest = Digest::of(b"x");
        let name = LayoutName::parse(&format!("/a:v1@{digest}")).unwrap();
        assert_eq!((name.tag.as_deref(), name.digest), (Some("v1"), Some(digest)));
        assert_eq!(name.to_string(), format!("oci-layout:///a:v1@{digest}"));
        assert!(LayoutName::parse("").is_err());
        assert!(LayoutName::parse("a@sha256:1").is_err());
    }
}

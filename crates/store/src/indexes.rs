//! Indexes that names stand for, and what of them is here.
//!
//! A name's row says what it stands for in a registry. Where that is an index, the table `parts` says what this store
//! has of it: manifests with the images that they are of, and, without an image, attestations and what these name. The
//! index itself and its parts are kept as long as a name stands for it. A name also stands for one image: that of this
//! machine, or, where the index has none for it here, the one that came last.

use crate::images::{Image, Removed, holder, put_name, read_image, resolve};
use crate::inner::Store;
use crate::layers::json;
use crate::{Error, Result};
use oci::{Descriptor, Digest, ImageConfig, Index, Platform, Reference};
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::{HashMap, HashSet};

/// An index to be named. Its bytes and its parts are blobs of the store already.
#[derive(Clone, Debug)]
pub struct NewIndex {
    /// What it is.
    pub root: Descriptor,
    /// The manifests of its images that are here, and the images' ids.
    pub images: Vec<(Digest, Digest)>,
    /// Its other manifests that are here, and all that these name.
    pub others: Vec<Digest>,
    /// What it is called.
    pub names: Vec<Reference>,
    /// The machine's platform: an image for it is the one that the names stand for by themselves.
    pub machine: Platform,
}

/// An index that a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedIndex {
    /// What it is; its bytes are a blob.
    pub root: Descriptor,
    /// The images that are here, by their manifests' digests.
    pub images: HashMap<Digest, Digest>,
    /// The other blobs that are here.
    pub others: HashSet<Digest>,
}

impl Store {
    /// Gives names to an index. What was here of the same index before stays.
    ///
    /// # Errors
    /// [`Error::NotFound`] if one of its images or blobs is not here.
    pub fn put_index(&self, index: &NewIndex) -> Result<()> {
        if self.knows(index)? {
            return Ok(());
        }
        let manifests = index.images.iter().map(|(manifest, _)| manifest);
        for blob in manifests.chain(&index.others).chain([&index.root.digest]) {
            self.has_blob(blob)?.ok_or_else(|| Error::not_found("blob", blob))?;
        }
        // What the index says counts: configurations often leave out the variant.
        let named = Index::parse(&self.read_blob(&index.root.digest, oci::MAX_DOCUMENT)?);
        let named = named.map_or_else(|_| Vec::new(), |named| named.manifests);
        let platform = |manifest: &Digest| {
            let entry = named.iter().find(|entry| entry.digest == *manifest)?;
            entry.platform.as_ref().map(ToString::to_string)
        };
        let boot = self.boot()?;
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            let root = &index.root.digest.as_bytes()[..];
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO parts (root, part, image, platform) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut touch = transaction.prepare_cached("UPDATE images SET last_used = ?2 WHERE id = ?1")?;
            for (manifest, image) in &index.images {
                if touch.execute(params![&image.as_bytes()[..], tick])? == 0 {
                    return Err(Error::not_found("image", image));
                }
                put.execute(params![
                    root,
                    &manifest.as_bytes()[..],
                    &image.as_bytes()[..],
                    platform(manifest)
                ])?;
            }
            // An image's manifest is no other, even where the index says so too.
            let mut put =
                transaction.prepare_cached("INSERT OR IGNORE INTO parts (root, part) VALUES (?1, ?2)")?;
            for other in &index.others {
                put.execute([root, &other.as_bytes()[..]])?;
            }
            let latest = index.images.last().map(|(_, image)| *image);
            let image = best(transaction, &index.root.digest, &index.machine, boot)?
                .or(latest)
                .ok_or_else(|| Error::not_found("image of the index", index.root.digest))?;
            for name in &index.names {
                put_name(transaction, name, &image, Some(&index.root), tick)?;
            }
            Ok(())
        })?;
        self.made_something();
        Ok(())
    }

    /// Whether all that is to be put is here already.
    fn knows(&self, index: &NewIndex) -> Result<bool> {
        for name in &index.names {
            let known = self.index(&name.to_string())?.is_some_and(|known| {
                known.root.digest == index.root.digest
                    && index.images.iter().all(|(part, image)| known.images.get(part) == Some(image))
                    && index.others.iter().all(|part| known.others.contains(part))
            });
            if !known {
                return Ok(false);
            }
        }
        Ok(!index.names.is_empty())
    }

    /// The index that a name stands for, if it is one of which something is here.
    pub fn index(&self, name: &str) -> Result<Option<NamedIndex>> {
        self.leased()?;
        self.read(|transaction| named(transaction, name))
    }

    /// What a name, or one of its repository by digest, stands for in its registry, where that is known.
    pub fn stands_for(&self, name: &Reference) -> Result<Option<Descriptor>> {
        self.read(|transaction| stands_for(transaction, name))
    }

    /// The image that `text` names for a platform: of an index the one that fits best. Nothing where none fits.
    ///
    /// # Errors
    /// As [`Store::image`].
    pub fn image_for(&self, text: &str, platform: &Platform) -> Result<Option<Image>> {
        let boot = self.boot()?;
        let (chosen, of_index) = self.read(|transaction| match named(transaction, text)? {
            Some(index) => Ok((best(transaction, &index.root.digest, platform, boot)?, true)),
            None => Ok((resolve(transaction, text, boot)?, false)),
        })?;
        let Some(id) = chosen else { return Ok(None) };
        let Some(image) = self.image(&id.to_string())? else { return Ok(None) };
        let fits = of_index || own_platform(&image.config).is_some_and(|own| platform.rank(&own).is_some());
        Ok(fits.then_some(image))
    }

    /// The images that are in an index which a name stands for, with these names.
    pub fn indexed_images(&self) -> Result<HashMap<Digest, Vec<String>>> {
        self.read(indexed)
    }

    /// The images of an index that are here, each with its manifest's digest, in the order of the digests.
    pub fn images_of(&self, index: &NamedIndex) -> Result<Vec<(Digest, Image)>> {
        let boot = self.boot()?;
        let mut found = Vec::with_capacity(index.images.len());
        for (manifest, id) in &index.images {
            let image = self.read(|transaction| read_image(transaction, id, boot))?;
            found.extend(image.map(|(image, _)| (*manifest, image)));
        }
        found.sort_by_key(|(manifest, _)| *manifest);
        Ok(found)
    }
}

impl Store {
    /// Removes the image of a platform from the index that a name stands for, as `docker rmi --platform` does; all names
    /// of the index lose it. An image that is alone under its name goes with the name, as does the last one of an index.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image, or none for the very platform; [`Error::InUse`] if a container uses
    /// the image, unless `force`.
    pub fn remove_platform(
        &self,
        text: &str,
        platform: &Platform,
        machine: &Platform,
        force: bool,
    ) -> Result<Vec<Removed>> {
        let boot = self.boot()?;
        let missing = || Error::not_found("image", format!("{text} for {platform}"));
        let removed = self.write(|transaction| {
            let Some(index) = named(transaction, text)? else {
                let id = resolve(transaction, text, boot)?.ok_or_else(|| Error::not_found("image", text))?;
                let image = read_image(transaction, &id, boot)?.ok_or_else(missing)?.0;
                let own = own_platform(&image.config).ok_or_else(missing)?;
                return if own.normalised() == platform.normalised() { Ok(None) } else { Err(missing()) };
            };
            let root = index.root.digest;
            let images = parts(transaction, &root, boot)?;
            let wanted = |part: &&Part| part.platform.normalised() == platform.normalised();
            let image = images.iter().find(wanted).ok_or_else(missing)?.image;
            if images.iter().all(|part| part.image == image) {
                return Ok(None);
            }
            if let Some(holder) = holder(transaction, &image)?
                && !force
            {
                let name = format!("{text} for {platform}");
                return Err(Error::InUse { kind: "image", name, by: format!("container {holder} uses it") });
            }
            transaction
                .prepare_cached("DELETE FROM parts WHERE root = ?1 AND image = ?2")?
                .execute([&root.as_bytes()[..], &image.as_bytes()[..]])?;
            // The names stand for another of its images by themselves.
            let latest = images.iter().rev().find(|part| part.image != image).map(|part| part.image);
            let next = best(transaction, &root, machine, boot)?.or(latest).ok_or_else(missing)?;
            let mut rename =
                transaction.prepare_cached("UPDATE names SET image = ?2 WHERE reference = ?1")?;
            for name in roots(transaction)?.remove(&root).map(|(_, names)| names).unwrap_or_default() {
                rename.execute(params![name, &next.as_bytes()[..]])?;
            }
            let mut removed = Vec::new();
            if is_free(transaction, &image)? {
                self.delete_image(transaction, &image, &mut removed)?;
            }
            Ok(Some(removed))
        })?;
        match removed {
            Some(removed) => Ok(removed),
            None => self.remove_image(text, force),
        }
    }
}

/// An image of an index that is here.
struct Part {
    image: Digest,
    /// What the index says that it is for, or else the image itself.
    platform: Platform,
}

/// The images of an index that are here, in the order in which they came.
fn parts(transaction: &Transaction<'_>, root: &Digest, boot: &str) -> Result<Vec<Part>> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, platform, config FROM parts JOIN images ON images.id = parts.image
         WHERE root = ?1 AND (boot IS NULL OR boot = ?2) ORDER BY created, id",
    )?;
    let mut rows = statement.query(params![&root.as_bytes()[..], boot])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let said = row.get::<_, Option<String>>(1)?.and_then(|text| text.parse().ok());
        let platform = match said {
            Some(said) => Some(said),
            None => own_platform(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?),
        };
        let image = Digest::from_bytes(row.get(0)?);
        found.extend(platform.map(|platform| Part { image, platform }));
    }
    Ok(found)
}

/// The platform that an image's configuration says it is for.
fn own_platform(config: &[u8]) -> Option<Platform> {
    Some(ImageConfig::parse(config).ok()?.platform())
}

/// The image of an index that fits a platform best.
fn best(
    transaction: &Transaction<'_>,
    root: &Digest,
    platform: &Platform,
    boot: &str,
) -> Result<Option<Digest>> {
    let mut best: Option<(u32, Digest)> = None;
    for part in parts(transaction, root, boot)? {
        if let Some(rank) = platform.rank(&part.platform)
            && best.is_none_or(|(known, _)| rank > known)
        {
            best = Some((rank, part.image));
        }
    }
    Ok(best.map(|(_, id)| id))
}

/// The index that a name stands for.
fn named(transaction: &Transaction<'_>, text: &str) -> Result<Option<NamedIndex>> {
    let Ok(reference) = text.parse::<Reference>() else { return Ok(None) };
    let Some(root) = stands_for(transaction, &reference)? else { return Ok(None) };
    let mut index = NamedIndex { root, images: HashMap::new(), others: HashSet::new() };
    let mut statement = transaction.prepare_cached("SELECT part, image FROM parts WHERE root = ?1")?;
    let mut rows = statement.query([&index.root.digest.as_bytes()[..]])?;
    while let Some(row) = rows.next()? {
        let part = Digest::from_bytes(row.get(0)?);
        match row.get::<_, Option<[u8; 32]>>(1)? {
            Some(image) => {
                index.images.insert(part, Digest::from_bytes(image));
            }
            None => {
                index.others.insert(part);
            }
        }
    }
    Ok((!index.images.is_empty()).then_some(index))
}

/// What a name, or one of its repository by digest, stands for in its registry.
fn stands_for(transaction: &Transaction<'_>, name: &Reference) -> Result<Option<Descriptor>> {
    let exact: Option<Option<String>> = transaction
        .prepare_cached("SELECT manifest FROM names WHERE reference = ?1")?
        .query_row([name.to_string()], |row| row.get(0))
        .optional()?;
    if let Some(manifest) = exact.flatten() {
        return Ok(Some(json(&manifest, "a name's manifest")?));
    }
    let Some(digest) = name.digest() else { return Ok(None) };
    Ok(roots(transaction)?.remove(&digest).and_then(|(root, names)| {
        let same = |known: &String| known.parse::<Reference>().is_ok_and(|known| known.name() == name.name());
        names.iter().any(same).then_some(root)
    }))
}

/// What names stand for in their registries, with these names.
fn roots(transaction: &Transaction<'_>) -> Result<HashMap<Digest, (Descriptor, Vec<String>)>> {
    let mut found: HashMap<Digest, (Descriptor, Vec<String>)> = HashMap::new();
    let mut statement = transaction.prepare_cached(
        "SELECT reference, manifest FROM names WHERE manifest IS NOT NULL ORDER BY reference",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let manifest: Descriptor = json(&row.get::<_, String>(1)?, "a name's manifest")?;
        found.entry(manifest.digest).or_insert_with(|| (manifest, Vec::new())).1.push(row.get(0)?);
    }
    Ok(found)
}

/// The images of named indexes, with the names.
fn indexed(transaction: &Transaction<'_>) -> Result<HashMap<Digest, Vec<String>>> {
    let roots = roots(transaction)?;
    let mut found: HashMap<Digest, Vec<String>> = HashMap::new();
    let mut statement =
        transaction.prepare_cached("SELECT root, image FROM parts WHERE image IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some((_, names)) = roots.get(&Digest::from_bytes(row.get(0)?)) {
            found.entry(Digest::from_bytes(row.get(1)?)).or_default().extend(names.iter().cloned());
        }
    }
    Ok(found)
}

/// The names of indexes that an image is in.
pub(crate) fn names_with(transaction: &Transaction<'_>, image: &Digest) -> Result<Vec<String>> {
    let is_part = transaction
        .prepare_cached("SELECT 1 FROM parts WHERE image = ?1")?
        .exists([&image.as_bytes()[..]])?;
    Ok(if is_part { indexed(transaction)?.remove(image).unwrap_or_default() } else { Vec::new() })
}

/// The index that a name stands for, if something of it is here.
pub(crate) fn root_of(transaction: &Transaction<'_>, text: &str) -> Result<Option<Descriptor>> {
    Ok(named(transaction, text)?.map(|index| index.root))
}

/// The blobs that named indexes keep.
pub(crate) fn kept_blobs(transaction: &Transaction<'_>) -> Result<Vec<Digest>> {
    let roots = roots(transaction)?;
    let mut kept: Vec<Digest> = roots.keys().copied().collect();
    let mut statement = transaction.prepare_cached("SELECT root, part FROM parts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if roots.contains_key(&Digest::from_bytes(row.get(0)?)) {
            kept.push(Digest::from_bytes(row.get(1)?));
        }
    }
    Ok(kept)
}

/// Forgets the parts of indexes that no name stands for any more. Gives the images that were in them and are not named,
/// in no other index, and not in use.
pub(crate) fn forget_nameless(transaction: &Transaction<'_>) -> Result<Vec<Digest>> {
    let roots = roots(transaction)?;
    let mut statement = transaction.prepare_cached("SELECT DISTINCT root FROM parts")?;
    let known = statement.query_map([], |row| row.get(0).map(Digest::from_bytes))?;
    let dead: Vec<Digest> = known
        .collect::<rusqlite::Result<Vec<_>>>()?
        .into_iter()
        .filter(|root| !roots.contains_key(root))
        .collect();
    let mut loose: HashSet<Digest> = HashSet::new();
    let mut take = transaction.prepare_cached("DELETE FROM parts WHERE root = ?1 RETURNING image")?;
    for root in dead {
        let images = take.query_map([&root.as_bytes()[..]], |row| row.get::<_, Option<[u8; 32]>>(0))?;
        for image in images {
            loose.extend(image?.map(Digest::from_bytes));
        }
    }
    let mut free = Vec::new();
    for image in loose {
        if is_free(transaction, &image)? {
            free.push(image);
        }
    }
    free.sort();
    Ok(free)
}

/// Whether an image has no name, is in no index and in no container.
fn is_free(transaction: &Transaction<'_>, image: &Digest) -> Result<bool> {
    let mut needed = transaction.prepare_cached(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM names WHERE image = ?1)
         OR EXISTS (SELECT 1 FROM parts WHERE image = ?1) OR EXISTS (SELECT 1 FROM containers WHERE image = ?1)",
    )?;
    Ok(!needed.exists([&image.as_bytes()[..]])?)
}

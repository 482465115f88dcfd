//! Images and their names; and bases, which are tags that were resolved for `FROM` without pulling their layers.
//!
//! An image's id is the digest of its configuration. A name stands for one image at a time, or for an index of several
//! (see `indexes.rs`); the image that loses its last name stays, dangling, until it is removed or pruned.

use crate::indexes;
use crate::inner::{Store, time};
use crate::layers::{json, stack, stack_bytes};
use crate::{Error, Result};
use layer::LayerId;
use oci::{Descriptor, Digest, Reference};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// An image to be put into the store.
#[derive(Clone, Debug, Default)]
pub struct NewImage {
    /// The configuration's bytes; their digest is the image's id.
    pub config: Vec<u8>,
    /// Its layers, lowest first. Each must be here with its files.
    pub stack: Vec<LayerId>,
    /// Its manifest with its bytes, if it has one already.
    pub manifest: Option<(Descriptor, Vec<u8>)>,
    /// The names it gets. Other images lose them.
    pub names: Vec<Reference>,
    /// What the names stand for in their registry, where that is known: the manifest's or the index's descriptor.
    pub pulled: Option<Descriptor>,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// Its layers, lowest first.
    pub stack: Vec<LayerId>,
    /// Its manifest, whose bytes are a blob.
    pub manifest: Option<Descriptor>,
    /// Its names, in order.
    pub names: Vec<ImageName>,
    /// When it came into this store (the configuration says when it was built).
    pub created: SystemTime,
    /// The bytes of all its layers.
    pub size: u64,
}

/// A name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The full name.
    pub reference: String,
    /// What it stands for in its registry, where that is known.
    pub manifest: Option<Descriptor>,
}

/// The manifest in a row of `bases`: its descriptor with a field more.
#[derive(Serialize, Deserialize)]
struct Resolved {
    #[serde(flatten)]
    manifest: Descriptor,
    resolved: Option<Digest>,
}

/// What [`Store::remove_image`] did, one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone.
    Untagged(String),
    /// An image is gone.
    Deleted(Digest),
}

/// A tag as it was resolved for `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The manifest of the platform.
    pub manifest: Descriptor,
    /// What the tag stood for: the index, or the manifest. Unknown of tags that were resolved by an earlier version.
    pub resolved: Option<Digest>,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// When it was resolved.
    pub updated: SystemTime,
}

impl Store {
    /// Puts an image in and gives it its names, all at once. Gives its id.
    ///
    /// # Errors
    /// [`Error::Layer`] if a layer is gone or its files are not here: an image that has a name is complete.
    pub fn put_image(&self, image: &NewImage) -> Result<Digest> {
        let id = Digest::of(&image.config);
        let infos = self.layers(&image.stack)?;
        for (id, info) in image.stack.iter().zip(infos) {
            let reason = match info {
                Some(info) if info.is_local() => continue,
                Some(_) => "is not pulled, and an image needs it",
                None => "is gone, and an image needs it",
            };
            return Err(Error::Layer { id: *id, reason });
        }
        if let Some((descriptor, bytes)) = &image.manifest {
            self.put_blob(bytes, &descriptor.media_type)?;
        }
        let boot = self.boot()?;
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            if let Some(gone) = self.touch_layers(transaction, &image.stack)?.first() {
                return Err(Error::Layer { id: *gone, reason: "is gone, and an image needs it" });
            }
            let old: Option<Vec<u8>> = transaction
                .prepare_cached("SELECT stack FROM images WHERE id = ?1")?
                .query_row([&id.as_bytes()[..]], |row| row.get(0))
                .optional()?;
            self.touch_layers(transaction, &stack(&old.unwrap_or_default()))?;
            transaction
                .prepare_cached(
                    "INSERT INTO images VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
                     ON CONFLICT (id) DO UPDATE SET stack = ?3, manifest = coalesce(?4, manifest), last_used = ?5,
                         boot = iif(boot IS NULL AND stack = ?3, NULL, ?6)",
                )?
                .execute(params![
                    &id.as_bytes()[..],
                    image.config,
                    stack_bytes(&image.stack),
                    image.manifest.as_ref().map(|(descriptor, _)| to_json(descriptor)),
                    tick,
                    boot
                ])?;
            for name in &image.names {
                put_name(transaction, name, &id, image.pulled.as_ref(), tick)?;
            }
            Ok(())
        })?;
        self.made_something();
        Ok(id)
    }

    /// The image that `text` names: a name (completed as Docker does), a name with a digest, an id, or the beginning of
    /// an id. Touched for the lease.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] for a beginning that several ids have.
    pub fn image(&self, text: &str) -> Result<Option<Image>> {
        let lease = self.leased()?;
        let boot = self.boot()?;
        let found = self.read(|transaction| {
            let Some(id) = resolve(transaction, text, boot)? else { return Ok(None) };
            read_image(transaction, &id, boot)
        })?;
        let Some((image, last_used)) = found else { return Ok(None) };
        if last_used < lease {
            let here = self.write(|transaction| {
                let tick = self.tick(transaction)?;
                let mut touch =
                    transaction.prepare_cached("UPDATE images SET last_used = ?2 WHERE id = ?1")?;
                Ok(touch.execute(params![&image.id.as_bytes()[..], tick])? > 0)
            })?;
            if !here {
                return Ok(None);
            }
        }
        Ok(Some(image))
    }

    /// The id of the image that `text` names, without reading or touching it.
    pub fn image_id(&self, text: &str) -> Result<Option<Digest>> {
        let boot = self.boot()?;
        self.read(|transaction| resolve(transaction, text, boot))
    }

    /// All images, the newest first.
    pub fn images(&self) -> Result<Vec<Image>> {
        let boot = self.boot()?;
        self.read(|transaction| {
            let ids: Vec<Digest> = transaction
                .prepare_cached(
                    "SELECT id FROM images WHERE boot IS NULL OR boot = ?1 ORDER BY created DESC, id",
                )?
                .query_map([boot], |row| row.get(0).map(Digest::from_bytes))?
                .collect::<rusqlite::Result<_>>()?;
            let mut images = Vec::with_capacity(ids.len());
            for id in ids {
                images.extend(read_image(transaction, &id, boot)?.map(|(image, _)| image));
            }
            Ok(images)
        })
    }

    /// Gives an image another name; an image that had it loses it. The name of an index gives the index that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image.
    pub fn tag(&self, image: &str, name: &Reference) -> Result<()> {
        let boot = self.boot()?;
        self.write(|transaction| {
            let id = resolve(transaction, image, boot)?.ok_or_else(|| Error::not_found("image", image))?;
            let tick = self.tick(transaction)?;
            let index = indexes::root_of(transaction, image)?;
            put_name(transaction, name, &id, index.as_ref(), tick)
        })
    }

    /// Remembers what a name of an image stands for in its registry, after a push. A name that is another image's here
    /// says nothing about this one.
    pub fn set_pulled(&self, name: &Reference, image: &Digest, manifest: &Descriptor) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("UPDATE names SET manifest = ?3 WHERE reference = ?1 AND image = ?2")?
                .execute(params![name.to_string(), &image.as_bytes()[..], to_json(manifest)])?;
            Ok(())
        })
    }

    /// Removes a name or an image as `docker rmi` does: by name, that name, and the image with its last one; by id, the
    /// image with its one name, or with all of them if forced. The images of an index go with its last name. Layers go with the next collection ([`Store::sweep`]).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] if a container uses the image, or it has several names, unless `force`.
    pub fn remove_image(&self, text: &str, force: bool) -> Result<Vec<Removed>> {
        let boot = self.boot()?;
        self.write(|transaction| {
            let id = resolve(transaction, text, boot)?.ok_or_else(|| Error::not_found("image", text))?;
            let names = names_of(transaction, &id)?;
            indexes::forget_nameless(transaction)?;
            let by_name = text
                .parse::<Reference>()
                .ok()
                .map(|reference| reference.to_string())
                .filter(|reference| names.iter().any(|name| name.reference == *reference));
            let in_use = |by: String| Error::InUse { kind: "image", name: text.to_owned(), by };
            let mut removed = Vec::new();
            let mut untag = transaction.prepare_cached("DELETE FROM names WHERE reference = ?1")?;
            if let Some(name) = &by_name
                && names.len() > 1
            {
                untag.execute([name])?;
                removed.push(Removed::Untagged(name.clone()));
                self.delete_nameless(transaction, &mut removed)?;
                return Ok(removed);
            }
            let holder = holder(transaction, &id)?;
            if !force {
                if by_name.is_none() && names.len() > 1 {
                    return Err(in_use(format!("it has {} names; remove those, or force it", names.len())));
                }
                if let Some(holder) = &holder {
                    return Err(in_use(format!("container {holder} uses it")));
                }
                let of = indexes::names_with(transaction, &id)?;
                if let Some(of) = of.iter().find(|of| names.iter().all(|name| name.reference != **of)) {
                    return Err(in_use(format!("it is in the index {of}; remove that, or force it")));
                }
            }
            for name in names {
                untag.execute([&name.reference])?;
                removed.push(Removed::Untagged(name.reference));
            }
            // A container that uses it keeps it, without a name.
            if holder.is_none() {
                self.delete_image(transaction, &id, &mut removed)?;
            }
            self.delete_nameless(transaction, &mut removed)?;
            Ok(removed)
        })
    }

    /// Deletes the images that were only in indexes whose last name is gone.
    fn delete_nameless(&self, transaction: &Transaction<'_>, removed: &mut Vec<Removed>) -> Result<()> {
        for image in indexes::forget_nameless(transaction)? {
            self.delete_image(transaction, &image, removed)?;
        }
        Ok(())
    }

    pub(crate) fn delete_image(
        &self,
        transaction: &Transaction<'_>,
        id: &Digest,
        removed: &mut Vec<Removed>,
    ) -> Result<()> {
        let gone: Option<Vec<u8>> = transaction
            .prepare_cached("DELETE FROM images WHERE id = ?1 RETURNING stack")?
            .query_row([&id.as_bytes()[..]], |row| row.get(0))
            .optional()?;
        if let Some(gone) = gone {
            transaction
                .prepare_cached("DELETE FROM parts WHERE image = ?1")?
                .execute([&id.as_bytes()[..]])?;
            self.touch_layers(transaction, &stack(&gone))?;
            removed.push(Removed::Deleted(*id));
        }
        Ok(())
    }

    /// Remembers what a tag stands for, and its manifest for a platform (`linux/amd64`), so that the next build need not
    /// ask.
    pub fn remember_base(
        &self,
        name: &Reference,
        platform: &str,
        resolved: Digest,
        manifest: &Descriptor,
        config: &[u8],
    ) -> Result<()> {
        let manifest = Resolved { manifest: manifest.clone(), resolved: Some(resolved) };
        let manifest = serde_json::to_string(&manifest).expect("because it holds only strings and numbers");
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            transaction
                .prepare_cached("INSERT OR REPLACE INTO bases VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![name.to_string(), platform, manifest, config, tick])?;
            Ok(())
        })
    }

    /// What the tag was last resolved to for the platform.
    pub fn base(&self, name: &Reference, platform: &str) -> Result<Option<Base>> {
        self.read(|transaction| {
            let found = transaction
                .prepare_cached(
                    "SELECT manifest, config, updated FROM bases WHERE reference = ?1 AND platform = ?2",
                )?
                .query_row([name.to_string().as_str(), platform], |row| {
                    Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((manifest, config, updated)) = found else { return Ok(None) };
            let Resolved { manifest, resolved } = json(&manifest, "a base's manifest")?;
            Ok(Some(Base { manifest, resolved, config, updated: time(updated) }))
        })
    }
}

/// A container that uses an image.
pub(crate) fn holder(transaction: &Transaction<'_>, image: &Digest) -> Result<Option<String>> {
    Ok(transaction
        .prepare_cached("SELECT name FROM containers WHERE image = ?1 LIMIT 1")?
        .query_row([&image.as_bytes()[..]], |row| row.get(0))
        .optional()?)
}

pub(crate) fn put_name(
    transaction: &Transaction<'_>,
    name: &Reference,
    id: &Digest,
    manifest: Option<&Descriptor>,
    tick: i64,
) -> Result<()> {
    transaction.prepare_cached("INSERT OR REPLACE INTO names VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        name.to_string(),
        &id.as_bytes()[..],
        manifest.map(to_json),
        tick
    ])?;
    Ok(())
}

fn to_json(descriptor: &Descriptor) -> String {
    serde_json::to_string(descriptor).expect("because a descriptor holds only strings and numbers")
}

/// A name first, then an id or its beginning.
pub(crate) fn resolve(transaction: &Transaction<'_>, text: &str, boot: &str) -> Result<Option<Digest>> {
    let id = |row: &Row<'_>| row.get(0).map(Digest::from_bytes);
    let exact = |digest: &Digest| {
        transaction
            .prepare_cached("SELECT id FROM images WHERE id = ?1 AND (boot IS NULL OR boot = ?2)")?
            .query_row(params![&digest.as_bytes()[..], boot], id)
            .optional()
    };
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok(exact(&digest)?);
    }
    if let Ok(reference) = text.parse::<Reference>() {
        let named = transaction
            .prepare_cached("SELECT image FROM names WHERE reference = ?1")?
            .query_row([reference.to_string()], id)
            .optional()?;
        if let Some(named) = named {
            return Ok(exact(&named)?);
        }
        // `name@digest`: any name of that repository that stands for this digest.
        if let Some(digest) = reference.digest() {
            let mut statement = transaction.prepare_cached(
                "SELECT image, reference, manifest FROM names WHERE reference >= ?1 AND manifest IS NOT NULL
                 ORDER BY reference",
            )?;
            let repository = reference.name();
            let mut rows = statement.query([&repository])?;
            while let Some(row) = rows.next()? {
                let name: String = row.get(1)?;
                if !name.starts_with(&repository) {
                    break;
                }
                let same = name.parse::<Reference>().is_ok_and(|name| name.name() == repository);
                let manifest: Descriptor = json(&row.get::<_, String>(2)?, "a name's manifest")?;
                if same && manifest.digest == digest {
                    return Ok(Some(id(row)?));
                }
            }
            return Ok(None);
        }
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if hex.is_empty() || hex.len() > 64 || !hex.bytes().all(is_hex) {
        return Ok(None);
    }
    if let Ok(digest) = Digest::from_hex(hex) {
        return Ok(exact(&digest)?);
    }
    let matches: Vec<Digest> = transaction
        .prepare_cached("SELECT id FROM images WHERE id >= ?1 AND id <= ?2 AND (boot IS NULL OR boot = ?3)")?
        .query_map(params![bound(hex, '0'), bound(hex, 'f'), boot], id)?
        .collect::<rusqlite::Result<_>>()?;
    match matches[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Error::Ambiguous { kind: "image", name: text.to_owned(), count: matches.len() }),
    }
}

/// The lowest or highest digest that begins with these digits.
fn bound(hex: &str, fill: char) -> Vec<u8> {
    let full: String = hex.chars().chain(std::iter::repeat(fill)).take(64).collect();
    Digest::from_hex(&full).expect("because it has 64 digits that were checked").as_bytes().to_vec()
}

fn names_of(transaction: &Transaction<'_>, id: &Digest) -> Result<Vec<ImageName>> {
    let mut statement = transaction
        .prepare_cached("SELECT reference, manifest FROM names WHERE image = ?1 ORDER BY reference")?;
    let rows = statement.query_map([&id.as_bytes()[..]], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let mut names = Vec::new();
    for row in rows {
        let (reference, manifest) = row?;
        let manifest = manifest.map(|text| json(&text, "a name's manifest")).transpose()?;
        names.push(ImageName { reference, manifest });
    }
    Ok(names)
}

pub(crate) fn read_image(
    transaction: &Transaction<'_>,
    id: &Digest,
    boot: &str,
) -> Result<Option<(Image, i64)>> {
    let found = transaction
        .prepare_cached(
            "SELECT config, stack, manifest, created, last_used FROM images
             WHERE id = ?1 AND (boot IS NULL OR boot = ?2)",
        )?
        .query_row(params![&id.as_bytes()[..], boot], |row| {
            let stack = stack(row.get_ref(1)?.as_blob()?);
            Ok((row.get(0)?, stack, row.get::<_, Option<String>>(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((config, stack, manifest, created, last_used)) = found else { return Ok(None) };
    let mut size = 0;
    let mut sizes = transaction.prepare_cached("SELECT size FROM layers WHERE id = ?1")?;
    for layer in &stack {
        let known: Option<i64> = sizes.query_row([&layer.as_bytes()[..]], |row| row.get(0)).optional()?;
        size += known.unwrap_or(0) as u64;
    }
    let image = Image {
        id: *id,
        config,
        stack,
        manifest: manifest.map(|text| json(&text, "an image's manifest")).transpose()?,
        names: names_of(transaction, id)?,
        created: time(created),
        size,
    };
    Ok(Some((image, last_used)))
}

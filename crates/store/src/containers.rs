//! Containers: their rows and folders. What changes while one runs lies in files in `containers/<id>/`, which the
//! `container` crate knows.

use crate::inner::{Store, time};
use crate::layers::{stack, stack_bytes};
use crate::volumes::check_name;
use crate::{Error, LayerDraft, Result};
use layer::LayerId;
use oci::Digest;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// A container to be made.
#[derive(Debug, Default)]
pub struct NewContainer {
    /// 64 random lower-case hexadecimal digits.
    pub id: String,
    /// Its name, without the slash Docker shows.
    pub name: String,
    /// Its image.
    pub image: Option<Digest>,
    /// The image's layers, lowest first; kept while the container is.
    pub stack: Vec<LayerId>,
    /// Its own layer, to be written to; it needs a folder form.
    pub layer: Option<LayerDraft>,
    /// All else (JSON), known to the `container` crate.
    pub config: String,
    /// The names of the volumes it has.
    pub volumes: Vec<String>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: Option<Digest>,
    /// The image's layers, lowest first.
    pub stack: Vec<LayerId>,
    /// Its own layer.
    pub layer: Option<LayerId>,
    /// All else (JSON).
    pub config: String,
    /// When it was made.
    pub created: SystemTime,
    /// The names of the volumes it has.
    pub volumes: Vec<String>,
}

impl Store {
    /// The folder of a container's own files: `containers/<id>`.
    #[must_use]
    pub fn container_dir(&self, id: &str) -> PathBuf {
        self.path("containers").join(id)
    }

    /// Makes a container with its folder.
    ///
    /// # Errors
    /// [`Error::Taken`] if the name is another's, [`Error::Layer`] or [`Error::NotFound`] if a layer or volume is gone.
    pub fn create_container(&self, new: NewContainer) -> Result<Container> {
        check_name("container", &new.name)?;
        if new.id.len() != 64 || Digest::from_hex(&new.id).is_err() {
            let reason = "it has 64 lower-case hexadecimal digits";
            return Err(Error::Name { kind: "container", name: new.id, reason });
        }
        self.leased()?;
        // A container outlives the boot; what it stands on, if it was just pulled, must too.
        self.finish()?;
        let folder = self.container_dir(&new.id);
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|e| Error::io("make", &folder, e))?;
        let made = self.insert_container(&new);
        if made.is_err() {
            let _ = std::fs::remove_dir(&folder);
        }
        made?;
        let NewContainer { id, layer, .. } = new;
        layer.into_iter().for_each(LayerDraft::committed);
        self.container(&id)?.ok_or_else(|| Error::not_found("container", id))
    }

    fn insert_container(&self, new: &NewContainer) -> Result<()> {
        let forms = new.layer.as_ref().map(|draft| (draft, draft.forms()));
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            check_free(transaction, &new.name, None)?;
            if let Some(gone) = self.touch_layers(transaction, &new.stack)?.first() {
                return Err(Error::Layer { id: *gone, reason: "is gone, and a container needs it" });
            }
            if let Some((draft, forms)) = forms {
                self.insert_layer(transaction, draft, forms, tick)?;
                // A container's own layer is changed all the time; no boot makes it invalid.
                transaction
                    .prepare_cached("UPDATE layers SET boot = NULL WHERE id = ?1")?
                    .execute([&draft.id().as_bytes()[..]])?;
            }
            transaction
                .prepare_cached("INSERT INTO containers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(params![
                    new.id,
                    new.name,
                    new.image.as_ref().map(|id| &id.as_bytes()[..]),
                    stack_bytes(&new.stack),
                    new.layer.as_ref().map(|draft| draft.id().as_bytes().to_vec()),
                    new.config,
                    tick
                ])?;
            let mut known = transaction.prepare_cached("SELECT 1 FROM volumes WHERE name = ?1")?;
            let mut put =
                transaction.prepare_cached("INSERT OR IGNORE INTO container_volumes VALUES (?1, ?2)")?;
            for volume in &new.volumes {
                if !known.exists([volume])? {
                    return Err(Error::not_found("volume", volume));
                }
                put.execute([&new.id, volume])?;
            }
            Ok(())
        })
    }

    /// The container that `text` names: its name (a leading slash is allowed), its id, or the beginning of its id.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] for a beginning that several ids have.
    pub fn container(&self, text: &str) -> Result<Option<Container>> {
        let name = text.strip_prefix('/').unwrap_or(text);
        self.read(|transaction| {
            let mut found = select(transaction, "name = ?1 OR id = ?1", name)?;
            if found.is_empty() && !name.is_empty() && name.bytes().all(|b| b.is_ascii_hexdigit()) {
                found = select(transaction, "substr(id, 1, length(?1)) = ?1", name)?;
            }
            match found.len() {
                0 | 1 => Ok(found.pop()),
                // A name that is another container's whole id: the name wins, as in Docker.
                _ if found.iter().any(|c| c.name == name) => Ok(found.into_iter().find(|c| c.name == name)),
                count => Err(Error::Ambiguous { kind: "container", name: text.to_owned(), count }),
            }
        })
    }

    /// All containers, the newest first.
    pub fn containers(&self) -> Result<Vec<Container>> {
        self.read(|transaction| select(transaction, "?1 = ''", ""))
    }

    /// Replaces what the `container` crate keeps in the row.
    pub fn update_container(&self, id: &str, config: &str) -> Result<()> {
        self.write(|transaction| {
            let changed = transaction
                .prepare_cached("UPDATE containers SET config = ?2 WHERE id = ?1")?
                .execute([id, config])?;
            if changed == 0 { Err(Error::not_found("container", id)) } else { Ok(()) }
        })
    }

    /// Gives the container another name.
    pub fn rename_container(&self, id: &str, name: &str) -> Result<()> {
        check_name("container", name)?;
        self.write(|transaction| {
            check_free(transaction, name, Some(id))?;
            let changed = transaction
                .prepare_cached("UPDATE containers SET name = ?2 WHERE id = ?1")?
                .execute([id, name])?;
            if changed == 0 { Err(Error::not_found("container", id)) } else { Ok(()) }
        })
    }

    /// Removes a container (by its whole id) with its folder and its own layer, and its anonymous volumes that nobody
    /// else has if `volumes`. Whoever calls this has made sure that it does not run.
    pub fn remove_container(&self, id: &str, volumes: bool) -> Result<()> {
        let (layer, anonymous) = self.write(|transaction| {
            let gone: Option<(Option<[u8; 16]>, Vec<u8>)> = transaction
                .prepare_cached("DELETE FROM containers WHERE id = ?1 RETURNING layer, stack")?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((layer, below)) = gone else { return Err(Error::not_found("container", id)) };
            let layer = layer.map(LayerId::from_bytes);
            self.touch_layers(transaction, &stack(&below))?;
            let anonymous: Vec<String> = transaction
                .prepare_cached(
                    "SELECT name FROM volumes JOIN container_volumes ON volume = name
                     WHERE container = ?1 AND anonymous",
                )?
                .query_map([id], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            transaction
                .prepare_cached("DELETE FROM container_volumes WHERE container = ?1")?
                .execute([id])?;
            if let Some(layer) = layer {
                transaction
                    .prepare_cached("DELETE FROM layers WHERE id = ?1")?
                    .execute([&layer.as_bytes()[..]])?;
            }
            Ok((layer, anonymous))
        })?;
        if let Some(layer) = layer {
            self.discard(&self.layer_dir(layer))?;
        }
        self.discard(&self.container_dir(id))?;
        for name in anonymous.iter().filter(|_| volumes) {
            match self.remove_volume(name) {
                Ok(()) | Err(Error::InUse { .. } | Error::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn check_free(transaction: &Transaction<'_>, name: &str, but: Option<&str>) -> Result<()> {
    let holder: Option<String> = transaction
        .prepare_cached("SELECT id FROM containers WHERE name = ?1 AND (?2 IS NULL OR id != ?2)")?
        .query_row(params![name, but], |row| row.get(0))
        .optional()?;
    match holder {
        None => Ok(()),
        Some(holder) => {
            let holder = format!("container {holder}");
            Err(Error::Taken { kind: "container", name: name.to_owned(), holder })
        }
    }
}

/// The containers that fit a condition on `?1`, the newest first.
fn select(transaction: &Transaction<'_>, condition: &str, value: &str) -> Result<Vec<Container>> {
    let row = |row: &Row<'_>| {
        let image: Option<[u8; 32]> = row.get(2)?;
        let layer: Option<[u8; 16]> = row.get(4)?;
        Ok(Container {
            id: row.get(0)?,
            name: row.get(1)?,
            image: image.map(Digest::from_bytes),
            stack: stack(row.get_ref(3)?.as_blob()?),
            layer: layer.map(LayerId::from_bytes),
            config: row.get(5)?,
            created: time(row.get(6)?),
            volumes: Vec::new(),
        })
    };
    let mut found: Vec<Container> = transaction
        .prepare_cached(&format!(
            "SELECT id, name, image, stack, layer, config, created FROM containers WHERE {condition}
             ORDER BY created DESC"
        ))?
        .query_map([value], row)?
        .collect::<rusqlite::Result<_>>()?;
    let mut volumes = transaction
        .prepare_cached("SELECT volume FROM container_volumes WHERE container = ?1 ORDER BY volume")?;
    for container in &mut found {
        container.volumes =
            volumes.query_map([&container.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    }
    Ok(found)
}

//! Volumes: `volumes/<name>/`, kept until they are removed by name.

use crate::inner::{Store, random, time};
use crate::layers::json;
use crate::{Error, Result};
use rusqlite::{OptionalExtension, Row, params};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::SystemTime;

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Whether it was made without a name.
    pub anonymous: bool,
    /// Free text by key.
    pub labels: BTreeMap<String, String>,
    /// Whether the image's content at its place was copied in; that happens once.
    pub initialised: bool,
    /// When it was made.
    pub created: SystemTime,
    /// The ids of the containers that use it.
    pub used_by: Vec<String>,
}

impl Store {
    /// Makes a volume, or gives the one that has the name (then `labels` do not count). Without a name it is anonymous
    /// and gets 64 random hexadecimal digits. Names are as Docker's: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
    pub fn create_volume(&self, name: Option<&str>, labels: &BTreeMap<String, String>) -> Result<Volume> {
        let anonymous = name.is_none();
        let name = match name {
            Some(name) => {
                check_name("volume", name)?;
                name.to_owned()
            }
            None => oci::Digest::from_bytes(random()?).hex(),
        };
        let path = self.path("volumes").join(&name);
        self.leased()?;
        // The folder first: a row without one would be a volume that cannot be mounted.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .map_err(|e| Error::io("make", &path, e))?;
        let text = serde_json::to_string(labels).expect("because it holds only strings");
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO volumes VALUES (?1, ?2, ?3, 0, ?4)")?
                .execute(params![name, anonymous, text, tick])?;
            Ok(())
        })?;
        self.volume(&name)?.ok_or_else(|| Error::not_found("volume", name))
    }

    /// The volume of this name.
    pub fn volume(&self, name: &str) -> Result<Option<Volume>> {
        Ok(self.volumes_where(Some(name))?.pop())
    }

    /// All volumes by name.
    pub fn volumes(&self) -> Result<Vec<Volume>> {
        self.volumes_where(None)
    }

    /// Says that the image's content was copied into the volume.
    pub fn set_volume_initialised(&self, name: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("UPDATE volumes SET initialised = 1 WHERE name = ?1")?
                .execute([name])?;
            Ok(())
        })
    }

    /// Removes a volume with all that is in it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] while a container, running or not, has it.
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let path = self.path("volumes").join(name);
        let trash = self.write(|transaction| {
            let user: Option<String> = transaction
                .prepare_cached("SELECT container FROM container_volumes WHERE volume = ?1 LIMIT 1")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            if let Some(user) = user {
                let by = format!("container {user} has it");
                return Err(Error::InUse { kind: "volume", name: name.to_owned(), by });
            }
            if transaction.prepare_cached("DELETE FROM volumes WHERE name = ?1")?.execute([name])? == 0 {
                return Err(Error::not_found("volume", name));
            }
            // Within the transaction, so that a new volume of the name is not thrown away with the old.
            self.to_trash(&path)
        })?;
        trash.map_or(Ok(()), |trash| crate::tree::remove(&trash))
    }

    fn volumes_where(&self, name: Option<&str>) -> Result<Vec<Volume>> {
        self.read(|transaction| {
            let row = |row: &Row<'_>| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get(1)?,
                    row.get::<_, String>(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            };
            let rows: Vec<_> = transaction
                .prepare_cached(
                    "SELECT name, anonymous, labels, initialised, created FROM volumes
                     WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
                )?
                .query_map([name], row)?
                .collect::<rusqlite::Result<_>>()?;
            let mut users = transaction.prepare_cached(
                "SELECT container FROM container_volumes WHERE volume = ?1 ORDER BY container",
            )?;
            let mut volumes = Vec::with_capacity(rows.len());
            for (name, anonymous, labels, initialised, created) in rows {
                let used_by = users.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
                volumes.push(Volume {
                    path: self.path("volumes").join(&name),
                    labels: json(&labels, "a volume's labels")?,
                    name,
                    anonymous,
                    initialised,
                    created: time(created),
                    used_by,
                });
            }
            Ok(volumes)
        })
    }
}

/// Docker's rule for names of volumes and containers.
pub(crate) fn check_name(kind: &'static str, name: &str) -> Result<()> {
    let wrong = |reason| Err(Error::Name { kind, name: name.to_owned(), reason });
    if name.len() < 2 || name.len() > 255 {
        return wrong("it has 2 to 255 characters");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !name.as_bytes()[0].is_ascii_alphanumeric() || !name.bytes().all(allowed) {
        return wrong("only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    }
    Ok(())
}

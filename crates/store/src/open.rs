//! Opening a store: its folders, `store.json`, and the connection to its index.
//!
//! An existing store is opened with one small file read, one `statfs` and one SQLite open; nothing is scanned and
//! nothing written. `store.json`:
//!
//! ```json
//! {"format": 1, "owner": 0, "mapping": "0 0 4294967295", "xattrs": "trusted"}
//! ```

use crate::lock::{FileLock, Mode};
use crate::{Error, Result, reserve, schema};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The format of what lies on disk; a store with a higher one is refused.
pub const FORMAT: u32 = 1;

/// How overlayfs keeps its marks in this store's folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Xattrs {
    /// As `trusted.overlay.*`: in the initial user namespace.
    #[default]
    Trusted,
    /// As `user.overlay.*` (`userxattr`): in any other.
    User,
}

/// What a store is opened with. The defaults but for `root` are those of the real root user.
#[derive(Clone, Debug)]
pub struct Options {
    /// The store's folder; made if it is not there.
    pub root: PathBuf,
    /// The user on the host whom the store belongs to (not the one inside a user namespace).
    pub owner: u32,
    /// The id mapping of the folders, in any text that is equal exactly for equal mappings.
    pub mapping: String,
    /// The xattr flavour of the folders.
    pub xattrs: Xattrs,
    /// How long a writer waits for another process's short transaction.
    pub busy_timeout: Duration,
    /// A lease protects what was used so long before it began too; so a build that follows another writes nothing
    /// just to say that it uses the same things.
    pub grace: Duration,
    /// The boot id to go by; `None` reads the kernel's. For tests.
    pub boot_id: Option<String>,
}

impl Options {
    /// The usual options for the store in `root`, owned by this process's user with the initial id mapping.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            owner: rustix::process::geteuid().as_raw(),
            mapping: "initial".to_owned(),
            xattrs: Xattrs::default(),
            busy_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(300),
            boot_id: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Identity {
    format: u32,
    owner: u32,
    mapping: String,
    xattrs: Xattrs,
}

/// The folders below the root.
pub(crate) const FOLDERS: [&str; 11] = [
    "blobs/sha256",
    "ingest",
    "layers",
    "cache",
    "volumes",
    "containers",
    "contexts",
    "locks",
    "leases",
    "trash",
    "tmp",
];

/// Opens the index, making the store first where there is none.
pub(crate) fn open(options: &Options) -> Result<Connection> {
    let root = &options.root;
    let identity = root.join("store.json");
    match fs::read(&identity) {
        Ok(bytes) => check(options, &bytes)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => create(options, &identity)?,
        Err(e) => return Err(Error::io("read", &identity, e)),
    }
    refuse_network_file_system(root)?;
    connect(options)
}

fn check(options: &Options, bytes: &[u8]) -> Result<()> {
    let foreign = |reason: String, hint| Err(Error::Foreign { root: options.root.clone(), reason, hint });
    let damaged = |source: serde_json::Error| Error::Damaged {
        what: format!("`{}`", options.root.join("store.json").display()),
        reason: source.to_string(),
        hint: "move the store away and let jettison make a new one",
    };
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    // The format first: a later one may have other fields.
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > FORMAT {
        return foreign(
            format!("it has format {format}, and this jettison knows formats up to {FORMAT}"),
            "use the newer jettison that made it, or another root",
        );
    }
    let identity: Identity = serde_json::from_slice(bytes).map_err(damaged)?;
    if identity.owner != options.owner {
        return foreign(
            format!("it belongs to user {}, and you are user {}", identity.owner, options.owner),
            "every user has a store of their own; choose another root",
        );
    }
    if identity.mapping != options.mapping {
        return foreign(
            format!("its files have the id mapping `{}`, not `{}`", identity.mapping, options.mapping),
            "the subordinate ids of this user changed; restore them, or choose another root",
        );
    }
    if identity.xattrs != options.xattrs {
        return foreign(
            "its layers keep overlayfs marks in the other kind of extended attributes".to_owned(),
            "use it as the user and in the kind of namespace that made it, or choose another root",
        );
    }
    Ok(())
}

fn create(options: &Options, identity: &Path) -> Result<()> {
    let root = &options.root;
    let make = |path: &Path| {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io("make", path, e))
    };
    make(root)?;
    refuse_network_file_system(root)?;
    for folder in FOLDERS {
        make(&root.join(folder))?;
    }
    let _lock = FileLock::take_soon(&root.join("locks/create"), Mode::Exclusive)?;
    if identity.exists() {
        return fs::read(identity)
            .map_err(|e| Error::io("read", identity, e))
            .and_then(|b| check(options, &b));
    }
    let index = root.join("index.sqlite");
    let failed = |source| Error::sql("take its tables", source);
    let connection = Connection::open(&index).map_err(failed)?;
    connection.busy_timeout(options.busy_timeout).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    if schema::version(&connection)? == 0 {
        let tables = schema::tables();
        let version = schema::VERSION;
        connection
            .execute_batch(&format!("BEGIN IMMEDIATE; {tables} PRAGMA user_version = {version}; COMMIT;"))
            .map_err(failed)?;
    }
    drop(connection);
    let known = Identity {
        format: FORMAT,
        owner: options.owner,
        mapping: options.mapping.clone(),
        xattrs: options.xattrs,
    };
    let text = serde_json::to_vec(&known).expect("because it holds only numbers and strings");
    let draft = root.join("tmp/store.json");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    written.map_err(|e| Error::io("write", &draft, e))?;
    fs::rename(&draft, identity).map_err(|e| Error::io("write", identity, e))?;
    reserve::keep(root);
    Ok(())
}

/// SQLite's shared memory and our locks do not work between machines.
fn refuse_network_file_system(root: &Path) -> Result<()> {
    let known = rustix::fs::statfs(root).map_err(|e| Error::io("ask for the file system of", root, e))?;
    let name = match known.f_type as u32 {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9P",
        0x00c3_6400 => "Ceph",
        0x5346_414f => "AFS",
        _ => return Ok(()),
    };
    Err(Error::Foreign {
        root: root.to_owned(),
        reason: format!("it lies on a network file system ({name})"),
        hint: "choose a root on a local disk",
    })
}

fn connect(options: &Options) -> Result<Connection> {
    let index = options.root.join("index.sqlite");
    let failed = |source| Error::sql("open", source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&index, flags).map_err(failed)?;
    connection.busy_timeout(options.busy_timeout).map_err(failed)?;
    // The last process to leave would otherwise copy the log into the file and sync it: milliseconds for nothing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;").map_err(failed)?;
    let mut version = schema::version(&connection)?;
    if version < schema::VERSION {
        version = schema::migrate(&mut connection)?;
    }
    match version {
        schema::VERSION => Ok(connection),
        newer if newer > schema::VERSION => Err(Error::Foreign {
            root: options.root.clone(),
            reason: format!(
                "its index has version {newer}, and this jettison knows versions up to {}",
                schema::VERSION
            ),
            hint: "use the newer jettison that made it, or another root",
        }),
        _ => Err(Error::Damaged {
            what: format!("the index `{}`", index.display()),
            reason: format!("it has version {version} instead of {}", schema::VERSION),
            hint: "move the store away and let jettison make a new one",
        }),
    }
}

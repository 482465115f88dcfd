//! The tables of `index.sqlite`.
//!
//! Digests and layer ids are stored raw (32 and 16 bytes), a stack as its layer ids one after the other, lowest first,
//! descriptors and free data as JSON text. `created`, `updated` and `last_used` are ticks: microseconds since 1970,
//! made strictly increasing across processes by the `clock` row. `boot` is the boot id under which a row was written
//! and not yet synced, NULL once it is durable.
//!
//! A table without row ids is a tree of its rows by their key. Where rows are longer than a quarter of a page, every
//! comparison on the way down reads a row's further pages too; so tables with long rows have row ids, and the tree that
//! is searched holds the keys alone.
//!
//! | version | what changed |
//! |---|---|
//! | 2 | the first that is known; one before it is refused |
//! | 3 | `blobs`, `records` and `steps` have row ids; an index of version 2 is rewritten when it is opened |
//! | 4 | `parts` |
//!
//! A process of the version before that has the index open meanwhile works on: what it asks for has the same names.

use crate::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

/// `PRAGMA user_version` of an index with these tables.
pub(crate) const VERSION: i64 = 4;

/// What makes an index.
pub(crate) fn tables() -> String {
    LONG.iter().map(|(_, text)| *text).chain([TABLES, PARTS]).collect()
}

/// Brings an index of an older version to this one and says which version it has then.
pub(crate) fn migrate(connection: &mut Connection) -> Result<i64> {
    let failed = |source| Error::sql("bring its tables up to date", source);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have done it by now.
    let version = version(&transaction)?;
    if !(2..VERSION).contains(&version) {
        return Ok(version);
    }
    let long = if version < 3 { &LONG[..] } else { &[] };
    for (name, text) in long {
        let steps = format!(
            "ALTER TABLE {name} RENAME TO old_{name}; DROP INDEX IF EXISTS {name}_fresh; {text}
             INSERT INTO {name} SELECT * FROM old_{name}; DROP TABLE old_{name};"
        );
        transaction.execute_batch(&steps).map_err(failed)?;
    }
    transaction.execute_batch(PARTS).map_err(failed)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(VERSION)
}

/// The version that an index has.
pub(crate) fn version(connection: &Connection) -> Result<i64> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| Error::sql("ask for the version of", source))
}

/// What is here of the indexes that names stand for.
const PARTS: &str = "
CREATE TABLE IF NOT EXISTS parts (
    root     BLOB NOT NULL, -- the index
    part     BLOB NOT NULL, -- a manifest that it names, or what such a manifest names
    image    BLOB,          -- the image that the manifest is of
    platform TEXT,          -- which the index says that the image is for
    PRIMARY KEY (root, part)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parts_by_image ON parts (image) WHERE image IS NOT NULL;
";

/// Tables with long rows, by name.
const LONG: [(&str, &str); 3] = [
    (
        // Files in blobs/sha256, and small documents held here.
        "blobs",
        "
CREATE TABLE blobs (
    digest     BLOB PRIMARY KEY,
    size       INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    bytes      BLOB,
    created    INTEGER NOT NULL,
    last_used  INTEGER NOT NULL,
    boot       TEXT
);
CREATE INDEX blobs_fresh ON blobs (boot) WHERE boot IS NOT NULL;
",
    ),
    (
        "records",
        "
CREATE TABLE records (
    key       BLOB PRIMARY KEY,
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    boot      TEXT,
    stack     BLOB NOT NULL,
    info      TEXT NOT NULL,
    slot      TEXT NOT NULL,
    text      TEXT NOT NULL     -- last: it is long, and a look-up does not read its pages
);
CREATE INDEX records_fresh ON records (boot) WHERE boot IS NOT NULL;
",
    ),
    (
        "steps",
        "
CREATE TABLE steps (
    build   TEXT NOT NULL,
    slot    TEXT NOT NULL,
    key     BLOB NOT NULL,
    text    TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (build, slot)
);
",
    ),
];

const TABLES: &str = "
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    now INTEGER NOT NULL
);
INSERT INTO clock VALUES (1, 0);

CREATE TABLE blob_sources (
    digest    BLOB NOT NULL,
    reference TEXT NOT NULL,
    PRIMARY KEY (digest, reference)
) WITHOUT ROWID;

CREATE TABLE layers (
    id        BLOB PRIMARY KEY,
    folder    INTEGER NOT NULL,
    pack      INTEGER NOT NULL,
    listing   INTEGER NOT NULL,
    remote    TEXT,             -- {reference, descriptor}
    size      INTEGER NOT NULL, -- of all its files
    disk      INTEGER NOT NULL, -- of those whose bytes it holds itself
    diff_id   BLOB,
    diff_size INTEGER,
    writer    INTEGER,
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    boot      TEXT,
    -- As boot, of a form that was made later: without it the layer falls back to its other forms.
    folder_boot  TEXT,
    listing_boot TEXT
) WITHOUT ROWID;
CREATE INDEX layers_fresh_folder ON layers (folder_boot) WHERE folder_boot IS NOT NULL;
CREATE INDEX layers_fresh_listing ON layers (listing_boot) WHERE listing_boot IS NOT NULL;
CREATE INDEX layers_by_diff_id ON layers (diff_id) WHERE diff_id IS NOT NULL;
CREATE INDEX layers_fresh ON layers (boot) WHERE boot IS NOT NULL;
CREATE TABLE layer_blobs (
    layer      BLOB NOT NULL,
    digest     BLOB NOT NULL,
    descriptor TEXT NOT NULL,
    PRIMARY KEY (layer, digest)
) WITHOUT ROWID;
-- A layer whose listing uses the bytes of another.
CREATE TABLE pins (
    layer    BLOB NOT NULL,
    borrowed BLOB NOT NULL,
    PRIMARY KEY (layer, borrowed)
) WITHOUT ROWID;

CREATE TABLE links (
    key       BLOB PRIMARY KEY,
    canonical BLOB NOT NULL,
    created   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE images (
    id        BLOB PRIMARY KEY,
    config    BLOB NOT NULL,
    stack     BLOB NOT NULL,
    manifest  TEXT,             -- its descriptor
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    boot      TEXT
);
CREATE INDEX images_fresh ON images (boot) WHERE boot IS NOT NULL;
CREATE TABLE names (
    reference TEXT PRIMARY KEY,
    image     BLOB NOT NULL,
    manifest  TEXT,             -- the descriptor that the name stands for in a registry
    updated   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX names_by_image ON names (image);
-- Tags that were resolved for FROM without their layers being pulled.
CREATE TABLE bases (
    reference TEXT NOT NULL,
    platform  TEXT NOT NULL,
    manifest  TEXT NOT NULL, -- its descriptor, and as `resolved` the digest that the tag stood for
    config    BLOB NOT NULL,
    updated   INTEGER NOT NULL,
    PRIMARY KEY (reference, platform)
) WITHOUT ROWID;

CREATE TABLE cache_mounts (
    folder    TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    ready     INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE volumes (
    name        TEXT PRIMARY KEY,
    anonymous   INTEGER NOT NULL,
    labels      TEXT NOT NULL,
    initialised INTEGER NOT NULL,
    created     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE containers (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    image   BLOB,
    stack   BLOB NOT NULL,
    layer   BLOB,
    config  TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE container_volumes (
    container TEXT NOT NULL,
    volume    TEXT NOT NULL,
    PRIMARY KEY (container, volume)
) WITHOUT ROWID;
CREATE INDEX container_volumes_by_volume ON container_volumes (volume);
";

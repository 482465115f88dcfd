use crate::{options, step, store};
use store::{Error, Store, Xattrs};

#[test]
fn another_user_mapping_or_kind_of_marks_is_refused_with_a_hint() {
    let (dir, store) = store();
    drop(store);
    let refused = |change: &dyn Fn(&mut store::Options)| {
        let mut options = options(&dir);
        change(&mut options);
        let error = Store::open(options).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert!(error.hint().is_some());
        error.to_string()
    };
    assert!(refused(&|o| o.owner = 4242).contains("4242"));
    assert!(refused(&|o| o.mapping = "0 100000 65536".into()).contains("100000"));
    refused(&|o| o.xattrs = Xattrs::User);
    Store::open(options(&dir)).unwrap();
}

#[test]
fn a_newer_format_is_refused_even_if_its_fields_are_others() {
    let (dir, store) = store();
    std::fs::write(store.root().join("store.json"), br#"{"format": 99, "who": "?"}"#).unwrap();
    let error = Store::open(options(&dir)).unwrap_err();
    assert!(error.to_string().contains("format 99"), "{error}");
}

#[test]
fn a_damaged_identity_names_its_file() {
    let (dir, store) = store();
    std::fs::write(store.root().join("store.json"), "{").unwrap();
    let error = Store::open(options(&dir)).unwrap_err();
    assert!(error.to_string().contains("store.json"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn opening_and_finding_write_nothing() {
    let (dir, store) = store();
    step(&store, 1, &[], 1);
    store.finish().unwrap();
    drop(store);
    let mut options = options(&dir);
    options.grace = std::time::Duration::from_secs(300);
    let log = options.root.join("index.sqlite-wal");
    let before = std::fs::metadata(&log).map(|m| (m.len(), m.modified().unwrap())).unwrap();
    let store = Store::open(options).unwrap();
    assert!(store.find(&[crate::key(1)]).unwrap().is_some());
    drop(store);
    let after = std::fs::metadata(&log).map(|m| (m.len(), m.modified().unwrap())).unwrap();
    assert_eq!(before, after);
}

/// Makes the tables of an index what version 2 had them as.
fn as_of_version_2(index: &std::path::Path) {
    let connection = rusqlite::Connection::open(index).unwrap();
    for (table, columns) in [
        ("blobs", "digest BLOB PRIMARY KEY, size, media_type, bytes, created, last_used, boot"),
        ("records", "key BLOB PRIMARY KEY, created, last_used, boot, stack, info, slot, text"),
        ("steps", "build, slot, key, text, updated, PRIMARY KEY (build, slot)"),
    ] {
        let text = format!(
            "CREATE TABLE new ({columns}) WITHOUT ROWID; INSERT INTO new SELECT * FROM {table}; DROP TABLE {table};
             ALTER TABLE new RENAME TO {table};"
        );
        connection.execute_batch(&text).unwrap();
    }
    let marks = "CREATE INDEX blobs_fresh ON blobs (boot) WHERE boot IS NOT NULL;
        CREATE INDEX records_fresh ON records (boot) WHERE boot IS NOT NULL; PRAGMA user_version = 2;";
    connection.execute_batch(marks).unwrap();
}

/// The tables and indexes of an index with what makes them.
fn schema(index: &std::path::Path) -> Vec<(String, Option<String>)> {
    let connection = rusqlite::Connection::open(index).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_index_of_version_2_is_rewritten_and_keeps_everything() {
    let (dir, store) = store();
    let stack = step(&store, 1, &[], 1);
    store.finish().unwrap();
    let fresh = step(&store, 2, &stack, 1);
    let blob = store.put_blob(b"{}", "application/json").unwrap();
    store.remember_steps("build", &[("slot", crate::key(1), "text")]).unwrap();
    drop(store);
    let index = dir.path().join("root/index.sqlite");
    let new = schema(&index);
    as_of_version_2(&index);
    assert_ne!(schema(&index), new);
    let all_at_once: Vec<Store> = std::thread::scope(|scope| {
        let opened: Vec<_> = (0..4).map(|_| scope.spawn(|| Store::open(options(&dir)).unwrap())).collect();
        opened.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for store in all_at_once {
        assert_eq!(store.find(&[crate::key(1)]).unwrap().unwrap().record.stack, stack);
        assert_eq!(store.find(&[crate::key(2)]).unwrap().unwrap().record.stack, fresh);
        assert_eq!(store.record_text(&crate::key(2)).unwrap().unwrap().0, "step 2");
        assert_eq!(store.read_blob(&blob, 100).unwrap(), b"{}");
        assert_eq!(store.last_step("build", "slot").unwrap(), Some((crate::key(1), "text".to_owned())));
    }
    assert_eq!(schema(&index), new);
    // What was durable still is, and what was not is not.
    let mut rebooted = options(&dir);
    rebooted.boot_id = Some("another".to_owned());
    let store = Store::open(rebooted).unwrap();
    assert!(store.find(&[crate::key(1)]).unwrap().is_some());
    assert!(store.find(&[crate::key(2)]).unwrap().is_none());
}

#[test]
fn indexes_of_versions_that_are_not_known_are_refused() {
    for (version, part) in [(1, "version 1 instead of"), (99, "its index has version 99, and this jettison")]
    {
        let (dir, store) = store();
        drop(store);
        let connection = rusqlite::Connection::open(dir.path().join("root/index.sqlite")).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        let error = Store::open(options(&dir)).unwrap_err();
        assert!(error.hint().is_some());
        let text = error.to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_damaged_index_is_told_apart() {
    let (dir, store) = store();
    let index = store.root().join("index.sqlite");
    drop(store);
    for log in ["index.sqlite-wal", "index.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join("root").join(log));
    }
    std::fs::write(index, [7; 8192]).unwrap();
    let error = Store::open(options(&dir)).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn one_store_serves_many_threads() {
    let (_dir, store) = store();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for mark in 0..10 {
                    let mark = thread * 100 + mark;
                    let stack = step(store, mark, &[], 1);
                    let hit = store.find(&[crate::key(mark)]).unwrap().unwrap();
                    assert_eq!(hit.record.stack, stack);
                }
            });
        }
    });
    store.finish().unwrap();
}

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

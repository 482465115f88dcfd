use crate::{file, key, options, step, store};
use layer::{Content, LayerId, Listing, Place};
use oci::{Descriptor, Digest};
use store::{Commit, DiffId, Error, NewRecord, Store};

#[test]
fn a_record_is_found_by_every_linked_key() {
    let (_dir, store) = store();
    let stack = step(&store, 1, &[], 3);
    assert_eq!(store.find(&[key(2), key(3)]).unwrap(), None);
    store.link(&[(key(3), key(1))]).unwrap();
    store.link(&[(key(2), key(3))]).unwrap();
    let hit = store.find(&[key(9), key(2)]).unwrap().unwrap();
    assert_eq!((hit.by, hit.record.key, hit.record.stack), (1, key(1), stack));
    assert_eq!(store.canonical_many(&[key(2), key(7)]).unwrap(), [key(1), key(7)]);
    assert_eq!(store.record_text(&key(1)).unwrap().unwrap().0, "step 1");
}

#[test]
fn a_link_outlives_its_record_and_a_later_record_is_found_through_it() {
    let (_dir, store) = store();
    step(&store, 1, &[], 3);
    store.link(&[(key(2), key(1))]).unwrap();
    assert!(store.forget(&key(2)).unwrap());
    assert_eq!(store.find(&[key(2)]).unwrap(), None);
    assert_eq!(store.canonical(&key(2)).unwrap(), key(1));
    let stack = step(&store, 1, &[], 4);
    assert_eq!(store.find(&[key(2)]).unwrap().unwrap().record.stack, stack);
}

#[test]
fn links_in_both_directions_do_not_turn_in_circles() {
    let (_dir, store) = store();
    store.link(&[(key(1), key(2)), (key(2), key(1)), (key(2), key(3)), (key(3), key(1))]).unwrap();
    let end = store.canonical(&key(1)).unwrap();
    assert_eq!(store.canonical(&key(2)).unwrap(), end);
    assert_eq!(store.canonical(&key(3)).unwrap(), end);
}

#[test]
fn what_was_not_synced_does_not_outlive_the_boot() {
    let (dir, store) = store();
    let first = step(&store, 1, &[], 3);
    assert!(store.needs_finish());
    store.finish().unwrap();
    assert!(!store.needs_finish());
    step(&store, 2, &first, 3);
    let blob = store.put_blob(&[1; 100_000], "").unwrap();
    drop(store);
    let mut options = options(&dir);
    options.boot_id = Some("another boot".into());
    let store = Store::open(options).unwrap();
    assert!(store.find(&[key(1)]).unwrap().is_some());
    assert_eq!(store.find(&[key(2)]).unwrap(), None);
    assert_eq!(store.has_blob(&blob).unwrap(), None);
    // Their files go with the next collection.
    let pruned = store.prune(&store::Prune::default()).unwrap();
    assert!(pruned.records.is_empty());
    assert_eq!(std::fs::read_dir(store.root().join("layers")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(store.root().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn a_form_that_was_not_synced_falls_back() {
    let (dir, store) = store();
    let mut plan = store.new_layer().unwrap();
    std::fs::write(plan.pack(), "text").unwrap();
    let listing = Listing::new(vec![file("a", "text", Content::Own(Place::Pack(0)))], Vec::new());
    plan.write_listing(&listing).unwrap();
    let id = plan.id();
    store.commit(Commit { layers: vec![plan], ..Commit::default() }).unwrap();
    store.finish().unwrap();
    let info = store.layer(id).unwrap().unwrap();
    assert_eq!((info.folder, info.pack, info.listing, info.size), (false, true, true, 4));
    let mut fill = store.fill_layer(id, &mut || true).unwrap();
    std::fs::write(fill.new_folder().unwrap().join("a"), "text").unwrap();
    assert!(fill.commit().unwrap().folder);
    assert!(store.layer_dir(id).join("fs/a").exists());
    drop(store);
    let mut options = options(&dir);
    options.boot_id = Some("another boot".into());
    let store = Store::open(options).unwrap();
    let info = store.layer(id).unwrap().unwrap();
    assert_eq!((info.folder, info.listing), (false, true));
    let mut fill = store.fill_layer(id, &mut || true).unwrap();
    std::fs::write(fill.new_folder().unwrap().join("b"), "text").unwrap();
    fill.commit().unwrap();
    assert!(!store.layer_dir(id).join("fs/a").exists());
    assert_eq!(*store.listing(id).unwrap(), listing);
}

#[test]
fn a_dropped_draft_leaves_nothing() {
    let (_dir, store) = store();
    let draft = store.new_layer().unwrap();
    let id = draft.id();
    draft.make_folders().unwrap();
    drop(draft);
    assert_eq!(store.layer(id).unwrap(), None);
    for folder in ["layers", "trash"] {
        assert_eq!(std::fs::read_dir(store.root().join(folder)).unwrap().count(), 0);
    }
}

#[test]
fn nothing_is_built_on_what_is_gone() {
    let (_dir, store) = store();
    let gone = LayerId::from_bytes([7; 16]);
    let record = Some((key(1), NewRecord { stack: vec![gone], ..NewRecord::default() }));
    let refused = store.commit(Commit { record, ..Commit::default() });
    assert!(matches!(refused, Err(Error::Layer { id, .. }) if id == gone));
    let mut draft = store.new_layer().unwrap();
    let borrowed = Content::Borrowed { layer: 0, place: Place::Folder };
    draft.write_listing(&Listing::new(vec![file("a", "b", borrowed)], vec![gone])).unwrap();
    let id = draft.id();
    assert!(store.commit(Commit { layers: vec![draft], ..Commit::default() }).is_err());
    assert_eq!(store.layer(id).unwrap(), None);
}

#[test]
fn base_layers_are_shared_by_diff_id() {
    let (_dir, store) = store();
    let layers: Vec<_> =
        (1..4u64).map(|n| (key(n), Descriptor::new("application/x", key(n + 10), 100 + n))).collect();
    let ids = store.remote_layers("docker.io/library/debian:12", &layers).unwrap();
    assert_eq!(store.remote_layers("docker.io/other/image:1", &layers[..2]).unwrap(), ids[..2]);
    let info = store.layer(ids[0]).unwrap().unwrap();
    assert!(!info.is_local());
    assert_eq!(info.remote.unwrap().descriptor, layers[0].1);
    assert_eq!(store.layer_by_diff_id(&key(2)).unwrap(), Some(ids[1]));
    let mut fill = store.fill_layer(ids[0], &mut || true).unwrap();
    fill.new_folder().unwrap();
    fill.write_listing(&Listing::default()).unwrap();
    fill.set_diff_id(DiffId { digest: key(1), size: 1024, writer: 0 });
    let info = fill.commit().unwrap();
    assert!(info.is_local() && info.folder);
    assert_eq!(info.diff_id.unwrap().size, 1024);
    store.add_layer_blob(ids[0], &layers[0].1).unwrap();
    assert_eq!(store.layer(ids[0]).unwrap().unwrap().blobs, [layers[0].1.clone()]);
}

#[test]
fn a_place_that_lasts_counts_before_a_cache_that_one_build_was_given() {
    let (_dir, store) = store();
    let layers = [(key(1), Descriptor::new("application/x", key(11), 100))];
    let known = |reference: &str| {
        let ids = store.remote_layers(reference, &layers).unwrap();
        store.layer(ids[0]).unwrap().unwrap().remote.unwrap()
    };
    for (reference, counts, lasts) in [
        ("s3://bucket/one", "s3://bucket/one", false),
        ("s3://bucket/two", "s3://bucket/two", false),
        ("oci-layout:///folder", "oci-layout:///folder", true),
        ("docker.io/library/debian:12", "docker.io/library/debian:12", true),
        ("s3://bucket/one", "docker.io/library/debian:12", true),
        ("docker.io/other/image:1", "docker.io/library/debian:12", true),
    ] {
        let remote = known(reference);
        assert_eq!((remote.reference.as_str(), remote.is_lasting()), (counts, lasts), "{reference}");
    }
}

#[test]
fn many_steps_are_found_at_once() {
    let (_dir, store) = store();
    let mut stack = Vec::new();
    for mark in 0..60 {
        stack = step(&store, mark, &stack, 1);
    }
    let keys: Vec<[Digest; 2]> = (0..61).map(|mark| [key(mark + 1000), key(mark)]).collect();
    let hits = store.find_many(&keys).unwrap();
    assert!(hits[..60].iter().all(|hit| hit.as_ref().is_some_and(|hit| hit.by == 1)));
    assert_eq!(hits[59].as_ref().unwrap().record.stack, stack);
    assert_eq!(hits[60], None);
}

#[test]
fn the_last_keys_of_a_build_are_remembered() {
    let (_dir, store) = store();
    assert_eq!(store.last_step("app", "build 1/3").unwrap(), None);
    store.remember_steps("app", &[("build 1/3", key(1), "old"), ("build 2/3", key(2), "two")]).unwrap();
    store.remember_steps("app", &[("build 1/3", key(3), "new")]).unwrap();
    assert_eq!(store.last_step("app", "build 1/3").unwrap(), Some((key(3), "new".into())));
    assert_eq!(store.last_step("app", "build 2/3").unwrap(), Some((key(2), "two".into())));
    assert_eq!(store.last_step("other", "build 2/3").unwrap(), None);
}

#[test]
fn a_key_is_one_worker_at_a_time() {
    let (_dir, store) = store();
    let held = store.lock_key(&key(1), &mut || true).unwrap();
    assert!(matches!(store.lock_key(&key(1), &mut || false), Err(Error::Cancelled { .. })));
    store.lock_key(&key(2), &mut || false).unwrap();
    drop(held);
    store.lock_key(&key(1), &mut || false).unwrap();
    assert_eq!(
        std::fs::read_dir(store.root().join("locks"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"key-"))
            .count(),
        0
    );
}

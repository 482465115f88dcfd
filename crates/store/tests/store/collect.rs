use crate::{file, key, options, step, store};
use layer::{Content, Listing, Place};
use std::time::Duration;
use store::{Commit, Kinds, NewImage, NewRecord, Prune, Sharing, Store};

fn records() -> Prune {
    Prune { kinds: Kinds { records: true, ..Kinds::default() }, ..Prune::default() }
}

#[test]
fn the_least_recently_used_go_first() {
    let (dir, store) = store();
    for mark in 0..4 {
        step(&store, mark, &[], 1000);
    }
    drop(store);
    let store = Store::open(options(&dir)).unwrap();
    store.find(&[key(0)]).unwrap().unwrap();
    store.end_lease();
    let pruned = store.prune(&Prune { keep_bytes: Some(2500), ..records() }).unwrap();
    assert_eq!(pruned.records.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [key(1), key(2)]);
    assert_eq!((pruned.layers.len(), pruned.bytes), (2, 2000));
    let left = store.find_many(&[[key(0)], [key(1)], [key(2)], [key(3)]]).unwrap();
    assert_eq!(left.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(std::fs::read_dir(store.root().join("layers")).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(store.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn a_lease_protects_what_was_looked_up_and_nothing_else() {
    let (dir, store) = store();
    step(&store, 1, &[], 10);
    step(&store, 2, &[], 10);
    drop(store);
    let user = Store::open(options(&dir)).unwrap();
    let collector = Store::open(options(&dir)).unwrap();
    let hit = user.find(&[key(1)]).unwrap().unwrap();
    let pruned = collector.prune(&records()).unwrap();
    assert_eq!(pruned.records.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [key(2)]);
    assert!(user.layer(hit.record.stack[0]).unwrap().is_some());
    // What the user makes is protected too, and a draft is not an abandoned one.
    let draft = user.new_layer().unwrap();
    draft.make_folders().unwrap();
    step(&user, 3, &[], 10);
    assert_eq!(collector.prune(&records()).unwrap(), store::Pruned::default());
    assert!(draft.fs().is_dir());
    drop(draft);
    drop(user);
    assert_eq!(collector.prune(&records()).unwrap().records.len(), 2);
}

#[test]
fn a_lease_protects_what_lost_its_record_since() {
    let (dir, store) = store();
    let first = step(&store, 1, &[], 10);
    let second = step(&store, 2, &[], 10);
    drop(store);
    let user = Store::open(options(&dir)).unwrap();
    let other = Store::open(options(&dir)).unwrap();
    user.find_many(&[[key(1)], [key(2)]]).unwrap();
    step(&other, 1, &[], 20);
    other.forget(&key(2)).unwrap();
    other.end_lease();
    let swept = other.sweep().unwrap().layers;
    assert_eq!(swept, [], "{first:?} {second:?}");
    assert!(user.layers(&[first[0], second[0]]).unwrap().iter().all(Option::is_some));
    drop(user);
    assert_eq!(other.sweep().unwrap().layers.len(), 2);
}

#[test]
fn the_grace_saves_a_write_and_still_protects() {
    let (dir, store) = store();
    step(&store, 1, &[], 10);
    drop(store);
    let mut options = options(&dir);
    options.grace = Duration::from_secs(60);
    let user = Store::open(options.clone()).unwrap();
    user.find(&[key(1)]).unwrap().unwrap();
    let collector = Store::open(options).unwrap();
    assert!(collector.prune(&records()).unwrap().records.is_empty());
    drop(user);
    assert_eq!(collector.prune(&records()).unwrap().records.len(), 1);
}

#[test]
fn shared_layers_stay_while_one_record_has_them() {
    let (_dir, store) = store();
    let base = step(&store, 1, &[], 100);
    let top = step(&store, 2, &base, 100);
    store.end_lease();
    let pruned = store.prune(&Prune { keep_bytes: Some(150), ..records() }).unwrap();
    // The older record frees nothing, so the newer one goes too.
    assert_eq!(pruned.records.len(), 2);
    assert_eq!(pruned.layers.len(), top.len());
}

#[test]
fn borrowed_layers_stay_with_the_borrower() {
    let (_dir, store) = store();
    let lender = step(&store, 1, &[], 5)[0];
    let mut draft = store.new_layer().unwrap();
    let borrowed = Content::Borrowed { layer: 0, place: Place::Folder };
    draft.write_listing(&Listing::new(vec![file("copy", "xxxxx", borrowed)], vec![lender])).unwrap();
    let borrower = draft.id();
    let record = Some((key(2), NewRecord { stack: vec![borrower], ..NewRecord::default() }));
    store.commit(Commit { layers: vec![draft], record, links: Vec::new() }).unwrap();
    store.forget(&key(1)).unwrap();
    store.end_lease();
    assert!(store.sweep().unwrap().layers.is_empty());
    store.forget(&key(2)).unwrap();
    store.end_lease();
    let pruned = store.sweep().unwrap();
    assert_eq!(pruned.layers, [borrower, lender]);
    assert_eq!(pruned.bytes, 5);
}

#[test]
fn images_keep_their_layers_and_dangling_ones_go() {
    let (_dir, store) = store();
    let named = step(&store, 1, &[], 7);
    let dangling = step(&store, 2, &[], 8);
    for (mark, stack) in [(1, &named), (2, &dangling)] {
        let names = if mark == 1 { vec!["app".parse().unwrap()] } else { Vec::new() };
        let config = vec![mark];
        store.put_image(&NewImage { config, stack: stack.clone(), names, ..NewImage::default() }).unwrap();
    }
    store.end_lease();
    let usage = store.usage().unwrap();
    assert_eq!((usage.images.count, usage.images.bytes, usage.build_cache.bytes), (2, 15, 0));
    // Records whose layers an image has anyway stay, unless all is asked for.
    assert!(store.prune(&records()).unwrap().records.is_empty());
    let kinds = Kinds { dangling_images: true, records: true, ..Kinds::default() };
    let pruned = store.prune(&Prune { kinds, ..Prune::default() }).unwrap();
    assert_eq!((pruned.images.len(), &pruned.layers), (1, &dangling));
    assert_eq!(store.prune(&Prune { all: true, ..records() }).unwrap().records.len(), 1);
    assert!(store.layer(named[0]).unwrap().is_some());
    store.end_lease();
    let kinds = Kinds { unused_images: true, ..Kinds::default() };
    let pruned = store.prune(&Prune { kinds, ..Prune::default() }).unwrap();
    assert_eq!(pruned.images[0].1, ["docker.io/library/app:latest"]);
    assert_eq!(pruned.layers, named);
}

#[test]
fn young_things_stay_where_an_age_is_asked_for() {
    let (_dir, store) = store();
    step(&store, 1, &[], 1);
    store.end_lease();
    let hour = Prune { older_than: Some(Duration::from_secs(3600)), ..records() };
    assert!(store.prune(&hour).unwrap().records.is_empty());
    std::thread::sleep(Duration::from_millis(5));
    let now = Prune { older_than: Some(Duration::from_millis(2)), ..records() };
    assert_eq!(store.prune(&now).unwrap().records.len(), 1);
}

#[test]
fn blobs_live_with_their_layers() {
    let (_dir, store) = store();
    let id = step(&store, 1, &[], 1)[0];
    let kept = store.put_blob(&[1; 100_000], "tar").unwrap();
    let loose = store.put_blob(&[2; 100_000], "tar").unwrap();
    store.add_layer_blob(id, &oci::Descriptor::new("tar", kept, 100_000)).unwrap();
    store.end_lease();
    assert_eq!(store.sweep().unwrap().blobs, [loose]);
    assert!(store.has_blob(&kept).unwrap().is_some());
    store.end_lease();
    assert_eq!(store.prune(&records()).unwrap().blobs, [kept]);
    assert_eq!(std::fs::read_dir(store.root().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn a_held_cache_mount_stays() {
    let (_dir, store) = store();
    let prune = Prune { kinds: Kinds { cache_mounts: true, ..Kinds::default() }, ..Prune::default() };
    let mount = store.cache_mount("npm", Sharing::Locked, &mut || true).unwrap();
    std::fs::write(mount.path().join("file"), [1; 10_000]).unwrap();
    let path = mount.path().to_owned();
    assert!(store.prune(&prune).unwrap().cache_mounts.is_empty());
    drop(mount);
    store.end_lease();
    let pruned = store.prune(&prune).unwrap();
    assert_eq!(pruned.cache_mounts, ["npm"]);
    assert!(pruned.bytes >= 10_000 && !path.exists());
    assert!(store.cache_mount("npm", Sharing::Locked, &mut || true).unwrap().is_fresh());
}

#[test]
fn what_lies_about_without_a_row_is_swept() {
    let (_dir, store) = store();
    let root = store.root().to_owned();
    let id = "0123456789abcdef0123456789abcdef";
    std::fs::create_dir_all(root.join("layers").join(id).join("fs/a")).unwrap();
    std::fs::write(root.join("ingest/left"), "x").unwrap();
    std::fs::write(root.join("blobs/sha256").join(key(1).hex()), "x").unwrap();
    std::fs::create_dir_all(root.join("trash/old/a")).unwrap();
    std::fs::create_dir_all(root.join("containers/half")).unwrap();
    std::fs::create_dir_all(root.join("volumes/full/data")).unwrap();
    let writer = store.blob_writer(None).unwrap();
    store.sweep().unwrap();
    for folder in ["layers", "ingest", "blobs/sha256", "trash", "containers"] {
        assert_eq!(std::fs::read_dir(root.join(folder)).unwrap().count(), 0, "{folder}");
    }
    assert!(root.join("volumes/full/data").exists());
    writer.commit().unwrap();
}

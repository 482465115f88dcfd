use crate::{key, step, store};
use std::collections::BTreeMap;
use store::{Error, NewContainer, Prune, Sharing, Store};

fn new(mark: u64, name: &str) -> NewContainer {
    NewContainer { id: key(mark).hex(), name: name.into(), config: "{}".into(), ..NewContainer::default() }
}

#[test]
fn a_container_holds_its_name_layers_and_volumes() {
    let (_dir, store) = store();
    let stack = step(&store, 1, &[], 1);
    let volume = store.create_volume(None, &BTreeMap::new()).unwrap();
    let kept = store.create_volume(Some("data"), &BTreeMap::from([("a".into(), "b".into())])).unwrap();
    let draft = store.new_layer().unwrap();
    draft.make_folders().unwrap();
    let own = draft.id();
    let made = store
        .create_container(NewContainer {
            stack: stack.clone(),
            layer: Some(draft),
            volumes: vec![volume.name.clone(), "data".into()],
            ..new(1, "box")
        })
        .unwrap();
    assert!(store.container_dir(&made.id).is_dir());
    assert_eq!((made.layer, made.volumes.len()), (Some(own), 2));
    let taken = store.create_container(new(2, "box")).unwrap_err();
    assert!(matches!(&taken, Error::Taken { holder, .. } if holder.contains(&made.id)), "{taken}");
    assert!(!store.container_dir(&key(2).hex()).exists());
    assert!(matches!(store.remove_volume("data"), Err(Error::InUse { .. })));
    // Nothing a container stands on goes, even without its record.
    store.end_lease();
    let all = Prune { all: true, kinds: everything(), ..Prune::default() };
    let pruned = store.prune(&all).unwrap();
    assert_eq!((pruned.records.len(), pruned.layers.len()), (1, 0));
    assert_eq!(store.usage().unwrap().volumes.active, 2);
    store.remove_container(&made.id, true).unwrap();
    assert!(store.container("box").unwrap().is_none());
    assert!(store.volume(&volume.name).unwrap().is_none());
    assert_eq!(store.volume("data").unwrap().unwrap().labels, kept.labels);
    assert!(!store.layer_dir(own).exists());
    store.end_lease();
    assert_eq!(store.sweep().unwrap().layers, stack);
}

fn everything() -> store::Kinds {
    store::Kinds {
        records: true,
        cache_mounts: true,
        dangling_images: true,
        unused_images: true,
        anonymous_volumes: true,
        unused_volumes: true,
    }
}

#[test]
fn a_container_is_found_by_name_id_and_beginning() {
    let (_dir, store) = store();
    for mark in 0..20 {
        store.create_container(new(mark, &format!("box{mark}"))).unwrap();
    }
    let id = key(3).hex();
    for text in ["box3", "/box3", &id, &id[..12]] {
        assert_eq!(store.container(text).unwrap().unwrap().id, id, "{text}");
    }
    let ids: Vec<String> = (0..20).map(|mark| key(mark).hex()).collect();
    let several = ids.iter().find(|a| ids.iter().filter(|b| a[..1] == b[..1]).count() > 1).unwrap();
    assert!(matches!(store.container(&several[..1]), Err(Error::Ambiguous { .. })));
    assert!(store.container("").unwrap().is_none());
    assert_eq!(store.containers().unwrap().len(), 20);
    store.rename_container(&id, "other").unwrap();
    store.update_container(&id, "{\"a\":1}").unwrap();
    assert_eq!(store.container("other").unwrap().unwrap().config, "{\"a\":1}");
    assert!(matches!(store.rename_container(&id, "box4"), Err(Error::Taken { .. })));
}

#[test]
fn names_are_checked() {
    let (_dir, store) = store();
    for name in ["", "a", "../x", "-a", "a/b", "a b", "ä"] {
        assert!(
            matches!(store.create_volume(Some(name), &BTreeMap::new()), Err(Error::Name { .. })),
            "{name}"
        );
        assert!(matches!(store.create_container(new(1, name)), Err(Error::Name { .. })), "{name}");
    }
    assert!(store.remove_volume("../locks").unwrap_err().is_not_found());
}

#[test]
fn a_volume_is_filled_once() {
    let (_dir, store) = store();
    let volume = store.create_volume(Some("data"), &BTreeMap::new()).unwrap();
    assert!(!volume.initialised && !volume.anonymous && volume.path.is_dir());
    store.set_volume_initialised("data").unwrap();
    assert!(store.create_volume(Some("data"), &BTreeMap::new()).unwrap().initialised);
    store.remove_volume("data").unwrap();
    assert!(!volume.path.exists());
    assert!(!store.create_volume(Some("data"), &BTreeMap::new()).unwrap().initialised);
}

fn take(store: &Store, sharing: Sharing) -> store::Result<store::CacheMount> {
    store.cache_mount("npm", sharing, &mut || false)
}

#[test]
fn a_fresh_cache_mount_is_filled_by_one_alone() {
    let (_dir, store) = store();
    let mut first = take(&store, Sharing::Shared).unwrap();
    assert!(first.is_fresh());
    assert!(matches!(take(&store, Sharing::Shared), Err(Error::Cancelled { .. })));
    first.ready().unwrap();
    let second = take(&store, Sharing::Shared).unwrap();
    assert!(!second.is_fresh());
    assert_eq!(first.path(), second.path());
    assert!(matches!(take(&store, Sharing::Locked), Err(Error::Cancelled { .. })));
}

#[test]
fn locked_and_private_cache_mounts_are_alone() {
    let (_dir, store) = store();
    take(&store, Sharing::Locked).unwrap().ready().unwrap();
    let locked = take(&store, Sharing::Locked).unwrap();
    assert!(!locked.is_fresh());
    assert!(matches!(take(&store, Sharing::Locked), Err(Error::Cancelled { .. })));
    let private = take(&store, Sharing::Private).unwrap();
    let another = take(&store, Sharing::Private).unwrap();
    assert!(private.path() != locked.path() && private.path() != another.path());
    let place = private.path().to_owned();
    drop(private);
    assert_eq!(take(&store, Sharing::Private).unwrap().path(), place);
    assert_eq!(store.cache_mounts().unwrap().len(), 3);
}

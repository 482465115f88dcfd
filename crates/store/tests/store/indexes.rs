use crate::{options, step, store};
use oci::{Descriptor, Digest, Platform, Reference, media_type};
use store::{Error, Kinds, NewContainer, NewImage, NewIndex, Prune, Removed, Store};

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

fn document(store: &Store, text: &str) -> Descriptor {
    let digest = store.put_blob(text.as_bytes(), media_type::OCI_MANIFEST).unwrap();
    Descriptor::new(media_type::OCI_MANIFEST, digest, text.len() as u64)
}

/// An image of one layer with its manifest.
fn image(store: &Store, mark: u64, architecture: &str) -> (Digest, Digest) {
    let stack = step(store, mark, &[], 10);
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","mark":{mark},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let manifest = document(store, &format!("manifest {mark}"));
    let id = store.put_image(&NewImage { config: config.into(), stack, ..NewImage::default() }).unwrap();
    (manifest.digest, id)
}

/// An index for two platforms with an attestation, under names. Gives its descriptor and the ids.
fn index(store: &Store, mark: u64, names: &[&str]) -> (Descriptor, Digest, Digest) {
    let (amd, arm) = (image(store, mark, "amd64"), image(store, mark + 1, "arm64"));
    let root = document(store, &format!("index {mark}"));
    let others = vec![document(store, &format!("attestation {mark}")).digest];
    let names = names.iter().map(|text| name(text)).collect();
    let new = NewIndex {
        root: root.clone(),
        images: vec![arm, amd],
        others,
        names,
        machine: platform("linux/amd64"),
    };
    store.put_index(&new).unwrap();
    (root, amd.1, arm.1)
}

fn prune(store: &Store, kinds: Kinds) -> store::Pruned {
    store.end_lease();
    store.prune(&Prune { kinds, ..Prune::default() }).unwrap()
}

fn records() -> Kinds {
    Kinds { records: true, dangling_images: true, ..Kinds::default() }
}

#[test]
fn a_name_stands_for_all_platforms_and_by_itself_for_the_machines() {
    let (_dir, store) = store();
    let (root, amd, arm) = index(&store, 1, &["app"]);
    assert_eq!(store.image("app").unwrap().unwrap().id, amd);
    let for_platform = |text: &str| store.image_for("app", &platform(text)).unwrap().map(|image| image.id);
    assert_eq!(for_platform("linux/amd64"), Some(amd));
    assert_eq!(for_platform("linux/arm64"), Some(arm));
    assert_eq!(for_platform("linux/s390x"), None);
    let known = store.index("app").unwrap().unwrap();
    assert_eq!((known.root.digest, known.images.len(), known.others.len()), (root.digest, 2, 1));
    assert_eq!(store.index(&format!("app@{}", root.digest)).unwrap().unwrap(), known);
    assert!(store.index("other").unwrap().is_none());
    assert_eq!(store.indexed_images().unwrap()[&arm], ["docker.io/library/app:latest"]);
    // The tag of an index is one for the whole index, and an image alone is no index.
    store.tag("app", &name("app:2")).unwrap();
    assert_eq!(store.index("app:2").unwrap().unwrap(), known);
    store.tag(&arm.to_string(), &name("arm")).unwrap();
    assert!(store.index("arm").unwrap().is_none());
    assert_eq!(store.image_for("arm", &platform("linux/amd64")).unwrap().map(|image| image.id), None);
}

#[test]
fn platforms_that_come_later_are_added() {
    let (_dir, store) = store();
    let (amd, arm) = (image(&store, 1, "amd64"), image(&store, 2, "arm64"));
    let root = document(&store, "index");
    let put = |images: Vec<(Digest, Digest)>| {
        let names = vec![name("app")];
        let machine = platform("linux/amd64");
        store
            .put_index(&NewIndex { root: root.clone(), images, others: Vec::new(), names, machine })
            .unwrap();
        (store.image("app").unwrap().unwrap().id, store.index("app").unwrap().unwrap().images.len())
    };
    assert_eq!(put(vec![arm]), (arm.1, 1));
    assert_eq!(put(vec![amd]), (amd.1, 2));
    assert_eq!(put(vec![arm]), (amd.1, 2));
    let missing = NewIndex {
        root,
        images: vec![(arm.0, Digest::of(b"nothing"))],
        others: Vec::new(),
        names: vec![name("other")],
        machine: platform("linux/amd64"),
    };
    assert!(store.put_index(&missing).unwrap_err().is_not_found());
    assert!(store.image("other").unwrap().is_none());
}

#[test]
fn what_a_name_keeps_is_kept_until_the_last_name_goes() {
    let (dir, store) = store();
    let (root, amd, arm) = index(&store, 1, &["app", "app:2"]);
    drop(store);
    let store = Store::open(options(&dir)).unwrap();
    let pruned = prune(&store, records());
    assert_eq!((pruned.images.len(), pruned.layers.len(), pruned.blobs.len()), (0, 0, 0), "{pruned:?}");
    // A part of it does not go alone.
    let error = store.remove_image(&arm.to_string(), false).unwrap_err();
    assert!(matches!(&error, Error::InUse { by, .. } if by.contains("in the index")), "{error:?}");
    let untagged = |text: &str| Removed::Untagged(format!("docker.io/library/{text}"));
    assert_eq!(store.remove_image("app", false).unwrap(), [untagged("app:latest")]);
    assert_eq!(store.index("app:2").unwrap().unwrap().images.len(), 2);
    let removed = store.remove_image("app:2", false).unwrap();
    assert_eq!(removed, [untagged("app:2"), Removed::Deleted(amd), Removed::Deleted(arm)]);
    drop(store);
    let store = Store::open(options(&dir)).unwrap();
    let pruned = prune(&store, records());
    assert_eq!(pruned.layers.len(), 2);
    assert!(pruned.blobs.contains(&root.digest) && pruned.blobs.len() == 4, "{pruned:?}");
}

#[test]
fn one_platform_of_an_index_goes_alone() {
    let (_dir, store) = store();
    let machine = platform("linux/amd64");
    let remove =
        |name: &str, text: &str, force| store.remove_platform(name, &platform(text), &machine, force);
    let (_, amd, arm) = index(&store, 1, &["app", "app:2"]);
    for missing in ["linux/s390x", "linux/arm/v7", "windows/amd64"] {
        assert!(remove("app", missing, true).unwrap_err().is_not_found(), "{missing}");
    }
    let stack = store.image_for("app", &machine).unwrap().unwrap().stack;
    let id = "a".repeat(64);
    let container =
        NewContainer { id, name: "box".into(), image: Some(amd), stack, ..NewContainer::default() };
    store.create_container(container).unwrap();
    let error = remove("app", "linux/amd64", false).unwrap_err();
    assert!(
        matches!(&error, Error::InUse { name, by, .. } if name == "app for linux/amd64" && by.contains("box"))
    );
    // By force it leaves the index, and stays for its container. Both names stand for what is left.
    assert_eq!(remove("app", "linux/amd64", true).unwrap(), []);
    assert_eq!(store.image("app").unwrap().unwrap().id, arm);
    assert_eq!(store.image("app:2").unwrap().unwrap().id, arm);
    assert!(store.image_for("app:2", &machine).unwrap().is_none());
    assert!(store.image(&amd.to_string()).unwrap().is_some());
    // The last one takes the name along, and goes with the last name.
    let untagged = |text: &str| Removed::Untagged(format!("docker.io/library/{text}"));
    assert_eq!(remove("app", "linux/arm64", false).unwrap(), [untagged("app:latest")]);
    assert_eq!(remove("app:2", "linux/arm64", false).unwrap(), [untagged("app:2"), Removed::Deleted(arm)]);

    let (_, amd, arm) = index(&store, 11, &["both"]);
    assert_eq!(remove("both", "linux/arm64/v8", false).unwrap(), [Removed::Deleted(arm)]);
    assert_eq!(store.image("both").unwrap().unwrap().id, amd);
    // An image that is in no index goes whole, if it is for that platform.
    let (_, alone) = image(&store, 21, "arm64");
    store.tag(&alone.to_string(), &name("alone")).unwrap();
    assert!(remove("alone", "linux/amd64", false).unwrap_err().is_not_found());
    assert_eq!(
        remove("alone", "linux/arm64", false).unwrap(),
        [untagged("alone:latest"), Removed::Deleted(alone)]
    );
}

#[test]
fn unused_images_of_an_index_go_and_stay_together() {
    let (dir, store) = store();
    index(&store, 1, &["used"]);
    let (_, amd, arm) = index(&store, 11, &["unused"]);
    let used = store.image_for("used", &platform("linux/arm64")).unwrap().unwrap();
    let container = NewContainer {
        id: "a".repeat(64),
        name: "box".into(),
        image: Some(used.id),
        stack: used.stack,
        ..NewContainer::default()
    };
    store.create_container(container).unwrap();
    drop(store);
    let store = Store::open(options(&dir)).unwrap();
    let kinds = Kinds { unused_images: true, dangling_images: true, ..Kinds::default() };
    let mut gone: Vec<Digest> = prune(&store, kinds).images.into_iter().map(|(id, _)| id).collect();
    gone.sort();
    let mut expected = [amd, arm];
    expected.sort();
    assert_eq!(gone, expected);
    assert_eq!(store.index("used").unwrap().unwrap().images.len(), 2);
}

#[test]
fn a_store_of_before_gets_the_table() {
    let (dir, store) = store();
    step(&store, 1, &[], 1);
    let index_file = store.root().join("index.sqlite");
    drop(store);
    let connection = rusqlite::Connection::open(&index_file).unwrap();
    connection.execute_batch("DROP TABLE parts; PRAGMA user_version = 3;").unwrap();
    drop(connection);
    let store = Store::open(options(&dir)).unwrap();
    assert!(store.find(&[crate::key(1)]).unwrap().is_some());
    index(&store, 5, &["app"]);
}

use crate::{key, step, store};
use oci::{Descriptor, Digest, Reference};
use store::{Error, NewContainer, NewImage, Removed, Store};

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

fn image(store: &Store, mark: u64, names: &[&str]) -> Digest {
    let stack = step(store, mark, &[], 10);
    let config = format!("{{\"mark\":{mark}}}").into_bytes();
    let names = names.iter().map(|text| name(text)).collect();
    store.put_image(&NewImage { config, stack, names, ..NewImage::default() }).unwrap()
}

#[test]
fn a_name_moves_and_the_old_image_dangles() {
    let (_dir, store) = store();
    let first = image(&store, 1, &["app", "app:1"]);
    let second = image(&store, 2, &["app"]);
    assert_eq!(store.image("app:latest").unwrap().unwrap().id, second);
    assert_eq!(store.image("docker.io/library/app:1").unwrap().unwrap().id, first);
    store.tag("app", &name("app:1")).unwrap();
    let images = store.images().unwrap();
    assert_eq!(images.iter().map(|i| (i.id, i.names.len())).collect::<Vec<_>>(), [(second, 2), (first, 0)]);
    assert_eq!(images[0].size, 10);
    assert!(store.tag("nothing", &name("x")).unwrap_err().is_not_found());
}

#[test]
fn what_was_pushed_under_the_name_of_another_image_is_not_that_image() {
    let (_dir, store) = store();
    let (first, second) = (image(&store, 1, &["app"]), image(&store, 2, &["other"]));
    let sent = Descriptor::new(oci::media_type::OCI_MANIFEST, Digest::of(b"{}"), 2);
    let stands_for = || store.image("app").unwrap().unwrap().names[0].manifest.clone();
    store.set_pulled(&name("app"), &second, &sent).unwrap();
    assert_eq!(stands_for(), None);
    store.set_pulled(&name("app"), &first, &sent).unwrap();
    assert_eq!(stands_for(), Some(sent));
}

#[test]
fn an_image_is_found_by_id_and_beginning_and_digest() {
    let (_dir, store) = store();
    let ids: Vec<Digest> = (0..40).map(|mark| image(&store, mark, &[])).collect();
    let id = ids[0];
    for text in [id.to_string(), id.hex(), id.short(), format!("sha256:{}", id.short())] {
        assert_eq!(store.image(&text).unwrap().unwrap().id, id, "{text}");
    }
    let several =
        ids.iter().find(|a| ids.iter().filter(|b| a.hex()[..1] == b.hex()[..1]).count() > 1).unwrap();
    let error = store.image(&several.hex()[..1]).unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    assert!(store.image("UPPER").unwrap().is_none());
    assert!(store.image("").unwrap().is_none());
}

#[test]
fn a_pulled_image_is_found_by_its_registry_digest() {
    let (_dir, store) = store();
    let stack = step(&store, 1, &[], 1);
    let bytes = b"{}".to_vec();
    let manifest = Descriptor::new(oci::media_type::OCI_MANIFEST, Digest::of(&bytes), 2);
    let new = NewImage {
        config: b"c".to_vec(),
        stack,
        manifest: Some((manifest.clone(), bytes.clone())),
        names: vec![name("debian:12")],
        pulled: Some(manifest.clone()),
    };
    let id = store.put_image(&new).unwrap();
    let pinned = format!("debian@{}", manifest.digest);
    assert_eq!(store.image(&pinned).unwrap().unwrap().id, id);
    assert!(store.image(&format!("debian-slim@{}", manifest.digest)).unwrap().is_none());
    assert_eq!(store.read_blob(&manifest.digest, 100).unwrap(), bytes);
}

#[test]
fn an_image_with_missing_files_gets_no_name() {
    let (_dir, store) = store();
    let stack = store.remote_layers("r", &[(key(1), Descriptor::new("x", key(2), 5))]).unwrap();
    let new = NewImage { config: b"c".to_vec(), stack, names: vec![name("app")], ..NewImage::default() };
    assert!(matches!(store.put_image(&new), Err(Error::Layer { .. })));
    assert!(store.image("app").unwrap().is_none());
}

#[test]
fn images_are_removed_as_docker_does() {
    let (_dir, store) = store();
    let id = image(&store, 1, &["app", "app:1"]);
    let untagged = |text: &str| Removed::Untagged(format!("docker.io/library/{text}"));
    assert!(matches!(store.remove_image(&id.short(), false), Err(Error::InUse { .. })));
    assert_eq!(store.remove_image("app", false).unwrap(), [untagged("app:latest")]);
    let stack = store.image("app:1").unwrap().unwrap().stack;
    let new = NewContainer {
        id: key(1).hex(),
        name: "box".into(),
        image: Some(id),
        stack: stack.clone(),
        ..NewContainer::default()
    };
    store.create_container(new).unwrap();
    let error = store.remove_image("app:1", false).unwrap_err();
    assert!(error.to_string().contains("box"), "{error}");
    assert_eq!(store.remove_image("app:1", true).unwrap(), [untagged("app:1")]);
    store.remove_container(&key(1).hex(), false).unwrap();
    assert_eq!(store.remove_image(&id.short(), false).unwrap(), [Removed::Deleted(id)]);
    assert!(store.remove_image("app", false).unwrap_err().is_not_found());
    // The record still has the layer.
    assert!(store.layer(stack[0]).unwrap().is_some());
}

#[test]
fn a_resolved_tag_is_remembered_for_its_platform() {
    let (_dir, store) = store();
    let manifest = Descriptor::new("m", key(1), 7);
    store.remember_base(&name("debian"), "linux/amd64", key(2), &manifest, b"config").unwrap();
    let base = store.base(&name("debian:latest"), "linux/amd64").unwrap().unwrap();
    assert_eq!((base.manifest, base.resolved, base.config), (manifest, Some(key(2)), b"config".to_vec()));
    assert!(store.base(&name("debian"), "linux/arm64").unwrap().is_none());
}

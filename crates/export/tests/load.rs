//! Archives and layouts, good and hostile, into a store.
#![allow(clippy::unwrap_used, reason = "tests")]

use export::{Error, load};
use oci::{Descriptor, Digest, Hasher, ImageConfig, Index, Manifest, Platform, media_type};
use progress::VertexHandle;
use snapshot::{BoxError, Fetcher, Forms};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use store::Store;

/// No registry is in reach.
struct Nobody;

impl Fetcher for Nobody {
    fn fetch(
        &self,
        _: &str,
        _: &Descriptor,
        _: Hasher,
        _: &mut dyn Write,
        _: &dyn Fn(u64),
    ) -> Result<(), BoxError> {
        Err("no registry in a test".into())
    }
}

struct Kit {
    folder: tempfile::TempDir,
    store: Store,
    forms: Forms,
}

impl Kit {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(store::Options::new(folder.path().join("store"))).unwrap();
        let forms = Forms::new(store.clone(), Arc::new(Nobody), false, 2);
        Self { folder, store, forms }
    }

    fn load(&self, archive: Vec<u8>) -> export::Result<Vec<load::Loaded>> {
        load::load(&self.store, &self.forms, Cursor::new(archive), "test.tar", None, &VertexHandle::none())
    }

    fn layout(&self, folder: &Path) -> export::Result<Vec<load::Loaded>> {
        load::load_layout(&self.store, &self.forms, folder, None, &VertexHandle::none())
    }

    /// What a refused archive must look like: its reason, and nothing kept.
    fn refused(&self, archive: Vec<u8>) -> String {
        self.nothing_kept(self.load(archive))
    }

    fn nothing_kept(&self, loaded: export::Result<Vec<load::Loaded>>) -> String {
        let reason = match loaded.unwrap_err() {
            Error::Archive { reason, .. } => reason,
            other => panic!("not an archive's error: {other:?}"),
        };
        self.empty();
        reason
    }

    fn empty(&self) {
        assert!(self.store.images().unwrap().is_empty());
        for folder in ["layers", "blobs/sha256", "ingest", "trash"] {
            let path = self.store.options().root.join(folder);
            let left: Vec<_> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        assert_eq!(self.store.usage().unwrap(), store::Usage::default());
    }

    fn layers(&self) -> usize {
        std::fs::read_dir(self.store.options().root.join("layers")).unwrap().count()
    }

    fn read(&self, image: &str, path: &str) -> Option<String> {
        let image = self.store.image(image).unwrap().unwrap();
        let view = self.forms.view(&image.stack).unwrap();
        let bytes = self.forms.read(&view, &image.stack, path, 16 << 20).unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }
}

type Members = Vec<(String, Vec<u8>)>;

fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(target) = bytes.strip_prefix(b"->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let target = std::str::from_utf8(target).unwrap();
            builder.append_link(&mut header, path, target).unwrap();
        } else {
            header.set_size(bytes.len() as u64);
            // Paths with `..`, which the library would refuse to write.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, &bytes[..]).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn member(path: &str, bytes: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (path.to_owned(), bytes.into())
}

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let members: Members = files.iter().map(|(path, text)| member(path, *text)).collect();
    tar(&members)
}

fn config(layers: &[Vec<u8>], mark: &str) -> Vec<u8> {
    let mut config =
        ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
    config.rootfs.diff_ids = layers.iter().map(|layer| Digest::of(layer)).collect();
    config.config.labels.insert("mark".into(), mark.into());
    config.to_bytes()
}

/// What old versions of Docker write.
fn docker(layers: &[Vec<u8>], tag: &str) -> Members {
    let config = config(layers, tag);
    let path = format!("{}.json", Digest::of(&config).hex());
    let mut members = vec![member(&path, config)];
    let mut paths = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let path = format!("{at}/layer.tar");
        members.push(member(&path, layer.clone()));
        paths.push(path);
    }
    let manifest = serde_json::json!([{ "Config": path, "RepoTags": [tag], "Layers": paths }]);
    members.push(member("manifest.json", manifest.to_string()));
    members
}

fn blob(members: &mut Members, kind: &str, bytes: Vec<u8>) -> Descriptor {
    let descriptor = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
    members.push((format!("blobs/sha256/{}", descriptor.digest.hex()), bytes));
    descriptor
}

/// The parts of an image in a layout; its manifest's descriptor.
fn oci_image(members: &mut Members, layers: &[Vec<u8>], mark: &str) -> Descriptor {
    let config = blob(members, media_type::OCI_CONFIG, config(layers, mark));
    let layers = layers
        .iter()
        .map(|layer| blob(members, media_type::OCI_LAYER_ZSTD, zstd::encode_all(&layer[..], 1).unwrap()))
        .collect();
    let bytes = Manifest::oci(config, layers).to_bytes();
    blob(members, media_type::OCI_MANIFEST, bytes)
}

fn named(mut descriptor: Descriptor, name: &str) -> Descriptor {
    descriptor.annotations.insert("org.opencontainers.image.ref.name".into(), name.into());
    descriptor
}

fn for_platform(mut descriptor: Descriptor, platform: &str) -> Descriptor {
    let mut parts = platform.split('/');
    descriptor.platform = Some(Platform {
        os: parts.next().unwrap().into(),
        architecture: parts.next().unwrap().into(),
        ..Platform::default()
    });
    descriptor
}

fn finish(mut members: Members, manifests: Vec<Descriptor>) -> Members {
    members.push(member("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#));
    members.push(member("index.json", Index::oci(manifests).to_bytes()));
    members
}

fn write(folder: &Path, members: &[(String, Vec<u8>)]) {
    for (path, bytes) in members {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_docker_archive_in_any_order_and_compression() {
    let layers = [layer(&[("a", "1"), ("b", "2")]), layer(&[("b", "3"), (".wh.a", "")])];
    let forward = docker(&layers, "app:1");
    let backward: Members = forward.iter().rev().cloned().collect();
    let dotted: Members = forward.iter().map(|(path, bytes)| (format!("./{path}"), bytes.clone())).collect();
    let packed = zstd::encode_all(&tar(&forward)[..], 1).unwrap();
    for archive in [tar(&forward), tar(&backward), tar(&dotted), packed] {
        let kit = Kit::new();
        let loaded = kit.load(archive).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].names[0].familiar(), "app:1");
        assert_eq!(loaded[0].id, Digest::of(&forward[0].1));
        assert_eq!(kit.read("app:1", "b").as_deref(), Some("3"));
        assert_eq!(kit.read("app:1", "a"), None);
        assert_eq!(kit.layers(), 2);
    }
}

#[test]
fn layers_that_are_links_are_followed() {
    let shared = layer(&[("x", "y")]);
    let mut members = docker(std::slice::from_ref(&shared), "linked");
    members[1] = member("one/layer.tar", b"->../deep/layer.tar".to_vec());
    members.push(member("deep/layer.tar", shared));
    let text = String::from_utf8(members[2].1.clone()).unwrap().replace("0/layer.tar", "one/layer.tar");
    members[2].1 = text.into_bytes();
    let kit = Kit::new();
    kit.load(tar(&members)).unwrap();
    assert_eq!(kit.read("linked", "x").as_deref(), Some("y"));
}

#[test]
fn layers_that_are_here_are_not_made_again() {
    let kit = Kit::new();
    let base = layer(&[("base", "b")]);
    kit.load(tar(&docker(std::slice::from_ref(&base), "base"))).unwrap();
    kit.load(tar(&docker(std::slice::from_ref(&base), "base"))).unwrap();
    assert_eq!(kit.layers(), 1);
    kit.load(tar(&docker(&[base, layer(&[("top", "t")])], "top"))).unwrap();
    assert_eq!(kit.layers(), 2);
    assert_eq!(kit.store.images().unwrap().len(), 2);
    let (one, two) = (kit.store.image("base").unwrap().unwrap(), kit.store.image("top").unwrap().unwrap());
    assert_eq!(one.stack[0], two.stack[0]);
}

#[test]
fn what_was_saved_here_takes_its_space_once() {
    let kit = Kit::new();
    kit.load(tar(&docker(&[layer(&[("a", "1")]), layer(&[("b", &"2".repeat(5000))])], "app"))).unwrap();
    let image = kit.store.image("app").unwrap().unwrap();
    // Of a foreign tar the bytes are kept.
    assert_eq!(kit.store.layer(image.stack[0]).unwrap().unwrap().blobs.len(), 1);
    let mut ours = Vec::new();
    for id in &image.stack {
        let listing = kit.store.listing(*id).unwrap();
        let mut tar = Vec::new();
        layer::write_tar(&listing, &mut kit.forms.content(*id, &listing).unwrap(), &mut tar).unwrap();
        ours.push(tar);
    }
    let other = Kit::new();
    other.load(tar(&docker(&ours, "app"))).unwrap();
    let image = other.store.image("app").unwrap().unwrap();
    assert_eq!(other.read("app", "b").map(|text| text.len()), Some(5000));
    for (id, tar) in image.stack.iter().zip(&ours) {
        let info = other.store.layer(*id).unwrap().unwrap();
        assert!(info.blobs.is_empty());
        let mut again = Vec::new();
        other.forms.write_tar(*id, &mut again).unwrap();
        assert!(again == *tar);
    }
    assert_eq!(std::fs::read_dir(other.store.options().root.join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn a_layer_that_could_only_be_pulled_gets_its_files() {
    let kit = Kit::new();
    let base = layer(&[("base", "b")]);
    let far = Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(b"far"), 3);
    let known = kit.store.remote_layers("registry.invalid/base:1", &[(Digest::of(&base), far)]).unwrap();
    kit.load(tar(&docker(&[base], "base"))).unwrap();
    let image = kit.store.image("base").unwrap().unwrap();
    assert_eq!(image.stack, known);
    assert_eq!(kit.read("base", "base").as_deref(), Some("b"));
}

#[test]
fn a_layout_gives_this_machines_image_and_all_names() {
    let mut members = Members::new();
    let host = Platform::host().to_string();
    let ours = oci_image(&mut members, &[layer(&[("arch", "ours")])], "ours");
    let theirs = oci_image(&mut members, &[layer(&[("arch", "theirs")])], "theirs");
    let attestation = for_platform(theirs.clone(), "unknown/unknown");
    let inner = Index::oci(vec![
        for_platform(theirs.clone(), "linux/s390x"),
        for_platform(ours.clone(), &host),
        attestation,
    ]);
    let inner = blob(&mut members, media_type::OCI_INDEX, inner.to_bytes());
    let plain = oci_image(&mut members, &[layer(&[("arch", "plain")])], "plain");
    let top = vec![
        named(inner, "docker.io/library/multi:1"),
        named(plain.clone(), "plain:1"),
        named(plain, "plain:2"),
        named(for_platform(theirs, "linux/s390x"), "split:1"),
        named(for_platform(ours, &host), "split:1"),
    ];
    let members = finish(members, top);
    let kit = Kit::new();
    kit.load(tar(&members)).unwrap();
    assert_eq!(kit.read("multi:1", "arch").as_deref(), Some("ours"));
    assert_eq!(kit.read("plain:2", "arch").as_deref(), Some("plain"));
    assert_eq!(kit.read("split:1", "arch").as_deref(), Some("ours"));
    // Of the index all is here, and by its own names.
    let index = kit.store.index("multi:1").unwrap().unwrap();
    assert_eq!((index.images.len(), kit.store.images().unwrap().len()), (2, 3));
    let foreign = kit.store.image_for("multi:1", &"linux/s390x".parse().unwrap()).unwrap().unwrap();
    assert_ne!(foreign.id, kit.store.image("multi:1").unwrap().unwrap().id);
    // The manifest is kept, so that a push sends the same bytes.
    assert!(kit.store.image("plain:1").unwrap().unwrap().manifest.is_some());

    let other = Kit::new();
    let folder = other.folder.path().join("layout");
    write(&folder, &members);
    other.layout(&folder).unwrap();
    assert_eq!(other.read("multi:1", "arch").as_deref(), Some("ours"));
    assert_eq!(other.layers(), 3);
}

#[test]
fn an_image_without_a_name_has_its_id() {
    let mut members = Members::new();
    let image = oci_image(&mut members, &[layer(&[("a", "b")])], "x");
    let kit = Kit::new();
    let loaded = kit.load(tar(&finish(members, vec![named(image, "latest")]))).unwrap();
    assert!(loaded[0].names.is_empty());
    assert_eq!(kit.read(&loaded[0].id.to_string(), "a").as_deref(), Some("b"));
}

#[test]
fn archives_that_are_none_are_refused() {
    let kit = Kit::new();
    assert!(kit.refused(Vec::new()).contains("empty"));
    assert!(!kit.refused(b"hello, this is no archive at all".repeat(40)).is_empty());
    assert!(kit.refused(tar(&[member("a", "b")])).contains("neither"));
    assert!(kit.refused(tar(&[member("repositories", "{}")])).contains("1.10"));
    assert!(kit.refused(tar(&[member("manifest.json", "{")])).contains("manifest.json"));
    assert!(kit.refused(tar(&[member("manifest.json", "[]")])).contains("no image"));
    assert!(!kit.refused(b"\xfd7zXZ\0hello".to_vec()).is_empty());
    let version = [member("oci-layout", r#"{"imageLayoutVersion":"2.0"}"#), member("index.json", "{}")];
    assert!(kit.refused(tar(&version)).contains("2.0"));
}

#[test]
fn what_is_missing_or_changed_is_named() {
    let kit = Kit::new();
    let layers = [layer(&[("a", "1")])];
    let good = docker(&layers, "app");
    let without = |at: usize| {
        let mut members = good.clone();
        let gone = members.remove(at).0;
        (gone, tar(&members))
    };
    for at in [0, 1] {
        let (path, archive) = without(at);
        let reason = kit.refused(archive);
        assert!(reason.contains(&path) && reason.contains("not there"), "{reason}");
    }
    let mut changed = good.clone();
    changed[0].1.push(b' ');
    assert!(kit.refused(tar(&changed)).contains("should have the digest"));
    let mut changed = good.clone();
    changed[1].1 = layer(&[("a", "2")]);
    assert!(kit.refused(tar(&changed)).contains("its image's configuration names"));
    let mut fewer = good.clone();
    fewer[2].1 = String::from_utf8(good[2].1.clone()).unwrap().replace("\"0/layer.tar\"", "").into_bytes();
    assert!(kit.refused(tar(&fewer)).contains("has 0 layers"));
    let mut wrong = good.clone();
    wrong[2].1 =
        String::from_utf8(good[2].1.clone()).unwrap().replace("\"app\"", "\"Not A Name\"").into_bytes();
    assert!(kit.refused(tar(&wrong)).contains("Not A Name"));
}

#[test]
fn a_layouts_blobs_must_have_their_digests() {
    let kit = Kit::new();
    let mut members = Members::new();
    let image = oci_image(&mut members, &[layer(&[("a", "b")])], "x");
    let good = finish(members, vec![named(image, "x:1")]);
    // Configuration, layer, manifest.
    for at in 0..3 {
        let mut bad = good.clone();
        bad[at].1[0] ^= 1;
        let reason = kit.refused(tar(&bad));
        assert!(reason.contains("digest") && reason.contains(&bad[at].0), "{reason}");
        let folder = kit.folder.path().join(format!("bad-{at}"));
        write(&folder, &bad);
        assert!(kit.nothing_kept(kit.layout(&folder)).contains("digest"));
        bad.remove(at);
        assert!(kit.refused(tar(&bad)).contains("not there"));
    }
}

#[test]
fn large_members_are_checked_as_they_come() {
    let kit = Kit::new();
    let noise: String = (0..400_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
    let mut members = Members::new();
    let image = oci_image(&mut members, &[layer(&[("noise", &noise)])], "large");
    let good = finish(members, vec![named(image, "large:1")]);
    assert!(good[1].1.len() > 1 << 20);
    let mut bad = good.clone();
    *bad[1].1.last_mut().unwrap() ^= 1;
    assert!(kit.refused(tar(&bad)).contains("digest"));
    kit.load(tar(&good)).unwrap();
    assert_eq!(kit.read("large:1", "noise").map(|text| text.len()), Some(noise.len()));
}

#[test]
fn paths_lead_nowhere_else() {
    let kit = Kit::new();
    let outside = kit.folder.path().join("outside");
    let trick = [layer(&[("../../../../../../outside", "gotcha"), ("/outside", "x")])];
    // Names are resolved inside the layer's root, as the kernel would.
    let loaded = kit.load(tar(&docker(&trick, "trick")));
    assert!(loaded.is_err() || kit.read("trick", "outside").is_some());
    assert!(!outside.exists());

    let kit = Kit::new();
    for path in ["../../../../etc/passwd", "/etc/passwd"] {
        let manifest = serde_json::json!([{ "Config": path, "RepoTags": null, "Layers": [] }]);
        let reason = kit.refused(tar(&[member("manifest.json", manifest.to_string())]));
        assert!(reason.contains("not there"), "{reason}");
    }
    let circle = [
        member("manifest.json", r#"[{"Config":"a","Layers":[]}]"#),
        member("a", b"->b".to_vec()),
        member("b", b"->a".to_vec()),
    ];
    assert!(kit.refused(tar(&circle)).contains("not there"));
}

#[test]
fn a_layouts_links_stay_inside_and_pipes_do_not_hang() {
    let kit = Kit::new();
    let secret = kit.folder.path().join("secret");
    std::fs::write(&secret, "{}").unwrap();
    let folder = kit.folder.path().join("layout");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&secret, folder.join("index.json")).unwrap();
    assert!(kit.nothing_kept(kit.layout(&folder)).contains("neither"));
    std::fs::remove_file(folder.join("index.json")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("index.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(kit.nothing_kept(kit.layout(&folder)).contains("no regular file"));
}

#[test]
fn indexes_do_not_go_round_for_ever() {
    let kit = Kit::new();
    let mut members = Members::new();
    let mut inner = oci_image(&mut members, &[layer(&[("a", "b")])], "deep");
    for _ in 0..6 {
        let bytes = Index::oci(vec![inner]).to_bytes();
        inner = blob(&mut members, media_type::OCI_INDEX, bytes);
    }
    assert!(kit.refused(tar(&finish(members, vec![inner]))).contains("deep"));
}

#[test]
fn artifacts_and_missing_platforms_are_named() {
    let kit = Kit::new();
    let mut members = Members::new();
    let config = blob(&mut members, "application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let bytes = Manifest::oci(config, Vec::new()).to_bytes();
    let artifact = blob(&mut members, media_type::OCI_MANIFEST, bytes);
    assert!(kit.refused(tar(&finish(members, vec![artifact]))).contains("is no image"));

    // `docker save --platform` leaves out manifests and layers of other platforms, and keeps the index.
    let mut members = Members::new();
    let one = oci_image(&mut members, &[layer(&[("a", "one")])], "one");
    let two = oci_image(&mut members, &[layer(&[("a", "two")])], "two");
    let both = vec![for_platform(one.clone(), "linux/s390x"), for_platform(two.clone(), "plan9/mips")];
    let index = blob(&mut members, media_type::OCI_INDEX, Index::oci(both).to_bytes());
    let mut members = finish(members, vec![named(index, "both:1")]);
    for (left_out, here) in [(None, 2), (Some(one), 1), (Some(two), 0)] {
        if let Some(manifest) = left_out {
            members.retain(|(path, _)| !path.ends_with(&manifest.digest.hex()));
        }
        let kit = Kit::new();
        if here == 0 {
            assert!(kit.refused(tar(&members)).contains("none of the images of the index"));
        } else {
            let loaded = kit.load(tar(&members)).unwrap();
            assert_eq!(loaded.len(), 1);
            assert_eq!(kit.store.index("both:1").unwrap().unwrap().images.len(), here);
        }
    }
}

#[test]
fn cut_and_flipped_archives_leave_nothing() {
    let mut members = Members::new();
    let image = oci_image(
        &mut members,
        &[layer(&[("a", "1"), ("b", &"x".repeat(3000))]), layer(&[("c", "2")])],
        "cut",
    );
    let good = tar(&finish(members, vec![named(image, "cut:1")]));
    let end = good.len() - 1024;
    let kit = Kit::new();
    for cut in (1..end).step_by(257) {
        // At the border of two members a cut archive is a shorter one: then a member is missing.
        if let Err(error) = kit.load(good[..cut].to_vec()) {
            assert!(matches!(error, Error::Archive { .. }), "{cut}: {error:?}");
            kit.empty();
        } else {
            panic!("cut after {cut} of {end} bytes and loaded");
        }
    }
    let mut random = 12345u64;
    for _ in 0..60 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut bad = good.clone();
        let at = usize::try_from(random >> 33).unwrap() % end;
        bad[at] ^= 1 << (random >> 60 & 7);
        let kit = Kit::new();
        match kit.load(bad) {
            // A bit of a mode, a time or padding.
            Ok(_) => assert!(kit.store.images().unwrap().len() == 1),
            Err(_) => kit.empty(),
        }
    }
}

//! What leaves a build: folders, tars and archives.
#![allow(clippy::unwrap_used, reason = "tests")]

use export::archive::{Saved, save};
use export::target::TargetFile;
use export::{Annotations, Bundle, Error, Follower, Out, Packing, layout, local};
use layer::LayerId;
use oci::{Descriptor, Digest, Hasher, History, ImageConfig, Index, Manifest};
use snapshot::{BoxError, Fetcher, Forms};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use store::{Commit, Store};

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

    fn layer(&self, fill: impl FnOnce(&Path)) -> LayerId {
        let mut draft = self.store.new_layer().unwrap();
        let (folder, _) = draft.make_folders().unwrap();
        fill(&folder);
        let fd = snapshot::open_directory(&folder).unwrap();
        draft.write_listing(&layer::scan(fd.as_fd(), &layer::ScanOptions::default()).unwrap()).unwrap();
        let id = draft.id();
        self.store.commit(Commit { layers: vec![draft], ..Commit::default() }).unwrap();
        id
    }

    /// Two layers: the upper one removes a file and replaces a directory of the lower one.
    fn stack(&self) -> Vec<LayerId> {
        let lower = self.layer(|root| {
            std::fs::create_dir_all(root.join("bin")).unwrap();
            std::fs::write(root.join("bin/tool"), "tool").unwrap();
            std::fs::set_permissions(root.join("bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::hard_link(root.join("bin/tool"), root.join("bin/same")).unwrap();
            std::os::unix::fs::chown(root.join("bin/tool"), Some(5), Some(6)).unwrap();
            std::fs::write(root.join("gone"), "x").unwrap();
            symlink("bin/tool", root.join("link")).unwrap();
        });
        let upper = self.layer(|root| {
            let device = rustix::fs::makedev(0, 0);
            let mode = rustix::fs::Mode::empty();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                root.join("gone"),
                rustix::fs::FileType::CharacterDevice,
                mode,
                device,
            )
            .unwrap();
            std::fs::create_dir(root.join("etc")).unwrap();
            std::fs::write(root.join("etc/conf"), "conf").unwrap();
        });
        vec![lower, upper]
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("out")
    }

    fn bundle(&self, images: &[Digest], packing: &Packing) -> Bundle {
        let images: Vec<_> =
            images.iter().map(|id| self.store.image(&id.to_string()).unwrap().unwrap()).collect();
        Bundle::new(&self.store, &self.forms, &images, packing).unwrap()
    }

    fn image(&self) -> Saved {
        self.image_for("amd64", self.stack())
    }

    fn image_for(&self, architecture: &str, stack: Vec<LayerId>) -> Saved {
        let entry = |empty| History { empty_layer: empty, ..History::default() };
        let config = ImageConfig {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            history: vec![entry(false), entry(true), entry(false)],
            ..ImageConfig::default()
        };
        let name: oci::Reference = "example.com/app:v1".parse().unwrap();
        let new = export::NewImage {
            config,
            base_history: 0,
            stack,
            names: vec![name.clone()],
            epoch: Some("2020-01-01T00:00:00Z".to_owned()),
            inline: Vec::new(),
        };
        let image = export::finish(&self.store, &self.forms, new).unwrap().id;
        Saved { image, names: vec![name] }
    }
}

fn members(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    entries.collect()
}

#[test]
fn a_folder_gets_the_files_and_keeps_its_own() {
    let kit = Kit::new();
    let stack = kit.stack();
    std::fs::create_dir_all(kit.out().join("etc")).unwrap();
    std::fs::write(kit.out().join("etc/mine"), "mine").unwrap();
    std::fs::write(kit.out().join("etc/conf"), "old").unwrap();
    std::fs::write(kit.out().join("gone"), "stays").unwrap();
    local::write(&kit.forms, &[(&stack, local::Options::default())], &kit.out(), false).unwrap();
    let read = |path: &str| std::fs::read_to_string(kit.out().join(path)).unwrap();
    assert_eq!(
        (&*read("bin/tool"), &*read("link"), &*read("etc/conf"), &*read("etc/mine"), &*read("gone")),
        ("tool", "tool", "conf", "mine", "stays")
    );
    let tool = std::fs::metadata(kit.out().join("bin/tool")).unwrap();
    let same = std::fs::metadata(kit.out().join("bin/same")).unwrap();
    assert_eq!(tool.mode() & 0o7777, 0o755);
    assert_eq!(tool.uid(), rustix::process::geteuid().as_raw(), "files belong to whoever builds");
    assert_eq!(tool.ino(), same.ino());
    // Once more over itself.
    local::write(&kit.forms, &[(&stack, local::Options::default())], &kit.out(), false).unwrap();
    assert_eq!(std::fs::read_to_string(kit.out().join("bin/same")).unwrap(), "tool");
}

#[test]
fn links_in_the_folder_lead_nowhere_else() {
    let kit = Kit::new();
    let stack = kit.stack();
    let outside = kit.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("tool"), "safe").unwrap();
    std::fs::write(outside.join("conf"), "safe").unwrap();
    std::fs::create_dir_all(kit.out().join("etc")).unwrap();
    symlink(&outside, kit.out().join("bin")).unwrap();
    symlink(outside.join("conf"), kit.out().join("etc/conf")).unwrap();
    local::write(&kit.forms, &[(&stack, local::Options::default())], &kit.out(), false).unwrap();
    for file in ["tool", "conf"] {
        assert_eq!(std::fs::read_to_string(outside.join(file)).unwrap(), "safe");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);
    assert!(std::fs::symlink_metadata(kit.out().join("bin")).unwrap().is_dir());
    assert_eq!(std::fs::read_to_string(kit.out().join("etc/conf")).unwrap(), "conf");
}

#[test]
fn what_cannot_give_way_is_named() {
    let kit = Kit::new();
    let stack = kit.stack();
    std::fs::create_dir_all(kit.out().join("etc/conf/full")).unwrap();
    let error = local::write(&kit.forms, &[(&stack, local::Options::default())], &kit.out(), false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("etc/conf"), "{error}");
}

#[test]
fn a_tar_has_the_owners_of_the_image() {
    let kit = Kit::new();
    let mut bytes = Vec::new();
    local::write_tar(&kit.forms, &[(&kit.stack(), local::Options::default())], &mut bytes).unwrap();
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut seen = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        seen.push(format!("{path} {} {:?}", entry.header().uid().unwrap(), entry.header().entry_type()));
    }
    assert_eq!(
        seen,
        [
            "bin/ 0 Directory",
            "bin/same 5 Regular",
            "bin/tool 5 Link",
            "etc/ 0 Directory",
            "etc/conf 0 Regular",
            "link 0 Symlink"
        ]
    );
}

#[test]
fn a_docker_archive_is_whole_and_the_same_each_time() {
    let kit = Kit::new();
    let image = kit.image();
    let archive = || {
        let mut bytes = Vec::new();
        save(&kit.store, &kit.forms, std::slice::from_ref(&image), Out::Stream(&mut bytes)).unwrap();
        bytes
    };
    let bytes = archive();
    assert_eq!(bytes, archive());
    let members = members(&bytes);
    let manifest: serde_json::Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], "example.com/app:v1");
    let config = ImageConfig::parse(&members[manifest[0]["Config"].as_str().unwrap()]).unwrap();
    assert_eq!(config.rootfs.diff_ids.len(), 2);
    for (layer, diff_id) in manifest[0]["Layers"].as_array().unwrap().iter().zip(&config.rootfs.diff_ids) {
        assert_eq!(Digest::of(&members[layer.as_str().unwrap()]), *diff_id);
    }
    assert!(config.history.iter().all(|entry| entry.created.as_deref() == Some("2020-01-01T00:00:00Z")));
}

#[test]
fn an_archive_is_the_same_whether_its_layers_are_made_for_it_or_known() {
    let kit = Kit::new();
    // Two layers with the same tar: the second is compressed as well, and is in the archive already.
    let twin = || {
        kit.layer(|root| {
            let file = std::fs::File::create(root.join("twin")).unwrap();
            (&file).write_all(&[7; 3000]).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        })
    };
    let stack = [kit.stack(), vec![twin(), twin()]].concat();
    let saved = kit.image_for("amd64", stack);
    let image = kit.store.image(&saved.image.to_string()).unwrap().unwrap();
    let packing = Packing { compression: Some(layer::Compression::Zstd), force: true, ..Packing::default() };
    let write = |out: Out<'_>| {
        let mut archive = layout::Archive::new(out);
        let images = std::slice::from_ref(&image);
        let make = |follower: &mut dyn Follower| {
            Bundle::telling(&kit.store, &kit.forms, images, &packing, None, follower)
        };
        let bundle = archive.follow(&kit.forms, make).unwrap();
        archive.add(&kit.forms, &bundle, &saved.names).unwrap();
        archive.finish().unwrap();
        bundle
    };
    let file = |name: &str| {
        let path = kit.folder.path().join(name);
        // What is beyond the end goes.
        std::fs::write(&path, vec![1; 100_000]).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let bundle = write(Out::File(&TargetFile::new(Arc::new(file))));
        (bundle, std::fs::read(&path).unwrap())
    };
    let (bundle, made) = file("made.tar");
    assert_eq!(bundle.layers.len(), 3);
    assert!(made.len() < 20_000, "{}", made.len());
    let members = members(&made);
    for layer in &bundle.layers {
        let digest = layer.descriptor.digest;
        assert_eq!(Digest::of(&members[&format!("blobs/sha256/{}", digest.hex())]), digest);
    }
    assert!(members.contains_key("index.json"));
    assert!(file("known.tar").1 == made);
    let mut stream = Vec::new();
    write(Out::Stream(&mut stream));
    assert!(stream == made);
}

#[test]
fn an_archive_that_cannot_be_written_is_what_is_told() {
    let kit = Kit::new();
    let saved = kit.image();
    let image = kit.store.image(&saved.image.to_string()).unwrap().unwrap();
    // Writing there says that no space is left.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let full = TargetFile::new(Arc::new(full));
    let mut archive = layout::Archive::new(Out::File(&full));
    let made = archive.follow(&kit.forms, |follower| {
        let images = std::slice::from_ref(&image);
        Bundle::telling(&kit.store, &kit.forms, images, &Packing::default(), None, follower)
    });
    let error = made.unwrap_err();
    assert!(matches!(&error, Error::Io { action: "write", .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(kit.folder.path().join("store/ingest")).unwrap().count(), 0);
}

#[test]
fn an_oci_archive_and_a_layout_agree() {
    let kit = Kit::new();
    let image = kit.image();
    let mut bytes = Vec::new();
    let bundles = [(kit.bundle(&[image.image], &Packing::default()), image.names)];
    let mut archive = layout::Archive::new(Out::Stream(&mut bytes));
    archive.add(&kit.forms, &bundles[0].0, &bundles[0].1).unwrap();
    archive.finish().unwrap();
    let members = members(&bytes);
    let index = Index::parse(&members["index.json"]).unwrap();
    let blob = |digest: &Digest| &members[&format!("blobs/sha256/{}", digest.hex())];
    let entry = &index.manifests[0];
    assert_eq!(entry.annotations["org.opencontainers.image.ref.name"], "v1");
    let manifest = Manifest::parse(blob(&entry.digest)).unwrap();
    let config = ImageConfig::parse(blob(&manifest.config.digest)).unwrap();
    for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
        assert_eq!(Digest::of(blob(&layer.digest)), layer.digest);
        let mut tar = Vec::new();
        layer::decompress(&blob(&layer.digest)[..], u64::MAX).unwrap().read_to_end(&mut tar).unwrap();
        assert_eq!(Digest::of(&tar), *diff_id);
    }
    for (name, bytes) in &members {
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(Digest::of(bytes).hex(), hex);
        }
    }
    // Twice into one folder is once.
    for _ in 0..2 {
        layout::write_folder(&kit.forms, &bundles, &kit.out()).unwrap();
    }
    for (name, bytes) in &members {
        assert_eq!(&std::fs::read(kit.out().join(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(std::fs::read_dir(kit.out().join("blobs/sha256")).unwrap().count(), 4);
}

#[test]
fn a_layout_is_dated_by_the_newest_of_its_images() {
    let kit = Kit::new();
    let image = kit.image().image;
    let made = |times: &[Option<&str>]| {
        let image = kit.store.image(&image.to_string()).unwrap().unwrap();
        let dated = |time: &Option<&str>| {
            let mut config = ImageConfig::parse(&image.config).unwrap();
            config.created = time.map(str::to_owned);
            store::Image { config: config.to_bytes(), ..image.clone() }
        };
        times.iter().map(dated).collect::<Vec<_>>()
    };
    let (none, old, new) = (None, Some("2020-01-01T00:00:00Z"), Some("2020-01-01T01:00:07.25+01:00"));
    for (times, date) in [
        (vec![none], None),
        (vec![old], old),
        (vec![old, new, none], Some("2020-01-01T00:00:07Z")),
        (vec![Some("yesterday")], None),
    ] {
        let mut bundle = kit.bundle(&[image], &Packing::default());
        layout::date(&mut bundle, &made(&times));
        let key = "org.opencontainers.image.created";
        assert_eq!(bundle.root.annotations.get(key).map(String::as_str), date, "{times:?}");
        bundle.root.annotations.insert(key.to_owned(), "said".to_owned());
        layout::date(&mut bundle, &made(&times));
        assert_eq!(bundle.root.annotations[key], "said");
    }
}

#[test]
fn what_the_result_does_not_have_is_removed_where_that_is_asked_for() {
    let kit = Kit::new();
    let stack = kit.stack();
    let outside = kit.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("safe"), "safe").unwrap();
    std::fs::create_dir_all(kit.out().join("etc/deep/er")).unwrap();
    std::fs::write(kit.out().join("etc/deep/er/file"), "x").unwrap();
    std::fs::write(kit.out().join("gone"), "x").unwrap();
    symlink(&outside, kit.out().join("away")).unwrap();
    local::write(&kit.forms, &[(&stack, local::Options::default())], &kit.out(), true).unwrap();
    let mut left: Vec<_> =
        std::fs::read_dir(kit.out()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["bin", "etc", "link"]);
    assert_eq!(std::fs::read_dir(kit.out().join("etc")).unwrap().count(), 1);
    assert_eq!(
        std::fs::read_to_string(outside.join("safe")).unwrap(),
        "safe",
        "a link is removed, not followed"
    );
}

#[test]
fn each_platform_gets_a_folder_and_the_time_that_is_asked_for() {
    let kit = Kit::new();
    let stack = kit.stack();
    let epoch = Some(layer::Time { seconds: 1_000_000, nanoseconds: 0 });
    let options =
        |folder: &str| local::Options { folder: folder.to_owned(), epoch, ..local::Options::default() };
    let results = [(&stack[..], options("linux_amd64")), (&stack[..], options("linux_arm64"))];
    local::write(&kit.forms, &results, &kit.out(), false).unwrap();
    let mut bytes = Vec::new();
    local::write_tar(&kit.forms, &results, &mut bytes).unwrap();
    let members = members(&bytes);
    for platform in ["linux_amd64", "linux_arm64"] {
        let conf = kit.out().join(platform).join("etc/conf");
        assert_eq!(std::fs::read_to_string(&conf).unwrap(), "conf");
        assert_eq!(std::fs::metadata(&conf).unwrap().mtime(), 1_000_000);
        assert_eq!(members[&format!("{platform}/etc/conf")], b"conf");
        let two = |name: &str| std::fs::metadata(kit.out().join(platform).join(name)).unwrap().ino();
        assert_eq!(two("bin/tool"), two("bin/same"));
    }
    let names = tar::Archive::new(&bytes[..]).entries().unwrap().count();
    assert_eq!(names, 14, "two platforms of a folder and six entries, and nothing after the first one's end");
    // In one folder they are in each other's way.
    let same = [(&stack[..], local::Options::default()), (&stack[..], local::Options::default())];
    let error = local::write(&kit.forms, &same, &kit.out(), false).unwrap_err().to_string();
    assert!(error.contains("platform-split"), "{error}");
}

#[test]
fn an_index_names_the_platforms_and_carries_its_annotations() {
    let kit = Kit::new();
    let stack = kit.stack();
    let (amd, arm) = (kit.image_for("amd64", stack.clone()), kit.image_for("arm64", stack));
    let mut annotations = Annotations::new();
    for text in [
        "index:level=index",
        "manifest[linux/arm64]:only=arm",
        "manifest-descriptor:d=1",
        "index-descriptor:o=2",
    ] {
        annotations.flag(text).unwrap();
    }
    let packing = Packing { annotations, ..Packing::default() };
    let bundle = kit.bundle(&[amd.image, arm.image], &packing);
    let index = Index::parse(&bundle.root_document().bytes).unwrap();
    assert_eq!(index.annotations["level"], "index");
    let of = |at: usize| {
        let entry = &index.manifests[at];
        let document = bundle.manifests.iter().find(|one| one.descriptor.digest == entry.digest).unwrap();
        (
            entry.platform.as_ref().unwrap().to_string(),
            entry.annotations.clone(),
            Manifest::parse(&document.bytes).unwrap(),
        )
    };
    let (platform, entry, manifest) = of(1);
    assert_eq!((platform.as_str(), entry["d"].as_str()), ("linux/arm64", "1"));
    assert_eq!(manifest.annotations["only"], "arm");
    assert!(of(0).2.annotations.is_empty());
    assert_eq!(bundle.root.annotations["o"], "2");
    // Both platforms have layers of the same bytes: each blob leaves once.
    assert_eq!(bundle.layers.len(), 2);
    // One image alone has no index.
    let images = [kit.store.image(&amd.image.to_string()).unwrap().unwrap()];
    let error = Bundle::new(&kit.store, &kit.forms, &images, &packing).unwrap_err().to_string();
    assert!(error.contains("no index"), "{error}");
}

#[test]
fn layers_are_compressed_as_asked() {
    let kit = Kit::new();
    let image = kit.image().image;
    let kinds = |packing: &Packing| {
        let bundle = kit.bundle(&[image], packing);
        let manifest = Manifest::parse(&bundle.root_document().bytes).unwrap();
        let mut kinds: Vec<String> = manifest
            .layers
            .iter()
            .map(|layer| layer.media_type.rsplit(['.', '+']).next().unwrap().to_owned())
            .collect();
        kinds.dedup();
        (manifest.media_type.unwrap().contains("docker"), kinds.join(" "))
    };
    let packing = |compression, force, docker| Packing { compression, force, docker, ..Packing::default() };
    let zstd = Some(layer::Compression::Zstd);
    assert_eq!(kinds(&Packing::default()), (false, "gzip".to_owned()));
    // What is there serves, unless it must not.
    assert_eq!(kinds(&packing(zstd, false, false)), (false, "gzip".to_owned()));
    assert_eq!(kinds(&packing(zstd, true, false)), (false, "zstd".to_owned()));
    assert_eq!(kinds(&packing(zstd, false, false)), (false, "zstd".to_owned()));
    assert_eq!(kinds(&packing(Some(layer::Compression::None), true, true)), (true, "tar".to_owned()));
}

#[test]
fn a_layer_leaves_without_the_registry_that_has_its_blob() {
    let kit = Kit::new();
    let made = kit.store.image(&kit.image().image.to_string()).unwrap().unwrap();
    // As after a pull whose layers were here already: a manifest of blobs that are there, not here.
    let blob = |at: u8| Descriptor::new(oci::media_type::OCI_LAYER_GZIP, Digest::of(&[at]), 1);
    let config = Descriptor::new(oci::media_type::OCI_CONFIG, made.id, made.config.len() as u64);
    let manifest = Manifest::oci(config, vec![blob(0), blob(1)]);
    for layer in &manifest.layers {
        kit.store.add_blob_source(&layer.digest, "registry.test/app").unwrap();
    }
    let new = store::NewImage {
        config: made.config,
        stack: made.stack,
        manifest: Some((manifest.descriptor(), manifest.to_bytes())),
        ..store::NewImage::default()
    };
    let image = kit.store.put_image(&new).unwrap();
    let digests = |packing: &Packing| {
        let layers = kit.bundle(&[image], packing).layers.into_iter();
        layers.map(|layer| layer.descriptor.digest).collect::<Vec<_>>()
    };
    let to = |host: &str| Packing { registry: Some(host.to_owned()), ..Packing::default() };
    let theirs = [blob(0).digest, blob(1).digest];
    assert_eq!(digests(&to("registry.test")), theirs, "that registry needs no bytes");
    // Nobody is in reach: what is here is compressed.
    for packing in [Packing::default(), to("other.test")] {
        let own = digests(&packing);
        assert!(own.iter().all(|digest| kit.store.has_blob(digest).unwrap().is_some()), "{own:?}");
    }
}

#[test]
fn a_rewritten_layer_has_the_same_files_and_no_later_time() {
    let kit = Kit::new();
    let stack = kit.stack();
    let latest = layer::Time { seconds: 1_000, nanoseconds: 0 };
    let new: Vec<LayerId> = stack.iter().map(|id| kit.forms.rewritten(*id, latest).unwrap()).collect();
    assert!(new.iter().all(|id| !stack.contains(id)));
    for (old, new) in stack.iter().zip(&new) {
        // Made once, and there is nothing to do to it any more.
        assert_eq!(kit.forms.rewritten(*old, latest).unwrap(), *new);
        assert_eq!(kit.forms.rewritten(*new, latest).unwrap(), *new);
        let tar = |id| {
            let mut bytes = Vec::new();
            kit.forms.write_tar(id, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(members(&tar(*old)), members(&tar(*new)));
        for entry in tar::Archive::new(&tar(*new)[..]).entries().unwrap() {
            assert!(entry.unwrap().header().mtime().unwrap() <= 1_000);
        }
    }
}

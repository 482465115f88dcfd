use crate::store;
use oci::Digest;
use std::io::{Read, Write};
use store::Error;

#[test]
fn a_blob_is_there_once_its_digest_is_right() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello");
    let mut writer = store.blob_writer(Some(digest)).unwrap();
    writer.write_all(b"hel").unwrap();
    writer.write_all(b"lo").unwrap();
    assert_eq!(store.has_blob(&digest).unwrap(), None);
    assert_eq!(writer.commit().unwrap(), (digest, 5));
    assert_eq!(store.has_blob(&digest).unwrap(), Some(5));
    let mut text = String::new();
    store.open_blob(&digest).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn wrong_bytes_leave_nothing() {
    let (_dir, store) = store();
    let mut writer = store.blob_writer(Some(Digest::of(b"hello"))).unwrap();
    writer.write_all(b"hullo").unwrap();
    assert!(matches!(writer.commit(), Err(Error::Digest { .. })));
    assert_eq!(store.has_blob(&Digest::of(b"hullo")).unwrap(), None);
    assert_eq!(std::fs::read_dir(store.root().join("ingest")).unwrap().count(), 0);
}

#[test]
fn small_and_large_documents_read_alike() {
    let (_dir, store) = store();
    for size in [0, 10, 1 << 20] {
        let bytes = vec![7; size];
        let digest = store.put_blob(&bytes, "text/plain").unwrap();
        assert_eq!(store.read_blob(&digest, 2 << 20).unwrap(), bytes);
        let mut read = Vec::new();
        store.open_blob(&digest).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        if size > 0 {
            let refused = store.read_blob(&digest, size as u64 - 1);
            assert!(matches!(refused, Err(Error::TooLarge { .. })));
        }
    }
}

#[test]
fn a_blob_whose_file_was_taken_away_is_forgotten() {
    let (_dir, store) = store();
    let digest = store.put_blob(&[1; 100_000], "").unwrap();
    std::fs::remove_file(store.root().join("blobs/sha256").join(digest.hex())).unwrap();
    assert!(store.open_blob(&digest).unwrap_err().is_not_found());
    assert_eq!(store.has_blob(&digest).unwrap(), None);
}

#[test]
fn sources_and_context_indexes_are_remembered() {
    let (_dir, store) = store();
    let digest = store.put_blob(b"x", "").unwrap();
    store.add_blob_source(&digest, "docker.io/library/debian").unwrap();
    store.add_blob_source(&digest, "docker.io/library/debian").unwrap();
    assert_eq!(store.blob_sources(&digest).unwrap(), ["docker.io/library/debian"]);
    assert!(store.context_index("/home/../x").unwrap().is_none());
    for text in ["one", "two"] {
        store.put_context_index("/home/../x", |file| file.write_all(text.as_bytes())).unwrap();
    }
    let stored = std::io::read_to_string(store.context_index("/home/../x").unwrap().unwrap()).unwrap();
    assert_eq!(stored, "two");
}

#[test]
fn a_download_goes_on_where_it_ended() {
    let (_dir, store) = store();
    let ingest = || std::fs::read_dir(store.root().join("ingest")).unwrap().count();
    let digest = Digest::of(b"hello");
    let begin = || store.resume_blob(digest, 5).unwrap();
    let mut first = begin();
    first.write_all(b"hel").unwrap();
    // While one is at it, another one begins anew.
    let mut second = begin();
    assert_eq!((first.size(), second.size()), (3, 0));
    second.write_all(b"he").unwrap();
    drop(second);
    drop(first);
    assert_eq!((ingest(), store.usage().unwrap().build_cache.bytes), (1, 3));
    let mut next = begin();
    assert_eq!((next.size(), next.taken().finish()), (3, Digest::of(b"hel")));
    next.write_all(b"lo").unwrap();
    assert_eq!(next.commit().unwrap(), (digest, 5));
    assert_eq!(store.read_blob(&digest, 5).unwrap(), b"hello");
    assert_eq!(ingest(), 0);
}

#[test]
fn a_download_that_is_whole_and_wrong_is_not_kept() {
    let (_dir, store) = store();
    for (bytes, kept) in [(&b""[..], 0), (b"hul", 3), (b"lo", 0), (b"longer", 0)] {
        let mut writer = store.resume_blob(Digest::of(b"hello"), 5).unwrap();
        writer.write_all(bytes).unwrap();
        drop(writer);
        assert_eq!(store.resume_blob(Digest::of(b"hello"), 5).unwrap().size(), kept, "{bytes:?}");
    }
}

#[test]
fn downloads_that_nobody_goes_on_with_are_removed() {
    let (_dir, store) = store();
    let ingest = store.root().join("ingest");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let name = |byte: &str, boot: &str| format!("{}-{}", Digest::of(byte.as_bytes()).hex(), boot.trim());
    let (fresh, old, unsure) = (name("fresh", &boot), name("old", &boot), name("unsure", "another-boot"));
    for name in [&fresh, &old, &unsure, "random"] {
        std::fs::write(ingest.join(name), "half").unwrap();
    }
    let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(48 * 3600);
    std::fs::File::options().write(true).open(ingest.join(&old)).unwrap().set_modified(two_days_ago).unwrap();
    let dead = store.root().join("leases/1-0");
    std::fs::write(&dead, "").unwrap();
    store.put_blob(b"made", "").unwrap();
    store.finish().unwrap();
    let left: Vec<_> = std::fs::read_dir(&ingest).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [fresh.as_str()]);
    assert!(!dead.exists());
    store
        .prune(&store::Prune {
            kinds: store::Kinds { records: true, ..Default::default() },
            ..Default::default()
        })
        .unwrap();
    assert_eq!(std::fs::read_dir(&ingest).unwrap().count(), 0);
}

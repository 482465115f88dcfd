//! Measures the ways of a layer with `bigctx`, 50,000 files of 400 bytes, and with a few large files.
//!
//! `cargo run --release -p layer --example measure -- FOLDER` works in FOLDER, which it empties. Figures depend on the
//! file system there; run it several times and take the best. On ext4 without a journal, creating files within minutes
//! of deleting as many is slow in the kernel (`recently_deleted` looks at every freed inode): give it a fresh one.

use layer::*;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

fn folder(base: &Path, name: &str) -> OwnedFd {
    let path = base.join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("because the folder can be made");
    std::fs::File::open(path).expect("because it was just made").into()
}

fn entry(path: String, kind: Kind<'static>) -> Entry<'static> {
    let mtime = Time { seconds: 1_700_000_000, nanoseconds: 0 };
    let mode = if matches!(kind, Kind::File { .. }) { 0o644 } else { 0o755 };
    Entry { path: path.into_bytes().into(), kind, mode, uid: 0, gid: 0, mtime, xattrs: Vec::new().into() }
}

fn main() -> Result<()> {
    let base = PathBuf::from(std::env::args_os().nth(1).expect("because a folder is to be given"));
    let out = &mut std::io::stdout();
    for (name, directories, each, size) in [("bigctx", 500, 100, 400), ("large", 1, 8, 64 << 20)] {
        let files = directories * each;
        let bytes = files * size;
        let mut say = |what: &str, start: Instant| {
            let took = start.elapsed().as_secs_f64();
            let rate = bytes as f64 / took / 1e6;
            writeln!(out, "{name:7} {what:32} {took:7.3} s {rate:7.0} MB/s")
                .expect("because it is a terminal");
        };
        let start = Instant::now();
        let pack_path = base.join("pack");
        let mut pack = PackWriter::new(std::fs::File::create(&pack_path).expect("because it can be made"));
        let mut entries = Vec::new();
        let mut text = vec![0u8; size];
        for d in 0..directories {
            entries.push(entry(format!("d{d:03}"), Kind::Directory { opaque: false }));
            for f in 0..each {
                for (at, byte) in text.iter_mut().enumerate().step_by(7) {
                    *byte = (at * 31 + f * 7 + d) as u8;
                }
                let packed = pack.add(&text)?;
                let (digest, content) = (packed.digest, Content::Own(packed.place()));
                let kind = Kind::File { size: size as u64, digest, link: 0, content };
                entries.push(entry(format!("d{d:03}/file{f:04}.txt"), kind));
            }
        }
        drop(pack.finish()?);
        let listing = Listing::new(entries, Vec::new());
        say("make the pack", start);
        let packed = || {
            let pack = std::fs::File::open(&pack_path).expect("because it was made");
            StoredContent::new(LayerFiles { folder: None, pack: Some(Arc::new(pack)) }, Vec::new())
        };

        let start = Instant::now();
        let mut hasher = oci::Hasher::new();
        write_tar(&listing, &mut packed(), &mut hasher)?;
        say("pack to tar to sha256", start);

        let mut tar = Vec::new();
        write_tar(&listing, &mut packed(), &mut tar)?;

        let fd = folder(&base, "unpacked");
        let start = Instant::now();
        let unpacked = unpack(&tar[..], fd.as_fd(), None, &UnpackOptions::default())?;
        say("unpack", start);

        for threads in [1, 2] {
            let start = Instant::now();
            scan(fd.as_fd(), &ScanOptions { threads, ..ScanOptions::default() })?;
            say(&format!("scan, {threads} threads"), start);
        }

        let start = Instant::now();
        let own = LayerFiles { folder: Some(Arc::new(fd)), pack: None };
        write_tar(&unpacked, &mut StoredContent::new(own, Vec::new()), &mut oci::Hasher::new())?;
        say("folder to tar to sha256", start);

        let fd = folder(&base, "made");
        let start = Instant::now();
        materialize(&listing, &mut packed(), fd.as_fd(), &MaterializeOptions::default())?;
        say("materialize", start);

        for (kind, label) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
            let start = Instant::now();
            let mut compressor = Compressor::new(Vec::new(), kind, None, 2)?;
            compressor.write_all(&tar).expect("because memory takes it");
            let made = compressor.finish()?;
            say(&format!("{label} out, 2 threads"), start);
            let start = Instant::now();
            let mut stream = decompress(&made[..], u64::MAX)?;
            std::io::copy(&mut stream, &mut std::io::sink()).expect("because it was just made");
            say(&format!("{label} in"), start);
        }
        let start = Instant::now();
        let stored = listing.encode();
        say("encode the listing", start);
        let start = Instant::now();
        Listing::decode(&stored)?;
        say("decode the listing", start);
        let start = Instant::now();
        let _ = key::digest_of(listing.entries(), b"", true);
        say("digest for a key", start);
    }
    Ok(())
}

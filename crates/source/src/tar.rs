//! A context that is an archive.

use crate::local::Root;
use crate::{Result, ScanOptions, Tree};
use layer::{Flavour, Owners, UnpackOptions};
use std::io::Read;

/// Unpacks an archive (tar, plain or compressed with gzip, zstd, xz or bzip2) into the empty folder `folder` and gives the tree
/// of what is in it, every file with its digest: they were hashed as they were written. Nothing is written outside,
/// whatever the archive says; owners are not kept, for a context has none; names that layers give a meaning (`.wh.`)
/// are names like others. The archive is read to its end.
///
/// # Errors
/// [`Error::Archive`](crate::Error::Archive) for one that is damaged or too large;
/// [`Error::Io`](crate::Error::Io).
pub fn context(archive: impl Read, folder: Root) -> Result<Tree> {
    let options = UnpackOptions {
        flavour: Flavour::User,
        owners: Owners::ListingOnly,
        whiteouts: false,
        clamp: true,
        ..UnpackOptions::default()
    };
    // What is not content: headers, padding and long names, some blocks a member.
    let overhead = options.max_entries.saturating_mul(8 * 512);
    let archive = layer::decompress(archive, options.max_bytes.saturating_add(overhead))?;
    let unpacked = layer::unpack(archive, folder.as_fd(), None, &options)?;
    let mut tree = folder.scan(ScanOptions::default())?;
    tree.adopt(&unpacked);
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::is_pending;
    use layer::Kind;
    use oci::Digest;
    use std::fs;
    use std::process::{Command, Stdio};

    /// What `tar` makes of `dir`, with the given options.
    fn archive(dir: &std::path::Path, options: &[&str]) -> Vec<u8> {
        let mut tar = Command::new("tar");
        tar.args(options).arg("-c").arg("-C").arg(dir).arg(".").stderr(Stdio::inherit());
        let output = tar.output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn an_archive_becomes_a_tree_whose_digests_are_known() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/f"), "text").unwrap();
        fs::write(dir.path().join(".wh.x"), "a name").unwrap();
        fs::hard_link(dir.path().join("d/f"), dir.path().join("hard")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        for options in [&[][..], &["--gzip"], &["--owner=4711", "--format=pax"]] {
            let to = tempfile::tempdir().unwrap();
            let tree = context(&*archive(dir.path(), options), Root::open(to.path()).unwrap()).unwrap();
            let listing = tree.listing();
            let paths: Vec<_> =
                (0..listing.len()).map(|at| String::from_utf8_lossy(listing.path(at))).collect();
            assert_eq!(paths, [".wh.x", "d", "d/f", "hard", "link"]);
            assert!(!listing.entries().any(|entry| is_pending(&entry)));
            assert!(listing.entries().all(|entry| entry.uid == 0 && entry.gid == 0));
            for path in ["d/f", "hard"] {
                let entry = listing.get(path.as_bytes()).unwrap();
                let Kind::File { digest, size, link, .. } = entry.kind else { panic!("{path}") };
                assert_eq!((digest, size, link), (Digest::of(b"text"), 4, 1), "{path}");
                let mut text = String::new();
                tree.open(&entry).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text, "text");
            }
        }
    }

    #[test]
    fn a_damaged_archive_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), vec![1; 10_000]).unwrap();
        let whole = archive(dir.path(), &[]);
        let to = tempfile::tempdir().unwrap();
        let error = context(&whole[..3000], Root::open(to.path()).unwrap()).unwrap_err();
        assert!(matches!(error, crate::Error::Archive(_)), "{error}");
    }
}

//! Archives of other tools come in, and other tools read ours.

use crate::kit::*;
use layer::*;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

fn run(dir: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(dir).env("LC_ALL", "C").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    let calm = error.lines().all(|line| line.contains("implausibly old time stamp"));
    assert!(calm, "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A tree with all that tars find hard.
fn tree(dir: &Path) -> Listing {
    let script = "
        set -e
        mkdir -p d/sub empty; printf hello > d/sub/file; ln d/sub/file d/linked; ln -s ../nowhere d/dangling
        long=$(printf 'n%.0s' $(seq 200)); mkdir -p l/$long; printf long > l/$long/$long
        ln -s $long/$long/$long l/to; ln l/$long/$long l/hard
        printf 'umlaut' > 'ä b'; mkfifo pipe; mknod null c 1 3; mknod disk b 8 1
        truncate -s 3M holes; printf middle | dd of=holes bs=1 seek=1000000 conv=notrunc status=none
        truncate -s 9M many; for n in $(seq 0 39); do printf x | dd of=many bs=1 seek=$((n * 200000)) conv=notrunc status=none; done
        chmod 4755 d/sub/file; chmod 1777 empty; chown 1000:100 d; chown 2500000:7 d/sub
        touch -d '2001-02-03 04:05:06.789012345' d/sub/file; touch -d '2001-02-03 04:05:06' d/linked
        find . -exec touch -h -d '2020-02-02 02:02:02' {} +";
    run(dir, "sh", &["-c", script]);
    scan(open(dir).as_fd(), &ScanOptions::default()).unwrap()
}

#[test]
fn what_gnu_tar_packs_comes_in_as_it_was() {
    let source = tempfile::tempdir().unwrap();
    let listing = tree(source.path());
    for format in [
        "--format=gnu",
        "--format=posix",
        "--format=gnu --sparse",
        "--format=posix --sparse --sparse-version=0.0",
        "--format=posix --sparse --sparse-version=0.1",
        "--format=posix --sparse --sparse-version=1.0",
    ] {
        let mut arguments: Vec<&str> = format.split(' ').collect();
        arguments.extend(["--numeric-owner", "-cf", "-", "."]);
        let output = Command::new("tar").args(&arguments).current_dir(source.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = tempfile::tempdir().unwrap();
        let back = unpack_into(folder.path(), &output.stdout).unwrap();
        assert_eq!(show(&back), show(&listing), "{format}");
        assert_eq!(back, listing, "{format}");
        assert_eq!(scan(open(folder.path()).as_fd(), &ScanOptions::default()).unwrap(), listing, "{format}");
        if format.contains("sparse") {
            use std::os::unix::fs::MetadataExt;
            let blocks = folder.path().join("holes").metadata().unwrap().blocks();
            assert!(blocks < 100, "{format}: holes are gone, {blocks} blocks");
        }
    }
}

#[test]
fn what_python_packs_comes_in_as_it_was() {
    let source = tempfile::tempdir().unwrap();
    let listing = tree(source.path());
    let out = tempfile::tempdir().unwrap();
    for format in ["GNU_FORMAT", "PAX_FORMAT"] {
        let script = format!(
            "import tarfile,sys\nt = tarfile.open(sys.argv[1], 'w', format=tarfile.{format}, pax_headers={{'comment': 'x'}})\nt.add('.')\nt.close()"
        );
        let archive = out.path().join(format);
        run(source.path(), "python3", &["-c", &script, archive.to_str().unwrap()]);
        let folder = tempfile::tempdir().unwrap();
        let back = unpack_into(folder.path(), &std::fs::read(&archive).unwrap()).unwrap();
        assert_eq!(show(&back), show(&listing), "{format}");
        assert_eq!(back, listing, "{format}");
    }
}

#[test]
fn gnu_tar_unpacks_what_is_written_here() {
    let source = tempfile::tempdir().unwrap();
    let listing = tree(source.path());
    let fine = Time { seconds: 981_173_106, nanoseconds: 789_012_345 };
    let mut entries = owned(&listing);
    for entry in &mut entries {
        match &*entry.path {
            b"holes" => entry.mtime = fine,
            b"many" => entry.mtime = Time { seconds: -77, nanoseconds: 5 },
            b"d/sub/file" | b"d/linked" => {
                entry.xattrs = vec![(b"user.some"[..].into(), b"value \x00\xff"[..].into())].into();
            }
            _ => {}
        }
    }
    let listing = Listing::new(entries, Vec::new());
    let own = LayerFiles { folder: Some(std::sync::Arc::new(open(source.path()))), pack: None };
    let mut archive = Vec::new();
    write_tar(&listing, &mut StoredContent::new(own, Vec::new()), &mut archive).unwrap();
    let out = tempfile::tempdir().unwrap();
    std::fs::write(out.path().join("x.tar"), &archive).unwrap();
    std::fs::create_dir(out.path().join("x")).unwrap();
    run(
        out.path(),
        "tar",
        &["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "x.tar", "-C", "x"],
    );
    let back = scan(open(&out.path().join("x")).as_fd(), &ScanOptions::default()).unwrap();
    assert_eq!(show(&back), show(&listing));
    assert_eq!(back, in_whole_seconds(&listing));
    let names = run(
        out.path(),
        "python3",
        &[
            "-c",
            "import tarfile\nfor m in tarfile.open('x.tar'): print(m.name, m.size, m.uid, m.type.decode())",
        ],
    );
    assert_eq!(names.lines().count(), listing.len());
    assert!(names.contains("d/sub 0 2500000 5\n"), "{names}");
    assert!(names.contains("many 9437184 0 0\n"), "{names}");
}

#[test]
fn a_capability_survives() {
    let (mut texts, folder) = (Texts::default(), tempfile::tempdir().unwrap());
    let mut file = texts.file("ping", b"#!");
    let value = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    file.xattrs = vec![(b"security.capability"[..].into(), value[..].into())].into();
    file.uid = 5;
    let listing = Listing::new(vec![file], Vec::new());
    assert_eq!(unpack_into(folder.path(), &tar(&listing, &mut texts)).unwrap(), listing);
    assert_eq!(scan(open(folder.path()).as_fd(), &ScanOptions::default()).unwrap(), listing);
}

#[test]
fn gzip_reads_a_layer_of_many_members() {
    use std::io::Write;
    let data: Vec<u8> = (0..900_000u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("layer.gz")).unwrap();
    let mut compressor = Compressor::new(file, Compression::Gzip, Some(6), 2).unwrap();
    compressor.write_all(&data).unwrap();
    let made = compressor.finish().unwrap();
    assert!(made.metadata().unwrap().len() > 0);
    let output = Command::new("gzip").arg("-dc").arg(folder.path().join("layer.gz")).output().unwrap();
    assert!(output.status.success() && output.stdout == data);
    // And what gzip makes is read here.
    std::fs::write(folder.path().join("again"), &data).unwrap();
    let packed = Command::new("gzip").arg("-9c").arg(folder.path().join("again")).output().unwrap();
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut decompress(&packed.stdout[..], 1 << 30).unwrap(), &mut back).unwrap();
    assert!(back == data);
}

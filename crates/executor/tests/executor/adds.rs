//! ADD of archives.

use crate::world::{World, copy, write};
use layer::{Compression, Compressor};
use solver::Input;
use std::io::Write;

/// A tar of these members: a name with a slash at its end is a directory, `name>target` a link, `name=target` a hard
/// link; a file holds its name.
fn tar(members: &[(&str, u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, mode) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_uid(3);
        header.set_gid(4);
        header.set_mtime(1);
        header.set_size(0);
        if let Some((name, target)) = name.split_once('>') {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, name, target).unwrap();
        } else if let Some((name, target)) = name.split_once('=') {
            header.set_entry_type(tar::EntryType::Link);
            builder.append_link(&mut header, name, target).unwrap();
        } else if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, name, std::io::empty()).unwrap();
        } else {
            header.set_size(name.len() as u64);
            builder.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn packed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut compressor = Compressor::new(Vec::new(), compression, None, 1).unwrap();
    compressor.write_all(bytes).unwrap();
    compressor.finish().unwrap()
}

fn context() -> Input {
    Input::Local("context".to_owned())
}

#[test]
fn archives_are_told_by_their_content() {
    let world = World::new();
    let plain = tar(&[("d/", 0o700), ("d/f", 0o640), ("d/g=d/f", 0o640), ("l>d", 0o777)]);
    let files: [(&str, Vec<u8>, bool); 7] = [
        ("plain", plain.clone(), true),
        ("gzipped", packed(&plain, Compression::Gzip), true),
        ("zstd.txt", packed(&plain, Compression::Zstd), true),
        ("zeros.tar", vec![0; 10240], false),
        ("text.gz", packed(b"just text", Compression::Gzip), false),
        ("text.tar", b"just text".to_vec(), false),
        ("empty.tar", Vec::new(), false),
    ];
    let base = world.snapshot("");
    for (name, bytes, _) in &files {
        std::fs::write(world.context().join(name), bytes).unwrap();
    }
    for (name, _, is_archive) in files {
        let stack = world.execute(copy(&format!("--unpack {name} /n/")), &[base.clone(), context()]).unwrap();
        let made = world.top(&stack);
        if is_archive {
            let all = "d n 755 0:0\nd n/d 700 3:4\nf n/d/f 640 3:4 link1\nf n/d/g 640 3:4 link1\nl n/l d";
            assert_eq!(made, all, "{name}");
            assert_eq!(world.read(&stack, "n/l/g").unwrap(), "d/f");
        } else {
            assert!(made.ends_with(&format!("f n/{name} 644 0:0")), "{name}: {made}");
        }
        // COPY takes all of them as they are.
        let stack = world.execute(copy(&format!("{name} /n/")), &[base.clone(), context()]).unwrap();
        assert!(world.top(&stack).contains(&format!("n/{name} 644")), "{name}");
    }
}

#[test]
fn owners_are_given_and_modes_are_not() {
    let world = World::new();
    std::fs::write(world.context().join("a"), tar(&[("d/", 0o700), ("d/f", 0o640)])).unwrap();
    let base = world.snapshot("");
    let stack = world.execute(copy("--unpack --chown=5:6 --chmod=777 a /n"), &[base, context()]).unwrap();
    assert_eq!(world.top(&stack), "d n 755 5:6\nd n/d 700 5:6\nf n/d/f 640 5:6");
}

#[test]
fn an_archive_stays_in_its_folder_and_has_its_way_there() {
    let world = World::new();
    let base = world.snapshot(
        "d etc 755 0:0
        d opt 750 7:8
        l opt/out ../etc
        l opt/in real
        d opt/real 755 0:0
        d opt/was 755 0:0
        f opt/was/inside 644 0:0 x
        f opt/file 644 0:0 x",
    );
    let members =
        [("out/", 0o755), ("out/passwd", 0o644), ("in/new", 0o644), ("was", 0o644), ("file/x", 0o600)];
    std::fs::write(world.context().join("a"), tar(&members)).unwrap();
    let stack = world.execute(copy("--unpack a /opt"), &[base.clone(), context()]).unwrap();
    let Input::Snapshot(base) = base else { unreachable!() };
    assert_eq!(base.stack[..], stack[..1]);
    let shown = world.all(&stack);
    assert_eq!(
        shown,
        "d etc 755 0:0
d opt 750 7:8
d opt/file 755 0:0
f opt/file/x 600 3:4
l opt/in real
d opt/out 755 3:4
f opt/out/passwd 644 3:4
d opt/real 755 0:0
f opt/real/new 644 3:4
f opt/was 644 3:4"
    );
}

#[test]
fn names_of_an_archive_do_not_leave_the_destination() {
    let world = World::new();
    let mut bytes = tar(&[("safe", 0o644)]);
    bytes[..4].copy_from_slice(b"../x");
    // The header's sum, anew.
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    std::fs::write(world.context().join("up"), bytes).unwrap();
    world.worker.look_again();
    let base = world.snapshot("");
    let stack = world.execute(copy("--unpack up /n/"), &[base, context()]).unwrap();
    assert_eq!(world.all(&stack), "d n 755 0:0\nf n/x 644 3:4");
}

#[test]
fn a_damaged_archive_is_refused() {
    let world = World::new();
    let base = world.snapshot("");
    let mut bytes = packed(&tar(&[("one", 0o644), ("two", 0o644)]), Compression::Gzip);
    bytes.truncate(bytes.len() - 12);
    std::fs::write(world.context().join("cut"), bytes).unwrap();
    world.worker.look_again();
    let error = world.execute(copy("--unpack cut /n/"), &[base.clone(), context()]).unwrap_err();
    assert!(error.to_string().contains("archive cut"), "{error}");
    // What was kept of the file goes with the build.
    assert_eq!(world.leftovers(), 1);
    write(&world.context(), "f fine 644 0:0 x");
    world.worker.look_again();
    world.execute(copy("fine /n"), &[base, context()]).unwrap();
}

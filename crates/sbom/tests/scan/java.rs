//! Archives of Java, and of what is inside them.

use crate::tree::{Memory, shown};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use insta::assert_snapshot;
use std::io::Write as _;

const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// A zip archive; every second file is packed.
pub(crate) fn jar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (at, (name, bytes)) in files.iter().enumerate() {
        let method = if at % 2 == 0 { 8_u16 } else { 0 };
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).unwrap();
        let packed = if method == 0 { bytes.to_vec() } else { packer.finish().unwrap() };
        let [packed_size, size, place] =
            [packed.len(), bytes.len(), archive.len()].map(|n| (n as u32).to_le_bytes());
        let length = (name.len() as u16).to_le_bytes();
        let method = method.to_le_bytes();
        // Both headers have: version, flags, method, time, date, checksum, sizes, length of the name and what follows.
        let common = [&[20, 0, 0, 0], &method[..], &[0; 8], &packed_size, &size, &length, &[0, 0]].concat();
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &place, name.as_bytes()].concat());
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
    }
    let [size, place] = [directory.len(), archive.len()].map(|n| (n as u32).to_le_bytes());
    let count = (files.len() as u16).to_le_bytes();
    [&archive[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &place, b"\x02\0hi"].concat()
}

/// What Maven leaves in an archive for a package.
pub(crate) fn properties(group: &str, name: &str, version: &str) -> Vec<u8> {
    format!("#made\ngroupId={group}\nartifactId: {name}\r\nversion = {version}\n").into_bytes()
}

#[test]
fn archives_tell_what_is_in_them_and_in_those_inside() {
    let alpha = jar(&[
        (MANIFEST, b"Manifest-Version: 1.0\r\nImplementation-Version: 1.0\r\n\r\nName: x\r\n"),
        ("META-INF/maven/org.ex/alpha/pom.properties", &properties("org.ex", "alpha", "1.0")),
    ]);
    let shaded = jar(&[
        (MANIFEST, b"Bundle-Version: 9\n"),
        ("META-INF/maven/org.ex/shaded/pom.properties", &properties("org.ex", "shaded", "2.0")),
        ("META-INF/maven/com.in/inner/pom.properties", &properties("com.in", "inner", "3.1")),
    ]);
    let war = jar(&[
        ("WEB-INF/lib/alpha-1.0.jar", &alpha),
        ("WEB-INF/lib/outer-1.jar", &jar(&[(MANIFEST, b""), ("lib/shaded-2.0.jar", &shaded)])),
    ]);
    // A program that unpacks itself has something before the archive.
    let boot = [b"#!/bin/sh\nexec java -jar $0\n", &alpha[..]].concat();
    let tree = Memory::default()
        .layered("app/alpha.jar", boot, false, 1)
        .file("srv/site.war", war)
        .file("lib/plain-4.5.jar", jar(&[(MANIFEST, b"Implementation-Vendor-Id: com.ve\n nd\nX: y\n")]))
        .file("lib/nover.jar", jar(&[(MANIFEST, b"Bundle-SymbolicName: org.osgi;x:=y\nBundle-Version: 7\n")]))
        .file("lib/bare.jar", jar(&[(MANIFEST, b"Manifest-Version: 1.0\n")]))
        .file("lib/classes-1.jar", jar(&[("A.class", b"x")]))
        .file("lib/none.jar", "no archive");
    assert_snapshot!(shown(&tree.scan()), @r"
    java-archive alpha 1.0 pkg:maven/org.ex/alpha@1.0
      evidence: 1:app/alpha.jar 0:srv/site.war:WEB-INF/lib/alpha-1.0.jar
    java-archive inner 3.1 pkg:maven/com.in/inner@3.1
      evidence: 0:srv/site.war:WEB-INF/lib/outer-1.jar:lib/shaded-2.0.jar
    java-archive nover 7 pkg:maven/org.osgi/nover@7
      evidence: 0:lib/nover.jar
    java-archive outer 1 pkg:maven/outer/outer@1
      evidence: 0:srv/site.war:WEB-INF/lib/outer-1.jar
    java-archive plain 4.5 pkg:maven/com.vend/plain@4.5
      evidence: 0:lib/plain-4.5.jar
    java-archive shaded 2.0 pkg:maven/org.ex/shaded@2.0
      evidence: 0:srv/site.war:WEB-INF/lib/outer-1.jar:lib/shaded-2.0.jar
    skipped: /lib/none.jar is no zip archive that can be read
    ");
}

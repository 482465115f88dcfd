//! Files that lie about themselves.

use crate::elf::{USUAL, zlib};
use crate::java::{jar, properties};
use crate::rpm::{database, header};
use crate::tree::Memory;
use proptest::prelude::*;
use std::sync::OnceLock;

/// SQLite writes it once.
static RPM: OnceLock<Vec<u8>> = OnceLock::new();

/// Where each scanner's files lie, with a good one of each.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let go = b"\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06go1.22\x50".to_vec();
    let crates = zlib(br#"{"packages":[{"name":"a","version":"1","dependencies":[0]}]}"#);
    let headers: Vec<_> = (0..8).map(|at| header(&format!("r{at}"), &[(1014, 6, &["MIT"])])).collect();
    let rpm = RPM.get_or_init(|| database(512, &headers)).clone();
    let inside = jar(&[("META-INF/MANIFEST.MF", b"Bundle-Version: 1\n")]);
    let maven = properties("a", "b", "1");
    vec![
        (
            "lib/a.jar",
            jar(&[("META-INF/maven/a/b/pom.properties", &maven), ("b.jar", &inside), ("c-1.jar", &inside)]),
        ),
        (
            "var/lib/dpkg/status",
            b"Package: a\nVersion: 1\nSource: b (2)\nDepends: c | d (>= 1)\n d\n\n".to_vec(),
        ),
        ("lib/apk/db/installed", b"C:Q1AA==\nP:a\nV:1\nL:MIT OR (ISC)\np:x=1\nD:!b so:c\n\n".to_vec()),
        (
            "a/package.json",
            br#"{"name":"@a/b","version":"1","author":{"name":"x <y>"},"dependencies":{"c":1}}"#.to_vec(),
        ),
        ("a.dist-info/METADATA", b"Name: a\nVersion: 1\nRequires-Dist: b[c] (>1); d\n".to_vec()),
        ("a.dist-info/direct_url.json", br#"{"url":"u","vcs_info":{"vcs":"git","commit_id":"1"}}"#.to_vec()),
        ("var/lib/rpm/rpmdb.sqlite", rpm),
        (
            "specifications/a.gemspec",
            b"# stub: a 1 ruby\n s.name = %q<a>\n s.licenses = [\"\\u00e9\", 'b']\n".to_vec(),
        ),
        (
            "composer/installed.json",
            br#"{"packages":[{"name":"a/b","version":"1","require":{"c":1}}]}"#.to_vec(),
        ),
        ("etc/os-release", b"ID=debian\nID_LIKE=\"\\\"\nVERSION_ID='1'\n".to_vec()),
        (
            "usr/share/doc/a/copyright",
            b"License: GPL-2+ with x\n/usr/share/common-licenses/GPL-2.\n".to_vec(),
        ),
        ("go", USUAL.program(0x1000, &[(".go.buildinfo", go), (".pad", vec![0; 200])])),
        ("rust", USUAL.program(0x1000, &[(".dep-v0", crates), (".pad", vec![0; 200])])),
    ]
}

fn scan(files: &[(&str, Vec<u8>)]) {
    let tree = files.iter().fold(Memory::default(), |tree, (path, bytes)| tree.program(path, bytes.clone()));
    let found = tree.scan();
    for package in &found.packages {
        assert!(!package.name.is_empty() && !package.version.is_empty());
        assert!(package.purl.is_empty() || package.purl.starts_with("pkg:"), "{}", package.purl);
        assert!(!package.evidence.is_empty());
    }
    let about =
        sbom::About { name: "x", created: std::time::SystemTime::UNIX_EPOCH, creator: "x-1", layers: &[] };
    assert_eq!(sbom::spdx(&found, &about)["spdxVersion"], "SPDX-2.3");
}

/// What is done to a file: bytes replaced, cut, doubled.
#[derive(Clone, Debug)]
enum Change {
    Put(prop::sample::Index, u8),
    Wide(prop::sample::Index, u64),
    Cut(prop::sample::Index),
    Double(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let edges = prop::sample::select(vec![0, 1, 0x7fff_ffff, 0xffff_ffff, 1 << 62, u64::MAX - 1, u64::MAX]);
    prop_oneof![
        4 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        2 => (any::<prop::sample::Index>(), edges).prop_map(|(at, value)| Change::Wide(at, value)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
        1 => any::<prop::sample::Index>().prop_map(Change::Double),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match change {
        Change::Put(at, byte) => bytes[at.index(length)] = *byte,
        Change::Wide(at, value) => {
            let at = at.index(length);
            let end = length.min(at + 8);
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        Change::Cut(at) => bytes.truncate(at.index(length)),
        Change::Double(at) => {
            let tail = bytes[at.index(length)..].to_vec();
            bytes.extend(tail);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_read_or_left_out(which in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        let mut files = seeds();
        let at = which.index(files.len());
        for change in &changes {
            apply(&mut files[at].1, change);
        }
        scan(&files);
    }

    #[test]
    fn any_bytes_are_read_or_left_out(which in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut files = seeds();
        let at = which.index(files.len());
        files[at].1 = bytes;
        scan(&files);
    }
}

#[test]
fn tables_that_claim_to_be_huge_are_not_read() {
    let program = USUAL.program(0, &[(".dep-v0", zlib(b"{}")), (".pad", vec![0; 300])]);
    // Offsets, sizes and counts of the tables of both headers.
    for (at, width) in [(32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)] {
        let mut broken = program.clone();
        broken[at..at + width].fill(0xff);
        scan(&[("a", broken)]);
    }
}

#[test]
fn names_without_end_and_nesting_without_end_are_no_packages() {
    let long = "a".repeat(100_000);
    let deep =
        format!(r#"{{"name": "a", "version": "1", "x": {}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let tree = Memory::default()
        .file("var/lib/dpkg/status", format!("Package: {long}\nVersion: 1\n"))
        .file("a/package.json", format!(r#"{{"name": "{long}", "version": "1"}}"#))
        .file("b/package.json", deep)
        .file("c/package.json", vec![b' '; usize::try_from(sbom::limits::MANIFEST).unwrap() + 1]);
    let found = tree.scan();
    assert_eq!(found.packages, []);
    let skipped: Vec<_> = found.skipped.iter().map(|skipped| &*skipped.path).collect();
    assert_eq!(skipped, ["b/package.json", "c/package.json"]);
}

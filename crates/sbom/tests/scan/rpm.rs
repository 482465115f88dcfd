//! Databases of rpm, written by SQLite itself.

use crate::tree::{Memory, shown};
use insta::assert_snapshot;
use rusqlite::{Connection, params};

const NUMBER: u32 = 4;
const TEXT: u32 = 6;
const TEXTS: u32 = 8;

/// The header of a package, as rpm writes it.
pub(crate) fn header(name: &str, rows: &[(u32, u32, &[&str])]) -> Vec<u8> {
    let all = [(1000, TEXT, &[name][..]), (1001, TEXT, &["1.0"]), (1002, TEXT, &["2.fc40"])];
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (tag, kind, values) in all.iter().chain(rows) {
        let count = values.len() as u32;
        for word in [*tag, *kind, data.len() as u32, count] {
            entries.extend(word.to_be_bytes());
        }
        for value in *values {
            if *kind == NUMBER {
                data.extend(value.parse::<u32>().unwrap().to_be_bytes());
            } else {
                data.extend(value.as_bytes());
                data.push(0);
            }
        }
    }
    let count = (entries.len() / 16) as u32;
    [&count.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), &entries, &data].concat()
}

/// A database with these headers, in pages of a size.
pub(crate) fn database(page: usize, headers: &[Vec<u8>]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rpmdb.sqlite");
    let mut connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "page_size", page as i64).unwrap();
    let write = connection.transaction().unwrap();
    write
        .execute_batch(
            "CREATE TABLE Basenames (hnum INTEGER); CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)",
        )
        .unwrap();
    for header in headers {
        write.execute("INSERT INTO Packages (blob) VALUES (?1)", params![header]).unwrap();
    }
    write.commit().unwrap();
    drop(connection);
    std::fs::read(path).unwrap()
}

#[test]
fn rpm_tells_epochs_sources_vendors_and_needs() {
    let headers = [
        header(
            "glibc",
            &[(1044, TEXT, &["glibc-1.0-2.fc40.src.rpm"]), (1047, TEXTS, &["glibc", "libc.so.6"])],
        ),
        header(
            "bash",
            &[
                (1003, NUMBER, &["4"]),
                (1011, TEXT, &["Fedora"]),
                (1014, TEXT, &["GPL-3.0-or-later"]),
                (1020, TEXT, &["https://example.org/bash"]),
                (1022, TEXT, &["x86_64"]),
                (1049, TEXTS, &["libc.so.6", "rpmlib(X)"]),
            ],
        ),
    ];
    let tree = Memory::default()
        .file("etc/os-release", "ID=fedora\nVERSION_ID=40\n")
        .file("usr/lib/sysimage/rpm/rpmdb.sqlite", database(4096, &headers))
        .file("var/lib/rpm/Packages", "Berkeley");
    assert_snapshot!(shown(&tree.scan()), @r"
    rpm bash 4:1.0-2.fc40 pkg:rpm/fedora/bash@1.0-2.fc40?arch=x86_64&distro=fedora-40&epoch=4
      licences: GPL-3.0-or-later
      supplier: Fedora None true
      evidence: 0:usr/lib/sysimage/rpm/rpmdb.sqlite
    rpm glibc 1.0-2.fc40 pkg:rpm/fedora/glibc@1.0-2.fc40?distro=fedora-40&upstream=glibc-1.0-2.fc40.src.rpm
      source: glibc-1.0-2.fc40.src.rpm None
      evidence: 0:usr/lib/sysimage/rpm/rpmdb.sqlite
    glibc is needed by bash
    skipped: /var/lib/rpm/Packages is a database of rpm in a format before SQLite, which is not read
    ");
}

#[test]
fn every_row_is_found_whatever_the_size_of_pages_and_records() {
    for page in [512, 1024, 4096, 65536] {
        let headers: Vec<_> = (0..300)
            .map(|at| {
                // From a few bytes to many pages, so that there are inner pages and pages of rests.
                let long = "x".repeat(at * at % 3001 * if at % 50 == 0 { 40 } else { 1 });
                header(&format!("p{at:03}"), &[(1004, TEXT, &[&long]), (1014, TEXT, &["MIT"])])
            })
            .collect();
        let found = Memory::default().file("var/lib/rpm/rpmdb.sqlite", database(page, &headers)).scan();
        assert_eq!(found.skipped, []);
        let names: Vec<_> = found.packages.iter().map(|package| package.name.clone()).collect();
        let expected: Vec<_> = (0..300).map(|at| format!("p{at:03}")).collect();
        assert_eq!(names, expected, "pages of {page}");
        assert!(found.packages.iter().all(|package| package.licences == ["MIT"]));
    }
}

#[test]
fn pages_in_a_circle_are_said() {
    let headers: Vec<_> = (0..200).map(|at| header(&format!("p{at}"), &[])).collect();
    let mut bytes = database(512, &headers);
    // Each inner page of the table leads to its first child only.
    for page in bytes.chunks_exact_mut(512).skip(1).filter(|page| page[0] == 5) {
        let first = usize::from(page[12]) << 8 | usize::from(page[13]);
        let child: [u8; 4] = page[first..first + 4].try_into().unwrap();
        page[8..12].copy_from_slice(&child);
    }
    let found = Memory::default().file("var/lib/rpm/rpmdb.sqlite", bytes).scan();
    assert_eq!(found.packages, []);
    assert_eq!(found.skipped[0].reason, "is no whole database of rpm: it has pages that lead in a circle");
}

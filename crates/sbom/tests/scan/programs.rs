//! What compilers leave in programs.

use crate::elf::{Shape, USUAL, zlib};
use crate::tree::{Memory, shown};
use insta::assert_snapshot;

/// The list of modules as the linker writes it, between its marks.
const MODULES: &str = "path\texample.org/tool/cmd/a\nmod\texample.org/tool\t(devel)\t\n\
    dep\tgithub.com/x/y/v2\tv2.1.0\th1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\
    dep\tgolang.org/x/old\tv0.1.0\th1:A=\n=>\tgolang.org/x/new\tv0.2.0\t\n\
    build\t-ldflags=\"-s -X main.version=1.4.2\"\nbuild\tvcs.revision=0123456789abcdef\nbuild\tvcs.time=2024-05-06T07:08:09Z\n";

fn marked(modules: &str) -> Vec<u8> {
    let mark = [0x30; 16];
    [&mark[..], modules.as_bytes(), &mark[..]].concat()
}

/// The form since Go 1.18.
fn inline(version: &str, modules: &[u8]) -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    for text in [version.as_bytes(), modules] {
        let mut length = text.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(text);
    }
    bytes
}

/// The form before: the header points to strings, which point to their bytes.
fn pointed(shape: Shape, address: u64, version: &str, modules: &[u8]) -> Vec<u8> {
    let width = if shape.wide { 8 } else { 4 };
    let strings = address + 32;
    let texts = strings + 4 * width;
    let mut bytes = b"\xff Go buildinf:".to_vec();
    bytes.extend([width as u8, u8::from(shape.big)]);
    bytes.extend(shape.word(strings));
    bytes.extend(shape.word(strings + 2 * width));
    bytes.resize(32, 0);
    for value in [texts, version.len() as u64, texts + version.len() as u64, modules.len() as u64] {
        bytes.extend(shape.word(value));
    }
    bytes.extend(version.as_bytes());
    bytes.extend(modules);
    bytes
}

#[test]
fn go_programs_list_their_modules_and_their_go() {
    let section = inline("go1.22.1 X:loopvar", &marked(MODULES));
    let tree = Memory::default()
        .program("usr/bin/a", USUAL.program(0x1000, &[(".text", vec![1; 100]), (".go.buildinfo", section)]));
    assert_snapshot!(shown(&tree.scan()), @r"
    go-module example.org/tool v1.4.2 pkg:golang/example.org/tool@v1.4.2
      evidence: 0:usr/bin/a
    go-module github.com/x/y/v2 v2.1.0 pkg:golang/github.com/x/y@v2.1.0#v2
      SHA256: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
      evidence: 0:usr/bin/a
    go-module golang.org/x/new v0.2.0 pkg:golang/golang.org/x/new@v0.2.0
      evidence: 0:usr/bin/a
    go-module stdlib go1.22.1 pkg:golang/stdlib@1.22.1
      licences: BSD-3-Clause
      evidence: 0:usr/bin/a
    github.com/x/y/v2 is needed by example.org/tool
    golang.org/x/new is needed by example.org/tool
    stdlib is needed by example.org/tool
    ");
}

#[test]
fn the_older_form_is_read_in_every_width_and_order() {
    for (wide, big) in [(true, false), (true, true), (false, false), (false, true)] {
        let shape = Shape { wide, big };
        let section = pointed(shape, 0x40_0000, "go1.13", &marked(MODULES));
        for name in [".go.buildinfo", ".data"] {
            let program = shape.program(0x40_0000, &[(name, section.clone())]);
            let found = Memory::default().program("a", program).scan();
            let names: Vec<_> = found.packages.iter().map(|p| format!("{}@{}", p.name, p.version)).collect();
            assert_eq!(
                names.join(" "),
                "example.org/tool@v1.4.2 github.com/x/y/v2@v2.1.0 golang.org/x/new@v0.2.0 stdlib@go1.13",
                "{shape:?} {name}"
            );
        }
    }
}

#[test]
fn without_a_version_the_commit_stands_for_it() {
    for (settings, expected) in [
        (
            "build\tvcs.revision=0123456789abcdef\nbuild\tvcs.time=2024-05-06T07:08:09Z\n",
            "v0.0.0-20240506070809-0123456789ab",
        ),
        ("build\tvcs.revision=0123\n", "(devel)"),
    ] {
        let modules = marked(&format!("path\tx\nmod\tx\t(devel)\t\n{settings}"));
        let program = USUAL.program(0, &[(".go.buildinfo", inline("go1.20", &modules))]);
        let found = Memory::default().program("a", program).scan();
        assert_eq!(found.packages[1].version, expected);
    }
}

#[test]
fn rust_programs_list_the_crates_that_are_in_them() {
    let crates = r#"{"packages": [
        {"name": "tool", "version": "0.3.0", "source": "local", "dependencies": [1, 2, 99], "root": true},
        {"name": "serde", "version": "1.0.200", "source": "crates.io"},
        {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
        {"name": "", "version": "1.0.0", "source": "crates.io"}]}"#;
    let program = USUAL.program(0, &[(".dep-v0", zlib(crates.as_bytes()))]);
    let tree = Memory::default()
        .program("usr/bin/tool", program.clone())
        .layered("usr/lib/tool.abi3.so", program.clone(), false, 2)
        .file("usr/share/tool.bin", program);
    assert_snapshot!(shown(&tree.scan()), @r"
    rust-crate serde 1.0.200 pkg:cargo/serde@1.0.200
      evidence: 0:usr/bin/tool 2:usr/lib/tool.abi3.so
    rust-crate tool 0.3.0 pkg:cargo/tool@0.3.0
      evidence: 0:usr/bin/tool 2:usr/lib/tool.abi3.so
    serde is needed by tool
    ");
}

#[test]
fn lists_of_crates_that_make_no_sense_are_left_out() {
    let bomb = vec![b' '; usize::try_from(sbom::limits::CRATES_UNPACKED).unwrap() + 1];
    for (section, reason) in [
        (b"no zlib".to_vec(), "is not packed by zlib"),
        (zlib(b"[]"), "is not the JSON that cargo-auditable writes"),
        (zlib(&bomb), "unpacks to more than any such list"),
        (zlib(br#"{"packages": [{"name": "a"}]}"#), "is not the JSON that cargo-auditable writes"),
    ] {
        let found = Memory::default()
            .program("a", USUAL.program(0, &[(".dep-v0", section), (".bss", vec![0; 300])]))
            .scan();
        assert_eq!(found.packages, []);
        assert_eq!(found.skipped[0].reason, format!("has a list of crates that {reason}"));
    }
}

//! Packages of distributions and of languages.

use crate::tree::{Memory, shown};
use insta::assert_snapshot;

fn debian() -> Memory {
    Memory::default()
        .file("usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n")
        .link("etc/os-release", "usr/lib/os-release")
}

#[test]
fn dpkg_tells_sources_licences_needs_and_the_layer_of_each_package() {
    let status = "Package: libc6\nStatus: install ok installed\nMaintainer: GNU Libc Maintainers <libc@example.org>\n\
                  Architecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u1\nProvides: libc (= 2)\n\n\
                  Package: bash\nStatus: install ok installed\nArchitecture: amd64\nSource: bash (5.2.15-2)\n\
                  Version: 5.2.15-2+b1\nPre-Depends: libc6 (>= 2.36), missing | libc:any\nDescription: shell\n of the GNU\n\n\
                  Package: old\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                  Package: ../evil\nVersion: 1\n\nVersion: 2\n";
    let tree = debian()
        .layered("var/lib/dpkg/status", status, false, 2)
        .layered("var/lib/dpkg/info/libc6:amd64.list", "/.\n", false, 0)
        .layered("var/lib/dpkg/info/bash.list", "/.\n", false, 1)
        .file("usr/share/doc/libc6/copyright", "License: LGPL-2.1+\n")
        .link("usr/share/doc/bash/copyright", "usr/share/doc/libc6/copyright");
    assert_snapshot!(shown(&tree.scan()), @r#"
    deb bash 5.2.15-2+b1 pkg:deb/debian/bash@5.2.15-2%2Bb1?arch=amd64&distro=debian-12&upstream=bash%405.2.15-2
      licences: LGPL-2.1+
      source: bash Some("5.2.15-2")
      evidence: 1:var/lib/dpkg/info/bash.list 2:var/lib/dpkg/status
    deb libc6 2.36-9+deb12u1 pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=glibc
      licences: LGPL-2.1+
      supplier: GNU Libc Maintainers Some("libc@example.org") true
      source: glibc None
      evidence: 0:var/lib/dpkg/info/libc6:amd64.list 2:var/lib/dpkg/status
    libc6 is needed by bash
    "#);
}

#[test]
fn distroless_images_have_a_file_for_each_package() {
    let tree = debian()
        .file(
            "var/lib/dpkg/status.d/base",
            "Package: base-files\nVersion: 12\nArchitecture: all\nDepends: tz\n",
        )
        .file("var/lib/dpkg/status.d/base.md5sums", "d41d8cd98f00b204e9800998ecf8427e  etc/x\n")
        .layered("var/lib/dpkg/status.d/tz", "Package: tz\nVersion: 1\nArchitecture: all\n", false, 1);
    assert_snapshot!(shown(&tree.scan()), @r"
    deb base-files 12 pkg:deb/debian/base-files@12?arch=all&distro=debian-12
      evidence: 0:var/lib/dpkg/status.d/base
    deb tz 1 pkg:deb/debian/tz@1?arch=all&distro=debian-12
      evidence: 1:var/lib/dpkg/status.d/tz
    tz is needed by base-files
    ");
}

#[test]
fn debs_of_no_known_distribution_have_no_purl() {
    let status = "Package: a\nVersion: 1\n";
    for release in ["", "ID=fedora\n"] {
        let tree = Memory::default().file("etc/os-release", release).file("var/lib/dpkg/status", status);
        assert_eq!(tree.scan().packages[0].purl, "");
    }
}

#[test]
fn apk_tells_origins_checksums_and_needs() {
    let installed = "C:Q1AAECAwQFBgcICQoLDA0ODxAREhM=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\n\
                     m:Jane <jane@example.org>\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
                     P:ssl_client\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\no:busybox\nD:so:libc.musl-x86_64.so.1 !no\n\n";
    let tree = Memory::default()
        .file("etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n")
        .file("lib/apk/db/installed", installed);
    assert_snapshot!(shown(&tree.scan()), @r#"
    apk musl 1.2.5-r0 pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1
      licences: MIT
      supplier: Jane Some("jane@example.org") false
      SHA1: 000102030405060708090a0b0c0d0e0f10111213
      evidence: 0:lib/apk/db/installed
    apk ssl_client 1.36.1-r29 pkg:apk/alpine/ssl_client@1.36.1-r29?arch=x86_64&distro=alpine-3.20.1&upstream=busybox
      licences: GPL-2.0-only
      source: busybox None
      evidence: 0:lib/apk/db/installed
    musl is needed by ssl_client
    "#);
}

#[test]
fn npm_packages_need_what_node_would_find() {
    let tree = Memory::default()
        .file(
            "app/package.json",
            r#"{"name": "app", "version": "1.0.0", "dependencies": {"@s/a": "^1", "b": "*"}}"#,
        )
        .file(
            "app/node_modules/@s/a/package.json",
            r#"{"name": "@s/a", "version": "1.2.0", "license": "MIT", "dependencies": {"b": "2"}}"#,
        )
        .file("app/node_modules/@s/a/node_modules/b/package.json", r#"{"name": "b", "version": "2.0.0"}"#)
        .file(
            "app/node_modules/b/package.json",
            "\u{feff}{\"name\": \"b\", \"version\": \"3.0.0\", \"author\": \"Jane\"}",
        )
        .file("app/node_modules/b/esm/package.json", r#"{"type": "module"}"#)
        .file("app/node_modules/b/test/package.json", "{ not JSON")
        .layered(
            "other/node_modules/b/package.json",
            r#"{"name": "b", "version": "3.0.0", "license": "ISC"}"#,
            false,
            1,
        );
    assert_snapshot!(shown(&tree.scan()), @r"
    npm @s/a 1.2.0 pkg:npm/%40s/a@1.2.0
      licences: MIT
      evidence: 0:app/node_modules/@s/a/package.json
    npm app 1.0.0 pkg:npm/app@1.0.0
      evidence: 0:app/package.json
    npm b 2.0.0 pkg:npm/b@2.0.0
      evidence: 0:app/node_modules/@s/a/node_modules/b/package.json
    npm b 3.0.0 pkg:npm/b@3.0.0
      licences: ISC
      originator: Jane None false
      evidence: 0:app/node_modules/b/package.json 1:other/node_modules/b/package.json
    @s/a is needed by app
    b is needed by @s/a
    b is needed by app
    skipped: /app/node_modules/b/test/package.json is no JSON: key must be a string at line 1 column 3
    ");
}

#[test]
fn python_packages_come_as_wheels_and_eggs() {
    let site = "usr/lib/python3/site-packages";
    let tree = Memory::default()
        .file(&format!("{site}/Flask-3.0.dist-info/METADATA"), "Name: Flask\nVersion: 3.0\nLicense-Expression: BSD-3-Clause\nRequires-Dist: jinja2>=3\n\nName: no\n")
        .file(&format!("{site}/Jinja2-3.1.egg-info/PKG-INFO"), "Name: Jinja2\nVersion: 3.1\nAuthor: Jane\nAuthor-email: jane@example.org\n")
        .file(&format!("{site}/old-1.egg-info"), "Name: old\nVersion: 1\n")
        .file("venv/site-packages/jinja2-2.0.dist-info/METADATA", "Name: jinja2\nVersion: 2.0\n")
        .file("venv/site-packages/x.dist-info/METADATA", "Name: \nVersion: 2.0\n");
    assert_snapshot!(shown(&tree.scan()), @r#"
    python flask 3.0 pkg:pypi/flask@3.0
      licences: BSD-3-Clause
      evidence: 0:usr/lib/python3/site-packages/Flask-3.0.dist-info/METADATA
    python jinja2 2.0 pkg:pypi/jinja2@2.0
      evidence: 0:venv/site-packages/jinja2-2.0.dist-info/METADATA
    python jinja2 3.1 pkg:pypi/jinja2@3.1
      originator: Jane Some("jane@example.org") false
      evidence: 0:usr/lib/python3/site-packages/Jinja2-3.1.egg-info/PKG-INFO
    python old 1 pkg:pypi/old@1
      evidence: 0:usr/lib/python3/site-packages/old-1.egg-info
    jinja2 is needed by flask
    "#);
}

#[test]
fn gems_and_packages_of_composer_need_each_other() {
    let installed = r#"{"packages": [
        {"name": "a/app", "version": "v1.2.0", "license": ["MIT", "GPL-2.0-only"], "require": {"php": ">=8", "p/log": "^3"}},
        {"name": "b/log", "version": "3.0.0", "authors": [{"name": "Jane", "email": "j@example.org"}], "provide": {"p/log": "3"}},
        {"name": "no version"}, 7]}"#;
    let tree = Memory::default()
        .file("app/vendor/composer/installed.json", installed)
        .file("old/vendor/composer/installed.json", r#"[{"name": "c/c", "version": "1"}]"#)
        .file(
            "gems/specifications/r-1.0.gemspec",
            "  s.name = \"r\".freeze\n  s.version = \"1.0\".freeze\n  s.add_dependency(%q<q>.freeze)\n",
        )
        .file("more/specifications/default/q-2.gemspec", "# stub: q 2 ruby lib\n");
    assert_snapshot!(shown(&tree.scan()), @r"
    gem q 2 pkg:gem/q@2
      evidence: 0:more/specifications/default/q-2.gemspec
    gem r 1.0 pkg:gem/r@1.0
      evidence: 0:gems/specifications/r-1.0.gemspec
    php-composer a/app v1.2.0 pkg:composer/a/app@v1.2.0
      licences: MIT, GPL-2.0-only
      evidence: 0:app/vendor/composer/installed.json
    php-composer b/log 3.0.0 pkg:composer/b/log@3.0.0
      originator: Jane None false
      evidence: 0:app/vendor/composer/installed.json
    php-composer c/c 1 pkg:composer/c/c@1
      evidence: 0:old/vendor/composer/installed.json
    q is needed by r
    b/log is needed by a/app
    ");
}

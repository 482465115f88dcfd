//! The document of what was found.

use crate::elf::USUAL;
use crate::tree::Memory;
use insta::assert_snapshot;
use sbom::{About, ScanOptions};
use serde_json::Value;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

fn tree() -> Memory {
    Memory::default()
        .file("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=Debian\n")
        .layered(
            "var/lib/dpkg/status",
            "Package: b\nVersion: 1\nSource: src (2)\nDepends: a\nHomepage: https://example.org/b\n\
             Maintainer: B Team <b@example.org>\n\nPackage: a\nVersion: 1\nHomepage: nowhere\n",
            false,
            1,
        )
        .file("usr/share/doc/a/copyright", "License: GPL-2+\n\nLicense: custom-thing\n")
        .program("usr/bin/none", USUAL.program(0, &[(".text", vec![0; 500])]))
}

fn about<'a>(layers: &'a [String]) -> About<'a> {
    About {
        name: "sbom",
        created: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500),
        creator: "jettison-0.1.0",
        layers,
    }
}

#[test]
fn the_document_is_spdx() {
    let layers = ["sha256:00".to_owned(), "sha256:11".to_owned()];
    let document = sbom::spdx(&tree().scan(), &about(&layers));
    assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
    {
      "spdxVersion": "SPDX-2.3",
      "dataLicense": "CC0-1.0",
      "SPDXID": "SPDXRef-DOCUMENT",
      "name": "sbom",
      "documentNamespace": "urn:uuid:0172937c-2990-8853-8ee7-32776753302e",
      "creationInfo": {
        "creators": [
          "Tool: jettison-0.1.0"
        ],
        "created": "2023-11-14T22:13:20Z"
      },
      "packages": [
        {
          "name": "sbom",
          "SPDXID": "SPDXRef-Root",
          "supplier": "NOASSERTION",
          "downloadLocation": "NOASSERTION",
          "filesAnalyzed": false,
          "sourceInfo": "a root file system of Debian",
          "licenseConcluded": "NOASSERTION",
          "licenseDeclared": "NOASSERTION",
          "copyrightText": "NOASSERTION",
          "primaryPackagePurpose": "CONTAINER"
        },
        {
          "name": "a",
          "SPDXID": "SPDXRef-Package-deb-a-9ded20f7588a0b35",
          "versionInfo": "1",
          "supplier": "NOASSERTION",
          "downloadLocation": "NOASSERTION",
          "filesAnalyzed": false,
          "sourceInfo": "found in the database of dpkg: /var/lib/dpkg/status (layer sha256:11)",
          "licenseConcluded": "NOASSERTION",
          "licenseDeclared": "GPL-2.0-or-later AND LicenseRef-custom-thing",
          "copyrightText": "NOASSERTION",
          "externalRefs": [
            {
              "referenceCategory": "PACKAGE-MANAGER",
              "referenceType": "purl",
              "referenceLocator": "pkg:deb/debian/a@1?distro=debian-12"
            }
          ]
        },
        {
          "name": "b",
          "SPDXID": "SPDXRef-Package-deb-b-25ce19c1cd503f40",
          "versionInfo": "1",
          "supplier": "Organization: B Team (b@example.org)",
          "downloadLocation": "NOASSERTION",
          "filesAnalyzed": false,
          "homepage": "https://example.org/b",
          "sourceInfo": "found in the database of dpkg: /var/lib/dpkg/status (layer sha256:11); built from src 2",
          "licenseConcluded": "NOASSERTION",
          "licenseDeclared": "NOASSERTION",
          "copyrightText": "NOASSERTION",
          "externalRefs": [
            {
              "referenceCategory": "PACKAGE-MANAGER",
              "referenceType": "purl",
              "referenceLocator": "pkg:deb/debian/b@1?distro=debian-12&upstream=src%402"
            }
          ]
        }
      ],
      "hasExtractedLicensingInfos": [
        {
          "licenseId": "LicenseRef-custom-thing",
          "extractedText": "custom-thing"
        }
      ],
      "relationships": [
        {
          "spdxElementId": "SPDXRef-DOCUMENT",
          "relationshipType": "DESCRIBES",
          "relatedSpdxElement": "SPDXRef-Root"
        },
        {
          "spdxElementId": "SPDXRef-Root",
          "relationshipType": "CONTAINS",
          "relatedSpdxElement": "SPDXRef-Package-deb-a-9ded20f7588a0b35"
        },
        {
          "spdxElementId": "SPDXRef-Root",
          "relationshipType": "CONTAINS",
          "relatedSpdxElement": "SPDXRef-Package-deb-b-25ce19c1cd503f40"
        },
        {
          "spdxElementId": "SPDXRef-Package-deb-a-9ded20f7588a0b35",
          "relationshipType": "DEPENDENCY_OF",
          "relatedSpdxElement": "SPDXRef-Package-deb-b-25ce19c1cd503f40"
        }
      ]
    }
    "#);
}

#[test]
fn identifiers_are_unique_and_all_that_is_related_is_there() {
    let npm = |name: &str| format!(r#"{{"name": "{name}", "version": "1.0.0", "license": "MIT"}}"#);
    let mut tree = tree();
    for name in ["@a/b", "@a-b", "-a/b", "a.b", "a_b"] {
        tree = tree.file(&format!("x/{name}/package.json"), npm(name));
    }
    let document = sbom::spdx(&tree.scan(), &about(&[]));
    let packages = document["packages"].as_array().unwrap();
    let ids: HashSet<&str> = packages.iter().map(|package| package["SPDXID"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), packages.len());
    let relationships = document["relationships"].as_array().unwrap();
    let ends = |row: &'_ Value| {
        ["spdxElementId", "relatedSpdxElement"].map(|end| row[end].as_str().unwrap().to_owned())
    };
    for end in relationships.iter().flat_map(ends) {
        assert!(end == "SPDXRef-DOCUMENT" || ids.contains(&*end), "{end}");
    }
}

#[test]
fn the_same_tree_gives_the_same_document_with_any_number_of_threads() {
    let mut tree = tree();
    for at in 0..200 {
        let manifest =
            format!(r#"{{"name": "p{}", "version": "{at}", "dependencies": {{"p1": "*"}}}}"#, at % 50);
        tree = tree.file(&format!("n/node_modules/p{at}/package.json"), manifest);
    }
    let document = |threads| sbom::spdx(&sbom::scan(&tree, &ScanOptions { threads }).unwrap(), &about(&[]));
    let one = document(1);
    for threads in [0, 2, 8] {
        assert_eq!(document(threads), one);
    }
    // What differs has another namespace.
    let other =
        sbom::spdx(&tree.file("a/package.json", r#"{"name": "q", "version": "1"}"#).scan(), &about(&[]));
    assert_ne!(other["documentNamespace"], one["documentNamespace"]);
}

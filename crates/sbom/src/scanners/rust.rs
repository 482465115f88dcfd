//! Crates in Rust programs: cargo-auditable writes the section `.dep-v0`, which is JSON packed by zlib:
//!
//! ```text
//! {"packages": [{"name": "a", "version": "1.0.0", "source": "crates.io", "kind": "build", "dependencies": [1], "root": true}]}
//! ```
//! `kind` is missing for what is in the program; what only built it is not a part of it. `dependencies` are positions.

use super::Told;
use super::elf::Elf;
use crate::draft::{Draft, is_word};
use crate::inventory::Kind;
use crate::limits;
use crate::purl::Purl;
use serde::Deserialize;
use std::io::{self, Read as _};

#[derive(Deserialize)]
struct Listed {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    kind: Option<String>,
    #[serde(default)]
    dependencies: Vec<usize>,
}

pub(super) fn told(elf: &Elf<'_>) -> io::Result<Told> {
    let Some(section) = elf.section(b".dep-v0") else { return Ok(Told::Nothing) };
    if section.size > limits::CRATES {
        return Ok(unreadable("is larger than any such list"));
    }
    let packed = elf.bytes(section, limits::CRATES)?;
    let mut json = Vec::new();
    let unpacking = flate2::read::ZlibDecoder::new(&*packed);
    if unpacking.take(limits::CRATES_UNPACKED + 1).read_to_end(&mut json).is_err() {
        return Ok(unreadable("is not packed by zlib"));
    }
    if json.len() as u64 > limits::CRATES_UNPACKED {
        return Ok(unreadable("unpacks to more than any such list"));
    }
    Ok(match serde_json::from_slice::<Listed>(&json) {
        Ok(listed) if listed.packages.len() <= limits::PACKAGES_OF_A_FILE => Told::Packages(packages(listed)),
        Ok(_) => unreadable("has too many crates"),
        Err(_) => unreadable("is not the JSON that cargo-auditable writes"),
    })
}

fn unreadable(why: &str) -> Told {
    Told::Unreadable(format!("has a list of crates that {why}"))
}

fn packages(listed: Listed) -> Vec<Draft> {
    let drafts = listed.packages.into_iter().enumerate().filter_map(|(at, found)| {
        let Crate { name, version, kind, dependencies } = found;
        if !is_word(&name) || !is_word(&version) || kind.is_some_and(|kind| kind != "runtime") {
            return None;
        }
        let purl = Purl { kind: "cargo", name: &name, version: &version, ..Purl::default() }.text();
        let mut draft = Draft::new(Kind::Rust, &name, &version, purl);
        draft.provides = vec![at.to_string()];
        draft.requires = dependencies.iter().map(|needed| vec![needed.to_string()]).collect();
        Some(draft)
    });
    drafts.collect()
}

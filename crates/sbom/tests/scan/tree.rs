//! A tree in memory, in layers.

use sbom::{Content, File, Inventory, ScanOptions, Tree};
use std::collections::BTreeMap;
use std::io;

/// Files and links by their paths.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    files: BTreeMap<String, (Vec<u8>, bool, usize)>,
    links: BTreeMap<String, String>,
}

impl Memory {
    pub(crate) fn file(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.layered(path, bytes, false, 0)
    }

    pub(crate) fn program(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.layered(path, bytes, true, 0)
    }

    pub(crate) fn layered(
        mut self,
        path: &str,
        bytes: impl Into<Vec<u8>>,
        executable: bool,
        layer: usize,
    ) -> Self {
        self.files.insert(path.to_owned(), (bytes.into(), executable, layer));
        self
    }

    /// A link to a path of the root.
    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.to_owned(), target.to_owned());
        self
    }

    pub(crate) fn scan(&self) -> Inventory {
        sbom::scan(self, &ScanOptions { threads: 3 }).unwrap()
    }
}

impl Tree for Memory {
    fn files(&self) -> Vec<File<'_>> {
        let all = self.files.iter();
        all.map(|(path, (bytes, executable, layer))| File {
            path: path.as_bytes(),
            size: bytes.len() as u64,
            executable: *executable,
            layer: *layer,
        })
        .collect()
    }

    fn open(&self, path: &[u8]) -> io::Result<Option<Box<dyn Content + '_>>> {
        let path = std::str::from_utf8(path).unwrap();
        let path = self.links.get(path).map_or(path, |target| target);
        Ok(self.files.get(path).map(|(bytes, ..)| Box::new(bytes.clone()) as Box<dyn Content + '_>))
    }
}

/// One line for each package, with what is known of it, then who is needed by whom, then what was left out.
pub(crate) fn shown(inventory: &Inventory) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    for package in &inventory.packages {
        line(format!("{} {} {} {}", package.kind.name(), package.name, package.version, package.purl));
        if !package.licences.is_empty() {
            line(format!("  licences: {}", package.licences.join(", ")));
        }
        for (what, party) in [("supplier", &package.supplier), ("originator", &package.originator)] {
            if let Some(party) = party {
                line(format!("  {what}: {} {:?} {}", party.name, party.email, party.organisation));
            }
        }
        if let Some(source) = &package.source {
            line(format!("  source: {} {:?}", source.name, source.version));
        }
        for sum in &package.checksums {
            line(format!("  {}: {}", sum.algorithm, sum.hex));
        }
        let evidence =
            package.evidence.iter().map(|evidence| format!("{}:{}", evidence.layer, evidence.path));
        line(format!("  evidence: {}", evidence.collect::<Vec<_>>().join(" ")));
    }
    for (needed, by) in &inventory.dependencies {
        line(format!("{} is needed by {}", inventory.packages[*needed].name, inventory.packages[*by].name));
    }
    for skipped in &inventory.skipped {
        line(format!("skipped: /{} {}", skipped.path, skipped.reason));
    }
    text
}

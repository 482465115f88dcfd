//! From what single files tell to one inventory.
//!
//! Each scanner gives drafts: a package with the words that others call it by and the words that it needs. Words mean
//! something in a scope only: one database, one program, one folder of Python packages. Drafts of the same package are
//! one package with all their evidence; what a draft needs is looked for in its own scope.

use crate::inventory::{Evidence, Inventory, Kind, Package};
use crate::limits;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// A package as one file tells of it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) package: Package,
    /// Where the words below mean something.
    pub(crate) scope: String,
    /// What it is called by those who need it.
    pub(crate) provides: Vec<String>,
    /// What it needs: of each list the first word that somebody provides.
    pub(crate) requires: Vec<Vec<String>>,
}

impl Draft {
    /// A package of which nothing more is known yet.
    pub(crate) fn new(kind: Kind, name: &str, version: &str, purl: String) -> Self {
        let package = Package {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            purl,
            licences: Vec::new(),
            supplier: None,
            originator: None,
            homepage: None,
            source: None,
            checksums: Vec::new(),
            evidence: Vec::new(),
        };
        Self { package, scope: String::new(), provides: Vec::new(), requires: Vec::new() }
    }

    pub(crate) fn seen_in(&mut self, path: String, layer: usize) {
        self.package.evidence.push(Evidence { path, layer });
    }
}

/// Whether a name or version can be one: not empty, of one line and not too long.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::WORD && !text.contains(char::is_control)
}

type Identity = (Kind, String, String, String);

/// Makes the inventory of all drafts.
pub(crate) fn assemble(drafts: Vec<Draft>) -> Inventory {
    let mut packages: Vec<Package> = Vec::new();
    let mut known: HashMap<Identity, usize> = HashMap::new();
    let mut words = Vec::with_capacity(drafts.len());
    for Draft { package, scope, provides, requires } in drafts {
        let identity = (package.kind, package.name.clone(), package.version.clone(), package.purl.clone());
        let at = match known.entry(identity) {
            Entry::Occupied(at) => {
                add(&mut packages[*at.get()], package);
                *at.get()
            }
            Entry::Vacant(free) => {
                packages.push(package);
                *free.insert(packages.len() - 1)
            }
        };
        words.push((at, scope, provides, requires));
    }

    let mut providers: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (at, scope, provides, _) in &words {
        for word in provides {
            let providers = providers.entry((scope, word)).or_default();
            if providers.last() != Some(at) {
                providers.push(*at);
            }
        }
    }
    let mut edges = BTreeSet::new();
    'all: for (at, scope, _, requires) in &words {
        for choice in requires {
            let found = choice.iter().find_map(|word| providers.get(&(&**scope, &**word)));
            for needed in found.into_iter().flatten().filter(|needed| *needed != at) {
                if edges.len() == limits::DEPENDENCIES {
                    break 'all;
                }
                edges.insert((*needed, *at));
            }
        }
    }
    sorted(packages, &edges)
}

/// What another draft of the same package adds.
fn add(package: &mut Package, other: Package) {
    for licence in other.licences {
        if !package.licences.contains(&licence) {
            package.licences.push(licence);
        }
    }
    package.evidence.extend(other.evidence);
    package.supplier = package.supplier.take().or(other.supplier);
    package.originator = package.originator.take().or(other.originator);
    package.homepage = package.homepage.take().or(other.homepage);
    package.source = package.source.take().or(other.source);
    if package.checksums.is_empty() {
        package.checksums = other.checksums;
    }
}

/// Puts packages into their order; edges move with them.
fn sorted(packages: Vec<Package>, edges: &BTreeSet<(usize, usize)>) -> Inventory {
    let mut numbered: Vec<(usize, Package)> = packages.into_iter().enumerate().collect();
    let key = |package: &Package| {
        (package.kind, package.name.clone(), package.version.clone(), package.purl.clone())
    };
    numbered.sort_by_cached_key(|(_, package)| key(package));
    let mut place = vec![0; numbered.len()];
    for (now, (before, package)) in numbered.iter_mut().enumerate() {
        place[*before] = now;
        package.evidence.sort();
        package.evidence.dedup();
    }
    let mut dependencies: Vec<(usize, usize)> =
        edges.iter().map(|(needed, by)| (place[*needed], place[*by])).collect();
    dependencies.sort_unstable();
    let packages = numbered.into_iter().map(|(_, package)| package).collect();
    Inventory { packages, dependencies, ..Inventory::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(name: &str, scope: &str, requires: &[&[&str]]) -> Draft {
        let mut draft = Draft::new(Kind::Npm, name, "1", String::new());
        draft.scope = scope.to_owned();
        draft.provides = vec![name.to_owned(), "virtual".to_owned()];
        draft.requires =
            requires.iter().map(|choice| choice.iter().map(|word| (*word).to_owned()).collect()).collect();
        draft.seen_in(format!("{scope}/{name}"), 0);
        draft
    }

    #[test]
    fn equal_packages_are_one_and_needs_stay_in_their_scope() {
        let inventory = assemble(vec![
            draft("c", "one", &[&["missing", "a"], &["b"]]),
            draft("a", "one", &[]),
            draft("b", "two", &[&["virtual"]]),
            draft("a", "two", &[]),
        ]);
        let names: Vec<_> = inventory.packages.iter().map(|p| (&*p.name, p.evidence.len())).collect();
        assert_eq!(names, [("a", 2), ("b", 1), ("c", 1)]);
        // `c` needs the `a` of its own scope; `b` is in another. A virtual package may have several providers.
        assert_eq!(inventory.dependencies, [(0, 1), (0, 2)]);
    }
}

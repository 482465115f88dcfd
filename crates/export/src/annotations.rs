//! Annotations: free text in the documents of an image, at four levels.
//!
//! | key of `--output` | key of `--annotation` | where it stands |
//! |---|---|---|
//! | `annotation.K`, `annotation-manifest.K` | `K=V`, `manifest:K=V` | the manifest |
//! | `annotation-manifest-descriptor.K` | `manifest-descriptor:K=V` | the manifest's descriptor in the index |
//! | `annotation-index.K` | `index:K=V` | the index |
//! | `annotation-index-descriptor.K` | `index-descriptor:K=V` | the index's descriptor in an OCI layout |
//!
//! The first two can be for one platform: `annotation[linux/amd64].K`, `manifest[linux/amd64]:K=V`. Several levels
//! stand side by side: `index,manifest:K=V`. BuildKit: docs/annotations.md.

use oci::Platform;
use std::collections::BTreeMap;

/// A level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Manifest,
    ManifestDescriptor,
    Index,
    IndexDescriptor,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Annotation {
    level: Level,
    /// Nothing is every platform.
    platform: Option<Platform>,
    key: String,
    value: String,
}

/// The annotations of one output; of equal ones the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(Vec<Annotation>);

impl Annotations {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an attribute of `--output`, if it is an annotation: gives whether it is one.
    ///
    /// # Errors
    /// A level or a platform that there is not, or an empty key, in words.
    pub fn attribute(&mut self, attribute: &str, value: &str) -> Result<bool, String> {
        let Some(rest) = attribute.strip_prefix("annotation") else { return Ok(false) };
        let wrong = || {
            format!("`{attribute}` is no annotation; one is written as annotation[-LEVEL][[PLATFORM]].KEY")
        };
        // The key may hold dots, the platform may not.
        let (level, key) = match rest.find(['.', '[']) {
            Some(at) if rest.as_bytes()[at] == b'[' => {
                let end = rest.find("].").ok_or_else(wrong)?;
                (&rest[..=end], &rest[end + 2..])
            }
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => return Err(wrong()),
        };
        if !(level.is_empty() || level.starts_with(['-', '['])) || key.is_empty() {
            return Err(wrong());
        }
        self.add(level.trim_start_matches('-'), key, value)?;
        Ok(true)
    }

    /// Takes an `--annotation`: `[LEVEL[,LEVEL]:]KEY=VALUE`.
    ///
    /// # Errors
    /// As for [`Self::attribute`].
    pub fn flag(&mut self, text: &str) -> Result<(), String> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not [LEVEL:]KEY=VALUE"))?;
        let (levels, key) = match name.split_once(':') {
            Some((levels, key)) if levels.split(',').all(is_level) => (levels, key),
            _ => ("", name),
        };
        if key.is_empty() {
            return Err(format!("`{text}` has no key before the `=`"));
        }
        for level in levels.split(',') {
            self.add(level, key, value)?;
        }
        Ok(())
    }

    fn add(&mut self, level: &str, key: &str, value: &str) -> Result<(), String> {
        let (name, platform) = match level.split_once('[') {
            Some((name, rest)) => {
                let text = rest.strip_suffix(']').ok_or_else(|| format!("`{level}` lacks its `]`"))?;
                let platform: Platform = text.parse().map_err(|error: oci::Error| error.to_string())?;
                (name, Some(platform.normalised()))
            }
            None => (level, None),
        };
        let level = match name {
            "" | "manifest" => Level::Manifest,
            "manifest-descriptor" => Level::ManifestDescriptor,
            "index" if platform.is_none() => Level::Index,
            "index-descriptor" if platform.is_none() => Level::IndexDescriptor,
            "index" | "index-descriptor" => {
                return Err(format!("an annotation of the {name} is for no platform in particular"));
            }
            other => {
                return Err(format!(
                    "`{other}` is no level of annotations; there are manifest, manifest-descriptor, index and \
                     index-descriptor"
                ));
            }
        };
        self.0.retain(|known| !(known.level == level && known.platform == platform && known.key == key));
        self.0.push(Annotation { level, platform, key: key.to_owned(), value: value.to_owned() });
        Ok(())
    }

    /// Adds those of `other`, which count more.
    pub fn extend(&mut self, other: &Self) {
        for new in &other.0 {
            self.0.retain(|known| {
                !(known.level == new.level && known.platform == new.platform && known.key == new.key)
            });
            self.0.push(new.clone());
        }
    }

    /// Whether there is one of an index, which an image of one platform lacks.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.0.iter().any(|one| matches!(one.level, Level::Index | Level::IndexDescriptor))
    }

    fn of(&self, level: Level, platform: Option<&Platform>) -> BTreeMap<String, String> {
        let platform = platform.map(Platform::normalised);
        let here =
            |one: &&Annotation| one.level == level && (one.platform.is_none() || one.platform == platform);
        let mut found: Vec<&Annotation> = self.0.iter().filter(here).collect();
        // What is said of one platform beats what is said of all.
        found.sort_by_key(|one| one.platform.is_some());
        found.into_iter().map(|one| (one.key.clone(), one.value.clone())).collect()
    }

    pub(crate) fn manifest(&self, platform: &Platform) -> BTreeMap<String, String> {
        self.of(Level::Manifest, Some(platform))
    }

    /// Those of the descriptor of a platform's manifest.
    #[must_use]
    pub fn manifest_descriptor(&self, platform: &Platform) -> BTreeMap<String, String> {
        self.of(Level::ManifestDescriptor, Some(platform))
    }

    /// Those of the index.
    #[must_use]
    pub fn index(&self) -> BTreeMap<String, String> {
        self.of(Level::Index, None)
    }

    pub(crate) fn index_descriptor(&self) -> BTreeMap<String, String> {
        self.of(Level::IndexDescriptor, None)
    }
}

fn is_level(text: &str) -> bool {
    let name = text.split_once('[').map_or(text, |(name, _)| name);
    matches!(name, "manifest" | "manifest-descriptor" | "index" | "index-descriptor")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn each_way_of_writing_reaches_its_level() {
        let mut all = Annotations::new();
        let amd: Platform = "linux/amd64".parse().unwrap();
        let arm: Platform = "linux/arm64".parse().unwrap();
        for (attribute, value) in [
            ("annotation.org.opencontainers.image.title", "t"),
            ("annotation[linux/amd64].a", "amd"),
            ("annotation-manifest.a", "any"),
            ("annotation-manifest-descriptor[linux/arm64/v8].d", "arm"),
            ("annotation-index.i", "1"),
            ("annotation-index-descriptor.x.y", "2"),
        ] {
            assert_eq!(all.attribute(attribute, value), Ok(true), "{attribute}");
        }
        all.flag("index,manifest:both=b=c").unwrap();
        all.flag("com.example:key=v").unwrap();
        assert_eq!(
            all.manifest(&amd),
            map(&[
                ("a", "amd"),
                ("both", "b=c"),
                ("com.example:key", "v"),
                ("org.opencontainers.image.title", "t")
            ])
        );
        assert_eq!(all.manifest(&arm)["a"], "any");
        assert_eq!(all.manifest_descriptor(&arm), map(&[("d", "arm")]));
        assert_eq!(all.manifest_descriptor(&amd), map(&[]));
        assert_eq!(all.index(), map(&[("both", "b=c"), ("i", "1")]));
        assert_eq!(all.index_descriptor(), map(&[("x.y", "2")]));
        assert!(all.has_index());
    }

    #[test]
    fn what_is_no_annotation_is_said_so() {
        let mut all = Annotations::new();
        assert_eq!(all.attribute("name", "x"), Ok(false));
        for attribute in
            ["annotation", "annotation.", "annotations.x", "annotation-layer.x", "annotation[linux.x"]
        {
            assert!(all.attribute(attribute, "v").is_err(), "{attribute}");
        }
        assert!(all.flag("novalue").is_err());
        assert!(all.flag("index[linux/amd64]:a=b").is_err());
        assert_eq!(all, Annotations::new());
    }
}

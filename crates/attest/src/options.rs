//! The parameters of provenance, as `--attest type=provenance,...` and BuildKit's `attest:provenance` have them.
//!
//! | parameter | meaning |
//! |---|---|
//! | `mode` | `min`, or `max` (the default; `full` is its old name) |
//! | `version` | of the SLSA predicate: `v1` (the default) or `v0.2` |
//! | `builder-id` | who builds, as a URL |
//! | `reproducible` | says that the build is meant to be: nothing checks it |
//! | `inline-only` | only images carry it, folders and tars do not |
//! | `filename` | what it is called in folders and tars: `provenance.json` |
//! | `complete-materials` | fails where not everything that went in is known by its digest |
//! | `capture-usage` | accepted: the use of resources is not recorded |

use crate::{Error, Result};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing that could be private: no build arguments, labels, ids of secrets, steps or Dockerfile.
    Min,
    /// All of it.
    #[default]
    Max,
}

/// The version of the SLSA predicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// `https://slsa.dev/provenance/v0.2`
    V02,
    /// `https://slsa.dev/provenance/v1`
    #[default]
    V1,
}

/// How provenance is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceOptions {
    /// How much.
    pub mode: Mode,
    /// In which words.
    pub version: Version,
    /// Who builds.
    pub builder_id: String,
    /// Whether the build is meant to be reproducible.
    pub reproducible: bool,
    /// Whether only images carry it.
    pub inline_only: bool,
    /// What it is called as a file.
    pub file: String,
    /// Whether the build fails where not all materials are known.
    pub complete_materials: bool,
}

impl Default for ProvenanceOptions {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            version: Version::default(),
            builder_id: String::new(),
            reproducible: false,
            inline_only: false,
            file: "provenance.json".to_owned(),
            complete_materials: false,
        }
    }
}

impl ProvenanceOptions {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn parse<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in parameters {
            let wrong = |reason: String| Error::Parameter { key: key.to_owned(), reason };
            let boolean = || match value {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                _ => Err(wrong(format!("is true or false, not `{value}`"))),
            };
            match key {
                "mode" => {
                    options.mode = match value {
                        "min" => Mode::Min,
                        "max" | "full" => Mode::Max,
                        _ => return Err(wrong(format!("is min or max, not `{value}`"))),
                    }
                }
                "version" => {
                    options.version = match value {
                        "v1" => Version::V1,
                        "v0.2" => Version::V02,
                        _ => return Err(wrong(format!("is v1 or v0.2, not `{value}`"))),
                    }
                }
                "builder-id" => value.clone_into(&mut options.builder_id),
                "reproducible" => options.reproducible = boolean()?,
                "inline-only" => options.inline_only = boolean()?,
                "filename" => {
                    // In a folder nothing but a file of its own is written.
                    let file = value.rsplit('/').next().unwrap_or_default();
                    if matches!(file, "" | "." | "..") {
                        return Err(wrong(format!("is a file's name, not `{value}`")));
                    }
                    file.clone_into(&mut options.file);
                }
                "complete-materials" => options.complete_materials = boolean()?,
                "capture-usage" => {
                    boolean()?;
                }
                _ => return Err(wrong("is not known".to_owned())),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_mistakes_named() {
        let all = [
            ("mode", "min"),
            ("version", "v0.2"),
            ("builder-id", "https://ci.example/1"),
            ("reproducible", "1"),
            ("inline-only", "true"),
            ("filename", "a/b.json"),
            ("capture-usage", "false"),
        ];
        let expected = ProvenanceOptions {
            mode: Mode::Min,
            version: Version::V02,
            builder_id: "https://ci.example/1".to_owned(),
            reproducible: true,
            inline_only: true,
            file: "b.json".to_owned(),
            complete_materials: false,
        };
        assert_eq!(ProvenanceOptions::parse(all).unwrap(), expected);
        assert_eq!(ProvenanceOptions::parse([("mode", "full")]).unwrap(), ProvenanceOptions::default());
        for (key, value, told) in [
            ("mode", "most", "the parameter `mode` of provenance is min or max, not `most`"),
            ("version", "v2", "the parameter `version` of provenance is v1 or v0.2, not `v2`"),
            (
                "reproducible",
                "maybe",
                "the parameter `reproducible` of provenance is true or false, not `maybe`",
            ),
            ("filename", "..", "the parameter `filename` of provenance is a file's name, not `..`"),
            ("modus", "min", "the parameter `modus` of provenance is not known"),
        ] {
            assert_eq!(ProvenanceOptions::parse([(key, value)]).unwrap_err().to_string(), told);
        }
    }
}

//! Platforms: `os/architecture[/variant]`, normalised as containerd does (`x86_64` is `amd64`, `aarch64` is `arm64`,
//! bare `arm` is `arm/v7`).

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An operating system, an architecture and perhaps a variant of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, in Go's words: `amd64`, `arm64`, `arm`, `386`, ...
    pub architecture: String,
    /// The operating system, in Go's words: `linux`, `windows`, ...
    pub os: String,
    /// A version of the operating system (Windows bases).
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have (Windows bases).
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// A variant of the architecture: `v7` of `arm`, `v2` of `amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform of this program: `linux` and the architecture it was compiled for.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = normalise(std::env::consts::ARCH, None);
        Self { architecture, variant, os: "linux".to_owned(), ..Self::default() }
    }

    /// How well an image for `other` serves one who wants `self`: nothing where it does not, else higher is better.
    /// A later `arm` runs earlier variants; so does `amd64` with its levels.
    #[must_use]
    pub fn rank(&self, other: &Self) -> Option<u32> {
        let (mine, mine_variant) = normalise(&self.architecture, self.variant.as_deref());
        let (theirs, theirs_variant) = normalise(&other.architecture, other.variant.as_deref());
        if self.os != other.os || mine != theirs {
            return None;
        }
        let level = |variant: Option<&str>, default: u32| {
            variant.map_or(Some(default), |v| v.strip_prefix('v').and_then(|v| v.parse::<u32>().ok()))
        };
        let default = match mine.as_str() {
            "arm" => 7,
            "arm64" => 8,
            _ => 1,
        };
        let (have, need) =
            (level(mine_variant.as_deref(), default)?, level(theirs_variant.as_deref(), default)?);
        (need <= have).then_some(need)
    }

    /// The platform with its architecture in Go's words and default variants left out.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let (architecture, variant) = normalise(&self.architecture, self.variant.as_deref());
        Self { architecture, variant, os: self.os.to_lowercase(), ..self.clone() }
    }
}

fn normalise(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let architecture = architecture.to_lowercase();
    let variant = variant.filter(|v| !v.is_empty()).map(str::to_lowercase);
    match (architecture.as_str(), variant.as_deref()) {
        ("x86_64" | "x86-64" | "amd64", Some("v1") | None) => ("amd64".into(), None),
        ("x86_64" | "x86-64", _) => ("amd64".into(), variant),
        ("i386" | "i686" | "x86", _) => ("386".into(), None),
        ("aarch64" | "arm64", Some("v8" | "8") | None) => ("arm64".into(), None),
        ("aarch64", _) => ("arm64".into(), variant),
        ("armhf" | "arm", None) => ("arm".into(), Some("v7".into())),
        ("armhf", _) => ("arm".into(), Some("v7".into())),
        ("armel", _) => ("arm".into(), Some("v6".into())),
        ("arm", Some("5" | "6" | "7" | "8")) => ("arm".into(), variant.map(|v| format!("v{v}"))),
        _ => (architecture, variant),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason| Error::Platform { text: text.to_owned(), reason };
        let parts: Vec<&str> = text.split('/').collect();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if parts.iter().any(|part| part.is_empty() || !part.chars().all(legal)) {
            return Err(wrong("it has the form os/architecture or os/architecture/variant"));
        }
        let (os, architecture, variant) = match parts[..] {
            ["local"] => return Ok(Self::host()),
            [os @ ("linux" | "windows" | "darwin" | "freebsd")] => {
                (os.to_owned(), Self::host().architecture, None)
            }
            [architecture] => ("linux".to_owned(), architecture.to_owned(), None),
            [os, architecture] => (os.to_lowercase(), architecture.to_owned(), None),
            [os, architecture, variant] => (os.to_lowercase(), architecture.to_owned(), Some(variant)),
            _ => return Err(wrong("it has at most three parts")),
        };
        let (architecture, variant) = normalise(&architecture, variant);
        Ok(Self { os, architecture, variant, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_for_the_same_platform_are_one() {
        for (text, plain) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("arm64", "linux/arm64"),
            ("linux/i386", "linux/386"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), plain, "{text}");
        }
        assert_eq!("linux".parse::<Platform>().unwrap(), Platform::host());
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "/", "linux/", "linux/amd64/v1/x", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}

//! Secrets of a build by their ids.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// The largest secret, as BuildKit's: 500 KiB.
pub const MAX_SECRET: u64 = 500 << 10;

/// Where a secret's value is.
#[derive(Clone)]
pub enum SecretSource {
    /// In a file, read when it is used.
    File(PathBuf),
    /// Here.
    Value(Vec<u8>),
}

/// The value never reaches a log by way of `{:?}`.
impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(..)"),
        }
    }
}

/// The secrets of one build by id.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, SecretSource>);

impl Secrets {
    /// No secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret; the last of equal ids counts.
    pub fn insert(&mut self, id: String, source: SecretSource) {
        self.0.insert(id, source);
    }

    /// The value of a secret, nothing where there is none of this id.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than [`MAX_SECRET`].
    pub fn get(&self, id: &str) -> std::io::Result<Option<Vec<u8>>> {
        let value = match self.0.get(id) {
            None => return Ok(None),
            Some(SecretSource::Value(value)) => value.clone(),
            Some(SecretSource::File(path)) => {
                let mut value = Vec::new();
                File::open(path)?.take(MAX_SECRET + 1).read_to_end(&mut value)?;
                value
            }
        };
        if value.len() as u64 > MAX_SECRET {
            return Err(std::io::Error::other(format!("a secret has at most {MAX_SECRET} bytes")));
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_files_with_a_limit() {
        let mut secrets = Secrets::new();
        secrets.insert("a".into(), SecretSource::Value(b"x".to_vec()));
        secrets.insert("zero".into(), SecretSource::File("/dev/zero".into()));
        assert_eq!(secrets.get("a").unwrap().unwrap(), b"x");
        assert!(secrets.get("none").unwrap().is_none());
        assert!(secrets.get("zero").is_err());
        assert!(!format!("{secrets:?}").contains("\"x\""));
    }
}

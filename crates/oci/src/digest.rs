//! Content digests: `sha256:` and 64 lower-case hexadecimal digits (image-spec, descriptor.md#digests).

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest. The specification registers sha512 too; no registry in use serves it, and it is refused by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A digest from its 32 raw bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, without `sha256:`.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        push_hex(&self.0, &mut text);
        text
    }

    /// The first 12 hexadecimal digits, as tables show an image id.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.hex();
        text.truncate(12);
        text
    }

    /// Parses 64 hexadecimal digits without the algorithm.
    pub fn from_hex(hex: &str) -> Result<Self> {
        let wrong = |reason| Error::Digest { text: hex.to_owned(), reason };
        if hex.len() != 64 {
            return Err(wrong("a sha256 digest has 64 hexadecimal digits"));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
                return Err(wrong("its digits are 0 to 9 and a to f, in lower case"));
            };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn push_hex(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        push_hex(&self.0, &mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason| Error::Digest { text: text.to_owned(), reason };
        match text.split_once(':') {
            Some(("sha256", hex)) => Self::from_hex(hex).map_err(|error| match error {
                Error::Digest { reason, .. } => wrong(reason),
                other => other,
            }),
            Some(_) => Err(wrong("only sha256 is supported")),
            None => Err(wrong("it has the form sha256:HEX")),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Takes bytes as they pass and gives their digest and count at the end.
#[derive(Clone, Default)]
pub struct Hasher {
    state: sha2::Sha256,
    size: u64,
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// How many bytes were taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of all that was taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_and_bytes_agree() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn a_hasher_sees_what_passes() {
        let mut hasher = Hasher::new();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.size(), 3);
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }

    #[test]
    fn what_is_no_digest_is_refused_by_name() {
        for text in [
            "",
            "sha256:",
            "sha256:ABC",
            "sha512:00",
            "e3b0c442",
            &EMPTY.to_uppercase(),
            &format!("{EMPTY}0"),
        ] {
            let error = text.parse::<Digest>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}

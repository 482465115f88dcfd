//! The outer form of key files: PEM (RFC 7468, and RFC 1421 for the header of encrypted ones).
//!
//! ```text
//! -----BEGIN OPENSSH PRIVATE KEY-----
//! base64
//! -----END OPENSSH PRIVATE KEY-----
//! ```

use base64::Engine;

/// One block.
pub(crate) struct Block {
    /// What stands behind BEGIN.
    pub(crate) label: String,
    /// Whether a header says that the content is encrypted.
    pub(crate) encrypted: bool,
    /// The content.
    pub(crate) bytes: Vec<u8>,
}

/// The first block of a text; nothing where there is none.
pub(crate) fn first(text: &[u8]) -> Option<Block> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN "));
    let label = lines.next()?.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?.to_owned();
    let end = format!("-----END {label}-----");
    let (mut encrypted, mut body, mut ended) = (false, String::new(), false);
    for line in lines {
        if line == end {
            ended = true;
            break;
        }
        match line.split_once(':') {
            Some((name, value)) => encrypted |= name == "Proc-Type" && value.contains("ENCRYPTED"),
            None => body.push_str(line),
        }
    }
    // With an encrypted block nobody looks at the content.
    let bytes = if encrypted { Vec::new() } else { base64::prelude::BASE64_STANDARD.decode(body).ok()? };
    ended.then_some(Block { label, encrypted, bytes })
}

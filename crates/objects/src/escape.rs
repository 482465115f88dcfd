//! Percent-encoding (RFC 3986): everything but letters, digits and `-._~`.

/// A name for a path: slashes stay.
pub(crate) fn path(text: &str) -> String {
    escape(text, b"/")
}

/// A value for a query.
pub(crate) fn value(text: &str) -> String {
    escape(text, b"")
}

fn escape(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A value of a query without its escapes.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped() {
        assert_eq!(path("a/blobs/sha256:00 ü"), "a/blobs/sha256%3A00%20%C3%BC");
        assert_eq!(value("a/b+c=~"), "a%2Fb%2Bc%3D~");
        for text in ["a/b+c=~%", "ü", "100%", ""] {
            assert_eq!(unescape(&value(text)), text);
        }
    }
}

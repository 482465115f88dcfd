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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped() {
        assert_eq!(path("a/blobs/sha256:00 ü"), "a/blobs/sha256%3A00%20%C3%BC");
        assert_eq!(value("a/b+c=~"), "a%2Fb%2Bc%3D~");
    }
}

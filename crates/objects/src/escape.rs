//! Percent-encoding (RFC 3986): everything but letters, digits and `-._~`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a value of a query may not have.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What a path may not have: slashes stay.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// A name for a path.
pub(crate) fn path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// A value for a query.
pub(crate) fn value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// A value of a query without its escapes.
pub(crate) fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped() {
        assert_eq!(path("a/blobs/sha256:00 ü"), "a/blobs/sha256%3A00%20%C3%BC");
        assert_eq!(value("a/b+c=~"), "a%2Fb%2Bc%3D~");
        for text in ["a/b+c=~%", "ü", "100%", "%+1", ""] {
            assert_eq!(unescape(&value(text)), text);
        }
    }
}

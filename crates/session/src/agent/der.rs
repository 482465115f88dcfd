//! As much of DER (X.690) as private keys need: definite lengths, tags of one byte.

/// `INTEGER`.
pub(crate) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(crate) const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// `OBJECT IDENTIFIER`.
pub(crate) const OBJECT: u8 = 0x06;
/// `SEQUENCE`.
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed.
pub(crate) const CONTEXT_1: u8 = 0xa1;

/// What is left of a value.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The content of the next value, which must have this tag.
    pub(crate) fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        if *first != tag {
            return None;
        }
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// The same of a value that may be missing.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.value(tag) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded_by_what_is_there() {
        assert_eq!(Reader(&[2, 1, 5]).value(INTEGER).unwrap(), [5]);
        assert_eq!(Reader(&[2, 0x81, 1, 5]).value(INTEGER).unwrap(), [5]);
        assert!(Reader(&[2, 2, 5]).value(INTEGER).is_none());
        assert!(Reader(&[2, 0x84, 0xff, 0xff, 0xff, 0xff, 5]).value(INTEGER).is_none());
        assert!(Reader(&[2, 0x80, 5, 0, 0]).value(INTEGER).is_none(), "an indefinite length");
        assert!(Reader(&[4, 1, 5]).value(INTEGER).is_none(), "another tag");
        assert!(Reader(&[]).value(INTEGER).is_none());
    }
}

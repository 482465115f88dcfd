//! Strings and numbers as ssh writes them (RFC 4251, section 5).

/// What is left of a message.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next bytes; nothing where there are not as many.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// `uint32`.
    pub(crate) fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// `string`: its length and its bytes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// `mpint`, which must not be negative: its bytes, the highest first, without leading zeros.
    pub(crate) fn integer(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        if bytes.first().is_some_and(|first| *first >= 0x80) {
            return None;
        }
        Some(trimmed(bytes))
    }
}

/// A number's bytes without leading zeros.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Appends a `uint32`.
pub(crate) fn put_number(out: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("because messages are bounded");
    out.extend(number.to_be_bytes());
}

/// Appends a `string`.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend(bytes);
}

/// Appends an `mpint` that is not negative, given by its bytes, the highest first.
pub(crate) fn put_integer(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = trimmed(bytes);
    let sign = usize::from(bytes.first().is_some_and(|first| *first >= 0x80));
    put_number(out, bytes.len() + sign);
    out.extend(std::iter::repeat_n(0, sign));
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_a_sign_and_no_zeros() {
        // The examples of RFC 4251.
        for (number, written) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
            (&[0, 0x09, 0xa3], &[0, 0, 0, 2, 0x09, 0xa3]),
        ] {
            let mut out = Vec::new();
            put_integer(&mut out, number);
            assert_eq!(out, written);
            assert_eq!(Reader(&out).integer().unwrap(), trimmed(number));
        }
        assert!(Reader(&[0, 0, 0, 1, 0x80]).integer().is_none(), "a negative number");
        assert!(Reader(&[0, 0, 0, 9, 1]).string().is_none(), "more than there is");
    }
}

//! One header block of 512 bytes.
//!
//! ```text
//!   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 checksum 8 | 156 type 1
//! 157 link 100 | 257 magic 6, version 2 | 265 user name 32 | 297 group name 32 | 329 major 8 | 337 minor 8
//! 345 prefix 155 (ustar) | 386 four sparse segments of 24, 482 more follow 1, 483 real size 12 (old GNU)
//! ```
//! Numbers are octal text, or big-endian two's complement where the first bit is set (GNU).

use super::BLOCK;
use std::ops::Range;

pub(crate) const NAME: Range<usize> = 0..100;
pub(crate) const MODE: Range<usize> = 100..108;
pub(crate) const UID: Range<usize> = 108..116;
pub(crate) const GID: Range<usize> = 116..124;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const MTIME: Range<usize> = 136..148;
pub(crate) const CHECKSUM: Range<usize> = 148..156;
pub(crate) const TYPE: usize = 156;
pub(crate) const LINK: Range<usize> = 157..257;
pub(crate) const MAGIC: Range<usize> = 257..265;
pub(crate) const MAJOR: Range<usize> = 329..337;
pub(crate) const MINOR: Range<usize> = 337..345;
pub(crate) const PREFIX: Range<usize> = 345..500;

/// The magic and version of POSIX ustar and pax.
pub(crate) const USTAR: &[u8; 8] = b"ustar\x0000";

/// The bytes of a text field, up to its first NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    &field[..end]
}

/// A number field: octal text or GNU's binary form; an empty field is 0.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    if field.first().is_some_and(|b| b & 0x80 != 0) {
        // The first bit marks the form; the second is the sign.
        let negative = field[0] & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (at, byte) in field.iter().enumerate() {
            let byte = if at == 0 && !negative { byte & 0x7f } else { *byte };
            value = value.checked_shl(8)? | i128::from(byte);
        }
        return i64::try_from(value).ok();
    }
    let blank = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    let mut value: i64 = 0;
    for digit in &digits[..end] {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(value)
}

/// Writes octal text with a closing NUL; false if it does not fit.
pub(crate) fn put_octal(field: &mut [u8], mut value: u64) -> bool {
    let (last, digits) = field.split_last_mut().expect("because every number field has bytes");
    *last = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    value == 0
}

/// The sum of the header's bytes with the checksum field counted as spaces: unsigned, and signed as some old
/// writers had it.
fn sums(block: &[u8; BLOCK]) -> (i64, i64) {
    let all: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let field: u32 = block[CHECKSUM].iter().map(|b| u32::from(*b)).sum();
    let unsigned = i64::from(all - field + 8 * u32::from(b' '));
    let high = |bytes: &[u8]| bytes.iter().filter(|b| **b >= 0x80).count() as i64;
    (unsigned, unsigned - 256 * (high(block) - high(&block[CHECKSUM])))
}

/// Whether the checksum is right.
pub(crate) fn checksum_holds(block: &[u8; BLOCK]) -> bool {
    let (unsigned, signed) = sums(block);
    number(&block[CHECKSUM]).is_some_and(|sum| sum == unsigned || sum == signed)
}

/// Writes the checksum: six digits, NUL, space.
pub(crate) fn put_checksum(block: &mut [u8; BLOCK]) {
    let (sum, _) = sums(block);
    put_octal(&mut block[148..155], sum as u64);
    block[155] = b' ';
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_their_forms() {
        assert_eq!(number(b"0000755\0"), Some(0o755));
        assert_eq!(number(b"  755 \0\0"), Some(0o755));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"77777777777\0"), Some(0o77_777_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(2 << 32));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"), Some(-256));
        assert_eq!(number(b"0009\0"), None);
        assert_eq!(number(b"-1\0"), None);
        assert_eq!(number(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn octal_that_does_not_fit_is_told() {
        let mut field = [0; 8];
        assert!(put_octal(&mut field, 0o7_777_777));
        assert_eq!(&field, b"7777777\0");
        assert!(!put_octal(&mut field, 0o10_000_000));
    }
}

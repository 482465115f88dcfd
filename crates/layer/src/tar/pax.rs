//! Extended header records (POSIX pax): `length key=value\n` one after the other, the length counting itself.

use crate::{Error, Result, Time};

/// Calls `each` for every record of an extended header.
pub(crate) fn records<'a>(
    mut data: &'a [u8],
    mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<()>,
) -> Result<()> {
    let wrong = || Error::Archive { reason: "an extended header is malformed".to_owned() };
    while !data.is_empty() {
        // Some writers pad with NULs.
        if data.iter().all(|b| *b == 0) {
            break;
        }
        let space = data.iter().take(20).position(|b| *b == b' ').ok_or_else(wrong)?;
        let length = decimal(&data[..space]).and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong)?;
        if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
            return Err(wrong());
        }
        let record = &data[space + 1..length - 1];
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(wrong)?;
        each(&record[..equals], &record[equals + 1..])?;
        data = &data[length..];
    }
    Ok(())
}

/// Appends a record.
pub(crate) fn put(out: &mut Vec<u8>, key: &[&[u8]], value: &[u8]) {
    let body = key.iter().map(|part| part.len()).sum::<usize>() + value.len() + 3;
    let mut length = body + 1;
    while body + digits(length) > length {
        length += 1;
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    for part in key {
        out.extend_from_slice(part);
    }
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// A decimal number without sign.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A time as pax writes it: `[-]seconds[.fraction]`; digits below the nanosecond are dropped.
pub(crate) fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &text[text.len()..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = (0..9)
        .fold(0u32, |value, at| value * 10 + fraction.get(at).map_or(0, |digit| u32::from(digit - b'0')));
    Some(match (negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds },
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

/// The text that [`time`] reads.
pub(crate) fn time_text(time: Time) -> String {
    let (sign, seconds, nanoseconds) = match (time.seconds < 0, time.nanoseconds) {
        (false, _) => ("", time.seconds.unsigned_abs(), time.nanoseconds),
        (true, 0) => ("-", time.seconds.unsigned_abs(), 0),
        (true, _) => ("-", (time.seconds + 1).unsigned_abs(), 1_000_000_000 - time.nanoseconds),
    };
    if nanoseconds == 0 {
        return format!("{sign}{seconds}");
    }
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_survive(seconds in -100_000i64..1 << 40, nanoseconds in 0u32..1_000_000_000) {
            let there = Time { seconds, nanoseconds };
            prop_assert_eq!(time(time_text(there).as_bytes()), Some(there));
        }

        #[test]
        fn records_survive(list in prop::collection::vec(("[a-zA-Z.]{1,40}", prop::collection::vec(any::<u8>(), 0..1200)), 1..5)) {
            let mut data = Vec::new();
            for (key, value) in &list {
                put(&mut data, &[key.as_bytes()], value);
            }
            let mut read = Vec::new();
            records(&data, |key, value| {
                read.push((String::from_utf8(key.to_vec()).unwrap(), value.to_vec()));
                Ok(())
            }).unwrap();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn no_bytes_make_it_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = records(&data, |_, value| { time(value); Ok(()) });
        }
    }
}

//! Numbers with units and the words for true and false, as Go's standard library and Docker read them.

use std::time::Duration;

/// Reads a boolean as Go's `strconv.ParseBool` does.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a duration as Go's `time.ParseDuration` does: `300ms`, `1.5h`, `2h45m`, `0`. The sign is answered apart.
/// `None` when it is none, or is longer than 292 years.
pub(crate) fn duration(text: &str) -> Option<(bool, Duration)> {
    let (negative, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some((negative, Duration::ZERO));
    }
    let mut total: u128 = 0;
    let mut left = rest;
    if left.is_empty() {
        return None;
    }
    while !left.is_empty() {
        let end = left.find(|c: char| !c.is_ascii_digit()).unwrap_or(left.len());
        let (whole, after) = left.split_at(end);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanos: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        // More than 18 digits after the point are below a nanosecond whatever the unit.
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        total += u128::from(whole) * nanos + part * nanos / scale;
        if total > i64::MAX as u128 {
            return None;
        }
        left = after;
    }
    Some((negative, Duration::from_nanos(u64::try_from(total).ok()?)))
}

/// Reads a size in bytes as Docker's `units.RAMInBytes` does: a number, and `k m g t p` (powers of 1,024), with `b`
/// or `ib` after the letter if one likes, in any case.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let split = text.rfind(|c: char| c.is_ascii_digit() || c == '.')? + 1;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        _ => {
            let (letter, rest) = unit.split_at_checked(1)?;
            if !matches!(rest, "" | "b" | "ib") {
                return None;
            }
            "kmgtp".find(letter)? + 1
        }
    };
    let size = number * 1024_f64.powi(i32::try_from(power).ok()?);
    // The cast saturates; anything near the edge is no size of memory.
    (size >= 0.0 && size < i64::MAX as f64).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let read = |text| duration(text).map(|(_, value)| value);
        assert_eq!(read("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(read("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(read(".5s"), Some(Duration::from_millis(500)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(duration("-1s"), Some((true, Duration::from_secs(1))));
        for text in ["", "5", "s", ".s", "5 s", "5x", "99999999h", "1e3s", "-"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("64"), Some(64));
        assert_eq!(bytes("64k"), Some(65_536));
        assert_eq!(bytes("1.5 GiB"), Some(1_610_612_736));
        assert_eq!(bytes("2MB"), Some(2 << 20));
        for text in ["", "m", "-1", "5x", "5kk", "1..5", "9999999p"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}

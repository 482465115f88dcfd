//! Points in time as text: RFC 3339 in UTC, as states and logs have it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-21T12:00:00.123456789Z`, always with nine digits, so that texts sort as times do.
#[must_use]
pub fn format(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil(since.as_secs() / 86_400);
    let second = since.as_secs() % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_nanos()
    )
}

/// Now, as [`format`] has it.
#[must_use]
pub fn now() -> String {
    format(SystemTime::now())
}

/// Reads RFC 3339: a date, or a date and time, with any fraction and zone (`Z`, `+02:00`; none is UTC).
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    if parts.next().is_some()
        || !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
    {
        return None;
    }
    let mut seconds = i64::try_from(days(year, month, day) * 86_400).ok()?;
    let mut nanoseconds = 0;
    if !rest.is_empty() {
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(zone_at);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut parts = clock.split(':');
        let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
        let second = parts.next().map_or(Some(0), number)?;
        if parts.next().is_some() || hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        seconds += i64::try_from(hour * 3600 + minute * 60 + second).ok()?;
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
        nanoseconds = digits.parse().ok()?;
        seconds -= offset(zone)?;
    }
    Some(UNIX_EPOCH + Duration::new(u64::try_from(seconds).ok()?, nanoseconds))
}

/// Reads what `--since` takes: RFC 3339, seconds since 1970 with a fraction, or a Go duration before `now` (`1h30m`).
#[must_use]
pub fn parse_since(text: &str, now: SystemTime) -> Option<SystemTime> {
    if let Some(time) = parse(text) {
        return Some(time);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds >= 0.0)
            .then(|| Duration::try_from_secs_f64(seconds).ok())
            .flatten()
            .map(|d| UNIX_EPOCH + d);
    }
    now.checked_sub(parse_duration(text)?)
}

/// Reads a Go duration: `1h30m`, `1.5s`, `300ms`, `0`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let (unit, factor) =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit) && (*unit != "m" || !rest.starts_with("ms")))?;
        sum += value * factor;
        rest = &rest[unit.len()..];
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(sum).ok() }
}

fn offset(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) =
        if let Some(rest) = zone.strip_prefix('+') { (1, rest) } else { (-1, zone.strip_prefix('-')?) };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * i64::try_from(number(hours)? * 3600 + number(minutes)? * 60).ok()?)
}

fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Year, month and day of a day since 1970 (the proleptic Gregorian calendar, in 400-year cycles from March on).
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The day since 1970 of a date; the inverse of [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let of_era = year % 400;
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    year / 400 * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_times() {
        for seconds in [0, 951_782_399, 951_782_400, 1_709_208_000, 1_763_726_400, 4_102_444_799] {
            let time = UNIX_EPOCH + Duration::new(seconds, 5);
            assert_eq!(parse(&format(time)), Some(time), "{}", format(time));
        }
        assert_eq!(format(UNIX_EPOCH + Duration::from_secs(951_782_400)), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(
            parse("2000-02-29T02:00:00.5+02:00"),
            Some(UNIX_EPOCH + Duration::new(951_782_400, 500_000_000))
        );
        assert_eq!(parse("2000-02-29"), Some(UNIX_EPOCH + Duration::from_secs(951_782_400)));
        for text in ["", "x", "2000-13-01", "2000-01-01Tx", "2000-01-01T1:2:3:4", "1h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_since_takes() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        assert_eq!(parse_since("1h30m", now), Some(UNIX_EPOCH + Duration::from_secs(4_600)));
        assert_eq!(parse_since("42.5", now), Some(UNIX_EPOCH + Duration::from_millis(42_500)));
        assert_eq!(parse_since("300ms", now), Some(now - Duration::from_millis(300)));
        assert_eq!(parse_since("yesterday", now), None);
    }
}

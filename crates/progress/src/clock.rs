//! When an event happened: wall time that never runs backwards.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: how long after 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// A moment this long after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn after_epoch(duration: Duration) -> Self {
        Self(duration)
    }

    /// How long after `earlier` this is; zero where it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment so much later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// This moment as RFC 3339 in UTC with nanoseconds, as Go's `encoding/json` writes a time: trailing zeros of the
    /// fraction are left out.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let seconds = self.0.as_secs();
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let mut text = format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        );
        let nanoseconds = self.0.subsec_nanos();
        if nanoseconds != 0 {
            let fraction = format!(".{nanoseconds:09}");
            text.push_str(fraction.trim_end_matches('0'));
        }
        text.push('Z');
        text
    }
}

/// Year, month and day of the Gregorian calendar, this many days after 1970-01-01. Years are counted from March, so
/// that the leap day is the last of its year, in eras of 400 years (146,097 days).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Tells the time of events.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Moment;
}

/// The system's wall time when this was made, carried on by the monotonic clock: durations stay right while
/// somebody sets the clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    wall: Duration,
    started: Instant,
}

impl SystemClock {
    /// A clock that is right now.
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(self.wall + self.started.elapsed())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A clock that goes on only when told to.
    #[derive(Clone, Default)]
    pub(crate) struct Manual(Arc<AtomicU64>);

    impl Manual {
        pub(crate) fn advance(&self, milliseconds: u64) {
            self.0.fetch_add(milliseconds, Ordering::SeqCst);
        }
    }

    impl Clock for Manual {
        fn now(&self) -> Moment {
            // 2026-01-02T03:04:05Z
            Moment(Duration::from_millis(1_767_323_045_000 + self.0.load(Ordering::SeqCst)))
        }
    }

    #[test]
    fn moments_are_written_as_go_writes_them() {
        let text = |seconds, nanoseconds| Moment(Duration::new(seconds, nanoseconds)).rfc3339();
        assert_eq!(text(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_400, 1), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(text(951_868_799, 500_000_000), "2000-02-29T23:59:59.5Z");
        assert_eq!(text(1_767_323_045, 120_000), "2026-01-02T03:04:05.00012Z");
        assert_eq!(text(4_107_542_400, 0), "2100-03-01T00:00:00Z");
    }
}

//! How fast a transfer is and how long it will take, from what moved in its last seconds: a connection that was slow at
//! first, or stalled a while ago, does not spoil the estimate for good.

use crate::text::human_bytes;
use crate::{Moment, Status};
use std::collections::VecDeque;
use std::time::Duration;

/// What moved earlier than this does not count.
const WINDOW: Duration = Duration::from_secs(5);
/// Before so much time has passed a speed is chance.
const SOONEST: Duration = Duration::from_millis(500);

/// What one transfer told of itself lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    /// When it had how many bytes, oldest first. The first one is at most [`WINDOW`] old, but for the last before that.
    seen: VecDeque<(Moment, u64)>,
}

impl Rate {
    /// Takes what a transfer tells.
    pub(crate) fn take(&mut self, at: Moment, status: &Status) {
        if self.seen.back().is_some_and(|(_, before)| *before > status.current) {
            // It began again.
            self.seen.clear();
        }
        self.seen.push_back((at, status.current));
        while self.seen.get(1).is_some_and(|(second, _)| at.since(*second) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Speed and what is left at `now`, as in `10.50MB/s, 2s left`; nothing where there is nothing to say yet.
    pub(crate) fn words(&self, now: Moment, status: &Status) -> Option<String> {
        let (since, before) = *self.seen.front()?;
        let time = now.since(since);
        if status.completed.is_some() || status.total == 0 || time < SOONEST {
            return None;
        }
        let speed = status.current.saturating_sub(before) as f64 / time.as_secs_f64();
        if speed < 1.0 {
            return Some("stalled".to_owned());
        }
        let left = status.total.saturating_sub(status.current) as f64 / speed;
        Some(format!("{}/s, {} left", human_bytes(speed as u64), clock(left.ceil())))
    }
}

/// A time in whole seconds: `42s`, `3m05s`, `2h07m`.
fn clock(seconds: f64) -> String {
    // More than a year is as good as one.
    let seconds = seconds.min(365.0 * 86_400.0) as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::after_epoch(Duration::from_millis(millis))
    }

    fn status(current: u64, total: u64) -> Status {
        Status { current, total, ..Status::default() }
    }

    #[test]
    fn speed_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.words(at(0), &status(0, 100)), None);
        for (time, bytes) in [(0, 0), (100, 1_000)] {
            rate.take(at(time), &status(bytes, 100_000_000));
        }
        assert_eq!(rate.words(at(100), &status(1_000, 100_000_000)), None, "too early");
        for second in 1..=20 {
            rate.take(at(second * 1000), &status(second * 1_000_000, 100_000_000));
        }
        let now = status(20_000_000, 100_000_000);
        assert_eq!(rate.words(at(20_000), &now).as_deref(), Some("1.00MB/s, 1m20s left"));
        // Nothing comes any more.
        rate.take(at(30_000), &now);
        rate.take(at(40_000), &now);
        assert_eq!(rate.words(at(40_000), &now).as_deref(), Some("stalled"));
        // It begins again.
        rate.take(at(41_000), &status(0, 100_000_000));
        rate.take(at(43_000), &status(50_000_000, 100_000_000));
        let again = status(50_000_000, 100_000_000);
        assert_eq!(rate.words(at(43_000), &again).as_deref(), Some("25.00MB/s, 2s left"));
        assert_eq!(rate.words(at(43_000), &status(5, 0)), None, "of how much, is not known");
        let done = Status { completed: Some(at(43_000)), ..again };
        assert_eq!(rate.words(at(43_000), &done), None);
    }

    #[test]
    fn times_are_short() {
        assert_eq!([0.0, 59.0, 185.0, 7_620.0].map(clock), ["0s", "59s", "3m05s", "2h07m"]);
        assert_eq!(clock(f64::INFINITY), "8760h00m");
    }
}

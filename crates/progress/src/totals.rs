//! What all transfers of a command moved together, for its last line.

use crate::text::human_bytes;
use crate::{Event, Moment, Sink};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Adds up the transfers that are complete. What had nothing to move does not count.
#[derive(Debug, Default)]
pub struct Totals(Mutex<Moved>);

/// How much was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many things: layers, configurations.
    pub things: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first one began.
    began: Option<Moment>,
    /// When the last one was complete.
    ended: Option<Moment>,
}

impl Totals {
    /// What was moved so far.
    #[must_use]
    pub fn moved(&self) -> Moved {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Moved {
    /// From the beginning of the first transfer to the end of the last.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.ended.unwrap_or_default().since(self.began.unwrap_or_default())
    }

    /// One line: `3 blobs, 30.10MB in 1.2s (25.08MB/s)`; nothing where nothing moved.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let seconds = self.time().as_secs_f64();
        let (things, bytes) = (self.things, human_bytes(self.bytes));
        let blobs = match things {
            0 => return None,
            1 => "blob",
            _ => "blobs",
        };
        // What took no time to speak of has no speed to speak of.
        let speed =
            (seconds >= 0.1).then(|| format!(" ({}/s)", human_bytes((self.bytes as f64 / seconds) as u64)));
        Some(format!("{things} {blobs}, {bytes} in {seconds:.1}s{}", speed.unwrap_or_default()))
    }
}

impl Sink for Totals {
    fn event(&self, at: Moment, event: &Event<'_>) {
        let Event::Status { status, .. } = event else { return };
        if status.total == 0 || status.completed.is_none() || status.stays {
            return;
        }
        let mut moved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began = status.started.unwrap_or(at);
        moved.began = Some(moved.began.map_or(began, |known| known.min(began)));
        moved.ended = Some(at);
        moved.things += 1;
        moved.bytes += status.current;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;
    use crate::clock::tests::Manual;
    use std::sync::Arc;

    #[test]
    fn what_was_moved_is_added_up() {
        let (totals, clock) = (Arc::new(Totals::default()), Manual::default());
        let progress = Progress::with_clock(vec![totals.clone()], Box::new(clock.clone()));
        let vertex = progress.start("pull");
        assert_eq!(totals.moved().words(), None);
        vertex.transfer("here", 7).needless();
        let packed = vertex.work("packing", 7);
        packed.set(7);
        packed.done();
        assert_eq!(totals.moved().words(), None);
        let (one, two) = (vertex.transfer("one", 1_000_000), vertex.transfer("two", 2_000_000));
        clock.advance(50);
        one.set(1_000_000);
        one.done();
        assert_eq!(totals.moved().words().as_deref(), Some("1 blob, 1.00MB in 0.1s"));
        clock.advance(1450);
        two.set(2_000_000);
        two.done();
        assert_eq!(totals.moved().words().as_deref(), Some("2 blobs, 3.00MB in 1.5s (2.00MB/s)"));
    }
}

//! Objects in parts: a part that fails is sent again alone, and several are sent at once.

use crate::Result;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The ranges of an object of `size` bytes in parts of `part` bytes, or larger ones where there would be more than `most`.
pub(crate) fn split(size: u64, part: u64, most: u64) -> Vec<Range<u64>> {
    let part = part.max(size.div_ceil(most));
    (0..size.div_ceil(part)).map(|at| at * part..size.min((at + 1) * part)).collect()
}

/// Does all parts, at most `parallel` at once, and gives what each gave. Parts are numbered from 1. After the first error
/// none is begun any more, and it is the error.
pub(crate) fn all<T: Send>(
    parts: &[Range<u64>],
    parallel: usize,
    work: &(dyn Fn(usize, Range<u64>) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Result<Vec<(usize, T)>>> = Mutex::new(Ok(Vec::new()));
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(at).filter(|_| lock().is_ok()) else { return };
            let result = work(at + 1, part.clone());
            let mut done = lock();
            match (result, &mut *done) {
                (Ok(result), Ok(all)) => all.push((at, result)),
                (Err(error), Ok(_)) => *done = Err(error),
                (_, Err(_)) => {}
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..parallel.min(parts.len()) {
            scope.spawn(run);
        }
        run();
    });
    let mut all = done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

/// Adds up how many bytes of all parts were handed on.
pub(crate) struct Tally<'a> {
    sent: AtomicU64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Tally<'a> {
    pub(crate) fn new(progress: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { sent: AtomicU64::new(0), progress }
    }

    /// What is told of one part; a part that is sent again is counted once.
    pub(crate) fn part(&self) -> impl Fn(u64) + Sync {
        let before = AtomicU64::new(0);
        move |now| {
            let more = now.saturating_sub(before.fetch_max(now, Ordering::Relaxed));
            (self.progress)(self.sent.fetch_add(more, Ordering::Relaxed) + more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn parts_cover_the_object() {
        assert_eq!(split(10, 4, 100), [0..4, 4..8, 8..10]);
        assert_eq!(split(8, 4, 100), [0..4, 4..8]);
        assert_eq!(split(101, 1, 10), split(101, 11, 10));
        assert_eq!(split(0, 4, 100), []);
    }

    #[test]
    fn results_come_in_order_and_the_first_error_ends_it() {
        let ranges = split(100, 1, 1000);
        let found = all(&ranges, 4, &|number, part| Ok((number, part.start))).unwrap();
        assert!(found.iter().enumerate().all(|(at, found)| *found == (at + 1, at as u64)));
        let failed: Result<Vec<()>> = all(&ranges, 4, &|_, _| Err(Error::Cancelled));
        assert!(matches!(failed, Err(Error::Cancelled)));
    }

    #[test]
    fn a_part_is_counted_once() {
        let last = AtomicU64::new(0);
        let tell = |now| last.store(now, Ordering::Relaxed);
        let tally = Tally::new(&tell);
        let (one, two) = (tally.part(), tally.part());
        for (part, now) in [(&one as &dyn Fn(u64), 5), (&two, 3), (&one, 2), (&one, 7)] {
            part(now);
        }
        assert_eq!(last.load(Ordering::Relaxed), 10);
    }
}

//! Things that one thread makes and several use, each as soon as it is there.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

/// Runs `make`, which hands things over, and beside it `work` on each of them, in up to `threads` threads. After a
/// failure of `work` nothing more is begun, and `make` gets it as the error of the next hand-over.
///
/// # Errors
/// The first of `work`, else that of `make`.
pub(crate) fn beside<I: Send, T, E: Send>(
    threads: usize,
    work: impl Fn(I) -> Result<(), E> + Sync,
    make: impl FnOnce(&dyn Fn(I) -> Result<(), E>) -> Result<T, E>,
) -> Result<T, E> {
    let (hand_over, waiting) = channel::<I>();
    let waiting = Mutex::new(waiting);
    let stopped = AtomicBool::new(false);
    let failed: Mutex<Option<E>> = Mutex::new(None);
    let failure = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let worker = || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(thing) = next else { return };
            if stopped.load(Ordering::Relaxed) {
                continue;
            }
            if let Err(error) = work(thing) {
                failure().get_or_insert(error);
                stopped.store(true, Ordering::Relaxed);
            }
        }
    };
    let made = std::thread::scope(|scope| {
        let started = Cell::new(0);
        let made = make(&|thing| {
            if stopped.load(Ordering::Relaxed)
                && let Some(error) = failure().take()
            {
                return Err(error);
            }
            if started.get() < threads {
                started.set(started.get() + 1);
                scope.spawn(worker);
            }
            // The receiver is there as long as this function.
            let _ = hand_over.send(thing);
            Ok(())
        });
        stopped.fetch_or(made.is_err(), Ordering::Relaxed);
        drop(hand_over);
        made
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn work_begins_before_all_is_made() {
        let (told, heard) = sync_channel(1);
        let sum = AtomicU32::new(0);
        let work = |number| {
            sum.fetch_add(number, Ordering::Relaxed);
            told.try_send(()).ok();
            Ok::<(), String>(())
        };
        let made = beside(3, work, |hand| {
            hand(1)?;
            heard.recv().unwrap();
            (2..=100).try_for_each(hand)?;
            Ok("made")
        });
        assert_eq!((made, sum.into_inner()), (Ok("made"), 5050));
    }

    #[test]
    fn a_failure_ends_both() {
        let (told, heard) = sync_channel(1);
        let work = |number: u32| {
            told.try_send(()).ok();
            if number == 1 { Err(format!("{number} is wrong")) } else { Ok(()) }
        };
        let mut made = 0;
        let outcome = beside(1, work, |hand| {
            hand(1)?;
            heard.recv().unwrap();
            loop {
                hand(2)?;
                made += 1;
                std::thread::yield_now();
            }
            #[expect(unreachable_code)]
            Ok(())
        });
        assert_eq!(outcome, Err("1 is wrong".to_owned()));
        let outcome = beside(1, |_: u32| Ok(()), |hand| hand(1).and(Err::<(), _>("not made".to_owned())));
        assert_eq!(outcome, Err("not made".to_owned()));
    }
}

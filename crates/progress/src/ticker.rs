//! One thread that calls a function again and again until it is stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

type Stop = Arc<(Mutex<bool>, Condvar)>;

/// Off until allowed; started by the first [`Ticker::start`] after that.
#[derive(Default)]
pub(crate) struct Ticker {
    allowed: AtomicBool,
    started: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    stop: Stop,
}

impl Ticker {
    pub(crate) fn allow(&self) {
        self.allowed.store(true, Ordering::Release);
    }

    /// Whether [`Ticker::start`] would start a thread now.
    pub(crate) fn wants_start(&self) -> bool {
        self.allowed.load(Ordering::Acquire) && !self.started.load(Ordering::Acquire)
    }

    /// Whether the thread was started (and so draws).
    pub(crate) fn runs(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Starts the thread if it is allowed and does not run. `tick` is first called after one period.
    pub(crate) fn start(&self, every: Duration, tick: impl Fn() + Send + 'static) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.wants_start() {
            return;
        }
        let stop = Arc::clone(&self.stop);
        let run = move || {
            let (stopped, wake) = &*stop;
            let mut guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            while !*guard {
                let (again, timeout) =
                    wake.wait_timeout(guard, every).unwrap_or_else(PoisonError::into_inner);
                guard = again;
                if timeout.timed_out() && !*guard {
                    drop(guard);
                    tick();
                    guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        // Where the system has no thread left, what is shown moves only with events.
        *thread = std::thread::Builder::new().name("progress".to_owned()).spawn(run).ok();
        self.started.store(thread.is_some(), Ordering::Release);
    }

    #[cfg(test)]
    pub(crate) fn stopped_or_unused(&self) -> bool {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Stops the thread and waits for its end. It cannot be started again.
    pub(crate) fn stop(&self) {
        self.started.store(true, Ordering::Release);
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A tick that panicked has nothing more to show; the build itself goes on.
            let _ = thread.join();
        }
    }
}

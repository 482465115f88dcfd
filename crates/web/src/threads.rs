//! The threads that move bytes for callers who wait.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Runtime;

/// Threads for network I/O. None is started before the first call; the caller's own thread does what is not I/O, and
/// many may call at once.
pub struct Threads {
    name: &'static str,
    count: usize,
    runtime: Mutex<Option<Runtime>>,
}

impl Threads {
    /// So many threads of this name.
    #[must_use]
    pub fn new(name: &'static str, count: usize) -> Self {
        Self { name, count, runtime: Mutex::default() }
    }

    /// Does the work and waits for it.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let handle = {
            let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
            if runtime.is_none() {
                let started = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(self.count)
                    .max_blocking_threads(4)
                    .thread_name(self.name)
                    .enable_io()
                    .enable_time()
                    .build()?;
                *runtime = Some(started);
            }
            let started = runtime.as_ref().expect("because it was made just now if it was missing");
            started.handle().clone()
        };
        Ok(handle.block_on(work))
    }
}

/// Does not wait for name lookups that still run.
impl Drop for Threads {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }
}

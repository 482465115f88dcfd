//! The handles by which a build tells what it does.

use crate::{Clock, Event, Moment, Sink, Status, Stream, SystemClock, Vertex, VertexId, Warning};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

struct Shared {
    sinks: Vec<Arc<dyn Sink>>,
    clock: Box<dyn Clock>,
    next: AtomicU32,
}

/// Where a build tells its events. Cheap to clone, usable from every thread; [`Progress::none`] costs a branch.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Shared>>);

impl Progress {
    /// Nobody listens.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Events go to all of `sinks`, in order.
    #[must_use]
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self::with_clock(sinks, Box::new(SystemClock::new()))
    }

    /// As [`Progress::new`], with another source of time.
    #[must_use]
    pub fn with_clock(sinks: Vec<Arc<dyn Sink>>, clock: Box<dyn Clock>) -> Self {
        Self(Some(Arc::new(Shared { sinks, clock, next: AtomicU32::new(0) })))
    }

    /// Announces a vertex. Nothing is shown before it starts or is found in the cache.
    #[must_use]
    pub fn vertex(&self, vertex: &Vertex) -> VertexHandle {
        let id = VertexId(self.0.as_ref().map_or(0, |shared| shared.next.fetch_add(1, Ordering::Relaxed)));
        self.send(&Event::Declared { vertex: id, declared: vertex });
        VertexHandle { progress: self.clone(), id }
    }

    /// Announces a vertex without inputs and starts it.
    #[must_use]
    pub fn start(&self, name: &str) -> VertexHandle {
        let handle = self.vertex(&Vertex::named(name));
        handle.start();
        handle
    }

    /// From now on renderers may start threads. To be called once the process has entered its user namespace (which
    /// the kernel allows to a process of one thread only), or at once where it enters none.
    pub fn allow_threads(&self) {
        for sink in self.sinks() {
            sink.allow_threads();
        }
    }

    /// The build has ended, well or not: everything held back is shown, every thread has ended on return.
    pub fn finish(&self) {
        if let Some(shared) = &self.0 {
            let at = shared.clock.now();
            for sink in &shared.sinks {
                sink.finish(at);
            }
        }
    }

    /// The time by the clock of this build; the epoch where nobody listens.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.as_ref().map_or_else(Moment::default, |shared| shared.clock.now())
    }

    fn sinks(&self) -> &[Arc<dyn Sink>] {
        self.0.as_ref().map_or(&[], |shared| &shared.sinks)
    }

    fn send(&self, event: &Event<'_>) {
        if let Some(shared) = &self.0 {
            let at = shared.clock.now();
            for sink in &shared.sinks {
                sink.event(at, event);
            }
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("sinks", &self.sinks().len()).finish()
    }
}

/// Tells the events of one vertex. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VertexHandle {
    progress: Progress,
    id: VertexId,
}

impl VertexHandle {
    /// The vertex of a build to which nobody listens.
    #[must_use]
    pub fn none() -> Self {
        Self { progress: Progress::none(), id: VertexId(0) }
    }

    /// The vertex' number, for [`Vertex::inputs`] and [`crate::Tail`].
    #[must_use]
    pub fn id(&self) -> VertexId {
        self.id
    }

    /// Whether somebody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.progress.0.is_some()
    }

    /// The build that it belongs to.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Work begins.
    pub fn start(&self) {
        self.progress.send(&Event::Started { vertex: self.id });
    }

    /// The result was already there; this completes the vertex.
    pub fn cached(&self) {
        self.progress.send(&Event::Cached { vertex: self.id });
    }

    /// The step wrote `bytes`, not necessarily whole lines.
    pub fn log(&self, stream: Stream, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.progress.send(&Event::Log { vertex: self.id, stream, bytes });
        }
    }

    /// A part of the vertex went on. Where bytes are counted, [`VertexHandle::transfer`] is simpler.
    pub fn status(&self, status: &Status) {
        self.progress.send(&Event::Status { vertex: self.id, status });
    }

    /// A warning was found.
    pub fn warning(&self, warning: &Warning) {
        self.progress.send(&Event::Warning { vertex: self.id, warning });
    }

    /// A remark in one line, such as why the step runs.
    pub fn note(&self, text: &str) {
        self.progress.send(&Event::Note { vertex: self.id, text });
    }

    /// The vertex is complete.
    pub fn done(&self) {
        self.progress.send(&Event::Completed { vertex: self.id, error: None });
    }

    /// The vertex failed; `error` in one line or few.
    pub fn fail(&self, error: &str) {
        self.progress.send(&Event::Completed { vertex: self.id, error: Some(error) });
    }

    /// The vertex was given up.
    pub fn cancel(&self) {
        self.progress.send(&Event::Canceled { vertex: self.id });
    }

    /// Begins to count bytes under the name `id` (`sha256:…`, `transferring context:`); `total` is 0 where unknown.
    #[must_use]
    pub fn transfer(&self, id: impl Into<String>, total: u64) -> Transfer {
        self.counted(Status { id: id.into(), total, ..Status::default() })
    }

    /// The same of bytes that stay where they are.
    #[must_use]
    pub fn work(&self, id: impl Into<String>, total: u64) -> Transfer {
        self.counted(Status { id: id.into(), total, stays: true, ..Status::default() })
    }

    fn counted(&self, status: Status) -> Transfer {
        let started = self.progress.now();
        let status = Status { started: Some(started), ..status };
        self.status(&status);
        Transfer {
            vertex: self.clone(),
            current: AtomicU64::new(0),
            total: AtomicU64::new(status.total),
            told: Mutex::new(started),
            status,
        }
    }
}

/// Between two events of one transfer lies at least this; what a screen shows needs no more.
const TRANSFER_EVERY: Duration = Duration::from_millis(100);

/// Counts the bytes of one transfer and tells of them a few times a second. Usable from several threads.
#[derive(Debug)]
pub struct Transfer {
    vertex: VertexHandle,
    status: Status,
    current: AtomicU64,
    total: AtomicU64,
    told: Mutex<Moment>,
}

impl Transfer {
    /// So many more bytes are through.
    pub fn advance(&self, bytes: u64) {
        let current = self.current.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.tell(current);
    }

    /// So many bytes are through in all.
    pub fn set(&self, current: u64) {
        self.current.store(current, Ordering::Relaxed);
        self.tell(current);
    }

    /// The total is known now, or has changed.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// It is complete.
    pub fn done(self) {
        let status = Status {
            current: self.current.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            completed: Some(self.vertex.progress.now()),
            ..self.status
        };
        self.vertex.status(&status);
    }

    /// There was nothing to move: what it was about is there already.
    pub fn needless(self) {
        let completed = Some(self.vertex.progress.now());
        self.vertex.status(&Status { current: 0, total: 0, completed, ..self.status });
    }

    fn tell(&self, current: u64) {
        if self.vertex.progress.0.is_none() {
            return;
        }
        let now = self.vertex.progress.now();
        {
            // Whoever does not get the lock leaves telling to the one who has it.
            let mut told = match self.told.try_lock() {
                Ok(told) => told,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
                Err(std::sync::TryLockError::WouldBlock) => return,
            };
            if now.since(*told) < TRANSFER_EVERY {
                return;
            }
            *told = now;
        }
        let total = self.total.load(Ordering::Relaxed);
        self.vertex.status(&Status { current, total, ..self.status.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::tests::Manual;

    #[derive(Default)]
    struct Counts(Mutex<Vec<String>>);

    impl Sink for Counts {
        fn event(&self, _at: Moment, event: &Event<'_>) {
            let text = match event {
                Event::Status { status, .. } => {
                    format!(
                        "{} {}/{} {}",
                        status.id,
                        status.current,
                        status.total,
                        status.completed.is_some()
                    )
                }
                other => format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
            };
            self.0.lock().unwrap().push(text);
        }
    }

    #[test]
    fn a_transfer_tells_at_most_ten_times_a_second() {
        let (sink, clock) = (Arc::new(Counts::default()), Manual::default());
        let progress = Progress::with_clock(vec![sink.clone()], Box::new(clock.clone()));
        let vertex = progress.start("pull");
        let transfer = vertex.transfer("sha256:1", 100);
        for _ in 0..50 {
            clock.advance(4);
            transfer.advance(2);
        }
        transfer.done();
        vertex.done();
        assert_eq!(
            sink.0.lock().unwrap().as_slice(),
            [
                "Declared",
                "Started",
                "sha256:1 0/100 false",
                "sha256:1 50/100 false",
                "sha256:1 100/100 false",
                "sha256:1 100/100 true",
                "Completed"
            ]
        );
    }

    #[test]
    fn nobody_listening_is_fine() {
        let vertex = Progress::none().start("x");
        vertex.log(Stream::Out, b"y");
        vertex.transfer("z", 1).done();
        VertexHandle::none().done();
    }
}

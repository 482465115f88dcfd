//! A stream cut into blocks, several of which are packed at once and written in their order by one more thread.
//!
//! ```text
//! write ── full blocks ──▶ packers, a thread each ──▶ writer, a thread (hash, file system)
//!   ▲                          │ emptied                │ emptied
//!   └─────── buffers ◀─────────┴────────────────────────┘
//! ```
//!
//! What a block is packed to depends on the block alone, so the bytes are the same at any number of threads. Buffers go
//! round: one that is new costs a page fault for each 4 KiB, a tenth of the time of zstd at level 1.

use std::io::{Error, Result, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// So many blocks for each packer are on their way to the file system, which may be busy with a sync for some time.
const AHEAD: usize = 4;

/// Packs blocks, each to a part of the stream that stands for itself.
pub(super) trait Pack: Send + 'static {
    /// The most bytes that a block of `size` bytes is packed to.
    fn bound(&mut self, size: usize) -> usize;

    /// Packs `block` into `out`, which has room for it; gives how many bytes that made.
    fn pack(&mut self, block: &[u8], out: &mut [u8]) -> Result<usize>;
}

/// Some bytes at the start of a buffer of a fixed size.
struct Block {
    buffer: Vec<u8>,
    filled: usize,
}

impl Block {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

/// Blocks to be used again, all of one size.
struct Spare {
    blocks: Mutex<Vec<Block>>,
    size: usize,
}

impl Spare {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { blocks: Mutex::default(), size })
    }

    fn take(&self) -> Block {
        let known = locked(&self.blocks).pop();
        known.unwrap_or_else(|| Block { buffer: vec![0; self.size], filled: 0 })
    }

    fn give(&self, mut block: Block) {
        block.filled = 0;
        locked(&self.blocks).push(block);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives what a block was packed to.
type Packed = Receiver<Result<Block>>;
/// A block, and who waits for what it is packed to.
type Job = (Block, SyncSender<Result<Block>>);

/// Cuts what is written into blocks.
pub(super) struct Blocks<W> {
    block: Block,
    size: usize,
    /// Whether a block was handed on.
    any: bool,
    spare: Arc<Spare>,
    /// Where blocks are packed; none where they are written as they are.
    jobs: Option<SyncSender<Job>>,
    /// The blocks on their way, oldest first.
    order: Option<SyncSender<Packed>>,
    packers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Result<W>>>,
}

impl<W: Write + Send + 'static> Blocks<W> {
    /// Blocks of `size` bytes for these packers; without any they are written as they are.
    pub(super) fn new<P: Pack>(mut out: W, size: usize, mut packers: Vec<P>) -> Self {
        let spare = Spare::new(size);
        // What blocks are packed to has buffers of its own, of which little more than the start is ever touched.
        let emptied = match packers.first_mut() {
            Some(packer) => Spare::new(packer.bound(size)),
            None => Arc::clone(&spare),
        };
        let (order, ordered) = sync_channel::<Packed>(AHEAD * packers.len().max(1));
        let (jobs, waiting) = sync_channel::<Job>(1);
        let jobs = (!packers.is_empty()).then_some(jobs);
        let waiting = Arc::new(Mutex::new(waiting));
        let packers = packers.into_iter().map(|mut packer| {
            let waiting = Arc::clone(&waiting);
            let (spare, room) = (Arc::clone(&spare), Arc::clone(&emptied));
            std::thread::spawn(move || {
                loop {
                    let job = locked(&waiting).recv();
                    let Ok((block, done)) = job else { return };
                    let mut out = room.take();
                    let size = packer.pack(block.bytes(), &mut out.buffer);
                    spare.give(block);
                    // The writer may have given up; then nobody waits.
                    let _ = done.send(size.map(|filled| Block { filled, ..out }));
                }
            })
        });
        let packers = packers.collect();
        let writer = std::thread::spawn(move || {
            for packed in ordered {
                let packed = packed.recv().map_err(|_| Error::other("a compression thread panicked"))??;
                out.write_all(packed.bytes())?;
                emptied.give(packed);
            }
            Ok(out)
        });
        let block = spare.take();
        Self { block, size, any: false, spare, jobs, order: Some(order), packers, writer: Some(writer) }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let start = self.block.filled;
        let taken = bytes.len().min(self.size - start);
        self.block.buffer[start..start + taken].copy_from_slice(&bytes[..taken]);
        self.block.filled += taken;
        if self.block.filled == self.size {
            self.hand_on()?;
        }
        Ok(taken)
    }

    fn hand_on(&mut self) -> Result<()> {
        self.any = true;
        let block = std::mem::replace(&mut self.block, self.spare.take());
        let (done, packed) = sync_channel(1);
        let handed = match (&self.order, &self.jobs) {
            // In this order: what waits for a packer is among what is on its way.
            (Some(order), Some(jobs)) => order.send(packed).is_ok() && jobs.send((block, done)).is_ok(),
            (Some(order), None) => done.send(Ok(block)).is_ok() && order.send(packed).is_ok(),
            (None, _) => false,
        };
        // They end before the blocks do only where one of them failed.
        if handed { Ok(()) } else { Err(self.ended().err().unwrap_or_else(gone)) }
    }

    /// Waits for the writer.
    fn ended(&mut self) -> Result<W> {
        (self.order, self.jobs) = (None, None);
        self.writer.take().ok_or_else(gone)?.join().unwrap_or_else(|_| Err(gone()))
    }

    /// Packs the rest, where nothing was written an empty block, and waits until everything is written.
    pub(super) fn finish(mut self) -> Result<W> {
        if self.block.filled > 0 || !self.any {
            self.hand_on()?;
        }
        self.ended()
    }
}

fn gone() -> Error {
    Error::other("the writing thread ended")
}

impl<W> Drop for Blocks<W> {
    fn drop(&mut self) {
        (self.order, self.jobs) = (None, None);
        for packer in self.packers.drain(..) {
            // A thread that panicked was noticed by whoever waited for its block.
            let _ = packer.join();
        }
        if let Some(writer) = self.writer.take() {
            // Whoever drops it before the end has an error already.
            let _ = writer.join();
        }
    }
}

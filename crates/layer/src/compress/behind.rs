//! Writes on a thread of its own, so that making bytes and what is done with them (hashing, the file system) overlap.

use std::io::{Error, Result, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// So much is gathered before it is handed on.
const CHUNK: usize = 1 << 20;
/// So many chunks wait for the thread.
const WAITING: usize = 4;

/// Hands what is written to it on to a thread, at most 6 MiB ahead of it. What the thread cannot write is an error of
/// a later write or of [`finish`](WriteBehind::finish); dropped before that, it waits for the thread.
pub struct WriteBehind<W> {
    chunk: Vec<u8>,
    full: Option<SyncSender<Vec<u8>>>,
    /// Chunks to be used again.
    empty: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<Result<W>>>,
}

impl<W: Write + Send + 'static> WriteBehind<W> {
    /// Writes to `out`.
    pub fn new(mut out: W) -> Self {
        let (full, chunks) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, empty) = sync_channel(WAITING);
        let thread = std::thread::spawn(move || {
            for mut chunk in chunks {
                out.write_all(&chunk)?;
                chunk.clear();
                // Where nobody takes it back, it is given up.
                let _ = give_back.try_send(chunk);
            }
            Ok(out)
        });
        Self { chunk: Vec::with_capacity(CHUNK), full: Some(full), empty, thread: Some(thread) }
    }

    fn hand_on(&mut self) -> Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        let chunk = std::mem::replace(&mut self.chunk, next);
        match self.full.as_ref().map(|full| full.send(chunk)) {
            Some(Ok(())) => Ok(()),
            // It ends before the chunks do only where it failed.
            _ => Err(self.ended().err().unwrap_or_else(|| Error::other("the writing thread ended"))),
        }
    }

    /// Waits for the thread.
    fn ended(&mut self) -> Result<W> {
        self.full = None;
        let thread = self.thread.take().ok_or_else(|| Error::other("the writing thread failed before"))?;
        thread.join().unwrap_or_else(|_| Err(Error::other("the writing thread panicked")))
    }

    /// Waits until everything is written and gives back where it went.
    ///
    /// # Errors
    /// What the writer said.
    pub fn finish(mut self) -> Result<W> {
        if !self.chunk.is_empty() {
            self.hand_on()?;
        }
        self.ended()
    }
}

impl<W: Write + Send + 'static> Write for WriteBehind<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK {
            self.hand_on()?;
        }
        Ok(taken)
    }

    /// Does nothing: only [`finish`](WriteBehind::finish) waits.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<W> Drop for WriteBehind<W> {
    fn drop(&mut self) {
        self.full = None;
        if let Some(thread) = self.thread.take() {
            // Whoever drops it has an error already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order() {
        let data: Vec<u8> = (0..9_000_001u32).map(|n| (n >> 3) as u8).collect();
        for cut in [1000, CHUNK, 3_000_000] {
            let mut behind = WriteBehind::new(Vec::new());
            for part in data.chunks(cut) {
                behind.write_all(part).unwrap();
            }
            assert!(behind.finish().unwrap() == data);
        }
    }

    #[test]
    fn an_error_comes_back() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| Error::other("the disk is full"))?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let mut behind = WriteBehind::new(Full(3 << 20));
        let error = behind.write_all(&vec![0; 40 << 20]).unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");
        let mut behind = WriteBehind::new(Full(3));
        behind.write_all(b"four").unwrap();
        assert_eq!(behind.finish().err().unwrap().to_string(), "the disk is full");
    }
}

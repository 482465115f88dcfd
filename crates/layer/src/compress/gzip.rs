//! gzip in members of 1 MiB of input each, compressed by several threads (RFC 1952, 2.2: a file is a series of
//! members). Members depend on their own input alone, so the bytes are the same at any number of threads.

use libdeflater::{CompressionLvl, Compressor};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The input of one member.
pub(super) const MEMBER: usize = 1 << 20;

type Job = (Vec<u8>, SyncSender<Vec<u8>>);

/// Splits what is written into members and writes them in order.
pub(super) struct Members<W> {
    pub(super) out: W,
    input: Vec<u8>,
    any: bool,
    alone: Option<Compressor>,
    level: CompressionLvl,
    jobs: Option<SyncSender<Job>>,
    waiting: VecDeque<Receiver<Vec<u8>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<W: Write> Members<W> {
    pub(super) fn new(out: W, level: CompressionLvl, threads: usize) -> Self {
        let mut members = Self {
            out,
            input: Vec::with_capacity(MEMBER),
            any: false,
            alone: None,
            level,
            jobs: None,
            waiting: VecDeque::new(),
            threads: Vec::new(),
        };
        if threads > 1 {
            let (send, receive) = sync_channel::<Job>(threads);
            let receive = Arc::new(Mutex::new(receive));
            for _ in 0..threads {
                let receive = Arc::clone(&receive);
                members.threads.push(std::thread::spawn(move || {
                    let mut compressor = Compressor::new(level);
                    loop {
                        let job = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((input, done)) = job else { return };
                        // The writer may have given up; then nobody waits.
                        let _ = done.send(member(&mut compressor, &input));
                    }
                }));
            }
            members.jobs = Some(send);
        }
        members
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let taken = bytes.len().min(MEMBER - self.input.len());
            self.input.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.input.len() == MEMBER {
                self.member()?;
            }
        }
        Ok(())
    }

    fn member(&mut self) -> std::io::Result<()> {
        self.any = true;
        let Some(jobs) = &self.jobs else {
            let level = self.level;
            let compressor = self.alone.get_or_insert_with(|| Compressor::new(level));
            let packed = member(compressor, &self.input);
            self.input.clear();
            return self.out.write_all(&packed);
        };
        let input = std::mem::replace(&mut self.input, Vec::with_capacity(MEMBER));
        let (done, packed) = sync_channel(1);
        jobs.send((input, done)).map_err(|_| std::io::Error::other("a compression thread ended"))?;
        self.waiting.push_back(packed);
        while self.waiting.len() > 2 * self.threads.len() {
            self.next()?;
        }
        Ok(())
    }

    fn next(&mut self) -> std::io::Result<()> {
        let Some(packed) = self.waiting.pop_front() else { return Ok(()) };
        let packed = packed.recv().map_err(|_| std::io::Error::other("a compression thread ended"))?;
        self.out.write_all(&packed)
    }

    pub(super) fn finish(&mut self) -> std::io::Result<()> {
        if !self.input.is_empty() || !self.any {
            self.member()?;
        }
        while !self.waiting.is_empty() {
            self.next()?;
        }
        self.out.flush()
    }
}

impl<W> Drop for Members<W> {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked was noticed by whoever waited for its member.
            let _ = thread.join();
        }
    }
}

fn member(compressor: &mut Compressor, input: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; compressor.gzip_compress_bound(input.len())];
    let size = compressor
        .gzip_compress(input, &mut packed)
        .expect("because the output is as large as the library says it can get");
    packed.truncate(size);
    packed
}

//! Namespaces connected ahead of the steps that will need them.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};
use crate::network::{Attachment, Network};

/// A pool of connected namespaces. Nothing happens before the first [`Pool::take`]; from then on a thread keeps up
/// to `size` namespaces ready. A namespace is given out once and never comes back: the next step finds no
/// connection, rule or listener of the last one.
pub struct Pool {
    network: Network,
    size: usize,
    ready: Mutex<Filler>,
}

enum Filler {
    NotAsked,
    Running(Receiver<Attachment>),
    /// Connecting ahead failed; each taker connects for itself and sees the error.
    Ended,
}

impl Pool {
    /// A pool that keeps up to `size` namespaces ready; with 0 each is connected when it is taken.
    pub fn new(network: Network, size: usize) -> Self {
        Self { network, size, ready: Mutex::new(Filler::NotAsked) }
    }

    /// The network that the namespaces are connected to.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A connected namespace: a ready one, else one connected here and now.
    ///
    /// # Errors
    /// As [`Network::connect`].
    pub fn take(&self) -> Result<Attachment> {
        {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            match &*ready {
                Filler::Running(receiver) => match receiver.try_recv() {
                    Ok(attachment) => return Ok(attachment),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => *ready = Filler::Ended,
                },
                Filler::NotAsked if self.size > 0 => *ready = Filler::Running(self.start()?),
                Filler::NotAsked | Filler::Ended => {}
            }
        }
        self.network.connect()
    }

    fn start(&self) -> Result<Receiver<Attachment>> {
        // The filler holds one more in its hand while the channel is full.
        let (sender, receiver) = sync_channel(self.size - 1);
        let network = self.network.clone();
        thread::Builder::new()
            .name("network pool".to_owned())
            .spawn(move || fill(&network, &sender))
            .map_err(|source| Error::kernel("starting a thread", source))?;
        Ok(receiver)
    }
}

/// Ends when connecting fails or the pool is gone.
fn fill(network: &Network, sender: &SyncSender<Attachment>) {
    while let Ok(attachment) = network.connect() {
        if sender.send(attachment).is_err() {
            return;
        }
    }
}

//! The client: a blocking face over asynchronous I/O.

use crate::download::{Get, Got, Sink, get};
use crate::{Error, Exchanges, Failure, Result, Settings, Threads};
use std::time::Duration;

/// How often it is asked whether a transfer is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Fetches URLs. Shared by reference or `Arc` and used from any threads at once. No thread is started before the first
/// call; then one moves bytes, while each caller's own thread writes what it asked for.
pub struct Client {
    exchanges: Exchanges,
    threads: Threads,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// [`Failure::Setting`].
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self { exchanges: Exchanges::new(settings)?, threads: Threads::new("web", 1) })
    }

    /// Fetches a URL into `sink`; redirects are followed, broken transfers taken up again. `progress` is told how many
    /// bytes came and how many there are, if the server says. When it answers false, the transfer ends; it is asked
    /// several times a second, also while nothing comes.
    ///
    /// # Errors
    /// Any [`Error`]. What the sink holds then is not to be used.
    pub fn get(
        &self,
        request: &Get<'_>,
        sink: &mut dyn Sink,
        progress: &dyn Fn(u64, Option<u64>),
        wanted: &dyn Fn() -> bool,
    ) -> Result<Got> {
        let done = self.threads.run(async {
            let given_up = async {
                let mut ticks = tokio::time::interval(LOOK);
                while wanted() {
                    ticks.tick().await;
                }
            };
            tokio::select! {
                biased;
                () = given_up => Err(Error::Cancelled),
                done = get(&self.exchanges, request, sink, progress) => done,
            }
        });
        done.map_err(Error::Runtime)?
    }
}

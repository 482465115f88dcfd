//! What all handles of one open store share: the connection, the lease, the boot id.

use crate::early::Early;
use crate::lease::LeaseState;
use crate::{Error, Options, Result, open, reserve};
use layer::{LayerId, Listing};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

/// A store in this process. Clones share one connection and one lease; everything may be called from any thread.
///
/// A long-lived process opens one store per build, because the lease lasts as long as the handle.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// A listing that was read: a large one is let go when nobody uses it any more.
pub(crate) enum Held {
    Small(Arc<Listing>),
    Large(Weak<Listing>),
}

/// A listing of more entries is large.
const LARGE: usize = 100_000;

impl Held {
    pub(crate) fn new(listing: &Arc<Listing>) -> Self {
        if listing.len() > LARGE {
            Self::Large(Arc::downgrade(listing))
        } else {
            Self::Small(listing.clone())
        }
    }

    pub(crate) fn get(&self) -> Option<Arc<Listing>> {
        match self {
            Self::Small(listing) => Some(listing.clone()),
            Self::Large(listing) => listing.upgrade(),
        }
    }
}

pub(crate) struct Inner {
    pub(crate) options: Options,
    connection: Mutex<Connection>,
    boot: OnceLock<String>,
    pub(crate) lease: Mutex<Option<LeaseState>>,
    /// The start of the lease held, 0 without one. Apart from `lease`, because it is read under the connection's lock.
    pub(crate) lease_start: AtomicI64,
    pub(crate) listings: Mutex<HashMap<LayerId, Held>>,
    /// The layers of what this process has committed under its lease: they cannot go while it lasts.
    pub(crate) kept: Mutex<HashSet<LayerId>>,
    /// Whether something was written that a sync must make durable.
    pub(crate) fresh: AtomicBool,
    pub(crate) early: Mutex<Early>,
    /// Whether things are removed, and the reserve may have been given up for that.
    pub(crate) removes: AtomicBool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.inner.options.root).finish_non_exhaustive()
    }
}

/// A mutex whose data is whole after every statement: a panic elsewhere does not spoil it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store, making it first where there is none.
    ///
    /// # Errors
    /// [`Error::Foreign`] for a store of another user, id mapping or newer format, or on a network file system.
    pub fn open(options: Options) -> Result<Self> {
        let connection = open::open(&options)?;
        let inner = Inner {
            options,
            connection: Mutex::new(connection),
            boot: OnceLock::new(),
            lease: Mutex::new(None),
            lease_start: AtomicI64::new(0),
            listings: Mutex::new(HashMap::new()),
            kept: Mutex::default(),
            fresh: AtomicBool::new(false),
            early: Mutex::default(),
            removes: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.options.root
    }

    /// What the store was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.inner.options.root.join(below)
    }

    /// A transaction that only reads: all its answers are of one moment.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.transaction(TransactionBehavior::Deferred, work)
    }

    /// A transaction that may write. It takes the write lock at once, because a read that turns into a write fails
    /// without waiting; it must not touch files.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.transaction(TransactionBehavior::Immediate, work)
    }

    fn transaction<T>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut connection = locked(&self.inner.connection);
        let transaction = connection.transaction_with_behavior(behavior).map_err(|e| self.busy(e))?;
        let done = work(&transaction)?;
        transaction.commit().map_err(|e| self.busy(e))?;
        Ok(done)
    }

    /// Work outside a transaction, for pragmas.
    pub(crate) fn with_connection<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        work(&mut locked(&self.inner.connection))
    }

    /// Moves the log into the index if the log is long: the next process to open the store alone would read all of it
    /// first, about 1.5 µs a page. That waits for the disk, twice, so it is not done for less than a tenth of a
    /// millisecond. Given up at once where another process reads from the log.
    pub(crate) fn shorten_log(&self) -> Result<()> {
        self.inner.shorten_log()
    }

    fn busy(&self, source: rusqlite::Error) -> Error {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => Error::Busy { path: self.path("index.sqlite") },
            _ => Error::sql("begin or commit a transaction", source),
        }
    }

    /// The boot id that fresh rows carry.
    pub(crate) fn boot(&self) -> Result<&str> {
        if let Some(known) = self.inner.boot.get() {
            return Ok(known);
        }
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        let boot = match &self.inner.options.boot_id {
            Some(given) => given.clone(),
            None => fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?.trim().to_owned(),
        };
        Ok(self.inner.boot.get_or_init(|| boot))
    }

    pub(crate) fn made_something(&self) {
        self.inner.fresh.store(true, Ordering::Release);
    }

    /// The next tick of the clock that all processes share: later than every other, than the wall clock's now and
    /// than the start of this process's lease.
    pub(crate) fn tick(&self, transaction: &Transaction<'_>) -> Result<i64> {
        let lease = self.inner.lease_start.load(Ordering::Acquire);
        let mut statement = transaction
            .prepare_cached("UPDATE clock SET now = max(now + 1, ?1) WHERE one = 1 RETURNING now")?;
        Ok(statement.query_row([lease.max(now())], |row| row.get(0))?)
    }
}

/// The length of a log that is left as it is: 64 pages with their headers.
const SHORT_LOG: u64 = 64 * (4096 + 24) + 32;

impl Inner {
    fn shorten_log(&self) -> Result<()> {
        let long = fs::metadata(self.options.root.join("index.sqlite-wal")).map_or(0, |known| known.len());
        if long <= SHORT_LOG {
            return Ok(());
        }
        let connection = locked(&self.connection);
        let failed = |source| Error::sql("shorten its log", source);
        connection.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
        // Its answer says whether it was busy, which is no error.
        let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        connection.busy_timeout(self.options.busy_timeout).map_err(failed)?;
        done.map_err(failed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The data is safe in the log.
        let _ = self.shorten_log();
        if self.removes.load(Ordering::Acquire) {
            reserve::keep(&self.options.root);
        }
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A tick as a point in time.
pub(crate) fn time(tick: i64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_micros(u64::try_from(tick).unwrap_or(0))
}

/// Random bytes as hexadecimal digits, for names that nobody else has.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        let more = rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty());
        filled += more.map_err(|e| Error::io("read random bytes from", Path::new("getrandom"), e))?;
    }
    Ok(bytes)
}

/// 32 random hexadecimal digits.
pub(crate) fn random_name() -> Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}

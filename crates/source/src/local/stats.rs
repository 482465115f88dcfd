//! What files are known again by, in columns: 32 bytes a file, and what its entry says already is not here.

use crate::FileStat;
use layer::Time;

/// Stats of entries, by their number in the listing.
#[derive(Debug, Default)]
pub(super) struct Stats {
    rows: Vec<Row>,
    /// The devices that files are on, each once.
    devices: Vec<u64>,
}

#[derive(Debug)]
struct Row {
    ino: u64,
    seconds: i64,
    nanoseconds: u32,
    device: u32,
}

impl Stats {
    pub(super) fn reserve_exact(&mut self, count: usize) {
        self.rows.reserve_exact(count);
    }

    pub(super) fn push(&mut self, stat: &FileStat) {
        let row = self.row(stat);
        self.rows.push(row);
    }

    pub(super) fn pop(&mut self) {
        self.rows.pop();
    }

    pub(super) fn set(&mut self, at: usize, stat: &FileStat) {
        self.rows[at] = self.row(stat);
    }

    fn row(&mut self, stat: &FileStat) -> Row {
        let device = self.devices.iter().rposition(|device| *device == stat.dev).unwrap_or_else(|| {
            self.devices.push(stat.dev);
            self.devices.len() - 1
        });
        let Time { seconds, nanoseconds } = stat.ctime;
        Row { ino: stat.ino, seconds, nanoseconds, device: device as u32 }
    }

    /// The stat of an entry that has this size and time.
    pub(super) fn get(&self, at: usize, size: u64, mtime: Time) -> FileStat {
        let Row { ino, seconds, nanoseconds, device } = self.rows[at];
        let ctime = Time { seconds, nanoseconds };
        FileStat { dev: self.devices[device as usize], ino, size, mtime, ctime }
    }
}

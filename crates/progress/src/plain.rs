//! Plain text, line by line, in the form of BuildKit's `plain` progress.
//!
//! ```text
//! #5 [builder 2/5] RUN npm ci
//! #5 0.412 added 12 packages
//! #5 ...
//!
//! #6 [stage-1 2/3] COPY . .
//! #6 DONE 0.1s
//!
//! #5 [builder 2/5] RUN npm ci
//! #5 1.204 done
//! #5 DONE 1.2s
//! ```
//! A transfer tells of itself every few seconds, with its speed and what is left while it goes on:
//!
//! ```text
//! #7 sha256:0f3a… 12.58MB / 30.10MB 1.2s (10.48MB/s, 2s left)
//! #7 sha256:0f3a… 30.10MB / 30.10MB 2.9s done
//! ```
//! One vertex has the screen at a time. What the others tell is held back until the one ends, until one of them
//! ends, or until it has had the screen for longer than its share: 5 s, more where it says most of what is said, and
//! 10 s at most while another waits. Numbers are given by first appearance.

use crate::rate::Rate;
use crate::text::{Escapes, Lines, amount, harmless, log_time};
use crate::ticker::Ticker;
use crate::{Event, Moment, Sink, Status, VertexId};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long a vertex has the screen although others have something to tell.
const HOLD: Duration = Duration::from_secs(5);
/// So long a vertex waits for the screen at most.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A status is told again after so long, or when it went on by a twentieth.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody has waited too long.
const TICK: Duration = Duration::from_millis(500);

/// How plain text is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainOptions {
    /// What happens to control sequences in log lines. BuildKit keeps them; a terminal is safer without.
    pub escapes: Escapes,
}

/// The renderer of plain text.
pub struct Plain {
    state: Arc<Mutex<State>>,
    ticker: Ticker,
}

struct State {
    out: Box<dyn Write + Send>,
    options: PlainOptions,
    /// The reader has gone; nothing is written any more.
    broken: bool,
    vertices: Vec<Item>,
    current: Option<usize>,
    current_since: Moment,
    /// Lines of the current vertex since it has the screen.
    current_lines: u32,
    numbered: u32,
    /// The bytes of one event, written at once.
    text: Vec<u8>,
    /// The last event: its time, and when it came by the process' own clock, for ticks.
    seen: (Moment, Option<Instant>),
}

#[derive(Default)]
struct Item {
    name: String,
    number: u32,
    started: Option<Moment>,
    /// Lines that wait for the screen, without the number, each with its newline.
    pending: Vec<u8>,
    pending_lines: u32,
    /// Since when something waits.
    waiting: Option<Moment>,
    lines: [Lines; 2],
    /// What was told last of each status.
    told: HashMap<String, (u64, Moment)>,
    /// How fast each status goes on.
    rates: HashMap<String, Rate>,
    complete: bool,
}

impl Plain {
    /// A renderer that writes to `out`, every event with one `write`.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, options: PlainOptions) -> Self {
        let state = State {
            out,
            options,
            broken: false,
            vertices: Vec::new(),
            current: None,
            current_since: Moment::default(),
            current_lines: 0,
            numbered: 0,
            text: Vec::new(),
            seen: (Moment::default(), None),
        };
        Self { state: Arc::new(Mutex::new(state)), ticker: Ticker::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Plain {
    fn event(&self, at: Moment, event: &Event<'_>) {
        let mut state = self.lock();
        state.take(at, event);
        state.write();
        let somebody_waits = self.ticker.wants_start() && state.first_waiting().is_some();
        drop(state);
        if somebody_waits {
            let state = Arc::clone(&self.state);
            self.ticker.start(TICK, move || {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.tick();
                state.write();
            });
        }
    }

    fn allow_threads(&self) {
        self.ticker.allow();
    }

    fn finish(&self, at: Moment) {
        self.ticker.stop();
        let mut state = self.lock();
        state.finish(at);
        state.write();
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.ticker.stop();
    }
}

impl State {
    fn take(&mut self, at: Moment, event: &Event<'_>) {
        let id = event.vertex();
        self.seen = (at, Some(Instant::now()));
        if let Event::Declared { declared, .. } = event {
            self.item(id).name = harmless(declared.name.replace('\n', " ").as_bytes(), Escapes::Drop);
            return;
        }
        let escapes = self.options.escapes;
        let item = self.item(id);
        let known = item.number != 0 || item.waiting.is_some();
        if item.complete && !matches!(event, Event::Log { .. }) {
            return;
        }
        match *event {
            Event::Declared { .. } => {}
            Event::Started { .. } => item.started = item.started.or(Some(at)),
            Event::Cached { .. } => {
                item.line(b"CACHED");
                item.complete = true;
            }
            Event::Log { stream, bytes, .. } => {
                let Item { lines, pending, pending_lines, started, .. } = item;
                let time = log_time(at.since(started.unwrap_or(at)));
                lines[usize::from(stream.number() == 2)].push(bytes, |line| {
                    *pending_lines += log_line(pending, &time, line, escapes);
                });
                if *pending_lines == 0 && known {
                    return;
                }
            }
            Event::Status { status, .. } => {
                if !item.status(at, status) {
                    return;
                }
            }
            Event::Warning { warning, .. } => item.line(format!("WARN: {}", warning.message).as_bytes()),
            Event::Note { text, .. } => item.line(format!("note: {text}").as_bytes()),
            Event::Completed { error, .. } => {
                item.end_lines(at, escapes);
                match error {
                    Some(error) => item.line(format!("ERROR: {error}").as_bytes()),
                    None => {
                        let time = item.started.map(|started| at.since(started).as_secs_f64());
                        let time = time.map(|time| format!(" {time:.1}s")).unwrap_or_default();
                        item.line(format!("DONE{time}").as_bytes());
                    }
                }
                item.complete = true;
            }
            Event::Canceled { .. } => {
                item.end_lines(at, escapes);
                item.line(b"CANCELED");
                item.complete = true;
            }
        }
        if item.waiting.is_none() {
            item.waiting = Some(at);
        }
        let complete = item.complete;
        self.give_screen(id.index(), complete, at);
    }

    fn item(&mut self, id: VertexId) -> &mut Item {
        if self.vertices.len() <= id.index() {
            self.vertices.resize_with(id.index() + 1, Item::default);
        }
        &mut self.vertices[id.index()]
    }

    /// Shows what `vertex` has to tell if the screen is its own, free, or it ends.
    fn give_screen(&mut self, vertex: usize, complete: bool, at: Moment) {
        if complete || self.current.is_none_or(|current| current == vertex) {
            self.show(vertex, at);
        } else {
            self.share(at);
        }
        if complete {
            self.current = None;
            self.share(at);
        }
    }

    /// Gives the screen to the one that waits longest, if the current one has had its share.
    fn share(&mut self, at: Moment) {
        let Some((waiting, since)) = self.first_waiting() else { return };
        if let Some(current) = self.current {
            let held = at.since(self.current_since);
            let others: u32 = self.vertices.iter().map(|item| item.pending_lines).sum();
            let own = f64::from(self.current_lines);
            let rest = f64::from(others.max(1)) / (own + f64::from(others.max(1)));
            let due = held.as_secs_f64() * rest >= HOLD.as_secs_f64();
            if current == waiting || !(due || (held >= HOLD && at.since(since) >= LONGEST_WAIT)) {
                return;
            }
        }
        self.show(waiting, at);
    }

    fn first_waiting(&self) -> Option<(usize, Moment)> {
        let waiting = self.vertices.iter().enumerate();
        waiting.filter_map(|(at, item)| Some((at, item.waiting?))).min_by_key(|(_, since)| *since)
    }

    fn show(&mut self, vertex: usize, at: Moment) {
        if self.current != Some(vertex) {
            if let Some(before) = self.current {
                let number = self.vertices[before].number;
                self.text.extend_from_slice(format!("#{number} ...\n").as_bytes());
            }
            if self.numbered > 0 {
                self.text.push(b'\n');
            }
            let item = &mut self.vertices[vertex];
            if item.number == 0 {
                self.numbered += 1;
                item.number = self.numbered;
            }
            self.text.extend_from_slice(format!("#{} {}\n", item.number, item.name).as_bytes());
            (self.current, self.current_since, self.current_lines) = (Some(vertex), at, 0);
        }
        let item = &mut self.vertices[vertex];
        let head = format!("#{} ", item.number);
        for line in item.pending.split_inclusive(|b| *b == b'\n') {
            self.text.extend_from_slice(head.as_bytes());
            self.text.extend_from_slice(line);
        }
        self.current_lines = self.current_lines.saturating_add(item.pending_lines);
        item.pending.clear();
        (item.pending_lines, item.waiting) = (0, None);
    }

    fn tick(&mut self) {
        if let (at, Some(seen)) = self.seen {
            self.share(at.later(seen.elapsed()));
        }
    }

    fn finish(&mut self, at: Moment) {
        let escapes = self.options.escapes;
        for vertex in 0..self.vertices.len() {
            let item = &mut self.vertices[vertex];
            item.end_lines(at, escapes);
            if item.waiting.is_some() || item.pending_lines > 0 {
                self.show(vertex, at);
            }
        }
    }

    fn write(&mut self) {
        if !self.text.is_empty() && !self.broken {
            self.broken = self.out.write_all(&self.text).and_then(|()| self.out.flush()).is_err();
        }
        self.text.clear();
    }
}

impl Item {
    /// Adds what is not a log: every line of it is one.
    fn line(&mut self, text: &[u8]) {
        for line in text.split(|b| *b == b'\n') {
            self.pending.extend_from_slice(harmless(line, Escapes::Drop).as_bytes());
            self.pending.push(b'\n');
            self.pending_lines += 1;
        }
    }

    /// Whether the status is worth a line, which then waits.
    fn status(&mut self, at: Moment, status: &Status) -> bool {
        let rate = self.rates.entry(status.id.clone()).or_default();
        rate.take(at, status);
        let rate = rate.words(at, status);
        if let Some((current, told)) = self.told.get(&status.id)
            && status.completed.is_none()
        {
            let step = status.current.saturating_sub(*current);
            let far = status.total > 0 && step.saturating_mul(20) >= status.total;
            if !far && at.since(*told) < STATUS_EVERY {
                return false;
            }
        }
        self.told.insert(status.id.clone(), (status.current, at));
        let mut text = status.id.clone();
        let amount = amount(status.current, status.total);
        if !amount.is_empty() {
            text = format!("{text} {amount}");
        }
        if let Some(started) = status.started {
            let time = status.completed.unwrap_or(at).since(started).as_secs_f64();
            if time > 0.01 {
                text = format!("{text} {time:.1}s");
            }
        }
        if let Some(rate) = rate {
            text = format!("{text} ({rate})");
        }
        if status.completed.is_some() {
            text.push_str(" done");
        }
        self.line(text.as_bytes());
        true
    }

    fn end_lines(&mut self, at: Moment, escapes: Escapes) {
        let time = log_time(at.since(self.started.unwrap_or(at)));
        let Self { lines, pending, pending_lines, .. } = self;
        for lines in lines {
            lines.finish(|line| *pending_lines += log_line(pending, &time, line, escapes));
        }
    }
}

fn log_line(pending: &mut Vec<u8>, time: &str, line: &[u8], escapes: Escapes) -> u32 {
    pending.extend_from_slice(time.as_bytes());
    pending.push(b' ');
    if escapes == Escapes::Keep {
        pending.extend_from_slice(line);
    } else {
        pending.extend_from_slice(harmless(line, escapes).as_bytes());
    }
    pending.push(b'\n');
    1
}

#[cfg(test)]
pub(crate) mod tests;

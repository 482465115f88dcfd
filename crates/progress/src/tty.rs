//! A screen that is redrawn while the build runs, in the look of BuildKit's `tty` progress.
//!
//! ```text
//! [+] Building 3.2s (5/9)
//!  => CACHED [builder 1/5] FROM docker.io/library/node:22                          0.0s
//!  => [builder 2/5] RUN npm ci                                                     1.2s
//!  => => # added 12 packages
//! ```
//! Events only change the state. A frame is drawn a few times a second, by a thread once threads are allowed and by
//! the events themselves before, the first one a tenth of a second after the first event: a build that is quicker
//! shows its last frame only. The last frame has everything and stays.

mod frame;

use crate::rate::Rate;
use crate::text::{Escapes, Lines, harmless};
use crate::ticker::Ticker;
use crate::{Colors, Event, Moment, Sink, Status};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a frame is drawn at most, and by the thread.
const EVERY: Duration = Duration::from_millis(100);

/// Asks for the columns and rows of the terminal.
pub type TerminalSize = Box<dyn Fn() -> (u16, u16) + Send + Sync>;

/// How the screen is drawn.
pub struct TtyOptions {
    /// The columns and rows of the terminal; asked before every frame, so that it may be resized. 0 stands for
    /// unknown: 80 columns, 10 rows.
    pub size: TerminalSize,
    /// The colours; `None` draws without.
    pub colors: Option<Colors>,
    /// How many of its last lines a running vertex shows (`BUILDKIT_TTY_LOG_LINES`).
    pub log_lines: usize,
    /// The first word: `Building`.
    pub phase: String,
}

impl Default for TtyOptions {
    fn default() -> Self {
        Self {
            size: Box::new(|| (0, 0)),
            colors: Some(Colors::default()),
            log_lines: 6,
            phase: "Building".to_owned(),
        }
    }
}

/// The renderer for a terminal.
pub struct Tty {
    shared: Arc<Shared>,
    ticker: Ticker,
}

struct Shared {
    options: TtyOptions,
    state: Mutex<State>,
    /// Taken for drawing, after the state has been let go: a slow terminal holds up no event.
    screen: Mutex<Screen>,
}

struct Screen {
    out: Box<dyn Write + Send>,
    broken: bool,
    /// The rows of the last frame, above the cursor.
    rows: usize,
    finished: bool,
}

#[derive(Default)]
struct State {
    items: Vec<Item>,
    /// The vertices that are shown, in the order in which they began.
    shown: Vec<usize>,
    first: Option<Moment>,
    /// The last event: its time, and when it came by the process' own clock.
    seen: Option<(Moment, Instant)>,
    drawn: Option<Moment>,
}

/// How a vertex stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Outcome {
    #[default]
    Open,
    Done,
    Cached,
    Failed,
    Canceled,
}

#[derive(Default)]
struct Item {
    name: String,
    started: Option<Moment>,
    ended: Option<Moment>,
    outcome: Outcome,
    statuses: Vec<(Status, Rate)>,
    notes: Vec<String>,
    warnings: Vec<String>,
    partial: Lines,
    tail: VecDeque<String>,
}

impl Tty {
    /// A renderer that writes to `out`, which is a terminal.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, options: TtyOptions) -> Self {
        let screen = Screen { out, broken: false, rows: 0, finished: false };
        let shared = Shared { options, state: Mutex::new(State::default()), screen: Mutex::new(screen) };
        Self { shared: Arc::new(shared), ticker: Ticker::default() }
    }
}

impl Sink for Tty {
    fn event(&self, at: Moment, event: &Event<'_>) {
        let mut state = self.shared.state();
        state.take(at, event, self.shared.options.log_lines);
        // A vertex that is found in the cache takes no time: the thread starts with the first that does.
        if matches!(event, Event::Started { .. }) && self.ticker.wants_start() {
            let shared = Arc::clone(&self.shared);
            self.ticker.start(EVERY, move || shared.tick());
        }
        if !self.ticker.runs() && state.is_due(at) {
            drop(state);
            self.shared.draw(at, false);
        }
    }

    fn allow_threads(&self) {
        self.ticker.allow();
        if self.shared.state().items.iter().any(|item| item.started.is_some() && item.ended.is_none()) {
            let shared = Arc::clone(&self.shared);
            self.ticker.start(EVERY, move || shared.tick());
        }
    }

    fn finish(&self, at: Moment) {
        self.ticker.stop();
        self.shared.draw(at, true);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.ticker.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let seen = self.state().seen;
        if let Some((at, when)) = seen {
            self.draw(at.later(when.elapsed()), false);
        }
    }

    fn draw(&self, at: Moment, last: bool) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        if screen.finished {
            return;
        }
        screen.finished = last;
        let (columns, rows) = (self.options.size)();
        let size = (
            if columns == 0 { 80 } else { usize::from(columns) },
            if rows == 0 { 10 } else { usize::from(rows) },
        );
        let mut state = self.state();
        if state.first.is_none() {
            return;
        }
        state.drawn = Some(at);
        let lines = frame::lines(&state, &self.options, size, at, last);
        drop(state);
        screen.replace(&lines);
    }
}

impl Screen {
    /// Puts `lines` where the last frame is, with one write. Lines are not wrapped meanwhile, so that a character
    /// that is wider than was thought cannot push the frame down.
    fn replace(&mut self, lines: &[String]) {
        let mut text = String::from("\x1b[?25l\x1b[?7l\r");
        if self.rows > 0 {
            text.push_str(&format!("\x1b[{}A", self.rows));
        }
        for line in lines {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J\x1b[?7h\x1b[?25h");
        self.rows = lines.len();
        if !self.broken {
            self.broken = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err();
        }
    }
}

impl State {
    fn is_due(&self, at: Moment) -> bool {
        let last = self.drawn.or(self.first);
        last.is_some_and(|last| at.since(last) >= EVERY)
    }

    fn take(&mut self, at: Moment, event: &Event<'_>, log_lines: usize) {
        let index = event.vertex().index();
        self.seen = Some((at, Instant::now()));
        self.first = self.first.or(Some(at));
        if self.items.len() <= index {
            self.items.resize_with(index + 1, Item::default);
        }
        let item = &mut self.items[index];
        let begins = item.started.is_none();
        match *event {
            Event::Declared { declared, .. } => {
                item.name = one_line(&declared.name);
                return;
            }
            Event::Started { .. } | Event::Cached { .. } => item.started = item.started.or(Some(at)),
            Event::Log { bytes, .. } => {
                let Item { partial, tail, .. } = item;
                partial.push(bytes, |line| {
                    tail.push_back(harmless(line, Escapes::Drop));
                    if tail.len() > log_lines {
                        tail.pop_front();
                    }
                });
            }
            Event::Status { status, .. } => {
                let known = item.statuses.iter().position(|(known, _)| known.id == status.id);
                let known = known.unwrap_or_else(|| {
                    item.statuses.push((Status::default(), Rate::default()));
                    item.statuses.len() - 1
                });
                let (shown, rate) = &mut item.statuses[known];
                rate.take(at, status);
                *shown = Status { id: one_line(&status.id), ..status.clone() };
            }
            Event::Warning { warning, .. } => item.warnings.push(one_line(&warning.message)),
            Event::Note { text, .. } => item.notes.push(one_line(text)),
            Event::Completed { .. } | Event::Canceled { .. } => {}
        }
        let outcome = match *event {
            Event::Cached { .. } => Outcome::Cached,
            Event::Completed { error: None, .. } => Outcome::Done,
            Event::Completed { error: Some(_), .. } => Outcome::Failed,
            Event::Canceled { .. } => Outcome::Canceled,
            _ => Outcome::Open,
        };
        if outcome != Outcome::Open {
            item.outcome = outcome;
            item.started = item.started.or(Some(at));
            item.ended = Some(at);
            (item.tail, item.partial) = (VecDeque::new(), Lines::default());
        }
        if begins && item.started.is_some() {
            self.shown.push(index);
        }
    }
}

fn one_line(text: &str) -> String {
    harmless(text.replace('\n', " ").as_bytes(), Escapes::Drop)
}

#[cfg(test)]
mod tests;

//! One frame: the lines that show how the build stands.

use super::{Item, Outcome, State, TtyOptions};
use crate::text::{amount, cut, width};
use crate::{Moment, Status};
use std::collections::HashMap;

/// Columns for a name below which a row shows nothing of use.
const NARROWEST: usize = 12;
/// Columns for a name below which the speed of its transfer is left out.
const WITH_RATE: usize = 24;

struct Row {
    vertex: usize,
    left: String,
    right: String,
    /// What stands before the right part where there is room for it.
    rate: Option<String>,
    color: Option<String>,
    /// Whether it is of something that goes on: such rows stay when the screen is too small for all.
    open: bool,
}

/// The lines of the frame at `now`, `columns` and `height` large, without their ends. The last frame has all rows.
pub(super) fn lines(
    state: &State,
    options: &TtyOptions,
    (columns, height): (usize, usize),
    now: Moment,
    last: bool,
) -> Vec<String> {
    let total = state.items.len();
    let ended = state.items.iter().filter(|item| item.ended.is_some()).count();
    let seconds = now.since(state.first.unwrap_or(now)).as_secs_f64();
    let word = if last && ended == total { " FINISHED" } else { "" };
    let head = format!("[+] {} {seconds:.1}s ({ended}/{total}){word}", options.phase);
    let mut lines = vec![cut(&head, columns).to_owned()];
    let mut rows = Vec::new();
    for &vertex in &state.shown {
        vertex_rows(vertex, &state.items[vertex], options, now, &mut rows);
    }
    let mut logs = HashMap::new();
    if !last {
        // The header and the cursor's own row.
        let room = height.saturating_sub(2);
        choose(&mut rows, room);
        logs = share_logs(state, options.log_lines, room - rows.len());
    }
    for (at, row) in rows.iter().enumerate() {
        lines.extend(drawn(row, columns));
        let ends = rows.get(at + 1).is_none_or(|next| next.vertex != row.vertex);
        if ends && let Some(count) = logs.get(&row.vertex) {
            let tail = &state.items[row.vertex].tail;
            for line in tail.iter().skip(tail.len() - count) {
                lines.push(dim(cut(&format!(" => => # {line}"), columns), options));
            }
        }
    }
    lines
}

/// The rows of one vertex: itself, then what it transfers, then notes and warnings.
fn vertex_rows(vertex: usize, item: &Item, options: &TtyOptions, now: Moment, rows: &mut Vec<Row>) {
    let colors = options.colors.as_ref();
    let (word, color) = match item.outcome {
        Outcome::Open => ("", None),
        Outcome::Done => ("", colors.map(|c| &c.run)),
        Outcome::Cached => ("CACHED ", colors.map(|c| &c.run)),
        Outcome::Failed => ("ERROR ", colors.map(|c| &c.error)),
        Outcome::Canceled => ("CANCELED ", colors.map(|c| &c.cancel)),
    };
    let time = |from: Option<Moment>, to: Option<Moment>| {
        let seconds = to.unwrap_or(now).since(from.unwrap_or(now)).as_secs_f64();
        // A time that would be shown as 0.1 while it is nearly nothing is noise.
        format!("{:.1}s", if seconds < 0.05 { 0.0 } else { seconds })
    };
    let row = |left: String, right: String, color: Option<&String>, open: bool| Row {
        vertex,
        left,
        right,
        rate: None,
        color: color.cloned(),
        open,
    };
    let open = item.ended.is_none();
    rows.push(row(format!(" => {word}{}", item.name), time(item.started, item.ended), color, open));
    for (status, rate) in &item.statuses {
        let Status { id, current, total, started, completed, .. } = status;
        let completed = completed.or(item.ended);
        let rate = rate.words(now, status).filter(|_| completed.is_none());
        let color = completed.and(colors).map(|c| &c.run);
        let amount = amount(*current, *total);
        let right =
            format!("{amount}{}{}", if amount.is_empty() { "" } else { "  " }, time(*started, completed));
        let open = completed.is_none();
        rows.push(Row { rate, ..row(format!(" => => {id}"), right, color, open) });
    }
    let faint = colors.map(|_| "2".to_owned());
    for note in &item.notes {
        rows.push(row(format!(" => => note: {note}"), String::new(), faint.as_ref(), false));
    }
    for warning in &item.warnings {
        rows.push(row(format!(" => WARN: {warning}"), String::new(), colors.map(|c| &c.warning), false));
    }
}

/// Keeps at most `room` rows in their order: those that go on first, then the latest.
fn choose(rows: &mut Vec<Row>, room: usize) {
    let mut excess = rows.len().saturating_sub(room);
    for open in [false, true] {
        rows.retain(|row| {
            let drop = excess > 0 && row.open == open;
            excess -= usize::from(drop);
            !drop
        });
    }
}

/// How many log lines each running vertex shows of those that are `free`.
fn share_logs(state: &State, most: usize, mut free: usize) -> HashMap<usize, usize> {
    let running =
        |vertex: &&usize| state.items[**vertex].ended.is_none() && !state.items[**vertex].tail.is_empty();
    let running: Vec<usize> = state.shown.iter().filter(running).copied().collect();
    let mut logs = HashMap::new();
    for (at, vertex) in running.iter().enumerate() {
        let share = free.div_ceil(running.len() - at);
        let count = state.items[*vertex].tail.len().min(share).min(most);
        free -= count;
        logs.insert(*vertex, count);
    }
    logs
}

/// The row cut to the terminal's width, its right part at the edge; nothing where there is no room for it.
fn drawn(row: &Row, columns: usize) -> Option<String> {
    let of = |text: &str| if text.is_empty() { 0 } else { width(text) + 1 };
    let left_of = |text: &str| columns.checked_sub(of(text)).filter(|room| *room >= NARROWEST);
    let long = row.rate.as_ref().map(|rate| format!("{rate}  {}", row.right));
    let shown = long.as_deref().filter(|long| left_of(long).is_some_and(|room| room >= WITH_RATE));
    let shown = shown.unwrap_or(&row.right);
    let (right, room) = (of(shown), left_of(shown)?);
    let left = cut(&row.left, room);
    let mut text = left.to_owned();
    if right > 0 {
        text.extend(std::iter::repeat_n(' ', room - width(left) + 1));
        text.push_str(shown);
    }
    Some(match &row.color {
        Some(color) => format!("\x1b[{color}m{text}\x1b[0m"),
        None => text,
    })
}

fn dim(text: &str, options: &TtyOptions) -> String {
    if options.colors.is_some() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
}

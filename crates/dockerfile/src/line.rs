//! Physical lines to logical lines: comments taken out, continuations joined.
//!
//! ```text
//! # a comment, kept as the description of what follows
//! RUN first \          <- the escape character at the end of a line joins it with the next
//!   # dropped
//!                      <- dropped, with a warning
//!   && second
//! ```
//!
//! A joined line remembers from where each of its pieces came ([`LogicalLine::span`]), so that a word of it can be
//! underlined in the file.

use crate::source::{LineRange, Span};
use std::ops::Range;

/// Hands out the physical lines of a text one by one.
pub(crate) struct Lines<'a> {
    text: &'a str,
    at: usize,
    /// The number of the line last handed out, from 1.
    pub(crate) number: usize,
}

/// A physical line with its line ending, and its offset.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

impl<'a> Line<'a> {
    /// The line without line feeds and carriage returns at its end.
    pub(crate) fn content(&self) -> &'a str {
        self.text.trim_end_matches(['\r', '\n'])
    }

    /// The span of [`Line::content`].
    pub(crate) fn span(&self) -> Span {
        Span::new(self.start, self.start + self.content().len())
    }
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        // A byte order mark belongs to no line.
        let at = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        Self { text, at, number: 0 }
    }

    pub(crate) fn next(&mut self) -> Option<Line<'a>> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let line = Line { text: &rest[..length], start: self.at };
        self.at += length;
        self.number += 1;
        Some(line)
    }
}

/// A line as the instruction parsers see it.
#[derive(Debug, Default)]
pub(crate) struct LogicalLine {
    /// The joined text.
    pub(crate) text: String,
    /// Where pieces of the text begin: offset in the text, offset in the source; ascending.
    pieces: Vec<(usize, usize)>,
    /// The physical lines.
    pub(crate) lines: LineRange,
    /// Lines without text inside the continuation.
    pub(crate) empty: Vec<Span>,
}

impl LogicalLine {
    /// Takes a first line (its white space stripped, no comment) and the lines that it continues with.
    pub(crate) fn read(first: Line<'_>, lines: &mut Lines<'_>, escape: char) -> Self {
        let content = first.content();
        let stripped = content.trim_start();
        let mut logical = LogicalLine {
            lines: LineRange { first: lines.number, last: lines.number },
            ..LogicalLine::default()
        };
        let mut open = logical.push(stripped, first.start + content.len() - stripped.len(), escape);
        while open {
            let Some(line) = lines.next() else { break };
            logical.lines.last = lines.number;
            let content = line.content();
            let visible = content.trim_start();
            if visible.starts_with('#') {
                continue;
            }
            if visible.is_empty() {
                logical.empty.push(line.span());
                continue;
            }
            open = logical.push(content, line.start, escape);
        }
        logical
    }

    /// Adds a physical line and says whether it continues.
    fn push(&mut self, content: &str, start: usize, escape: char) -> bool {
        let kept = without_continuation(content, escape);
        let text = kept.unwrap_or(content);
        if !text.is_empty() || self.pieces.is_empty() {
            self.pieces.push((self.text.len(), start));
            self.text.push_str(text);
        }
        kept.is_some()
    }

    /// Where a range of the joined text stands in the source. Of a range over several lines, from the first byte to
    /// the last.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.place(range.start);
        if range.end <= range.start {
            return Span::new(start, start);
        }
        Span::new(start, self.place(range.end - 1) + 1)
    }

    fn place(&self, offset: usize) -> usize {
        let after = self.pieces.partition_point(|(text, _)| *text <= offset);
        let (text, source) = self.pieces.get(after.saturating_sub(1)).copied().unwrap_or_default();
        source + offset.saturating_sub(text)
    }
}

/// The line without the escape character that continues it; `None` for a line that does not continue. Two escape
/// characters in a row continue nothing.
fn without_continuation(line: &str, escape: char) -> Option<&str> {
    let kept = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!kept.ends_with(escape)).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_and_keeps_places() {
        let text = "  RUN a \\  \r\n# no\n\n  \tb\\\n c \nnext";
        let mut lines = Lines::new(text);
        let first = lines.next().unwrap();
        let line = LogicalLine::read(first, &mut lines, '\\');
        assert_eq!(line.text, "RUN a   \tb c ");
        assert_eq!(line.lines, LineRange { first: 1, last: 5 });
        assert_eq!(line.empty.len(), 1);
        let at = line.text.find('c').unwrap();
        assert_eq!(&text[line.span(at..at + 1).range()], "c");
        assert_eq!(&text[line.span(0..3).range()], "RUN");
        assert_eq!(lines.next().unwrap().text, "next");
    }

    #[test]
    fn what_continues() {
        assert_eq!(without_continuation("a \\", '\\'), Some("a "));
        assert_eq!(without_continuation("\\ \t", '\\'), Some(""));
        assert_eq!(without_continuation("a \\\\", '\\'), None);
        assert_eq!(without_continuation("a `", '`'), Some("a "));
        assert_eq!(without_continuation("a", '\\'), None);
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        let mut lines = Lines::new("\u{FEFF}FROM a");
        let line = lines.next().unwrap();
        assert_eq!((line.text, line.start), ("FROM a", 3));
    }
}

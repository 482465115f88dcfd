//! Bytes of steps as text for a person: sizes, times, lines, and control sequences made harmless.

use std::time::Duration;

/// What happens to control sequences in the lines that steps write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escapes {
    /// They pass as written: for a file or a pipe.
    #[default]
    Keep,
    /// Colours (`ESC [ … m`) and tabs pass, all else is dropped: for a terminal.
    Colours,
    /// Nothing passes but text.
    Drop,
}

/// A size as BuildKit writes it: decimal, two digits after the point (`12B`, `1.50kB`, `30.10MB`).
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.2}{}", units[unit])
}

/// How far a status is, as BuildKit writes it: ` 12.30MB / 30.10MB`, or nothing.
pub(crate) fn amount(current: u64, total: u64) -> String {
    match (current, total) {
        (0, 0) => String::new(),
        (_, 0) => human_bytes(current),
        _ => format!("{} / {}", human_bytes(current), human_bytes(total)),
    }
}

/// The time before a log line: three, two or one digits after the point, so that it keeps its width.
pub(crate) fn log_time(since: Duration) -> String {
    let seconds = since.as_secs_f64();
    let digits = if seconds < 10.0 {
        3
    } else if seconds < 100.0 {
        2
    } else {
        1
    };
    format!("{seconds:.digits$}")
}

/// Cuts what a step writes into lines, whatever pieces it comes in.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

/// A line without an end is given out in pieces of this many bytes, so that no step fills the memory.
const LONGEST_LINE: usize = 1 << 20;

impl Lines {
    /// Calls `line` with every line that `bytes` completes, without its newline.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            if self.partial.is_empty() {
                line(&bytes[..end]);
            } else {
                self.partial.extend_from_slice(&bytes[..end]);
                line(&self.partial);
                self.partial.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() >= LONGEST_LINE {
            self.finish(line);
        }
    }

    /// Calls `line` with what came after the last newline, if anything did.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial = Vec::new();
        }
    }
}

/// One line made harmless for a terminal. What stands before a carriage return was overwritten and is left out.
/// Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn harmless(line: &[u8], escapes: Escapes) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.rsplit(|b| *b == b'\r').find(|part| !part.is_empty()).unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\t' if escapes == Escapes::Colours => out.push('\t'),
            '\t' => out.push_str("    "),
            '\u{1b}' => match rest.next() {
                Some('[') => sequence(&mut rest, escapes, &mut out),
                // Operating system commands, device control and other strings: up to BEL or ESC \.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                // Intermediate bytes, then one final byte (`ESC ( B`).
                Some(' '..='/') => while rest.next().is_some_and(|c| (' '..='/').contains(&c)) {},
                _ => {}
            },
            // C1 controls may act as sequence openers; the rest of C0 moves or rings.
            c if c.is_control() => {}
            // Marks that turn the direction of text make a line say what it does not.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c => out.push(c),
        }
    }
    out
}

/// A control sequence after `ESC [`: parameters, intermediates, one final byte. Only colours may pass.
fn sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, escapes: Escapes, out: &mut String) {
    let mut parameters = String::new();
    while let Some(c) = rest.next_if(|c| (' '..='?').contains(c)) {
        parameters.push(c);
    }
    let last = rest.next_if(|c| ('@'..='~').contains(c));
    let plain = parameters.bytes().all(|b| b.is_ascii_digit() || b == b';' || b == b':');
    if last == Some('m') && plain && escapes == Escapes::Colours {
        out.push_str("\u{1b}[");
        out.push_str(&parameters);
        out.push('m');
    }
}

/// How many columns of a terminal a character takes: none for combining marks, two for wide scripts and emoji. An
/// estimate by block; a frame is drawn without line wrap, so that an error costs a column and not the frame.
pub(crate) fn columns(c: char) -> usize {
    match u32::from(c) {
        0..=0x1f | 0x7f..=0x9f | 0x300..=0x36f | 0x200b..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// As much of the beginning of `text` as takes at most `limit` columns.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += columns(c);
        if used > limit {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_decimal() {
        let shown: Vec<_> = [0, 999, 1000, 1_234_567, 30_100_000, u64::MAX].map(human_bytes).into();
        assert_eq!(shown, ["0B", "999B", "1.00kB", "1.23MB", "30.10MB", "18.45EB"]);
    }

    #[test]
    fn times_keep_their_width() {
        let shown: Vec<_> = [123, 12_345, 123_456].map(|ms| log_time(Duration::from_millis(ms))).into();
        assert_eq!(shown, ["0.123", "12.35", "123.5"]);
    }

    #[test]
    fn a_hostile_line_leaves_only_its_text() {
        let clean = |line: &str| harmless(line.as_bytes(), Escapes::Drop);
        assert_eq!(clean("\u{1b}[2J\u{1b}[1;1Hx"), "x");
        assert_eq!(clean("\u{1b}]0;title\u{7}x\u{1b}]8;;http://y\u{1b}\\z"), "xz");
        assert_eq!(clean("\u{1b}P1;2|evil\u{1b}\\x\u{1b}(By\u{1b}cz"), "xyz");
        assert_eq!(clean("\u{9b}31mred\u{7}\u{8}"), "31mred");
        assert_eq!(clean("10%\r50%\r100%\r"), "100%");
        assert_eq!(clean("a\u{202e}cba\tx"), "acba    x");
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        let coloured = harmless(b"\x1b[1;31mred\x1b[0m\x1b[2K\x1b[?25l\x1b[>4m", Escapes::Colours);
        assert_eq!(coloured, "\u{1b}[1;31mred\u{1b}[0m");
        assert_eq!(harmless(b"a\xffb", Escapes::Drop), "a\u{fffd}b");
    }

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("日本語", 5), "日本");
        assert_eq!(width("e\u{301}日"), 3);
    }

    proptest! {
        #[test]
        fn nothing_but_text_passes(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!harmless(&line, Escapes::Drop).chars().any(char::is_control));
        }

        #[test]
        fn lines_do_not_depend_on_the_pieces(pieces in proptest::collection::vec("[ab\n]{0,6}", 0..12)) {
            let whole = pieces.concat();
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in &pieces {
                lines.push(piece.as_bytes(), |line| seen.push(String::from_utf8(line.to_vec()).unwrap()));
            }
            lines.finish(|line| seen.push(String::from_utf8(line.to_vec()).unwrap()));
            let expected: Vec<_> = whole.lines().map(str::to_owned).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}

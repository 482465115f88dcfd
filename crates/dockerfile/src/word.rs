//! Cutting a joined line into words, in the ways that the instructions differ.
//!
//! Every function answers ranges of the text it was given beside the words, for spans.

use std::ops::Range;

/// A word as the instruction means it, and the range of the text that it was written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) range: Range<usize>,
}

/// What separates words without quotes: ASCII white space but for the line feed.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The range of `text` within `range` without white space at both ends.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// Cuts the range at its first run of blanks: the word before, and what follows the blanks, if there were any.
pub(crate) fn cut(text: &str, range: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let part = &text[range.clone()];
    match part.find(is_blank) {
        None => (range, None),
        Some(at) => {
            let rest = part[at..].trim_start_matches(is_blank);
            (range.start..range.start + at, Some(range.end - rest.len()..range.end))
        }
    }
}

/// Words between blanks, quotes being text like any other.
pub(crate) fn blank_separated(text: &str, range: Range<usize>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = Some(range);
    while let Some(range) = rest {
        let (word, after) = cut(text, range);
        words.push(Word { text: text[word.clone()].to_owned(), range: word });
        rest = after;
    }
    if words.len() == 1 && words[0].text.is_empty() {
        words.clear();
    }
    words
}

/// Words between white space outside quotes. Quotes and escape characters stay in the words, for the expansion; an
/// escape character at the very end goes.
pub(crate) fn quoted(text: &str, range: Range<usize>, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let end = range.end;
    let mut chars = text[range.clone()].char_indices().map(|(at, c)| (range.start + at, c)).peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let current = word.get_or_insert_with(|| Word { text: String::new(), range: at..at });
        if c == escape && quote != Some('\'') {
            // At the end of the text there is nothing left to escape.
            let Some((_, escaped)) = chars.next() else { break };
            current.text.push(c);
            current.text.push(escaped);
        } else {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                _ => {}
            }
            current.text.push(c);
        }
        current.range.end = chars.peek().map_or(end, |(next, _)| *next);
    }
    words.extend(word.filter(|word| !word.text.is_empty()));
    words
}

/// A `--flag` word without its quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlagWord {
    pub(crate) text: String,
    pub(crate) range: Range<usize>,
    /// Where its first `=` is written.
    pub(crate) equals: Option<usize>,
    has_quotes: bool,
}

/// Takes the `--flag` words from the beginning, and the range that is left. A lone `--` ends them and goes.
pub(crate) fn leading_flags(text: &str, range: Range<usize>, escape: char) -> (Vec<FlagWord>, Range<usize>) {
    let mut flags = Vec::new();
    let mut start = range.start;
    loop {
        // Only ASCII: a no-break space before a flag makes it an argument.
        start = range.end - text[start..range.end].trim_start_matches(|c| is_blank(c) || c == '\n').len();
        if !text[start..range.end].starts_with("--") {
            return (flags, start..range.end);
        }
        let flag = flag_word(text, start..range.end, escape);
        start = flag.range.end;
        if flag.text == "--" && !flag.has_quotes {
            return (flags, start..range.end);
        }
        flags.push(flag);
    }
}

fn flag_word(text: &str, range: Range<usize>, escape: char) -> FlagWord {
    let mut word = FlagWord { text: String::new(), range: range.clone(), equals: None, has_quotes: false };
    let mut quote = None;
    let mut chars = text[range.clone()].char_indices();
    while let Some((mut at, mut c)) = chars.next() {
        let escaped = c == escape;
        if escaped {
            let Some(next) = chars.next() else { break };
            (at, c) = next;
        }
        match quote {
            _ if escaped => {}
            Some(open) if c == open => {
                quote = None;
                continue;
            }
            Some(_) => {}
            None if is_blank(c) || c == '\n' => {
                word.range.end = range.start + at;
                break;
            }
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.has_quotes = true;
                continue;
            }
            None => {}
        }
        if c == '=' {
            word.equals.get_or_insert(range.start + at);
        }
        word.text.push(c);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: Vec<Word>) -> Vec<String> {
        words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn blanks_separate() {
        let text = "a  'b c'\td";
        let words = blank_separated(text, 0..text.len());
        assert_eq!(words[1].range, 3..5);
        assert_eq!(texts(words), ["a", "'b", "c'", "d"]);
        assert_eq!(blank_separated("", 0..0), []);
    }

    #[test]
    fn quotes_hold_words_together() {
        let text = r#"a="b c" d=\  e='\' f="\"" g\"#;
        let words = quoted(text, 0..text.len(), '\\');
        assert_eq!(&text[words[0].range.clone()], "a=\"b c\"");
        assert_eq!(texts(words), [r#"a="b c""#, r"d=\ ", r"e='\'", r#"f="\"""#, "g"]);
    }

    #[test]
    fn flags_come_first() {
        let text = r#"--a="b c" --d --e=\f  x --g"#;
        let texts = |flags: Vec<FlagWord>| flags.into_iter().map(|flag| flag.text).collect::<Vec<_>>();
        let (flags, rest) = leading_flags(text, 0..text.len(), '\\');
        assert_eq!(flags[0].equals, Some(3));
        assert_eq!(texts(flags), ["--a=b c", "--d", "--e=f"]);
        assert_eq!(&text[rest], "x --g");
        let (flags, rest) = leading_flags("--a -- --b", 0..10, '\\');
        assert_eq!(texts(flags), ["--a"]);
        assert_eq!(rest, 6..10);
    }
}

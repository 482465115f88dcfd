//! The patterns of `${x#p}`, `${x%p}` and `${x/p/w}`: `*` for any text, `?` for one character, `\` before `*`, `?`,
//! `\`, `}` and `/`. Neither `*` nor `?` takes a line feed (BuildKit turns them into `.*` and `.`).
//!
//! Matching keeps the set of tokens that may come next, a bit each, so it is linear in pattern times text whatever the
//! pattern. Where matches are replaced, one pass from the end first finds where matches begin, so that no text is
//! searched from each of its characters anew.

use std::collections::HashMap;

/// A replacement with the groups of a match put in; there is only group 0, the match itself.
fn template(replacement: &str, matched: &str) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (braced, named) = after.strip_prefix('{').map_or((false, after), |named| (true, named));
        let (name, behind) =
            named.split_at(named.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(named.len()));
        let behind = if braced { behind.strip_prefix('}') } else { Some(behind) };
        match behind.filter(|_| !name.is_empty()) {
            Some(behind) => {
                out.push_str(if name == "0" { matched } else { "" });
                rest = behind;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Star,
}

/// A parsed pattern. No two stars stand beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// `None` where `\` stands before a character that cannot be escaped, or at the end.
    pub(super) fn parse(written: &str) -> Option<Pattern> {
        let mut tokens = Vec::new();
        let mut chars = written.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(c),
                    _ => return None,
                },
                _ => Token::Char(c),
            });
        }
        Some(Pattern(tokens))
    }

    /// The value without the shortest (`greedy`: longest) prefix that matches; the value itself where none does.
    pub(super) fn trim_prefix<'v>(&self, value: &'v str, greedy: bool) -> &'v str {
        let chars = value.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
        match Matcher::new(self.0.iter().copied()).end(chars, greedy) {
            Some(Some(end)) => &value[end..],
            _ => value,
        }
    }

    /// The value without the shortest (`greedy`: longest) suffix that matches; the value itself where none does.
    pub(super) fn trim_suffix<'v>(&self, value: &'v str, greedy: bool) -> &'v str {
        match Matcher::new(self.0.iter().rev().copied()).end(value.char_indices().rev(), greedy) {
            Some(Some(start)) => &value[..start],
            _ => value,
        }
    }

    /// The value with the first (`every`: all) longest matches replaced. `None` when the result would be longer than
    /// the budget. Where all are replaced, a `$` that reached the replacement (quoted, or by a variable) stands for
    /// a group of the match, as in Go: `$0` and `${0}` are the match, `$$` is a `$`, other names are empty.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        every: bool,
        budget: &mut usize,
    ) -> Option<String> {
        let matcher = Matcher::new(self.0.iter().copied());
        let starts = matcher.starts(value);
        let mut out = String::new();
        let mut at = 0;
        // An empty match right after a match is no match, as in Go's ReplaceAll.
        let mut last_end = None;
        while at <= value.len() {
            let found = if has(&starts, at) {
                let chars = value[at..].char_indices().map(|(from, c)| (at + from + c.len_utf8(), c));
                matcher.end(chars, true).map(|end| end.unwrap_or(at))
            } else {
                None
            };
            match found {
                Some(end) if end > at || last_end != Some(at) => {
                    let put = if every && replacement.contains('$') {
                        &template(replacement, &value[at..end])
                    } else {
                        replacement
                    };
                    *budget = budget.checked_sub(put.len())?;
                    out.push_str(put);
                    last_end = Some(end);
                    let empty = end == at;
                    at = end;
                    if !every {
                        break;
                    }
                    if !empty {
                        continue;
                    }
                }
                _ => {}
            }
            let Some(c) = value[at..].chars().next() else { break };
            out.push(c);
            at += c.len_utf8();
        }
        out.push_str(value.get(at..).unwrap_or_default());
        Some(out)
    }
}

/// Some bits of a set: the number of a word, and bits of it.
type Sparse = Vec<(usize, u64)>;

/// A pattern made ready: for each character the tokens that take it. Sets of tokens are bits, the one after the last
/// token stands for the end.
struct Matcher {
    length: usize,
    words: usize,
    chars: HashMap<char, Sparse>,
    any: Sparse,
    star: Vec<u64>,
}

impl Matcher {
    fn new(tokens: impl ExactSizeIterator<Item = Token>) -> Self {
        let length = tokens.len();
        let words = length / 64 + 1;
        let mut made = Self { length, words, chars: HashMap::new(), any: Vec::new(), star: vec![0; words] };
        for (at, token) in tokens.enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            let set = match token {
                Token::Star => {
                    made.star[word] |= bit;
                    continue;
                }
                Token::Any => &mut made.any,
                Token::Char(c) => made.chars.entry(c).or_default(),
            };
            match set.last_mut() {
                Some((last, bits)) if *last == word => *bits |= bit,
                _ => set.push((word, bit)),
            }
        }
        made
    }

    /// The tokens that take a character, stars left out.
    fn takers(&self, c: char) -> impl Iterator<Item = (usize, u64)> {
        let any = if c == '\n' { &[][..] } else { &self.any };
        self.chars.get(&c).into_iter().flatten().chain(any).copied()
    }

    /// Matches from the beginning of `text`, whose items are a character and the offset to answer once it is taken.
    /// `None`: no match. `Some(None)`: a match of nothing. `Some(Some(offset))`: a match up to there.
    fn end(&self, text: impl Iterator<Item = (usize, char)>, greedy: bool) -> Option<Option<usize>> {
        // Which tokens may come next.
        let mut open = vec![0; self.words];
        let mut next = vec![0; self.words];
        open[0] = 1;
        self.pass_stars(&mut open);
        let mut best = has(&open, self.length).then_some(None);
        if best.is_some() && !greedy {
            return best;
        }
        for (offset, c) in text {
            for (word, next) in next.iter_mut().enumerate() {
                *next = if c == '\n' { 0 } else { open[word] & self.star[word] };
            }
            for (word, bits) in self.takers(c) {
                let taken = open[word] & bits;
                next[word] |= taken << 1;
                if taken >> 63 == 1 {
                    next[word + 1] |= 1;
                }
            }
            self.pass_stars(&mut next);
            std::mem::swap(&mut open, &mut next);
            if open.iter().all(|bits| *bits == 0) {
                break;
            }
            if has(&open, self.length) {
                best = Some(Some(offset));
                if !greedy {
                    break;
                }
            }
        }
        best
    }

    /// A star may take nothing: what follows an open one is open as well.
    fn pass_stars(&self, open: &mut [u64]) {
        let mut carry = 0;
        for (bits, star) in open.iter_mut().zip(&self.star) {
            let passed = *bits & star;
            *bits |= passed << 1 | carry;
            carry = passed >> 63;
        }
    }

    /// A bit for each offset at which a match begins.
    fn starts(&self, value: &str) -> Vec<u64> {
        let mut starts = vec![0; value.len() / 64 + 1];
        let mut mark = |at: usize, open: &[u64]| starts[at / 64] |= (open[0] & 1) << (at % 64);
        // From which tokens on the text from here has a match; computed from the end of the text.
        let mut open = vec![0; self.words];
        let mut before = vec![0; self.words];
        let end = (self.length / 64, 1 << (self.length % 64));
        open[end.0] |= end.1;
        self.skip_stars(&mut open);
        mark(value.len(), &open);
        for (at, c) in value.char_indices().rev() {
            for (word, before) in before.iter_mut().enumerate() {
                *before = if c == '\n' { 0 } else { open[word] & self.star[word] };
            }
            for (word, bits) in self.takers(c) {
                let next = open.get(word + 1).copied().unwrap_or(0);
                before[word] |= (open[word] >> 1 | next << 63) & bits;
            }
            before[end.0] |= end.1;
            self.skip_stars(&mut before);
            std::mem::swap(&mut open, &mut before);
            mark(at, &open);
        }
        starts
    }

    /// The same as [`Matcher::pass_stars`], backwards: a star is open when what follows it is.
    fn skip_stars(&self, open: &mut [u64]) {
        let mut carry = 0;
        for (bits, star) in open.iter_mut().zip(&self.star).rev() {
            let first = *bits & 1;
            *bits |= (*bits >> 1 | carry << 63) & star;
            // A star at the first bit does not matter to the word before: no star stands beside it.
            carry = first | (*bits & 1);
        }
    }
}

fn has(set: &[u64], at: usize) -> bool {
    set[at / 64] >> (at % 64) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(tokens: &[Token], text: &[char]) -> bool {
        match tokens.split_first() {
            None => text.is_empty(),
            Some((Token::Star, rest)) => {
                naive(rest, text) || (!text.is_empty() && text[0] != '\n' && naive(tokens, &text[1..]))
            }
            Some((Token::Any, rest)) => !text.is_empty() && text[0] != '\n' && naive(rest, &text[1..]),
            Some((Token::Char(c), rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// `wide` moves the pattern over the border of a word of bits.
        #[test]
        fn agrees_with_plain_recursion(
            pattern in "[ab*?\n]{0,6}",
            value in "[ab\né]{0,8}",
            wide in prop::sample::select(vec![0_usize, 59, 60, 61, 62, 63, 64, 127]),
        ) {
            let (pattern, value) = ("x".repeat(wide) + &pattern, "x".repeat(wide) + &value);
            let parsed = Pattern::parse(&pattern).unwrap();
            let chars: Vec<char> = value.chars().collect();
            let text = |chars: &[char]| chars.iter().collect::<String>();
            let prefixes: Vec<usize> = (0..=chars.len()).filter(|end| naive(&parsed.0, &chars[..*end])).collect();
            let cut = |end: Option<&usize>| text(&chars[end.copied().unwrap_or(0)..]);
            prop_assert_eq!(parsed.trim_prefix(&value, false), cut(prefixes.first()));
            prop_assert_eq!(parsed.trim_prefix(&value, true), cut(prefixes.last()));
            let suffixes: Vec<usize> = (0..=chars.len()).filter(|start| naive(&parsed.0, &chars[*start..])).collect();
            let cut = |start: Option<&usize>| text(&chars[..start.copied().unwrap_or(chars.len())]);
            prop_assert_eq!(parsed.trim_suffix(&value, false), cut(suffixes.last()));
            prop_assert_eq!(parsed.trim_suffix(&value, true), cut(suffixes.first()));
            // The first match is the leftmost, and of those the longest.
            let first = (0..=chars.len())
                .find_map(|start| (start..=chars.len()).rev().find(|end| naive(&parsed.0, &chars[start..*end])).map(|end| (start, end)));
            let replaced = match first {
                Some((start, end)) => text(&chars[..start]) + "=" + &text(&chars[end..]),
                None => value.clone(),
            };
            prop_assert_eq!(parsed.replace(&value, "=", false, &mut 1000), Some(replaced));
        }
    }

    #[test]
    fn replacing_is_linear_in_the_value() {
        let value = "a".repeat(1 << 16);
        let now = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let begun = now();
        for pattern in ["a*b", "*b", "?*b?", "a*a*a*b", "b"] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.replace(&value, "", true, &mut 0).as_ref(), Some(&value));
        }
        let took = now() - begun;
        assert!(took.tv_sec < 5, "{took:?}");
    }
}

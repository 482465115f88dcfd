//! The patterns of `${x#p}`, `${x%p}` and `${x/p/w}`: `*` for any text, `?` for one character, `\` before `*`, `?`,
//! `\`, `}` and `/`. Neither `*` nor `?` takes a line feed (BuildKit turns them into `.*` and `.`).
//!
//! Matching keeps a set of positions for each token, so it is linear in pattern times text whatever the pattern.

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Star,
}

/// A parsed pattern.
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
        match self.match_at(value.char_indices().map(|(at, c)| (at + c.len_utf8(), c)), greedy, false) {
            Some(Some(end)) => &value[end..],
            _ => value,
        }
    }

    /// The value without the shortest (`greedy`: longest) suffix that matches; the value itself where none does.
    pub(super) fn trim_suffix<'v>(&self, value: &'v str, greedy: bool) -> &'v str {
        match self.match_at(value.char_indices().rev(), greedy, true) {
            Some(Some(start)) => &value[..start],
            _ => value,
        }
    }

    /// The value with the first (`every`: all) longest matches replaced. `None` when the result would be longer than
    /// the budget.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        every: bool,
        budget: &mut usize,
    ) -> Option<String> {
        let mut out = String::new();
        let mut at = 0;
        // An empty match right after a match is no match, as in Go's ReplaceAll.
        let mut last_end = None;
        while at <= value.len() {
            let rest = &value[at..];
            let found = self.match_at(rest.char_indices().map(|(at, c)| (at + c.len_utf8(), c)), true, false);
            let matched = found.map(|end| end.unwrap_or(0));
            match matched {
                Some(length) if !(length == 0 && last_end == Some(at)) => {
                    *budget = budget.checked_sub(replacement.len())?;
                    out.push_str(replacement);
                    at += length;
                    last_end = Some(at);
                    if !every {
                        break;
                    }
                    if length > 0 {
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

    /// Matches from the beginning of `text`, whose items are a character and the offset to answer once it is taken.
    /// `None`: no match. `Some(None)`: a match of nothing. `Some(Some(offset))`: a match up to there.
    fn match_at(
        &self,
        text: impl Iterator<Item = (usize, char)>,
        greedy: bool,
        backwards: bool,
    ) -> Option<Option<usize>> {
        let tokens = &self.0;
        let token = |index: usize| if backwards { &tokens[tokens.len() - 1 - index] } else { &tokens[index] };
        // Which tokens may come next; a star may be skipped.
        let mut states = vec![false; tokens.len() + 1];
        let mut next = states.clone();
        let reach = |states: &mut Vec<bool>, from: usize| {
            let mut at = from;
            states[at] = true;
            while at < tokens.len() && *token(at) == Token::Star {
                at += 1;
                states[at] = true;
            }
        };
        reach(&mut states, 0);
        let mut best = states[tokens.len()].then_some(None);
        if best.is_some() && !greedy {
            return best;
        }
        for (offset, c) in text {
            next.fill(false);
            let mut alive = false;
            for (index, _) in states[..tokens.len()].iter().enumerate().filter(|(_, open)| **open) {
                match token(index) {
                    Token::Char(wanted) if *wanted == c => reach(&mut next, index + 1),
                    Token::Any if c != '\n' => reach(&mut next, index + 1),
                    Token::Star if c != '\n' => reach(&mut next, index),
                    _ => continue,
                }
                alive = true;
            }
            if !alive {
                break;
            }
            std::mem::swap(&mut states, &mut next);
            if states[tokens.len()] {
                best = Some(Some(offset));
                if !greedy {
                    break;
                }
            }
        }
        best
    }
}

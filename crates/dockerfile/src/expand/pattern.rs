//! The patterns of `${x#p}`, `${x%p}` and `${x/p/w}`: `*` for any text, `?` for one character, `\` before `*`, `?`,
//! `\`, `}` and `/`. Neither `*` nor `?` takes a line feed (BuildKit turns them into `.*` and `.`).
//!
//! Matching keeps a set of positions for each token, so it is linear in pattern times text whatever the pattern.

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
    /// the budget. Where all are replaced, a `$` that reached the replacement (quoted, or by a variable) stands for
    /// a group of the match, as in Go: `$0` and `${0}` are the match, `$$` is a `$`, other names are empty.
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
                    let put = if every && replacement.contains('$') {
                        &template(replacement, &value[at..at + length])
                    } else {
                        replacement
                    };
                    *budget = budget.checked_sub(put.len())?;
                    out.push_str(put);
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

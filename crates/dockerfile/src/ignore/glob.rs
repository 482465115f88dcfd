//! One ignore pattern against one path, without its parents.
//!
//! A pattern is of a cheap kind where it can be: this very path, this beginning (`docs/**`), this end (`**/x`), a
//! pattern for the whole path without `**` (`docs/*.md`), a pattern for its last name (`**/*.py[co]`). Any other
//! becomes a row of steps, and matching keeps the set of steps that may come next, a bit each, so that its time is
//! bounded by pattern times path.

use crate::pattern::{self, NamePattern, PatternError, Piece};

#[derive(Clone, Debug)]
pub(super) struct Glob {
    kind: Kind,
    /// The pattern's names, for [`Glob::may_match_below`].
    names: Vec<Name>,
}

#[derive(Clone, Debug)]
enum Kind {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Path(NamePattern),
    LastName(NamePattern),
    Steps(Steps),
}

/// One name of a pattern, as far as it can be matched for itself.
#[derive(Clone, Debug)]
enum Name {
    One(NamePattern),
    /// Holds a `**`, or a class that may take a `/`: may reach any depth.
    Open,
}

#[derive(Clone, Debug)]
struct Steps {
    /// What every match begins with; checked first.
    prefix: String,
    /// What every match ends with; checked first.
    suffix: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// One character.
    One(Piece),
    /// Any characters but `/`.
    Star,
    /// The beginning of `(.*/)?`: what is inside, or what comes after it.
    Maybe,
    /// The inside of `(.*/)?`: any characters, then a `/`.
    Through,
    /// Any characters to the end.
    Rest,
}

impl Glob {
    /// Reads a cleaned pattern.
    pub(super) fn parse(text: &str) -> Result<Glob, PatternError> {
        let pieces = pattern::pieces(text)?;
        let names = text.split('/').map(Name::parse).collect();
        Ok(Glob { kind: Kind::new(text, pieces), names })
    }

    /// Whether the pattern is this very path.
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Exact(text) => path == text,
            Kind::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Kind::Suffix(suffix) => path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path),
            Kind::Path(pattern) => pattern.matches(path),
            Kind::LastName(pattern) => pattern.matches(path.rsplit('/').next().unwrap_or(path)),
            Kind::Steps(steps) => steps.matches(path),
        }
    }

    /// Whether a path below the directory can match. May say yes too often, never no wrongly.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let mut names = self.names.iter();
        for name in directory.split('/') {
            match names.next() {
                Some(Name::Open) => return true,
                Some(Name::One(pattern)) if pattern.matches(name) => {}
                _ => return false,
            }
        }
        names.next().is_some()
    }
}

impl Name {
    fn parse(text: &str) -> Name {
        if text.contains("**") || text.contains('[') {
            return Name::Open;
        }
        // An escaped `/` splits a name in two here; then nothing is known.
        NamePattern::parse(text).map_or(Name::Open, Name::One)
    }
}

impl Kind {
    fn new(text: &str, pieces: Vec<Piece>) -> Kind {
        let literal = |text: &str| !pattern::is_pattern(text);
        if literal(text) {
            return Kind::Exact(text.to_owned());
        }
        if let Some(rest) = text.strip_prefix("**")
            && literal(rest)
        {
            return Kind::Suffix(rest.to_owned());
        }
        if let Some(start) = text.strip_suffix("**")
            && literal(start)
        {
            return Kind::Prefix(start.to_owned());
        }
        // A class may take a `/`; then names cannot be told apart.
        let takes_slash = pieces.iter().any(|piece| matches!(piece, Piece::Class { .. }) && piece.takes('/'));
        if !takes_slash && !text.contains("**") {
            return Kind::Path(NamePattern::from_pieces(pieces));
        }
        if !takes_slash
            && let Some(rest) = text.strip_prefix("**/")
            && !rest.contains("**")
            && !pieces[3..].contains(&Piece::Char('/'))
        {
            return Kind::LastName(NamePattern::from_pieces(pieces[3..].to_vec()));
        }
        Kind::Steps(Steps::new(pieces))
    }
}

impl Steps {
    fn new(pieces: Vec<Piece>) -> Steps {
        let mut steps = Vec::with_capacity(pieces.len() + 2);
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            if piece != Piece::Star {
                steps.push(Step::One(piece));
            } else if pieces.next_if_eq(&Piece::Star).is_none() {
                steps.push(Step::Star);
            } else {
                // `**/` is `**`.
                let _ = pieces.next_if_eq(&Piece::Char('/'));
                if pieces.peek().is_none() {
                    steps.push(Step::Rest);
                } else {
                    steps.extend([Step::Maybe, Step::Through]);
                }
            }
        }
        fn fixed<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<char> {
            steps
                .map_while(|step| if let Step::One(Piece::Char(c)) = step { Some(*c) } else { None })
                .collect()
        }
        let prefix = fixed(steps.iter()).into_iter().collect();
        let suffix = fixed(steps.iter().rev()).into_iter().rev().collect();
        Steps { prefix, suffix, steps }
    }

    fn matches(&self, path: &str) -> bool {
        if !path.starts_with(&self.prefix) || !path.ends_with(&self.suffix) {
            return false;
        }
        let words = self.steps.len() / 64 + 1;
        // Nearly every pattern fits the stack.
        let (mut small, mut large);
        let sets: &mut [u64] = if words <= 4 {
            small = [0_u64; 8];
            &mut small[..words * 2]
        } else {
            large = vec![0_u64; words * 2];
            &mut large
        };
        let (mut now, mut next) = sets.split_at_mut(words);
        self.reach(now, 0);
        for c in path.chars() {
            next.fill(0);
            for (word, bits) in now.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let at = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    match self.steps.get(at) {
                        Some(Step::One(piece)) if piece.takes(c) => self.reach(next, at + 1),
                        Some(Step::Star) if c != '/' => self.reach(next, at),
                        Some(Step::Rest) => self.reach(next, at),
                        Some(Step::Through) => {
                            self.reach(next, at);
                            if c == '/' {
                                self.reach(next, at + 1);
                            }
                        }
                        _ => {}
                    }
                }
            }
            std::mem::swap(&mut now, &mut next);
            if now.iter().all(|bits| *bits == 0) {
                return false;
            }
        }
        let end = self.steps.len();
        now[end / 64] >> (end % 64) & 1 == 1
    }

    /// Puts a step into the set, and those that may come instead of it without taking a character.
    fn reach(&self, set: &mut [u64], from: usize) {
        let mut at = from;
        loop {
            let (word, bit) = (at / 64, 1_u64 << (at % 64));
            match self.steps.get(at) {
                Some(Step::Maybe) => {
                    // Either inside the group, or after it.
                    set[(at + 1) / 64] |= 1_u64 << ((at + 1) % 64);
                    at += 2;
                }
                Some(Step::Star | Step::Rest) => {
                    set[word] |= bit;
                    at += 1;
                }
                _ => {
                    set[word] |= bit;
                    return;
                }
            }
        }
    }
}

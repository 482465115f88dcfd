//! Expressions:
//!
//! ```text
//! expression = term { ("AND" | "OR") term }
//! term       = "(" expression ")" | identifier [ "WITH" exception ]
//! ```
//! Operators are read in any case and written in capitals; brackets stay where they were.

use super::names;

/// The deepest nesting of brackets.
const DEEPEST: usize = 16;

/// The expression with every identifier as `identify` writes it, or nothing where the text is no expression or an
/// identifier is not known.
pub(super) fn normalize(text: &str, identify: &mut dyn FnMut(&str) -> Option<String>) -> Option<String> {
    let mut parser = Parser { words: words(text), at: 0, identify };
    let expression = parser.expression(0)?;
    (parser.at == parser.words.len()).then_some(expression)
}

struct Parser<'a> {
    words: Vec<&'a str>,
    at: usize,
    identify: &'a mut dyn FnMut(&str) -> Option<String>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied()?;
        self.at += 1;
        Some(word)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        self.at += usize::from(found);
        found
    }

    fn expression(&mut self, depth: usize) -> Option<String> {
        if depth > DEEPEST {
            return None;
        }
        let mut text = self.term(depth)?;
        loop {
            let operator = ["AND", "OR"].into_iter().find(|operator| self.take(operator));
            let Some(operator) = operator else { return Some(text) };
            text = format!("{text} {operator} {}", self.term(depth)?);
        }
    }

    fn term(&mut self, depth: usize) -> Option<String> {
        if self.take("(") {
            let inner = self.expression(depth + 1)?;
            return self.take(")").then(|| format!("({inner})"));
        }
        let word = self.next().filter(|word| !is_operator(word))?;
        let mut term = (self.identify)(word)?;
        if self.take("WITH") {
            let exception = names::exception(self.next()?)?;
            term = format!("{term} WITH {exception}");
        }
        Some(term)
    }
}

fn is_operator(word: &str) -> bool {
    ["AND", "OR", "WITH", "(", ")"].iter().any(|operator| word.eq_ignore_ascii_case(operator))
}

/// Words between white space; brackets are words of their own.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in text.split_whitespace() {
        let mut rest = part;
        while let Some(at) = rest.find(['(', ')']) {
            if at > 0 {
                words.push(&rest[..at]);
            }
            words.push(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    words
}

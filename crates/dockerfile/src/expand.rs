//! Variables and quotes in Dockerfile words, as BuildKit's shell lexer reads them.
//!
//! ```text
//! $name ${name}                  the value, or nothing
//! ${name:-word} ${name-word}     word when unset or empty / when unset
//! ${name:+word} ${name+word}     word when set and not empty / when set
//! ${name:?word} ${name?word}     an error when unset or empty / when unset
//! ${name#p} ${name##p}           without the shortest / longest prefix that matches p
//! ${name%p} ${name%%p}           without the shortest / longest suffix that matches p
//! ${name/p/word} ${name//p/word} with the first / every match of p replaced
//! 'text' "text $name" \c         quoting; the escape character is `\` or a backtick
//! ```
//!
//! Names are letters, digits and `_`; a number, or one of `@ * # ? - $ ! 0`, is a name of its own, so `$$ $@ $* $1`
//! expand to nothing. Patterns know `*` and `?` alone.
//!
//! Where words are split ([`Lex::expand_words`]), the text that a variable gave splits too, unless it was quoted.
//! BuildKit forgets the part of a word before a nested `${x:-y}` there (`80${x:-80}` becomes `80`); this module keeps
//! it, which no file can depend on.

mod pattern;

use pattern::Pattern;
use std::collections::HashSet;

/// The deepest nesting of `${a:-${b:-...}}` that is followed.
const MAX_DEPTH: usize = 100;
/// The longest text that an expansion may make, in bytes: `ENV a=$a$a` doubles with every line.
const MAX_LENGTH: usize = 16 << 20;

/// The most steps that patterns may take in one expansion (about a second): 64 tokens of a pattern against one character
/// of a value are one.
const MAX_STEPS: usize = 1 << 28;

/// What an environment lookup is: a name to its value, `None` when unset.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Why a word could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// A `'` without its end.
    #[error("in `{word}` the single quote is never closed")]
    SingleQuote {
        /// The whole word.
        word: String,
    },
    /// A `"` without its end.
    #[error("in `{word}` the double quote is never closed")]
    DoubleQuote {
        /// The whole word.
        word: String,
    },
    /// `${` without `}`, or `${x/p` without its second `/`.
    #[error("in `{word}` the `{missing}` of a `${{...}}` is missing")]
    Unclosed {
        /// The whole word.
        word: String,
        /// What was looked for.
        missing: char,
    },
    /// `${}`, `${:x}` and the like.
    #[error("in `{word}` a `${{...}}` names no variable")]
    BadSubstitution {
        /// The whole word.
        word: String,
    },
    /// A character after the name that stands for no modifier.
    #[error("in `{word}` the modifier `{modifier}` is not supported")]
    UnsupportedModifier {
        /// The whole word.
        word: String,
        /// The modifier as written.
        modifier: String,
    },
    /// `${name:?message}` and the variable is unset or empty.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the Dockerfile says about it.
        message: String,
    },
    /// A `\` in a pattern before a character that cannot be escaped.
    #[error("in `{word}` the pattern `{pattern}` has an escape of a character other than `*`, `?` or `\\`")]
    BadPattern {
        /// The whole word.
        word: String,
        /// The pattern as written.
        pattern: String,
    },
    /// The result would be longer than 16 MiB.
    #[error("the expansion of `{word}` grows past {} MiB", MAX_LENGTH >> 20)]
    TooLong {
        /// The beginning of the word.
        word: String,
    },
    /// Long patterns were matched against long values.
    #[error("in `{word}` patterns are matched against too much text")]
    TooCostly {
        /// The beginning of the word.
        word: String,
    },
    /// More than 100 `${...}` inside each other.
    #[error("in `{word}` more than {MAX_DEPTH} `${{...}}` stand inside each other")]
    TooDeep {
        /// The beginning of the word.
        word: String,
    },
}

/// What [`Lex::expand`] found out about a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The expanded text.
    pub text: String,
    /// The same, split into words at spaces that are not quoted.
    pub words: Vec<String>,
    /// Names of variables that were looked up and set, each once, in order of use.
    pub used: Vec<String>,
    /// Names that were looked up and unset, each once, in order of use (BuildKit's UndefinedVar rule is about these).
    pub unset: Vec<String>,
}

/// The lexer: how words are unquoted and expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lex {
    /// The escape character: `\`, or a backtick after `# escape=`.
    pub escape: char,
    /// Quotes are text like any other: what BuildKit does inside COPY heredocs.
    pub ignore_quotes: bool,
    /// Quotes are read and stay in the result.
    pub keep_quotes: bool,
    /// Escape characters are read and stay in the result.
    pub keep_escapes: bool,
    /// `$name` of an unset variable stays as it is.
    pub keep_unset: bool,
}

impl Default for Lex {
    fn default() -> Self {
        Self::new('\\')
    }
}

impl Lex {
    /// A lexer with this escape character ([`crate::Directives::escape`]).
    pub fn new(escape: char) -> Self {
        Self { escape, ignore_quotes: false, keep_quotes: false, keep_escapes: false, keep_unset: false }
    }

    /// The lexer for the body of an unquoted COPY or ADD heredoc: quotes do not protect, and the escape character is
    /// `\` whatever the directive says.
    pub fn heredoc() -> Self {
        Self { ignore_quotes: true, ..Self::new('\\') }
    }

    /// Expands a word to one text; spaces stay.
    pub fn expand_word(&self, word: &str, env: &Lookup<'_>) -> Result<String, ExpandError> {
        if self.is_plain(word) {
            return Ok(word.to_owned());
        }
        self.expand(word, env).map(|expansion| expansion.text)
    }

    /// Expands a word and splits the result at white space that was not quoted; EXPOSE does this.
    pub fn expand_words(&self, word: &str, env: &Lookup<'_>) -> Result<Vec<String>, ExpandError> {
        self.expand(word, env).map(|expansion| expansion.words)
    }

    /// Expands a word and says which variables were used.
    pub fn expand(&self, word: &str, env: &Lookup<'_>) -> Result<Expansion, ExpandError> {
        let mut run = Run {
            lex: self,
            word,
            rest: word.chars(),
            env,
            used: Names::default(),
            unset: Names::default(),
            depth: 0,
            made: 0,
            steps: 0,
        };
        let (text, words) = run.until(None, self.keep_escapes)?;
        Ok(Expansion { text, words, used: run.used.list, unset: run.unset.list })
    }

    /// Whether nothing in the word can change.
    fn is_plain(&self, word: &str) -> bool {
        !word.contains(['$', '\'', '"', self.escape])
    }
}

/// One expansion under way.
struct Run<'a> {
    lex: &'a Lex,
    word: &'a str,
    rest: std::str::Chars<'a>,
    env: &'a Lookup<'a>,
    used: Names,
    unset: Names,
    depth: usize,
    made: usize,
    steps: usize,
}

/// Names in order, each once.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    known: HashSet<String>,
}

impl Names {
    fn add(&mut self, name: &str) {
        if !self.known.contains(name) {
            self.known.insert(name.to_owned());
            self.list.push(name.to_owned());
        }
    }
}

/// Collects words the way BuildKit does: a space ends a word that has text in it.
#[derive(Default)]
struct Words {
    word: String,
    done: Vec<String>,
}

impl Words {
    /// A character that may split.
    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    /// Text that does not split.
    fn push_raw(&mut self, text: &str) {
        self.word.push_str(text);
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

impl<'a> Run<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// The word for a message.
    fn shown(&self) -> String {
        beginning(self.word)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), ExpandError> {
        self.made += bytes;
        if self.made > MAX_LENGTH { Err(ExpandError::TooLong { word: self.shown() }) } else { Ok(()) }
    }

    /// Reads up to `stop` (which is eaten) or to the end.
    fn until(
        &mut self,
        stop: Option<char>,
        keep_escapes: bool,
    ) -> Result<(String, Vec<String>), ExpandError> {
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.rest.next();
                return Ok((text, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    self.grow(value.len())?;
                    text.push_str(&value);
                    value.chars().for_each(|c| words.push(c));
                }
                '\'' if !self.lex.ignore_quotes => {
                    let quoted = self.single_quoted()?;
                    text.push_str(&quoted);
                    words.push_raw(&quoted);
                }
                '"' if !self.lex.ignore_quotes => {
                    let quoted = self.double_quoted(keep_escapes)?;
                    text.push_str(&quoted);
                    words.push_raw(&quoted);
                }
                '<' => {
                    let marker = self.heredoc_marker();
                    text.push_str(marker);
                    words.push_raw(marker);
                }
                _ if c == self.lex.escape => {
                    self.rest.next();
                    if keep_escapes {
                        text.push(c);
                        words.word.push(c);
                    }
                    let Some(escaped) = self.rest.next() else { break };
                    text.push(escaped);
                    words.word.push(escaped);
                }
                _ => {
                    self.rest.next();
                    text.push(c);
                    words.push(c);
                }
            }
        }
        match stop {
            Some(missing) => Err(ExpandError::Unclosed { word: self.shown(), missing }),
            None => Ok((text, words.finish())),
        }
    }

    /// `<`, or `<<` with the white space after it, which belongs to a heredoc's word and does not split.
    fn heredoc_marker(&mut self) -> &'a str {
        let from = self.rest.as_str();
        self.rest.next();
        if self.peek() == Some('<') {
            self.rest.next();
            while matches!(self.peek(), Some('\t' | '\r' | ' ')) {
                self.rest.next();
            }
        }
        &from[..from.len() - self.rest.as_str().len()]
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let from = self.rest.as_str();
        let Some(end) = from[1..].find('\'') else {
            return Err(ExpandError::SingleQuote { word: self.shown() });
        };
        self.rest = from[end + 2..].chars();
        let range = if self.lex.keep_quotes { 0..end + 2 } else { 1..end + 1 };
        Ok(from[range].to_owned())
    }

    fn double_quoted(&mut self, keep_escapes: bool) -> Result<String, ExpandError> {
        let mut text = String::new();
        self.rest.next();
        if self.lex.keep_quotes {
            text.push('"');
        }
        loop {
            match self.peek() {
                None => return Err(ExpandError::DoubleQuote { word: self.shown() }),
                Some('"') => {
                    self.rest.next();
                    if self.lex.keep_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => {
                    let value = self.dollar()?;
                    self.grow(value.len())?;
                    text.push_str(&value);
                }
                Some(c) if c == self.lex.escape => {
                    self.rest.next();
                    if keep_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        // Only these can be escaped inside double quotes; before others the escape is text.
                        Some(next) if next == '"' || next == '$' || next == self.lex.escape => {
                            self.rest.next();
                            text.push(next);
                        }
                        Some(_) => text.push(c),
                    }
                }
                Some(c) => {
                    self.rest.next();
                    text.push(c);
                }
            }
        }
    }

    /// A `$` and what belongs to it.
    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.rest.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.get(name) {
                None if self.lex.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.rest.next();
        match self.peek() {
            None => return Err(ExpandError::Unclosed { word: self.shown(), missing: '}' }),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution { word: self.shown() }),
            Some(_) => {}
        }
        let name = self.name();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep { word: self.shown() });
        }
        let value = self.braced(name);
        self.depth -= 1;
        value
    }

    /// What follows the name in `${name...}`.
    fn braced(&mut self, name: &str) -> Result<String, ExpandError> {
        let Some(c) = self.rest.next() else {
            return Err(ExpandError::Unclosed { word: self.shown(), missing: '}' });
        };
        if c == '}' {
            return Ok(match self.get(name) {
                None if self.lex.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            });
        }
        if c == '/' {
            return self.replaced(name);
        }
        let empty_is_unset = c == ':';
        let operator = if empty_is_unset {
            self.rest.next().ok_or_else(|| ExpandError::Unclosed { word: self.shown(), missing: '}' })?
        } else {
            c
        };
        let modifier = if empty_is_unset { format!(":{operator}") } else { operator.to_string() };
        let trims = matches!(operator, '#' | '%');
        if !matches!(operator, '-' | '+' | '?' | '#' | '%') || (trims && empty_is_unset) {
            return Err(ExpandError::UnsupportedModifier { word: self.shown(), modifier });
        }
        // The escapes of a pattern are the pattern's; elsewhere those of the surroundings go.
        let (argument, _) = self.until(Some('}'), trims)?;
        let found = self.get(name);
        if found.is_none() && self.lex.keep_unset {
            return Ok(format!("${{{name}{modifier}{argument}}}"));
        }
        let given = found.is_some() && !(empty_is_unset && found.as_deref() == Some(""));
        Ok(match operator {
            '-' if given => found.unwrap_or_default(),
            '-' => argument,
            '+' if given => argument,
            '+' => String::new(),
            '?' if given => found.unwrap_or_default(),
            '?' => {
                let state = if found.is_none() { "unset" } else { "empty" };
                let message =
                    if argument.is_empty() { format!("is not allowed to be {state}") } else { argument };
                return Err(ExpandError::Required { name: name.to_owned(), message });
            }
            _ => {
                let greedy = argument.starts_with(operator);
                let value = found.unwrap_or_default();
                let pattern = self.pattern(if greedy { &argument[1..] } else { &argument }, &value)?;
                if operator == '#' {
                    pattern.trim_prefix(&value, greedy).to_owned()
                } else {
                    pattern.trim_suffix(&value, greedy).to_owned()
                }
            }
        })
    }

    /// `${name/pattern/replacement}` after its first `/`.
    fn replaced(&mut self, name: &str) -> Result<String, ExpandError> {
        let every = self.peek() == Some('/');
        if every {
            self.rest.next();
        }
        let (written, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        let found = self.get(name);
        if found.is_none() && self.lex.keep_unset {
            return Ok(format!("${{{name}/{written}/{replacement}}}"));
        }
        let value = found.unwrap_or_default();
        let pattern = self.pattern(&written, &value)?;
        let mut budget = MAX_LENGTH.saturating_sub(self.made);
        pattern
            .replace(&value, &replacement, every, &mut budget)
            .ok_or_else(|| ExpandError::TooLong { word: self.shown() })
    }

    /// Reads a pattern that is to be matched against `value`.
    fn pattern(&mut self, written: &str, value: &str) -> Result<Pattern, ExpandError> {
        self.steps = self.steps.saturating_add((written.len() / 64 + 1).saturating_mul(value.len() + 1));
        if self.steps > MAX_STEPS {
            return Err(ExpandError::TooCostly { word: self.shown() });
        }
        Pattern::parse(written)
            .ok_or_else(|| ExpandError::BadPattern { word: self.shown(), pattern: beginning(written) })
    }

    /// A variable's name; empty when none begins here.
    fn name(&mut self) -> &'a str {
        let from = self.rest.as_str();
        let end = match from.chars().next() {
            Some(c) if is_digit(c) => from.find(|c| !is_digit(c)),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => Some(1),
            _ => from.find(|c: char| !(c.is_alphabetic() || is_digit(c) || c == '_')),
        };
        let (name, rest) = from.split_at(end.unwrap_or(from.len()));
        self.rest = rest.chars();
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let value = (self.env)(name);
        if value.is_some() {
            self.used.add(name)
        } else {
            self.unset.add(name)
        };
        value
    }
}

/// A text for a message: whole, or its beginning.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Decimal digits; BuildKit takes those of every script, and names in other scripts hold none in practice.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

#[cfg(test)]
mod tests;

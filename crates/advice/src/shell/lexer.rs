//! Shell text to words and operators.

use super::Word;
use crate::text::Text;
use std::ops::Range;

/// A piece of shell text.
pub(super) enum Token {
    /// A word, and whether it was written without any quote (only then it can be a reserved word).
    Word(Word, bool),
    /// An operator.
    Operator(Operator),
    /// `> file` and the like, with its file.
    Redirection,
}

/// What joins commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Pipe,
    Semicolon,
    Background,
    Newline,
    CaseBreak,
    Left,
    Right,
}

pub(super) struct Lexer<'a> {
    text: &'a Text,
    chars: &'a str,
    at: usize,
    /// Words that end the here-documents of this line, and whether tabs before them go.
    documents: Vec<(String, bool)>,
    /// A quote or a bracket was never closed.
    broken: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a Text) -> Self {
        Self { text, chars: text.as_str(), at: 0, documents: Vec::new(), broken: false }
    }

    /// Whether a quote or a bracket was never closed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    fn rest(&self) -> &'a str {
        &self.chars[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            if rest.starts_with([' ', '\t', '\r']) {
                self.at += 1;
            } else if rest.starts_with("\\\n") {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        self.blanks();
        let rest = self.rest();
        if rest.starts_with('#') {
            self.at += rest.find('\n').unwrap_or(rest.len());
            return self.next();
        }
        let operator =
            |text: &str, operator: Operator| rest.starts_with(text).then_some((text.len(), operator));
        let found = operator("\n", Operator::Newline)
            .or_else(|| operator("&&", Operator::And))
            .or_else(|| operator("||", Operator::Or))
            .or_else(|| operator("|&", Operator::Pipe))
            .or_else(|| operator("|", Operator::Pipe))
            .or_else(|| operator(";;", Operator::CaseBreak))
            .or_else(|| operator(";", Operator::Semicolon))
            .or_else(|| operator("&", Operator::Background).filter(|_| !rest.starts_with("&>")))
            .or_else(|| operator("(", Operator::Left))
            .or_else(|| operator(")", Operator::Right));
        if let Some((length, operator)) = found {
            self.at += length;
            if operator == Operator::Newline {
                self.skip_documents();
            }
            return Some(Token::Operator(operator));
        }
        if self.redirection() {
            return Some(Token::Redirection);
        }
        self.peek()?;
        let start = self.at;
        let (text, literal, quoted) = self.word();
        Some(Token::Word(Word { text, literal, span: self.text.span(start..self.at) }, !quoted))
    }

    /// Reads a redirection with its file, if one begins here.
    fn redirection(&mut self) -> bool {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = &rest[digits..];
        let forms = ["<<<", "<<-", "<<", "<>", "<&", ">>", ">&", ">|", "&>>", "&>", "<", ">"];
        let Some(form) = forms.into_iter().find(|form| rest.starts_with(form)) else { return false };
        // `<(...)` is a word.
        if matches!(form, "<" | ">") && rest[1..].starts_with('(') {
            return false;
        }
        self.at += digits + form.len();
        self.blanks();
        let (target, _, _) = self.word();
        if matches!(form, "<<" | "<<-") {
            self.documents.push((target, form == "<<-"));
        }
        true
    }

    /// Skips the bodies of the here-documents that the line before opened.
    fn skip_documents(&mut self) {
        for (end, tabs) in std::mem::take(&mut self.documents) {
            while !self.rest().is_empty() {
                let rest = self.rest();
                let line = rest.split('\n').next().unwrap_or_default();
                self.at += (line.len() + 1).min(rest.len());
                let line = if tabs { line.trim_start_matches('\t') } else { line };
                if line.trim_end_matches('\r') == end {
                    break;
                }
            }
        }
    }

    /// A word: its text, whether it is literal, whether any of it was quoted.
    fn word(&mut self) -> (String, bool, bool) {
        let (mut text, mut literal, mut quoted) = (String::new(), true, false);
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | ')' => break,
                '(' if !text.ends_with(['<', '>', '=', '@', '?', '*', '+', '!']) => break,
                '<' | '>' if !self.rest()[1..].starts_with('(') => break,
                '(' => {
                    literal = false;
                    self.opaque(&mut text, ')');
                }
                '\'' => {
                    quoted = true;
                    self.bump();
                    loop {
                        match self.bump() {
                            Some('\'') => break,
                            Some(c) => text.push(c),
                            None => {
                                self.broken = true;
                                break;
                            }
                        }
                    }
                }
                '"' => {
                    quoted = true;
                    self.bump();
                    self.double_quoted(&mut text, &mut literal);
                }
                '\\' => {
                    self.bump();
                    match self.bump() {
                        Some('\n') | None => {}
                        Some(c) => {
                            quoted = true;
                            text.push(c);
                        }
                    }
                }
                '$' | '`' => self.expansion(&mut text, &mut literal),
                _ => {
                    text.push(c);
                    self.bump();
                }
            }
        }
        (text, literal, quoted)
    }

    fn double_quoted(&mut self, text: &mut String, literal: &mut bool) {
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.bump();
                    return;
                }
                '\\' => {
                    self.bump();
                    match self.bump() {
                        Some('\n') | None => {}
                        Some(c @ ('"' | '\\' | '$' | '`')) => text.push(c),
                        Some(c) => text.extend(['\\', c]),
                    }
                }
                '$' | '`' => self.expansion(text, literal),
                _ => {
                    text.push(c);
                    self.bump();
                }
            }
        }
        self.broken = true;
    }

    /// `$name`, `${...}`, `$(...)`, backticks: kept as written.
    fn expansion(&mut self, text: &mut String, literal: &mut bool) {
        let Some(c) = self.bump() else { return };
        text.push(c);
        if c == '`' {
            *literal = false;
            while let Some(c) = self.bump() {
                text.push(c);
                match c {
                    '`' => return,
                    '\\' => text.extend(self.bump()),
                    _ => {}
                }
            }
            self.broken = true;
            return;
        }
        match self.peek() {
            Some('{') => {
                *literal = false;
                self.opaque(text, '}');
            }
            Some('(') => {
                *literal = false;
                self.opaque(text, ')');
            }
            Some(c) if c.is_ascii_alphanumeric() || "_@*#?-$!".contains(c) => {
                *literal = false;
                text.push(c);
                self.bump();
                if c.is_ascii_alphabetic() || c == '_' {
                    while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        text.push(c);
                        self.bump();
                    }
                }
            }
            // A lone dollar is itself.
            _ => {}
        }
    }

    /// From an opening bracket to its end, quotes minded, as written.
    fn opaque(&mut self, text: &mut String, close: char) {
        let open = if close == ')' { '(' } else { '{' };
        let mut depth = 0usize;
        let start = self.at;
        let was_broken = std::mem::replace(&mut self.broken, true);
        while let Some(c) = self.bump() {
            match c {
                '\\' => drop(self.bump()),
                '\'' | '"' => {
                    while let Some(inner) = self.bump().filter(|inner| *inner != c) {
                        if inner == '\\' && c == '"' {
                            self.bump();
                        }
                    }
                }
                _ if c == open => depth += 1,
                _ if c == close => {
                    depth -= 1;
                    if depth == 0 {
                        self.broken = was_broken;
                        break;
                    }
                }
                _ => {}
            }
        }
        let range: Range<usize> = start..self.at;
        text.push_str(&self.chars[range]);
    }
}

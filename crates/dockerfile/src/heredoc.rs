//! Heredocs: `[fd]<<[-]WORD` on the line of a RUN, COPY, ADD (or an ONBUILD of those), their bodies below it.

use crate::expand::Lex;
use crate::source::Span;

/// A heredoc and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it, without quotes. For COPY and ADD also the name of the file.
    pub name: String,
    /// The file descriptor before `<<`; 0 when none is given.
    pub file_descriptor: u32,
    /// Whether variables in the body are expanded: no part of the word is quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of body lines go ([`Heredoc::text`] does that).
    pub strip_tabs: bool,
    /// The body as written, line endings included, without the line of the word.
    pub content: String,
    /// Where the body stands in the source.
    pub span: Span,
}

impl Heredoc {
    /// The body as it is meant: without leading tabs after `<<-`.
    pub fn text(&self) -> String {
        self.text_with(self.strip_tabs)
    }

    pub(crate) fn text_with(&self, strip_tabs: bool) -> String {
        if !strip_tabs {
            return self.content.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Reads a word that may open a heredoc; the content is left empty. `None` when it is none.
pub fn parse_word(word: &str) -> Option<Heredoc> {
    let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = word[digits..].strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let plain = Lex { keep_unset: true, ..Lex::new('\\') };
    let raw = Lex { keep_quotes: true, ..plain };
    let mut names = plain.expand_words(rest, &|_| None).ok()?;
    let raw_names = raw.expand_words(rest, &|_| None).ok()?;
    if names.len() != 1 || raw_names.len() != 1 {
        return None;
    }
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let name = names.remove(0);
    Some(Heredoc {
        expand: quotes(&name) == quotes(&raw_names[0]),
        name,
        file_descriptor: word[..digits].parse().unwrap_or(0),
        strip_tabs,
        content: String::new(),
        span: Span::default(),
    })
}

/// The heredocs that a joined line opens, in order.
pub(crate) fn openings(line: &str) -> Vec<Heredoc> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let lex = Lex { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Lex::new('\\') };
    // A line that cannot be read as shell words opens none, as in BuildKit.
    let words = lex.expand_words(line, &|_| None).unwrap_or_default();
    words.iter().filter_map(|word| parse_word(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_open_heredocs() {
        let doc = parse_word("3<<-\"E F\"").unwrap();
        assert_eq!(
            (doc.name.as_str(), doc.file_descriptor, doc.expand, doc.strip_tabs),
            ("E F", 3, false, true)
        );
        let doc = parse_word("<<EOF").unwrap();
        assert_eq!(
            (doc.name.as_str(), doc.file_descriptor, doc.expand, doc.strip_tabs),
            ("EOF", 0, true, false)
        );
        assert!(!parse_word("<<E'O'F").unwrap().expand);
        for word in ["<EOF", "<<", "<<-", "a<<b", "<<<a", "<<a<b", "<<a b"] {
            assert_eq!(parse_word(word), None, "{word}");
        }
    }

    #[test]
    fn openings_in_a_line() {
        let names = |line| openings(line).into_iter().map(|doc| doc.name).collect::<Vec<_>>();
        assert_eq!(names("RUN cat <<A 5<<'B' << C | x > /y"), ["A", "B", "C"]);
        assert_eq!(names("RUN echo \"<<A\" '<<B' x<<C $((1<<2))"), [""; 0]);
        assert_eq!(names("RUN it's <<A"), [""; 0]);
    }

    #[test]
    fn tabs_go_on_request() {
        let doc = Heredoc { content: "\t\ta\n \tb\n".into(), ..parse_word("<<-E").unwrap() };
        assert_eq!(doc.text(), "a\n \tb\n");
    }
}

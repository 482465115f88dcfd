//! A text that was put together from pieces of the Dockerfile, and where each of its bytes stands there.

use dockerfile::{Source, Span};
use std::ops::Range;

/// A text with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    text: String,
    places: Places,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Places {
    /// Where pieces begin: offset in the text, offset in the source; ascending.
    Pieces(Vec<(usize, usize)>),
    /// All of it stands there, somehow.
    Fixed(Span),
}

impl Text {
    /// A text that is read out of a place: every part of it stands at the whole place.
    pub(crate) fn fixed(text: &str, span: Span) -> Self {
        Self { text: text.to_owned(), places: Places::Fixed(span) }
    }

    /// A piece of the source as it is.
    pub(crate) fn slice(source: &Source, span: Span) -> Self {
        Self { text: source.slice(span).to_owned(), places: Places::Pieces(vec![(0, span.start)]) }
    }

    /// The lines of a piece of the source joined as the parser joins them: continuations go, comment lines and empty
    /// lines inside them too.
    pub(crate) fn joined(source: &Source, span: Span, escape: char) -> Self {
        let (mut text, mut pieces) = (String::new(), Vec::new());
        let mut start = span.start;
        for (number, line) in source.slice(span).split_inclusive('\n').enumerate() {
            let at = start;
            start += line.len();
            let content = line.trim_end_matches(['\r', '\n']);
            let visible = content.trim_start();
            if number > 0 && (visible.is_empty() || visible.starts_with('#')) {
                continue;
            }
            let kept = content
                .trim_end_matches([' ', '\t'])
                .strip_suffix(escape)
                .filter(|kept| !kept.ends_with(escape));
            pieces.push((text.len(), at));
            text.push_str(kept.unwrap_or(content));
            if kept.is_none() {
                break;
            }
        }
        Self { text, places: Places::Pieces(pieces) }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Where a range of the text stands.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        match &self.places {
            Places::Fixed(span) => *span,
            Places::Pieces(pieces) => {
                let place = |offset: usize| {
                    let after = pieces.partition_point(|(text, _)| *text <= offset);
                    let (text, source) = pieces.get(after.saturating_sub(1)).copied().unwrap_or_default();
                    source + (offset - text)
                };
                let start = place(range.start);
                if range.is_empty() {
                    Span::new(start, start)
                } else {
                    Span::new(start, place(range.end - 1) + 1)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_joining() {
        let source = Source::new("D", "RUN a \\\n # no\n\n  bc \\\n  d\n");
        let text = Text::joined(&source, Span::new(4, 26), '\\');
        assert_eq!(text.as_str(), "a   bc   d");
        let at = text.as_str().find("bc").unwrap();
        assert_eq!(source.slice(text.span(at..at + 2)), "bc");
        assert_eq!(source.slice(text.span(0..at + 2)), "a \\\n # no\n\n  bc");
    }
}

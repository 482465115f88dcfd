//! Replacements in a source text.

use dockerfile::{Edit, Span};

/// Puts `text` in place of a span.
pub(crate) fn replace(span: Span, text: impl Into<String>) -> Edit {
    Edit { span, text: text.into() }
}

/// Puts `text` before the byte at `offset`.
pub(crate) fn insert(offset: usize, text: impl Into<String>) -> Edit {
    replace(Span::new(offset, offset), text)
}

/// Takes a span out.
pub(crate) fn remove(span: Span) -> Edit {
    replace(span, "")
}

/// Applies groups of edits, each whole or not at all: a group that touches what an earlier one changed is left out.
/// Says which groups were applied.
pub(crate) fn apply(text: &str, groups: &[Vec<Edit>]) -> (String, Vec<bool>) {
    let mut taken: Vec<&Edit> = Vec::new();
    let mut applied = Vec::new();
    for group in groups {
        let fits = !group.is_empty()
            && group.iter().enumerate().all(|(at, edit)| {
                text.get(edit.span.range()).is_some()
                    && taken.iter().copied().chain(&group[..at]).all(|other| apart(edit.span, other.span))
            });
        if fits {
            taken.extend(group);
        }
        applied.push(fits);
    }
    taken.sort_by_key(|edit| edit.span);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in taken {
        out.push_str(&text[at..edit.span.start]);
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out.push_str(&text[at..]);
    (out, applied)
}

/// Whether two spans share no byte; two insertions at one place do not go together.
fn apart(a: Span, b: Span) -> bool {
    a != b && (a.end <= b.start || b.end <= a.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_whole_or_not_at_all() {
        let groups = vec![
            vec![replace(Span::new(0, 1), "X"), insert(3, "+")],
            vec![replace(Span::new(1, 2), "Y"), replace(Span::new(0, 2), "Z")],
            vec![remove(Span::new(1, 3))],
            vec![insert(3, "-")],
            Vec::new(),
        ];
        let (text, applied) = apply("abcd", &groups);
        assert_eq!(text, "X+d");
        assert_eq!(applied, [true, false, true, false, false]);
        assert_eq!(apply("é", &[vec![insert(1, "x")]]), ("é".to_owned(), vec![false]));
    }
}

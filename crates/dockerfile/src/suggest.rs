//! "Did you mean": the nearest of a few names by edit distance, as BuildKit suggests (at most two edits away).

/// The most edits a suggestion may be away.
const MAX_DISTANCE: usize = 2;

/// The name in `options` nearest to `value`, when at most two edits (insert, remove, replace) make one of the other.
///
/// Without `case_sensitive` letters of both cases are equal, and the answer takes the case of `value` where that is
/// all lower or all upper. `None` when nothing is near, or when `value` is one of the options.
pub fn nearest<'a>(
    value: &str,
    options: impl IntoIterator<Item = &'a str>,
    case_sensitive: bool,
) -> Option<String> {
    let fold = |text: &str| if case_sensitive { text.to_owned() } else { text.to_lowercase() };
    let wanted: Vec<char> = fold(value).chars().collect();
    let mut best: Option<(usize, &str)> = None;
    for option in options {
        let candidate: Vec<char> = fold(option).chars().collect();
        if candidate == wanted {
            return None;
        }
        if candidate.len().abs_diff(wanted.len()) > MAX_DISTANCE {
            continue;
        }
        let distance = edits(&wanted, &candidate);
        if distance <= MAX_DISTANCE && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, option));
        }
    }
    let (_, name) = best?;
    Some(if case_sensitive {
        name.to_owned()
    } else if value == value.to_lowercase() {
        name.to_lowercase()
    } else if value == value.to_uppercase() {
        name.to_uppercase()
    } else {
        name.to_owned()
    })
}

/// Levenshtein's distance, one row at a time.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name_in_the_case_it_was_asked() {
        let names = ["RUN", "COPY", "FROM"];
        assert_eq!(nearest("RUNN", names, false).as_deref(), Some("RUN"));
        assert_eq!(nearest("cpoy", names, false).as_deref(), Some("copy"));
        assert_eq!(nearest("Form", names, false).as_deref(), Some("FROM"));
        assert_eq!(nearest("run", names, false), None);
        assert_eq!(nearest("INCLUDE", names, false), None);
        assert_eq!(nearest("chwon", ["chown", "chmod"], true).as_deref(), Some("chown"));
    }
}

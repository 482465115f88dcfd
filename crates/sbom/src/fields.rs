//! Paragraphs of fields, as dpkg's databases and Python's metadata have them:
//!
//! ```text
//! Name: value
//! Other: first line
//!  a continuation
//!
//! Name: the next paragraph
//! ```

/// One field of a paragraph: its name and its value as written, continuation lines included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// The fields of one paragraph.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Paragraph<'a>(Vec<Field<'a>>);

impl<'a> Paragraph<'a> {
    /// The value of the first field of that name, whose letters' case does not count; trimmed.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The value of the first field of exactly that name; trimmed.
    pub(crate) fn exact(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|field| field.name == name).map(|field| field.value.trim())
    }

    /// The values of all fields of that name.
    pub(crate) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        let named = move |field: &&Field<'a>| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|field| field.value.trim())
    }
}

/// The paragraphs of a text, one at a time. Lines that are neither field nor continuation are passed over.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut fields: Vec<Field<'_>> = Vec::new();
        // Where the value of the last field begins: a continuation makes it longer.
        let mut value_at = None;
        loop {
            if rest.is_empty() {
                return (!fields.is_empty()).then(|| Paragraph(std::mem::take(&mut fields)));
            }
            let all = rest;
            let line = all.split_inclusive('\n').next().unwrap_or(all);
            rest = &all[line.len()..];
            if line.trim_end_matches(['\n', '\r']).is_empty() {
                if fields.is_empty() {
                    continue;
                }
                return Some(Paragraph(fields));
            }
            let end = text.len() - rest.len();
            if line.starts_with([' ', '\t']) {
                if let (Some(start), Some(last)) = (value_at, fields.last_mut()) {
                    last.value = &text[start..end];
                }
            } else if let Some((name, value)) = line.split_once(':')
                && !name.is_empty()
            {
                value_at = Some(end - value.len());
                fields.push(Field { name: name.trim(), value });
            } else {
                value_at = None;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_go_on_over_lines_and_paragraphs_end_at_empty_ones() {
        let text =
            "\n\nPackage: a\nDescription: one\n two\n .\nno field\n lost\nVERSION:1\r\n\r\n\nPackage: b";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("package"), Some("a"));
        assert_eq!(all[0].get("Description"), Some("one\n two\n ."));
        assert_eq!(all[0].get("Version"), Some("1"));
        assert_eq!(all[1].get("Package"), Some("b"));
        assert_eq!(all[1].get("Version"), None);
        let many: Vec<_> = paragraphs("R: a\nR: b\n").collect();
        assert_eq!(many[0].all("R").collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(fields in prop::collection::vec(("[A-Z][a-z-]{0,8}", "[!-~]{1,12}"), 1..8)) {
            let text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let read: Vec<_> = paragraphs(&text).collect();
            prop_assert_eq!(read.len(), 1);
            let read: Vec<_> = read[0].0.iter().map(|f| (f.name.to_owned(), f.value.trim().to_owned())).collect();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[ \\n\\r\\t:a\u{e9}]{0,60}") {
            for paragraph in paragraphs(&text) {
                prop_assert!(!paragraph.0.is_empty());
            }
        }
    }
}

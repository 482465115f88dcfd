//! The JSON array of strings of the exec form, read as Go's `encoding/json` reads it.
//!
//! Three outcomes matter: an array of strings; valid JSON with an element that is no string (an error to BuildKit); and
//! anything else (which BuildKit takes as the shell form).

use std::ops::Range;

/// What a text that may be a JSON array is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Array {
    /// An array of strings, each with the range of its text, quotes included.
    Strings(Vec<(String, Range<usize>)>),
    /// A valid array with an element of another kind; the range is that element's.
    OtherElement(Range<usize>),
    /// No valid JSON array.
    NotJson,
}

/// The deepest nesting that is still called valid; Go's limit is 10,000, and nested arrays are errors here anyway.
const MAX_DEPTH: usize = 100;

/// Reads a whole text as a JSON array.
pub(crate) fn array(text: &str) -> Array {
    let mut reader = Reader { text, at: 0 };
    // Go's caller strips any white space in front, JSON's own rules hold after it.
    reader.at = text.len() - text.trim_start().len();
    match reader.array(0) {
        Some((strings, other)) => {
            reader.space();
            if reader.at != text.len() {
                return Array::NotJson;
            }
            other.map_or(Array::Strings(strings), Array::OtherElement)
        }
        None => Array::NotJson,
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Elements = (Vec<(String, Range<usize>)>, Option<Range<usize>>);

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn array(&mut self, depth: usize) -> Option<Elements> {
        self.eat(b'[')?;
        let (mut strings, mut other) = (Vec::new(), None);
        self.space();
        if self.eat(b']').is_some() {
            return Some((strings, other));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek()? == b'"' {
                let value = self.string()?;
                strings.push((value, start..self.at));
            } else {
                self.value(depth + 1)?;
                other.get_or_insert(start..self.at);
            }
            self.space();
            if self.eat(b',').is_none() {
                self.eat(b']')?;
                return Some((strings, other));
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'[' => self.array(depth).map(drop),
            b'{' => self.object(depth),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.eat(b'{')?;
        self.space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            self.space();
            self.string()?;
            self.space();
            self.eat(b':')?;
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.eat(b',').is_none() {
                return self.eat(b'}');
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.eat(b'-');
        if self.eat(b'0').is_none() {
            self.digits()?;
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        self.eat(b'"')?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    self.at += 1;
                    let escaped = self.peek()?;
                    self.at += 1;
                    out.push(match escaped {
                        b'"' | b'\\' | b'/' => char::from(escaped),
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'u' => self.unicode()?,
                        _ => return None,
                    });
                }
                _ => return None,
            }
        }
    }

    /// The four digits after `\u`, and the second half of a surrogate pair; a lone half becomes U+FFFD as in Go.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Some(c);
        }
        let before = self.at;
        if first < 0xDC00 && self.word("\\u").is_some() {
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
            }
            self.at = before;
        }
        Some('\u{FFFD}')
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strings(text: &str) -> Option<Vec<String>> {
        match array(text) {
            Array::Strings(strings) => Some(strings.into_iter().map(|(value, _)| value).collect()),
            _ => None,
        }
    }

    #[test]
    fn arrays_of_strings() {
        assert_eq!(strings(r#" [ "a" , "b c" ] "#).unwrap(), ["a", "b c"]);
        assert_eq!(strings("[]").unwrap(), [""; 0]);
        assert_eq!(strings(r#"["\u00e9\ud83d\ude00\ud800x\n\/"]"#).unwrap(), ["é😀\u{FFFD}x\n/"]);
    }

    #[test]
    fn other_elements_and_no_json() {
        assert_eq!(array(r#"["a", 1]"#), Array::OtherElement(6..7));
        assert_eq!(array("[null]"), Array::OtherElement(1..5));
        assert_eq!(array(r#"[["a"], {"b": -1.5e3}]"#), Array::OtherElement(1..6));
        for text in
            ["['a']", r#"["a",]"#, r#"["a"] x"#, "[ -f x ]", r#"["a""#, "", "[01]", r#"["\x"]"#, "[\"\t\"]"]
        {
            assert_eq!(array(text), Array::NotJson, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_writes(values in proptest::collection::vec(".*", 0..5)) {
            let text = serde_json::to_string(&values).unwrap();
            prop_assert_eq!(strings(&text), Some(values));
        }

        #[test]
        fn agrees_with_serde_on_validity(text in r#"\[["a1\[\], {}:.\-e\\]{0,12}\]"#) {
            let theirs = serde_json::from_str::<Vec<serde_json::Value>>(&text).is_ok();
            prop_assert_eq!(array(&text) != Array::NotJson, theirs);
        }
    }
}

//! Package URLs: `pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS#SUBPATH` (the purl specification, ECMA-427).
//!
//! Everything but letters, digits, `.`, `-`, `_`, `~` and `:` is percent-encoded, as UTF-8; slashes stand between the
//! parts of a namespace and of a subpath. Qualifiers are sorted by their names, and those without a value are left out.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Makes one package URL.
#[derive(Debug, Default)]
pub(crate) struct Purl<'a> {
    pub(crate) kind: &'a str,
    /// With slashes between its parts.
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) qualifiers: Vec<(&'a str, String)>,
    /// With slashes between its parts.
    pub(crate) subpath: &'a str,
}

impl Purl<'_> {
    pub(crate) fn text(mut self) -> String {
        let mut text = format!("pkg:{}/", self.kind);
        for part in parts(self.namespace) {
            encode(part, &mut text);
            text.push('/');
        }
        encode(self.name, &mut text);
        if !self.version.is_empty() {
            text.push('@');
            encode(self.version, &mut text);
        }
        self.qualifiers.retain(|(_, value)| !value.is_empty());
        self.qualifiers.sort();
        for (at, (name, value)) in self.qualifiers.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            encode(value, &mut text);
        }
        for (at, part) in parts(self.subpath).enumerate() {
            text.push(if at == 0 { '#' } else { '/' });
            encode(part, &mut text);
        }
        text
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn encode(text: &str, out: &mut String) {
    const PART: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');
    out.extend(utf8_percent_encode(text, PART));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_encoded_and_qualifiers_sorted() {
        let deb = Purl {
            kind: "deb",
            namespace: "debian",
            name: "libstdc++6",
            version: "1:2.38~rc1+b1",
            qualifiers: vec![
                ("upstream", "gcc@1".to_owned()),
                ("arch", "amd64".to_owned()),
                ("distro", String::new()),
            ],
            ..Purl::default()
        };
        assert_eq!(deb.text(), "pkg:deb/debian/libstdc%2B%2B6@1:2.38~rc1%2Bb1?arch=amd64&upstream=gcc%401");
        let go = Purl {
            kind: "golang",
            namespace: "github.com//a b",
            name: "ü",
            version: "(devel)",
            subpath: "/v2/x",
            ..Purl::default()
        };
        assert_eq!(go.text(), "pkg:golang/github.com/a%20b/%C3%BC@%28devel%29#v2/x");
    }
}

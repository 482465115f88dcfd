//! What must not be told, taken out of what is.

use dockerfile::lint::is_secret_name;

/// What stands in its place.
const MASK: &str = "xxxxx";

/// The value of a variable: nothing of one whose name says that it holds a secret, or that is a proxy, and no user and
/// password of a URL.
pub(crate) fn value(name: &str, value: &str) -> String {
    if is_told(name) { text(value) } else { MASK.to_owned() }
}

/// Whether a variable's value is told whole. That of SSH_AUTH_SOCK is a path in the step.
fn is_told(name: &str) -> bool {
    name == "SSH_AUTH_SOCK" || !(is_secret_name(name) || is_proxy(name))
}

/// Whether a build argument is one of the proxy variables, whose values may hold passwords.
fn is_proxy(name: &str) -> bool {
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"]
        .iter()
        .any(|proxy| name.eq_ignore_ascii_case(proxy))
}

/// A text with user and password taken out of every URL in it: `xxxxx:xxxxx@`.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`' | '<' | '>'))
            .unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, place)) => {
                let mask = if user.contains(':') { "xxxxx:xxxxx" } else { MASK };
                out.push_str(&format!("{mask}@{place}"));
            }
            None => out.push_str(authority),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_taken_out_of_texts() {
        for (given, told) in [
            ("RUN curl https://me:pw@host/x?y=a@b", "RUN curl https://xxxxx:xxxxx@host/x?y=a@b"),
            ("a http://tok@h b https://h/c@d", "a http://xxxxx@h b https://h/c@d"),
            ("ADD \"ssh://u:p@h:2/r\" /", "ADD \"ssh://xxxxx:xxxxx@h:2/r\" /"),
            ("nothing:// here", "nothing:// here"),
        ] {
            assert_eq!(text(given), told);
        }
        assert_eq!(value("NPM_TOKEN", "s"), "xxxxx");
        assert_eq!(value("https_proxy", "http://u:p@proxy"), "xxxxx");
        assert_eq!(value("URL", "http://u:p@h"), "http://xxxxx:xxxxx@h");
        assert!(
            is_told("WHO") && is_told("SSH_AUTH_SOCK") && !is_told("HTTP_PROXY") && !is_told("DB_PASSWORD")
        );
    }
}

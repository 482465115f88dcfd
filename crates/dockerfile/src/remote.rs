//! Sources of ADD and contexts that are not files of the context: URLs.
//!
//! What ends in `.git` and what git alone speaks (`git://`, `ssh://`, `user@host:path`) is a repository; any other
//! `http://` and `https://` is a file.

/// The name of a file whose URL has none.
const UNNAMED: &str = "__unnamed__";

/// Whether a source is a file by its URL, unless it is a repository.
#[must_use]
pub fn is_http(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// What the file of a URL is called: the last part of the URL's path with `%XX` replaced, whatever the server calls it.
#[must_use]
pub fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let name = decoded.trim_end_matches('/').rsplit('/').next().unwrap_or_default().trim();
    match name {
        "" => UNNAMED.to_owned(),
        // What no file may be called.
        "." | ".." => "download".to_owned(),
        name if name.contains(char::is_control) => "download".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_urls() {
        for (url, name) in [
            ("https://example.com/a/tool-1.2.tar.gz", "tool-1.2.tar.gz"),
            ("https://example.com/a/tool?v=1/2#x/y", "tool"),
            ("https://example.com/a/b/", "b"),
            ("https://example.com/", UNNAMED),
            ("https://example.com", UNNAMED),
            ("https://example.com?x=/y", UNNAMED),
            ("http://example.com/a%20b%2Fc", "c"),
            ("http://example.com/a%20b", "a b"),
            ("http://example.com/*.txt", "*.txt"),
            ("http://example.com/%2e%2e", "download"),
            ("http://example.com/a%0Ab", "download"),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
    }
}

//! Paths inside images: always with `/`, cleaned as text.

/// `path` below `base` unless it is absolute, without `.`, `..` and doubled slashes. A trailing slash is dropped.
pub(crate) fn join(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The destination of a COPY: as [`join`], with the trailing slash kept, and one where the text ends in `.`.
pub(crate) fn destination(base: &str, path: &str) -> String {
    let joined = join(base, path);
    let directory = path.is_empty() || path.ends_with('/') || path == "." || path.ends_with("/.");
    if directory && joined != "/" { format!("{joined}/") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_keep_what_says_directory() {
        for (base, path, is) in [
            ("/app", ".", "/app/"),
            ("/app", "./", "/app/"),
            ("/app", "dist", "/app/dist"),
            ("/app", "./dist", "/app/dist"),
            ("/app", "../x/", "/x/"),
            ("/", ".", "/"),
            ("", "a//b", "/a/b"),
            ("/app", "/etc/../../x", "/x"),
        ] {
            assert_eq!(destination(base, path), is, "{base} {path}");
        }
    }
}

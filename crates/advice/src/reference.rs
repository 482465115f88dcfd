//! The page `docs/rules.md`, made out of the rules and their examples. A test compares it with the file.

/// The whole page, Markdown.
pub fn reference() -> String {
    String::new()
}

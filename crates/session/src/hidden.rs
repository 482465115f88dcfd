//! A secret text: a key or a token that requests are signed or sent with.

/// A text that is shown to nobody by accident: `{:?}` writes dots, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without this secret, where somebody else wrote it into what will be shown.
    #[must_use]
    pub fn blot(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "xxxxx") }
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_show() {
        let key = Hidden::new("s3cr3t");
        assert_eq!(format!("{key:?}"), "..");
        assert_eq!(key.blot("your key s3cr3t is wrong"), "your key xxxxx is wrong");
        assert_eq!(Hidden::new("").blot("as it is"), "as it is");
    }
}

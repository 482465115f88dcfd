//! The one error of this crate.

/// What is wrong with a digest, reference, platform or document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not `algorithm:hex`, or an algorithm that is not supported.
    #[error("`{text}` is not a digest: {reason}")]
    Digest {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Not an image name.
    #[error("`{text}` is not a valid image name: {reason}")]
    Reference {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Not `os[/architecture[/variant]]`.
    #[error("`{text}` is not a platform: {reason}")]
    Platform {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A manifest, index or configuration that is no valid JSON of its kind.
    #[error("the {what} cannot be read")]
    Document {
        /// Which kind of document.
        what: &'static str,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest, index or configuration that is valid JSON but breaks a rule.
    #[error("the {what} is not valid: {reason}")]
    Invalid {
        /// Which kind of document.
        what: &'static str,
        /// Which rule it breaks.
        reason: String,
    },
}

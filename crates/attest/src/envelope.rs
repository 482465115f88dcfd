//! Signed statements: DSSE envelopes (github.com/secure-systems-lab/dsse, envelope.md).
//!
//! ```json
//! {"payloadType": "application/vnd.in-toto+json", "payload": "BASE64", "signatures": [{"keyid": "...", "sig": "BASE64"}]}
//! ```
//!
//! What is inside is taken out; **no signature is checked**: whoever shows it must say so.

use crate::storage::STATEMENT;
use crate::{Error, Result};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
}

/// Whether a blob of this media type is an envelope: `application/vnd.in-toto.KIND+dsse`, or the type that cosign writes.
pub(crate) fn is_envelope(media_type: &str) -> bool {
    let kind = media_type.strip_prefix("application/vnd.in-toto.");
    kind.is_some_and(|kind| kind.ends_with("+dsse")) || media_type == "application/vnd.dsse.envelope.v1+json"
}

/// The statement in an envelope, unchecked.
///
/// # Errors
/// [`Error::Envelope`].
pub fn payload(envelope: &[u8]) -> Result<Vec<u8>> {
    let wrong = |reason: String| Error::Envelope { reason };
    let envelope: Envelope =
        serde_json::from_slice(envelope).map_err(|error| wrong(format!("is no JSON of one: {error}")))?;
    if envelope.payload_type != STATEMENT {
        return Err(wrong(format!("holds `{}` and no statement", envelope.payload_type)));
    }
    // Either alphabet, with or without padding.
    let url_safe = envelope.payload.contains(['-', '_']);
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(if url_safe { &URL_SAFE } else { &STANDARD }, config)
        .decode(envelope.payload)
        .map_err(|error| wrong(format!("has a payload that is no base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_an_envelope_is_taken_out() {
        let envelope = |kind: &str, payload: &str| {
            format!(r#"{{"payloadType": "{kind}", "payload": "{payload}", "signatures": []}}"#)
        };
        for payload in ["fn5+Pz8/Pw==", "fn5-Pz8_Pw==", "fn5+Pz8/Pw", "fn5-Pz8_Pw"] {
            assert_eq!(
                super::payload(envelope(STATEMENT, payload).as_bytes()).unwrap(),
                b"~~~????",
                "{payload}"
            );
        }
        for (text, reason) in [
            (envelope("text/plain", ""), "holds `text/plain`"),
            (envelope(STATEMENT, "+-"), "no base64"),
            ("{}".to_owned(), "no JSON of one"),
        ] {
            let error = super::payload(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn envelopes_are_known_by_their_media_types() {
        for (kind, expected) in [
            ("application/vnd.in-toto.spdx+dsse", true),
            ("application/vnd.in-toto.provenance+dsse", true),
            ("application/vnd.dsse.envelope.v1+json", true),
            (STATEMENT, false),
            ("application/vnd.in-toto+dsse", false),
        ] {
            assert_eq!(is_envelope(kind), expected, "{kind}");
        }
    }
}

//! What a token of GitHub's runner says of itself. It is a JWT (RFC 7519), whose signature is the service's business:
//!
//! ```json
//! {"ac": "[{\"Scope\":\"refs/heads/main\",\"Permission\":3}]", "nbf": 1, "exp": 2}
//! ```

use crate::{Error, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use session::Hidden;
use std::time::{SystemTime, UNIX_EPOCH};

/// The bit of a permission to write.
const WRITE: u64 = 2;

/// A branch or a tag whose caches the token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) writable: bool,
}

/// The scopes of a token, in its order: caches of the first one are nearest.
pub(super) fn scopes(token: &Hidden, now: SystemTime) -> Result<Vec<Scope>> {
    let wrong = |reason: &str| Error::Setting {
        what: "the token of the GitHub Actions cache".to_owned(),
        reason: reason.to_owned(),
    };
    let payload = token.expose().split('.').nth(1).ok_or_else(|| wrong("it is no JSON Web Token"))?;
    let payload =
        BASE64.decode(payload.trim_end_matches('=')).map_err(|_| wrong("it is no JSON Web Token"))?;
    let claims: serde_json::Value =
        serde_json::from_slice(&payload).map_err(|_| wrong("it is no JSON Web Token"))?;
    let time = |name: &str| claims.get(name).and_then(serde_json::Value::as_f64);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    if time("exp").ok_or_else(|| wrong("it does not say how long it is good"))? < now {
        return Err(wrong("it has expired"));
    }
    if time("nbf").is_some_and(|begin| begin > now) {
        return Err(wrong("it is not good yet"));
    }
    let access = claims.get("ac").and_then(serde_json::Value::as_str);
    let access: serde_json::Value = access
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| wrong("it has no access controls"))?;
    let scopes = access.as_array().into_iter().flatten().filter_map(|entry| {
        let name = entry.get("Scope")?.as_str()?.to_owned();
        let permission = entry.get("Permission").and_then(serde_json::Value::as_u64).unwrap_or_default();
        Some(Scope { name, writable: permission & WRITE != 0 })
    });
    Ok(scopes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn token(claims: &str) -> Hidden {
        Hidden::new(format!("h.{}.s", BASE64.encode(claims)))
    }

    #[test]
    fn scopes_and_times() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let good = r#"{"ac":"[{\"Scope\":\"refs/heads/x\",\"Permission\":3},{\"Scope\":\"refs/heads/main\",\"Permission\":1}]","nbf":99,"exp":101}"#;
        let found = scopes(&token(good), now).unwrap();
        let flat: Vec<(&str, bool)> = found.iter().map(|s| (s.name.as_str(), s.writable)).collect();
        assert_eq!(flat, [("refs/heads/x", true), ("refs/heads/main", false)]);
        for (claims, reason) in [
            (r#"{"ac":"[]","exp":99}"#, "it has expired"),
            (r#"{"ac":"[]","nbf":101,"exp":200}"#, "it is not good yet"),
            (r#"{"ac":"[]"}"#, "it does not say how long it is good"),
            (r#"{"exp":200}"#, "it has no access controls"),
            ("no json", "it is no JSON Web Token"),
        ] {
            assert!(scopes(&token(claims), now).unwrap_err().to_string().ends_with(reason), "{claims}");
        }
        assert!(scopes(&Hidden::new("s3cr3t"), now).unwrap_err().to_string().ends_with("no JSON Web Token"));
    }
}

//! Amazon's files of profiles, `~/.aws/credentials` and `~/.aws/config`:
//!
//! ```ini
//! [default]                     # in config also [profile NAME]
//! aws_access_key_id = AKIA...   ; comments begin with # or ;
//! aws_secret_access_key = ...
//! region = eu-west-1
//! s3 =
//!   addressing_style = path     # indented: belongs to the line before, and is left out here
//! ```

use super::Credentials;
use session::Hidden;
use std::collections::BTreeMap;

/// What a profile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its key.
    pub credentials: Option<Credentials>,
    /// Its region.
    pub region: Option<String>,
    /// A way to a key that is not understood here: the name of its setting.
    pub other_way: Option<String>,
}

/// Ways to a key that take a program, a browser or another service.
const OTHER_WAYS: &[&str] = &[
    "credential_process",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "credential_source",
];

/// The profile of this name, by the text of the credentials file and of the config file; the former counts first.
#[must_use]
pub fn profile(name: &str, credentials: &str, config: &str) -> Profile {
    let mut settings = section(config, |header| {
        header == name && name == "default" || header.strip_prefix("profile ").map(str::trim) == Some(name)
    });
    settings.extend(section(credentials, |header| header == name));
    let mut take = |name: &str| settings.remove(name).filter(|value| !value.is_empty());
    let key = take("aws_access_key_id").zip(take("aws_secret_access_key"));
    let token = take("aws_session_token");
    Profile {
        credentials: key.map(|(access_key_id, secret)| Credentials {
            access_key_id,
            secret_access_key: Hidden::new(secret),
            session_token: token.map(Hidden::new),
        }),
        region: take("region"),
        other_way: OTHER_WAYS.iter().find(|way| take(way).is_some()).map(|way| (*way).to_owned()),
    }
}

/// The settings of all sections whose header is wanted, names in lower case; the last of equal names counts.
fn section(text: &str, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let (mut settings, mut inside) = (BTreeMap::new(), false);
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(header) = line.trim().strip_prefix('[') {
            inside = wanted(header.split(']').next().unwrap_or_default().trim());
        } else if let Some((name, value)) = line.split_once('=').filter(|_| inside) {
            // A comment stands after a space; a key may have the sign in it.
            let value = [" #", " ;", "\t#"]
                .iter()
                .fold(value, |value, sign| value.split(sign).next().unwrap_or(value));
            settings.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "\
# kept by hand
[default]
aws_access_key_id = AKIA1
aws_secret_access_key=a#b=c/d   ; old
[ci]
AWS_ACCESS_KEY_ID=AKIA2
aws_secret_access_key = two
aws_session_token = tok
";
    const CONFIG: &str = "\
[default]
region = eu-west-1
s3 =
  region = nested
[profile ci]
region = us-east-2
aws_secret_access_key = loses
[profile sso]
sso_start_url = https://example.com
";

    fn key(profile: &Profile) -> (String, String, bool) {
        let key = profile.credentials.clone().unwrap();
        (key.access_key_id, key.secret_access_key.expose().to_owned(), key.session_token.is_some())
    }

    #[test]
    fn profiles_of_both_files() {
        let found = profile("default", CREDENTIALS, CONFIG);
        assert_eq!(key(&found), ("AKIA1".into(), "a#b=c/d".into(), false));
        assert_eq!(found.region.as_deref(), Some("eu-west-1"));
        let found = profile("ci", CREDENTIALS, CONFIG);
        assert_eq!(key(&found), ("AKIA2".into(), "two".into(), true));
        assert_eq!(found.region.as_deref(), Some("us-east-2"));
        let found = profile("sso", CREDENTIALS, CONFIG);
        assert_eq!((found.credentials, found.other_way.as_deref()), (None, Some("sso_start_url")));
        assert_eq!(profile("none", CREDENTIALS, CONFIG), Profile::default());
    }
}

//! Caches in stores of objects: attributes, and what the environment and a user's files add, to plain settings.
//!
//! | type | attributes |
//! |---|---|
//! | `s3` | `bucket`, `region`, `prefix`, `blobs_prefix`, `manifests_prefix`, `name` (several by `;`), `endpoint_url`, `use_path_style`, `access_key_id`, `secret_access_key`, `session_token`, `touch_refresh`, `upload_parallelism`, `retry_max_attempts`; `retry_mode` and `disable_accept_encoding` have no effect |
//! | `gha` | `scope`, `token`, `url`, `url_v2`, `version`, `timeout`; `repository` and `ghtoken` have no effect |
//! | `azblob` | `account_url`, `account_name`, `secret_access_key`, `container`, `prefix`, `blobs_prefix`, `manifests_prefix`, `name` (several by `;`) |
//!
//! Names and defaults are BuildKit's. A key that is not among the attributes comes from the environment or a profile, as
//! with Amazon's own tools; GitHub's runner says in the environment where its cache is, and outside of a run such a cache
//! is left out.

use super::super::output::boolean;
use super::attributes::Attributes;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use objects::s3::{self, Credentials, Key, Profile, Token};
use objects::{Objects, Options, actions, azure};
use session::Hidden;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A file of settings is not larger.
const LARGEST_FILE: u64 = 1 << 20;
/// How long a request without a blob may take when a cache is written.
const PATIENCE: Duration = Duration::from_secs(300);
/// And when one is read, which the build can do without.
const IMPATIENCE: Duration = Duration::from_secs(30);

/// A cache in a store of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    settings: Settings,
    /// How often a request is tried, where that was said.
    attempts: Option<u32>,
    /// How long a request without a blob may take, where that was said.
    timeout: Option<Duration>,
}

/// What the attributes lead to.
pub(super) enum Given {
    /// A cache.
    Service(Service),
    /// Nothing here, which is said and no error: why.
    LeftOut(&'static str),
    /// No type that is in a store of objects.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Settings {
    S3(Box<s3::Settings>),
    Actions(actions::Settings),
    Azure(Box<azure::Settings>),
}

/// Whether a cache is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

impl Service {
    /// Reads the attributes of a type of cache that is in a store of objects.
    ///
    /// # Errors
    /// A wrong command line; no key to the service, which has the exit code 1.
    pub(super) fn parse(
        kind: &str,
        attributes: &mut Attributes,
        environment: &Environment,
    ) -> Outcome<Given> {
        let (mut attempts, mut timeout) = (None, None);
        let settings = match kind {
            "s3" => {
                let tries = attributes.count("retry_max_attempts")?;
                attempts = tries.map(|tries| u32::try_from(tries).unwrap_or(u32::MAX));
                Settings::S3(Box::new(amazon(attributes, environment)?))
            }
            "gha" => {
                timeout = Some(attributes.duration("timeout", Duration::from_secs(600))?);
                match github(attributes, environment)? {
                    Some(settings) => Settings::Actions(settings),
                    None => {
                        return Ok(Given::LeftOut(
                            "this is no run of GitHub Actions: there is no token or no URL",
                        ));
                    }
                }
            }
            "azblob" => Settings::Azure(Box::new(microsoft(attributes, environment)?)),
            _ => return Ok(Given::Other),
        };
        Ok(Given::Service(Self { settings, attempts, timeout }))
    }

    /// What the progress calls the writing of it.
    pub(super) fn writing(&self) -> &'static str {
        match self.settings {
            Settings::S3(_) => "exporting cache to Amazon S3",
            Settings::Actions(_) => "exporting to GitHub Actions Cache",
            Settings::Azure(_) => "exporting cache to Azure Blob Storage",
        }
    }

    /// The store. `web`: how the network is reached; `wanted`: whether the build still goes on.
    pub(super) fn open(
        &self,
        purpose: Use,
        web: web::Settings,
        wanted: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome<Arc<dyn Objects>> {
        let mut options = Options { web, limit: PATIENCE, wanted };
        if purpose == Use::Read {
            options.limit = IMPATIENCE;
            let timeouts = &mut options.web.timeouts;
            timeouts.connect = timeouts.connect.min(Duration::from_secs(5));
            timeouts.stall = timeouts.stall.min(Duration::from_secs(10));
            options.web.retry.attempts = options.web.retry.attempts.min(2);
            options.web.retry.longest_delay = Duration::from_secs(2);
        }
        if let Some(timeout) = self.timeout {
            options.limit = if purpose == Use::Read { timeout.min(options.limit) } else { timeout };
            // The service says when to come back, and the limit is for all tries.
            options.web.retry.attempts = options.web.retry.attempts.saturating_mul(4);
            options.web.retry.longest_delay = options.limit;
        }
        if let Some(attempts) = self.attempts {
            options.web.retry.attempts = attempts;
        }
        Ok(match &self.settings {
            Settings::S3(settings) => Arc::new(s3::Store::new((**settings).clone(), options)?),
            Settings::Actions(settings) => Arc::new(actions::Store::new(settings.clone(), options)?),
            Settings::Azure(settings) => Arc::new(azure::Store::new((**settings).clone(), options)?),
        })
    }
}

/// The cache of GitHub Actions, as buildx finds it; nothing where there is no token or no URL.
fn github(attributes: &mut Attributes, environment: &Environment) -> Outcome<Option<actions::Settings>> {
    let is_true = |text: &str| boolean("ACTIONS_CACHE_SERVICE_V2", "it", text).unwrap_or(false);
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    for unused in ["repository", "ghtoken"] {
        attributes.take(unused);
    }
    let version = match attributes.take("version").as_deref() {
        None => variable("ACTIONS_CACHE_SERVICE_V2").filter(|text| is_true(text)).map(|_| 2),
        Some("1") => Some(1),
        Some("2") => Some(2),
        Some(_) => return Err(attributes.wrong("version is 1 or 2")),
    };
    let scope = attributes.take("scope").unwrap_or_else(|| "buildkit".to_owned());
    let token = attributes.take("token").or_else(|| variable("ACTIONS_RUNTIME_TOKEN"));
    let second = attributes
        .take("url_v2")
        .or_else(|| variable("ACTIONS_RESULTS_URL").filter(|_| version == Some(2)))
        .filter(|_| version != Some(1));
    let first = attributes
        .take("url")
        .or_else(|| variable("ACTIONS_CACHE_URL"))
        .or_else(|| variable("ACTIONS_RESULTS_URL"));
    let (url, version) = match (second, first) {
        (Some(url), _) => (url, actions::Version::V2),
        (None, Some(url))
            if version != Some(1) && url.contains("results-receiver.actions.githubusercontent.com") =>
        {
            (url, actions::Version::V2)
        }
        (None, Some(url)) => (url, actions::Version::V1),
        (None, None) => return Ok(None),
    };
    let settings = |token| actions::Settings { url, version, token: Hidden::new(token), scope };
    Ok(token.map(settings))
}

/// A container in Azure's blob storage.
fn microsoft(attributes: &mut Attributes, environment: &Environment) -> Outcome<azure::Settings> {
    let given = |attributes: &mut Attributes, key: &str, variable: &str| {
        attributes.take(key).or_else(|| environment.get(variable).map(str::to_owned))
    };
    let account_url =
        given(attributes, "account_url", "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL").ok_or_else(|| {
            attributes.wrong("type=azblob needs an account_url (or BUILDKIT_AZURE_STORAGE_ACCOUNT_URL)")
        })?;
    let account = given(attributes, "account_name", "BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME").or_else(|| {
        let (_, rest) = account_url.split_once("://")?;
        rest.split(['.', '/', ':']).next().map(str::to_owned)
    });
    let container = given(attributes, "container", "BUILDKIT_AZURE_STORAGE_CONTAINER");
    let prefix = given(attributes, "prefix", "BUILDKIT_AZURE_STORAGE_PREFIX").unwrap_or_default();
    let key = attributes.take("secret_access_key");
    let settings = azure::Settings {
        account: account.unwrap_or_default(),
        key: Hidden::new(key.clone().unwrap_or_default()),
        container: container.unwrap_or_else(|| "buildkit-cache".to_owned()),
        prefix,
        blobs_prefix: attributes.take("blobs_prefix").unwrap_or_else(|| "blobs".to_owned()),
        manifests_prefix: attributes.take("manifests_prefix").unwrap_or_else(|| "manifests".to_owned()),
        names: names(attributes),
        account_url,
    };
    if key.is_none() {
        let account = &settings.account;
        return Err(CommandError::new(format!("there is no key to the storage account `{account}`"))
            .hint("give it as secret_access_key; identities of Azure's are not supported"));
    }
    Ok(settings)
}

fn amazon(attributes: &mut Attributes, environment: &Environment) -> Outcome<s3::Settings> {
    let given = |attributes: &mut Attributes, key: &str, variable: &str| {
        attributes.take(key).or_else(|| environment.get(variable).map(str::to_owned))
    };
    let bucket = given(attributes, "bucket", "AWS_BUCKET")
        .ok_or_else(|| attributes.wrong("type=s3 needs a bucket (or AWS_BUCKET in the environment)"))?;
    let region = given(attributes, "region", "AWS_REGION");
    let key = attributes.take("access_key_id").zip(attributes.take("secret_access_key"));
    let token = attributes.take("session_token");
    let prefix = attributes.take("prefix").unwrap_or_default();
    let blobs_prefix = attributes.take("blobs_prefix").unwrap_or_else(|| "blobs/".to_owned());
    let manifests_prefix = attributes.take("manifests_prefix").unwrap_or_else(|| "manifests/".to_owned());
    let names = names(attributes);
    let endpoint = attributes.take("endpoint_url").or_else(|| {
        let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
        variables.iter().find_map(|name| environment.get(name)).map(str::to_owned)
    });
    let path_style = attributes.boolean("use_path_style", false)?;
    let touch_refresh = attributes.duration("touch_refresh", Duration::from_secs(24 * 3600))?;
    let parallel = attributes.count("upload_parallelism")?.unwrap_or(4);
    attributes.boolean("disable_accept_encoding", false)?;
    if let Some(mode) = attributes.take("retry_mode")
        && !matches!(mode.as_str(), "standard" | "adaptive")
    {
        return Err(attributes.wrong("retry_mode is standard or adaptive"));
    }
    let profile = profile(environment);
    let region = region.or_else(|| profile.region.clone());
    let region = region
        .ok_or_else(|| attributes.wrong("type=s3 needs a region (or AWS_REGION in the environment)"))?;
    let key = match key {
        Some((access_key_id, secret)) => {
            let (secret_access_key, session_token) = (Hidden::new(secret), token.map(Hidden::new));
            Key::Own(Credentials { access_key_id, secret_access_key, session_token })
        }
        None => amazon_key(&bucket, environment, profile)?,
    };
    Ok(s3::Settings {
        bucket,
        region,
        prefix,
        blobs_prefix,
        manifests_prefix,
        names,
        endpoint,
        path_style,
        key,
        touch_refresh,
        parallel,
    })
}

/// The names of a cache's document.
fn names(attributes: &mut Attributes) -> Vec<String> {
    let name = attributes.take("name").filter(|name| !name.is_empty());
    name.map_or_else(|| vec!["buildkit".to_owned()], |name| name.split(';').map(str::to_owned).collect())
}

/// The profile that the environment names, by the files that it names.
fn profile(environment: &Environment) -> Profile {
    let folder = environment.home().join(".aws");
    let read = |variable: &str, name: &str| {
        read(&environment.get(variable).map_or_else(|| folder.join(name), Into::into))
    };
    s3::profile(
        environment.get("AWS_PROFILE").unwrap_or("default"),
        &read("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        &read("AWS_CONFIG_FILE", "config"),
    )
}

/// A small file's text; nothing where it is missing or is none.
fn read(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).map(|file| file.take(LARGEST_FILE));
    let read = file.and_then(|mut file| file.read_to_string(&mut text));
    if read.is_ok() { text } else { String::new() }
}

/// The key by the environment or the profile, in the order of Amazon's own tools: a key in the environment, a token for a
/// role, the profile's key, the service beside the container.
fn amazon_key(bucket: &str, environment: &Environment, profile: Profile) -> Outcome<Key> {
    let key = environment.get("AWS_ACCESS_KEY_ID").zip(environment.get("AWS_SECRET_ACCESS_KEY"));
    if let Some((id, secret)) = key {
        return Ok(Key::Own(Credentials {
            access_key_id: id.to_owned(),
            secret_access_key: Hidden::new(secret),
            session_token: environment.get("AWS_SESSION_TOKEN").map(Hidden::new),
        }));
    }
    if let Some((token, role)) =
        environment.get("AWS_WEB_IDENTITY_TOKEN_FILE").zip(environment.get("AWS_ROLE_ARN"))
    {
        let endpoints = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];
        return Ok(Key::WebIdentity {
            role: role.to_owned(),
            session: environment.get("AWS_ROLE_SESSION_NAME").unwrap_or("jettison").to_owned(),
            token_file: token.into(),
            endpoint: endpoints.iter().find_map(|name| environment.get(name)).map(str::to_owned),
        });
    }
    if let Some(credentials) = profile.credentials {
        return Ok(Key::Own(credentials));
    }
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = relative.map(|path| format!("http://169.254.170.2{path}"));
    let full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI").map(str::to_owned);
    if let Some(url) = url.or(full) {
        let file =
            environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Token::File(path.into()));
        let text =
            environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|text| Token::Text(Hidden::new(text)));
        return Ok(Key::Container { url, token: file.or(text) });
    }
    // A way that Amazon's own tools know besides.
    let other = profile.other_way.map(|way| format!("; `{way}` is not supported")).unwrap_or_default();
    Err(CommandError::new(format!("there is no key to the S3 bucket `{bucket}`{other}")).hint(
        "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws configure export-credentials --format env` \
         prints them for any profile, role or instance",
    ))
}

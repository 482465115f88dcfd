//! What a lowering is told, and what it asks of others.

use dockerfile::ignore::Patterns;
use graph::{GitOp, HttpOp, Network, Ulimit};
use oci::{Digest, ImageConfig, Platform};
use std::collections::BTreeMap;

/// An error of whoever stands behind a trait.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a Dockerfile is lowered.
#[derive(Clone, Debug)]
pub struct Options {
    /// The stage to build; nothing is the last.
    pub target: Option<String>,
    /// `--build-arg`, values resolved, in order.
    pub build_args: Vec<(String, String)>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// The platform of the result.
    pub platform: Platform,
    /// The platform of this machine.
    pub build_platform: Platform,
    /// Whether steps are shown with the platform, since there are others in the same build.
    pub show_platform: bool,
    /// Run every step.
    pub no_cache: bool,
    /// Run every step of these stages.
    pub no_cache_filter: Vec<String>,
    /// What the build context is.
    pub context: MainContext,
    /// `--build-context` by name.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The network of steps that do not say.
    pub network: Network,
    /// `--add-host`.
    pub extra_hosts: Vec<(String, String)>,
    /// `--shm-size` in bytes; 0 is the default.
    pub shm_size: u64,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// Whether steps see the host's certificate authorities.
    pub trust_host_ca: bool,
    /// Whether `RUN --network=host` was allowed.
    pub allow_host_network: bool,
    /// Whether `RUN --security=insecure` was allowed.
    pub allow_insecure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: None,
            build_args: Vec::new(),
            labels: Vec::new(),
            platform: Platform::host(),
            build_platform: Platform::host(),
            show_platform: false,
            no_cache: false,
            no_cache_filter: Vec::new(),
            context: MainContext::Local,
            contexts: BTreeMap::new(),
            network: Network::Default,
            extra_hosts: Vec::new(),
            shm_size: 0,
            ulimits: Vec::new(),
            trust_host_ca: false,
            allow_host_network: false,
            allow_insecure: false,
        }
    }
}

/// What stands in place of a stage, an image or a `--from` of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A local folder; the executor knows it by the context's name.
    Local,
    /// An image, by its name, or in an OCI layout by `oci-layout://FOLDER[:TAG|@DIGEST]`.
    Image(String),
    /// A repository.
    Git(GitOp),
    /// A file by its URL, called `context`; it is not unpacked.
    Http(HttpOp),
}

/// What the build context is: what COPY without `--from` takes files from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MainContext {
    /// A local folder; the executor knows it as `context`.
    #[default]
    Local,
    /// A repository.
    Git(GitOp),
    /// A file by its URL that is an archive, unpacked.
    Archive(HttpOp),
    /// Any other file by its URL.
    File(HttpOp),
}

/// A base image, resolved.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// Its complete name.
    pub reference: String,
    /// What its name stands for in a registry or a layout: an index that it was chosen from, or its manifest.
    pub resolved: Option<Digest>,
    /// The manifest it is pinned to, where it came from a registry.
    pub manifest: Option<Digest>,
    /// The digest of its configuration.
    pub id: Digest,
    /// Its configuration.
    pub config: ImageConfig,
}

/// Something that may have a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dated<'a> {
    /// The build context.
    Context,
    /// A named context.
    Named(&'a str),
    /// What one ADD takes from elsewhere.
    Remote {
        /// Its URL, or that of a repository.
        url: &'a str,
        /// `--checksum`.
        checksum: Option<&'a str>,
    },
}

/// Who knows images' configurations.
pub trait MetaResolver {
    /// Resolves an image as a Dockerfile names it. Asked once for each name and platform; the answer holds for the
    /// whole build.
    fn image(&self, reference: &str, platform: &Platform) -> Result<BaseImage, BoxError>;

    /// An image that is known at no cost, for [`crate::check()`] and [`crate::outline()`], which resolve nothing. They
    /// ask for every base.
    fn at_hand(&self, _reference: &str, _platform: &Platform) -> Option<BaseImage> {
        None
    }

    /// The environment of an image, `NAME=VALUE` each, as far as it can be had without asking anyone outside. A check
    /// asks for it when a variable is in doubt.
    fn environment(&self, _reference: &str, _platform: &Platform) -> Option<Vec<String>> {
        None
    }

    /// When something was last changed, in seconds since 1970: the commit of a repository, Last-Modified of a URL.
    /// Folders and images have no such time. Asked for SOURCE_DATE_EPOCH alone.
    fn modified(&self, _dated: Dated<'_>) -> Result<Option<u64>, BoxError> {
        Ok(None)
    }

    /// What is left out of the build context, if anything is: for the rule CopyIgnoredFile, which tells of sources
    /// that cannot be found for that reason.
    fn ignored(&self) -> Option<&Patterns> {
        None
    }
}

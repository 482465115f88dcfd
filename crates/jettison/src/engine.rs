//! What commands work with, opened when it is first needed: the store, the registry client, layers' forms.

use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use export::place::{LayoutName, Place};
use oci::{Descriptor, Hasher, Reference};
use registry::{Client, Credential, Credentials, DaemonConf, RegistriesConf};
use snapshot::{BoxError, Fetcher, Forms};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use store::Store;

/// How registries are spoken to, as flags have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistryFlags {
    /// `--tls-verify=false`.
    pub(crate) insecure: bool,
    /// Hosts that may speak HTTP, or have a certificate that nobody vouches for.
    pub(crate) insecure_hosts: Vec<String>,
    /// `--authfile`.
    pub(crate) auth_file: Option<PathBuf>,
    /// `--creds USER:PASSWORD`.
    pub(crate) credentials: Option<(String, String)>,
}

impl RegistryFlags {
    /// Reads the flags that every command has that speaks to registries.
    pub(crate) fn from_args(args: &crate::cli::RegistryArgs) -> Outcome<Self> {
        let credentials = args
            .creds
            .as_deref()
            .map(|text| {
                let (user, password) =
                    text.split_once(':').ok_or_else(|| CommandError::usage("--creds takes USER:PASSWORD"))?;
                Ok::<_, CommandError>((user.to_owned(), password.to_owned()))
            })
            .transpose()?;
        Ok(Self {
            insecure: !args.tls_verify,
            auth_file: args.authfile.clone(),
            credentials,
            insecure_hosts: Vec::new(),
        })
    }
}

/// One command's tools.
pub(crate) struct Engine {
    pub(crate) environment: Environment,
    pub(crate) registry_flags: RegistryFlags,
    store: OnceLock<Store>,
    /// Whether the command removes things, for which there is room on a full disk too.
    removes: bool,
    client: Arc<LazyClient>,
}

/// A client that is made when something is first asked of it.
struct LazyClient {
    options: Mutex<Option<registry::Options>>,
    client: OnceLock<Client>,
}

impl LazyClient {
    fn get(&self) -> registry::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        if self.client.get().is_none() {
            let client = Client::new(options.take().unwrap_or_default())?;
            let _ = self.client.set(client);
        }
        Ok(self.client.get().expect("because it was just set under the lock"))
    }
}

/// Fetches blobs for layers.
struct RegistryFetcher(Arc<LazyClient>);

impl Fetcher for RegistryFetcher {
    fn fetch(
        &self,
        reference: &str,
        descriptor: &Descriptor,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<(), BoxError> {
        if let Some(layout) = reference.strip_prefix("oci-layout://") {
            return Ok(Place::Layout(LayoutName::parse(layout)?).blob(descriptor, sink, progress)?);
        }
        let reference: Reference = reference.parse()?;
        Ok(self.0.get()?.blob(&reference, descriptor, Hasher::new(), sink, progress)?)
    }
}

impl Engine {
    /// Tools that are not opened yet.
    pub(crate) fn new(environment: Environment, registry_flags: RegistryFlags) -> Self {
        let options = registry_options(&environment, &registry_flags);
        let client = Arc::new(LazyClient { options: Mutex::new(Some(options)), client: OnceLock::new() });
        Self { environment, registry_flags, store: OnceLock::new(), removes: false, client }
    }

    /// Tools of a command that removes things from the store.
    pub(crate) fn to_remove(environment: Environment) -> Self {
        Self { removes: true, ..Self::new(environment, RegistryFlags::default()) }
    }

    /// The store, opened.
    pub(crate) fn store(&self) -> Outcome<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let options = crate::commands::rootless::store_options(&self.environment);
        let store = if self.removes { Store::open_to_remove(options) } else { Store::open(options) }?;
        Ok(self.store.get_or_init(|| store))
    }

    /// The registry client. `host` is the registry that `--creds` is meant for, if it is given.
    pub(crate) fn client(&self, host: &str) -> Outcome<&Client> {
        if let Some((user, password)) = &self.registry_flags.credentials {
            let mut options = self.client.options.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(options) = options.as_mut() {
                let credential = Credential::Basic { user: user.clone(), password: password.clone() };
                options.credentials.explicit.insert(host.to_owned(), credential);
            }
        }
        Ok(self.client.get()?)
    }

    /// A registry client of its own that soon gives up: for what a build can do without.
    pub(crate) fn impatient_client(&self, host: &str) -> Outcome<Client> {
        let mut options = registry_options(&self.environment, &self.registry_flags);
        if let Some((user, password)) = &self.registry_flags.credentials {
            let credential = Credential::Basic { user: user.clone(), password: password.clone() };
            options.credentials.explicit.insert(host.to_owned(), credential);
        }
        options.timeouts.connect = Duration::from_secs(5);
        options.timeouts.stall = Duration::from_secs(10);
        options.retry.attempts = 2;
        options.retry.longest_delay = Duration::from_secs(2);
        Ok(Client::new(options)?)
    }

    /// How URLs are reached.
    pub(crate) fn web(&self) -> web::Settings {
        web::Settings {
            proxies: proxies(&self.environment),
            user_agent: USER_AGENT.to_owned(),
            ..web::Settings::default()
        }
    }

    /// How repositories are reached.
    pub(crate) fn git(&self) -> source::git::GitOptions {
        let environment = &self.environment;
        let folders = environment.program_folders();
        let names = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"];
        source::git::GitOptions {
            program: folders.iter().map(|folder| folder.join("git")).find(|program| program.is_file()),
            path: std::env::join_paths(&folders).unwrap_or_default(),
            proxies: names
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), proxy(environment, name)?)))
                .collect(),
            authorities: environment.get("SSL_CERT_FILE").map(PathBuf::from),
            known_hosts: Some(environment.home().join(".ssh/known_hosts")).filter(|path| path.is_file()),
        }
    }

    /// Who fetches blobs.
    pub(crate) fn fetcher(&self) -> Arc<dyn Fetcher> {
        Arc::new(RegistryFetcher(self.client.clone()))
    }

    /// The forms of the store's layers.
    pub(crate) fn forms(&self) -> Outcome<Forms> {
        Ok(Forms::new(self.store()?.clone(), self.fetcher(), crate::commands::rootless::single_id(), 3))
    }

    /// The bundle of the host's certificate authorities.
    pub(crate) fn host_ca(&self) -> Option<Vec<u8>> {
        self.environment.ca_bundles().into_iter().find_map(|path| std::fs::read(path).ok())
    }
}

/// What flags, files and environment say of registries.
fn registry_options(environment: &Environment, flags: &RegistryFlags) -> registry::Options {
    let mut paths: Vec<PathBuf> = flags.auth_file.iter().cloned().collect();
    paths.extend(environment.auth_files());
    let mut credentials =
        Credentials { files: paths, helper_dirs: environment.program_folders(), ..Credentials::default() };
    if let Some(inline) = environment.get("DOCKER_AUTH_CONFIG") {
        credentials.inline = Some(registry::credentials::Inline(inline.to_owned()));
    }
    let registries = environment
        .registries_conf()
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .and_then(|text| RegistriesConf::parse(&text).ok())
        .unwrap_or_default();
    let daemon = std::fs::read_to_string("/etc/docker/daemon.json")
        .ok()
        .and_then(|text| DaemonConf::parse(&text).ok())
        .unwrap_or_default();
    registry::Options {
        registries,
        daemon_mirrors: daemon.registry_mirrors,
        insecure: daemon.insecure_registries.into_iter().chain(flags.insecure_hosts.clone()).collect(),
        insecure_all: flags.insecure,
        certs_dirs: vec![
            environment.config_home().join("containers/certs.d"),
            "/etc/containers/certs.d".into(),
            "/etc/docker/certs.d".into(),
        ],
        credentials,
        proxies: proxies(environment),
        user_agent: USER_AGENT.to_owned(),
        ..registry::Options::default()
    }
}

/// What servers know us by.
const USER_AGENT: &str = concat!("jettison/", env!("CARGO_PKG_VERSION"));

fn proxies(environment: &Environment) -> web::Proxies {
    web::Proxies {
        http: proxy(environment, "http_proxy"),
        https: proxy(environment, "https_proxy"),
        none: proxy(environment, "no_proxy").unwrap_or_default(),
    }
}

fn proxy(environment: &Environment, name: &str) -> Option<String> {
    environment.get(name).or_else(|| environment.get(&name.to_uppercase())).map(str::to_owned)
}

//! What commands work with, opened when it is first needed: the store, the registry client, layers' forms.

use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::servers;
use export::place::{LayoutName, Place};
use oci::{Descriptor, Hasher, Reference};
use registry::{Client, Credential};
use snapshot::{BoxError, Fetcher, Forms};
use std::collections::BTreeMap;
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
        if let Some(file) = args.authfile.as_ref().filter(|file| !file.exists()) {
            return Err(CommandError::usage(format!("--authfile: there is no file `{}`", file.display())));
        }
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
    pub(crate) environment: Arc<Environment>,
    pub(crate) registry_flags: RegistryFlags,
    store: OnceLock<Store>,
    /// Whether the command removes things, for which there is room on a full disk too.
    removes: bool,
    client: Arc<LazyClient>,
    lent: Arc<OnceLock<Vec<Arc<dyn BlobSource>>>>,
}

/// A client that is made when something is first asked of it.
struct LazyClient {
    environment: Arc<Environment>,
    flags: RegistryFlags,
    /// Credentials by host, known before the client is.
    explicit: Mutex<BTreeMap<String, Credential>>,
    client: OnceLock<Client>,
}

impl LazyClient {
    fn get(&self) -> registry::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let explicit = self.explicit.lock().unwrap_or_else(PoisonError::into_inner);
        if self.client.get().is_none() {
            let mut options = servers::registries(&self.environment, &self.flags)?;
            options.credentials.explicit.clone_from(&explicit);
            let _ = self.client.set(Client::new(options)?);
        }
        Ok(self.client.get().expect("because it was just set under the lock"))
    }
}

/// A place for blobs besides registries and layouts: a shared cache of the build.
pub(crate) trait BlobSource: Send + Sync {
    /// The name by which layers and messages know it.
    fn name(&self) -> String;
    /// Whether it has a blob.
    fn has(&self, descriptor: &Descriptor) -> bool;
    /// Writes a blob to `sink`, checked as it comes; nothing where the name leads to it without help.
    fn blob(
        &self,
        descriptor: &Descriptor,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Option<Result<(), BoxError>>;
}

/// Fetches blobs for layers: from shared caches of the build that have them, else from where they were promised.
struct BlobFetcher {
    client: Arc<LazyClient>,
    lent: Arc<OnceLock<Vec<Arc<dyn BlobSource>>>>,
}

impl BlobFetcher {
    fn lent(&self) -> &[Arc<dyn BlobSource>] {
        self.lent.get().map(Vec::as_slice).unwrap_or_default()
    }
}

impl Fetcher for BlobFetcher {
    fn sources(&self, reference: &str, descriptor: &Descriptor) -> Vec<String> {
        let having = self.lent().iter().filter(|source| source.has(descriptor));
        let mut sources: Vec<String> = having.map(|source| source.name()).collect();
        if !sources.iter().any(|known| known == reference) {
            sources.push(reference.to_owned());
        }
        sources
    }

    fn fetch(
        &self,
        reference: &str,
        descriptor: &Descriptor,
        taken: Hasher,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<(), BoxError> {
        let mut rest = Rest { sink: &mut *sink, passed: taken.size() };
        let lent = self.lent().iter().find(|source| source.name() == reference);
        if let Some(done) = lent.and_then(|source| source.blob(descriptor, &mut rest, progress)) {
            return done;
        }
        match reference.split_once("://") {
            Some(("oci-layout", layout)) => {
                return Ok(Place::Layout(LayoutName::parse(layout)?).blob(descriptor, &mut rest, progress)?);
            }
            Some(_) => return Err("it is a shared cache that this command was not given".into()),
            None => {}
        }
        let reference: Reference = reference.parse()?;
        Ok(self.client.get()?.blob(&reference, descriptor, taken, sink, progress)?)
    }
}

/// Passes over what is there already, for places that give a blob from its beginning.
struct Rest<'a> {
    sink: &'a mut dyn Write,
    /// How many bytes are still passed over.
    passed: u64,
}

impl Write for Rest<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let passed = usize::try_from(self.passed).unwrap_or(usize::MAX).min(bytes.len());
        self.sink.write_all(&bytes[passed..])?;
        self.passed -= passed as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

impl Engine {
    /// Tools that are not opened yet.
    pub(crate) fn new(environment: Environment, registry_flags: RegistryFlags) -> Self {
        let environment = Arc::new(environment);
        let client = Arc::new(LazyClient {
            environment: environment.clone(),
            flags: registry_flags.clone(),
            explicit: Mutex::default(),
            client: OnceLock::new(),
        });
        let lent = Arc::default();
        Self { environment, registry_flags, store: OnceLock::new(), removes: false, client, lent }
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
        if let Some(credential) = self.credential() {
            let mut explicit = self.client.explicit.lock().unwrap_or_else(PoisonError::into_inner);
            explicit.insert(host.to_owned(), credential);
        }
        Ok(self.client.get()?)
    }

    /// What `--creds` says.
    fn credential(&self) -> Option<Credential> {
        let (user, password) = self.registry_flags.credentials.clone()?;
        Some(Credential::Basic { user, password })
    }

    /// Options of a registry client that soon gives up: for what a build can do without.
    pub(crate) fn impatient_options(&self, host: &str) -> Outcome<registry::Options> {
        let mut options = servers::registries(&self.environment, &self.registry_flags)?;
        if let Some(credential) = self.credential() {
            options.credentials.explicit.insert(host.to_owned(), credential);
        }
        options.timeouts.connect = options.timeouts.connect.min(Duration::from_secs(5));
        options.timeouts.stall = options.timeouts.stall.min(Duration::from_secs(10));
        options.retry.attempts = options.retry.attempts.min(2);
        options.retry.longest_delay = Duration::from_secs(2);
        Ok(options)
    }

    /// How URLs are reached.
    pub(crate) fn web(&self) -> Outcome<web::Settings> {
        Ok(servers::web(&self.environment)?)
    }

    /// Who fetches blobs.
    pub(crate) fn fetcher(&self) -> Arc<dyn Fetcher> {
        Arc::new(BlobFetcher { client: self.client.clone(), lent: self.lent.clone() })
    }

    /// Lends the shared caches of a build to all fetchers.
    pub(crate) fn lend(&self, sources: Vec<Arc<dyn BlobSource>>) {
        let _ = self.lent.set(sources);
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

/// How repositories are reached.
pub(crate) fn git_options(environment: &Environment) -> source::git::GitOptions {
    let folders = environment.program_folders();
    let names = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"];
    source::git::GitOptions {
        program: folders.iter().map(|folder| folder.join("git")).find(|program| program.is_file()),
        path: std::env::join_paths(&folders).unwrap_or_default(),
        proxies: names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), servers::proxy(environment, name)?)))
            .collect(),
        authorities: environment.get("SSL_CERT_FILE").map(PathBuf::from),
        known_hosts: Some(environment.home().join(".ssh/known_hosts")).filter(|path| path.is_file()),
    }
}

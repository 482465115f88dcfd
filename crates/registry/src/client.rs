//! The client: a blocking face over asynchronous I/O.

use crate::auth::{Scopes, TokenServer};
use crate::credentials::Credential;
use crate::pull::Receiver;
use crate::push::Open;
use crate::request::{Call, Requests};
use crate::transport::{Subject, complaint};
use crate::{Error, Fetched, Options, Pushed, Resolved, Result};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use oci::{Descriptor, Digest, Hasher, Reference};
use std::future::Future;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use web::{Ask, Body};

/// Speaks to registries. Its methods block and may be called from many threads at once; connections, tokens and what
/// was learned of hosts are shared among them. Nothing is started, read or resolved before the first call; then two
/// threads move bytes, while each caller's own thread hashes and writes what it asked for.
pub struct Client {
    requests: Requests,
    runtime: Mutex<Option<Runtime>>,
    cancelled: watch::Sender<bool>,
}

impl Client {
    /// A client with these options. Fails on settings that cannot be used, such as a proxy that is no URL.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            requests: Requests::new(options)?,
            runtime: Mutex::default(),
            cancelled: watch::Sender::new(false),
        })
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.requests.options
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let handle = {
            let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
            if runtime.is_none() {
                let started = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .max_blocking_threads(8)
                    .thread_name("registry")
                    .enable_io()
                    .enable_time()
                    .build()
                    .map_err(Error::Runtime)?;
                *runtime = Some(started);
            }
            let started = runtime.as_ref().expect("because it was made just now if it was missing");
            started.handle().clone()
        };
        let mut cancelled = self.cancelled.subscribe();
        handle.block_on(async {
            tokio::select! {
                biased;
                // The sender lives as long as the client.
                _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Error::Cancelled),
                done = work => done,
            }
        })
    }

    /// Ends all calls that run now, and all later ones, with [`Error::Cancelled`]: for an interrupt.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// What a name means now, by its registry or a mirror: without the manifest's bytes where HEAD suffices.
    pub fn resolve(&self, reference: &Reference) -> Result<Resolved> {
        self.wait(self.requests.resolve(reference))
    }

    /// The manifest or index that a name means, up to [`oci::MAX_DOCUMENT`] bytes. Its digest was compared with the
    /// name's and with the registry's own word.
    pub fn manifest(&self, reference: &Reference) -> Result<Fetched> {
        self.wait(self.requests.manifest(reference))
    }

    /// Writes a blob of the reference's repository into `sink`. `have` has taken the bytes that are there already (a
    /// new [`Hasher`] for none); only the rest is fetched and written. `progress` is told how many of the blob's bytes
    /// are there so far. Size and digest are checked as bytes arrive, so that before an `Ok` the sink's content must
    /// not be used; after an error it holds what came until then, and may be taken up again by a hasher fed with it.
    pub fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        have: Hasher,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let receiver = Receiver { descriptor, hasher: have, sink, progress };
        self.wait(self.requests.blob(reference, receiver))
    }

    /// Whether the registry or a mirror has a blob in the reference's repository, without fetching it.
    pub fn has_blob(&self, reference: &Reference, digest: Digest) -> Result<bool> {
        self.wait(self.requests.has_blob(reference, digest))
    }

    /// Sees to it that the registry has a blob in the reference's repository. `mount_from` names another repository of
    /// the same registry that is known to have it. `progress` is told how many bytes were handed to the network; the
    /// number starts again if an upload does.
    pub fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        open: Open<'_>,
        mount_from: Option<&str>,
        progress: &dyn Fn(u64),
    ) -> Result<Pushed> {
        self.wait(self.requests.push_blob(reference, descriptor, open, mount_from, progress))
    }

    /// Puts a manifest or index under the reference's tag, or under its digest where it has no tag. What it names must
    /// be there already. Gives its digest.
    pub fn push_manifest(&self, reference: &Reference, bytes: &[u8], media_type: &str) -> Result<Digest> {
        self.wait(self.requests.push_manifest(reference, bytes, media_type))
    }

    /// All tags of the reference's repository, in the registry's order.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        self.wait(self.requests.tags(reference))
    }

    /// Checks credentials with the registry at `host` (`host[:port]`, or a URL), and gives what to keep: an identity
    /// token where the registry makes one, else the same credentials.
    pub fn login(&self, host: &str, credential: &Credential) -> Result<Credential> {
        self.wait(self.requests.login(host, credential))
    }
}

/// Does not wait for name lookups that still run.
impl Drop for Client {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.requests.options).finish_non_exhaustive()
    }
}

impl Requests {
    async fn login(&self, host: &str, credential: &Credential) -> Result<Credential> {
        let endpoint = self.options.host_endpoint(host)?;
        let what = "the login".to_owned();
        let scopes = Scopes::none();
        let call = Call { endpoint: &endpoint, what: &what, scopes: &scopes };
        let subject = call.subject();
        let ask =
            |headers: HeaderMap| Ask { method: Method::GET, headers, body: Body::Empty, limit: self.stall() };
        let options = &self.options;
        let (response, uri) = self.transport.ask(&endpoint, "/v2/", ask(HeaderMap::new()), subject).await?;
        match response.status() {
            // Open to all: there is nothing to check.
            StatusCode::OK if response.headers().contains_key("docker-distribution-api-version") => {
                return Ok(credential.clone());
            }
            StatusCode::OK | StatusCode::NOT_FOUND => {
                return Err(subject.not_a_registry(format!("`{uri}` is not a registry's")));
            }
            StatusCode::UNAUTHORIZED => {}
            _ => return Err(complaint(response, None, self.stall(), subject).await),
        }
        self.auth.challenged(&endpoint, &scopes, response.headers(), None).await;
        let Some(challenge) = self.auth.challenge(&endpoint.host).await else {
            return Err(subject.protocol("it asks for a login and does not say how"));
        };
        if challenge.scheme == "bearer" {
            let server = TokenServer {
                transport: &self.transport,
                options,
                endpoint: &endpoint,
                challenge: &challenge,
                subject,
            };
            return server.login(credential).await;
        }
        let Some(basic) = credential.basic() else {
            return Err(subject.protocol("it wants a user and a password, not a token"));
        };
        let mut value = HeaderValue::from_str(&basic).expect("because base64 is legal in headers");
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        let (response, _) = self.transport.ask(&endpoint, "/v2/", ask(headers), subject).await?;
        if response.status().is_success() {
            return Ok(credential.clone());
        }
        let subject = Subject { what: &what, ..subject };
        Err(complaint(response, Some(credential.user().to_owned()), self.stall(), subject).await)
    }
}

//! One build's worker: what it is told, what it opens when it is first needed, and the solver's traits.

use crate::content;
use crate::devices::{DeviceOptions, Registry};
use crate::select::Taken;
use crate::spool::Spools;
use crate::{Error, Result};
use dockerfile::ignore::Patterns;
use graph::{FileChange, GitOp, HttpOp, Key, KeyOp, Node, NodeId, Op};
use layer::{LayerId, View};
use network::{Network, NetworkOptions, Pool};
use oci::Digest;
use progress::{Progress, VertexHandle};
use sandbox::Launcher;
use session::{Agents, Secrets};
use snapshot::{Fetcher, Forms};
use solver::{BoxError, Cancel, Executor, Input, Pinned, SourceProvider, Task};
use source::{Root, ScanOptions, StatIndex, Tree};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use store::Store;

/// Bytes of context files are borrowed from so many layers at most.
const MOST_LAYERS: usize = 16;
/// A pack up to this size is kept for whatever little of it is still used.
const SMALL_PACK: u64 = 16 << 20;

/// A local folder of the build.
#[derive(Clone, Debug)]
pub struct LocalContext {
    /// Where it is.
    pub path: PathBuf,
    /// What is left out of it.
    pub ignore: Option<Patterns>,
}

/// What sources that other machines hold were when they were asked for: the same for the whole build, whoever works on it.
#[derive(Clone, Default)]
pub struct Pins(Arc<Mutex<Pinnings>>);

#[derive(Default)]
pub(crate) struct Pinnings {
    pub(crate) https: HashMap<HttpOp, Key>,
    pub(crate) gits: HashMap<GitOp, (Key, source::git::Commit)>,
}

/// What is found out when it is first needed: a build in which everything is known needs none of it.
pub type Late<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send + Sync>>;

impl Pins {
    /// The commit that a reference of a repository was, where it was asked for.
    #[must_use]
    pub fn commit(&self, git: &GitOp) -> Option<String> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.gits.get(git).map(|(_, commit)| commit.of_tag.as_ref().unwrap_or(&commit.object).clone())
    }

    /// The digest of the file that a URL was, where it was asked for.
    #[must_use]
    pub fn content(&self, http: &HttpOp) -> Option<Digest> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pins.https.get(http)?.op {
            KeyOp::Http { digest, .. } => Some(digest),
            _ => None,
        }
    }
}

/// What a worker is told.
pub struct WorkerOptions {
    /// The build's folders by name; `context` is the build context.
    pub contexts: HashMap<String, LocalContext>,
    /// Its secrets.
    pub secrets: Secrets,
    /// Its ssh agents.
    pub agents: Agents,
    /// Which devices of the host its steps may have.
    pub devices: DeviceOptions,
    /// How networks are made, if a step needs one.
    pub network: Late<NetworkOptions>,
    /// The host's /etc/resolv.conf, and systemd-resolved's upstream one where there is one.
    pub resolv_conf: Late<(String, Option<String>)>,
    /// The host's bundle of certificate authorities, for steps that are to trust it.
    pub host_ca: Option<Vec<u8>>,
    /// Whether files keep the owners of the image, or all belong to the one id there is.
    pub single_id: bool,
    /// How many layers are pulled and unpacked at once.
    pub pulls: usize,
    /// How URLs are reached.
    pub web: web::Settings,
    /// What is known of sources that other machines hold.
    pub pins: Pins,
    /// How repositories are reached.
    pub git: Late<source::git::GitOptions>,
    /// The most bytes that are fetched from one URL.
    pub largest_download: u64,
    /// Where pulls are shown that no step waits for alone.
    pub progress: Progress,
}

/// Carries one build's operations out.
pub struct Worker {
    pub(crate) store: Store,
    pub(crate) forms: Forms,
    pub(crate) options: WorkerOptions,
    trees: Mutex<HashMap<String, Arc<Tree>>>,
    pub(crate) spools: Spools,
    launcher: Mutex<Option<Arc<Launcher>>>,
    pool: OnceLock<Pool>,
    web: Mutex<Option<Arc<web::Client>>>,
    pub(crate) devices: OnceLock<Registry>,
    vertices: Mutex<HashMap<NodeId, VertexHandle>>,
    said: Mutex<Vec<String>>,
    /// The request to stop of the solving under way, for pulls that no step waits for alone.
    cancel: Arc<Mutex<Cancel>>,
}

impl Worker {
    /// A worker on a store. Nothing is opened yet.
    #[must_use]
    pub fn new(store: Store, fetcher: Arc<dyn Fetcher>, options: WorkerOptions) -> Self {
        let cancel = Arc::new(Mutex::new(Cancel::new()));
        let asked = cancel.clone();
        let forms = Forms::new(store.clone(), fetcher, options.single_id, options.pulls)
            .with_progress(options.progress.clone())
            .with_cancel(Arc::new(move || {
                asked.lock().unwrap_or_else(PoisonError::into_inner).is_cancelled()
            }));
        Self {
            cancel,
            store,
            forms,
            options,
            trees: Mutex::default(),
            spools: Spools::default(),
            launcher: Mutex::default(),
            pool: OnceLock::new(),
            devices: OnceLock::new(),
            web: Mutex::default(),
            vertices: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// Where a node's log and progress go.
    pub fn watch(&self, id: NodeId, vertex: VertexHandle) {
        self.vertices.lock().unwrap_or_else(PoisonError::into_inner).insert(id, vertex);
    }

    pub(crate) fn vertex(&self, id: NodeId) -> VertexHandle {
        let vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        vertices.get(&id).cloned().unwrap_or_else(VertexHandle::none)
    }

    /// Tells something that concerns the whole build with the first step that it concerns.
    pub(crate) fn say_once(&self, vertex: &VertexHandle, text: Option<String>) {
        let Some(text) = text else { return };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&text) {
            vertex.note(&text);
            said.push(text);
        }
    }

    /// Whether the solving under way is not wanted any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.lock().unwrap_or_else(PoisonError::into_inner).is_cancelled()
    }

    pub(crate) fn launcher(&self) -> Result<Arc<Launcher>> {
        let mut launcher = self.launcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(launcher) = &*launcher {
            return Ok(launcher.clone());
        }
        let new = Arc::new(Launcher::new()?);
        *launcher = Some(new.clone());
        Ok(new)
    }

    pub(crate) fn pins(&self) -> MutexGuard<'_, Pinnings> {
        self.options.pins.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn web(&self) -> Result<Arc<web::Client>> {
        let mut client = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let new = Arc::new(web::Client::new(self.options.web.clone())?);
        *client = Some(new.clone());
        Ok(new)
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.pool.get_or_init(|| Pool::new(Network::open(self.options.network.clone()), 2))
    }

    /// A context, walked once. What the stat index knew is kept for the next build.
    pub(crate) fn tree(&self, name: &str) -> Result<Arc<Tree>> {
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = trees.get(name) {
            return Ok(tree.clone());
        }
        let context =
            self.options.contexts.get(name).ok_or_else(|| Error::Context { name: name.to_owned() })?;
        let known = self.store.context_index(&index_name(context))?;
        // A damaged index costs a hash of every file, nothing more.
        let mut index = known.and_then(|file| StatIndex::open(file).ok()).unwrap_or_default();
        self.forget_lost(&mut index)?;
        let scan = ScanOptions { ignore: context.ignore.as_ref(), index, ..ScanOptions::default() };
        let tree = Arc::new(Root::open(&context.path)?.scan(scan)?);
        trees.insert(name.to_owned(), tree.clone());
        Ok(tree)
    }

    /// Leaves out of an index what is kept in layers that are gone, or in which hardly anything is left, or in more
    /// layers than a copy should lean on: such files are read again.
    fn forget_lost(&self, index: &mut StatIndex) -> Result<()> {
        if index.layers().is_empty() {
            return Ok(());
        }
        let layers: Vec<LayerId> = index.layers().iter().map(|(id, _)| *id).collect();
        let mut worth: Vec<(u64, LayerId)> = Vec::with_capacity(layers.len());
        for ((id, kept), info) in index.layers().iter().zip(self.store.layers(&layers)?) {
            let size = info.filter(|info| info.pack).map(|info| info.size);
            if size.is_some_and(|size| size < SMALL_PACK || size / 4 <= *kept) {
                worth.push((*kept, *id));
            }
        }
        worth.sort_unstable_by_key(|(kept, _)| std::cmp::Reverse(*kept));
        worth.truncate(MOST_LAYERS);
        index.retain_layers(|id| worth.iter().any(|(_, known)| known == id));
        Ok(())
    }

    /// Forgets what the contexts hold: they are walked again when they are next asked for. What is solved after an
    /// [`Error::Changed`] must begin with this, and with keys made anew; nothing may be under way meanwhile.
    pub fn look_again(&self) {
        // What was hashed and has settled need not be hashed again.
        let _ = self.keep_indexes();
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.pins() = Pinnings::default();
    }

    /// Sees to it that a result's layers are all here.
    ///
    /// # Errors
    /// A layer cannot be fetched.
    pub fn complete(&self, stack: &[LayerId]) -> Result<()> {
        self.forms.complete(stack, &VertexHandle::none())?;
        Ok(())
    }

    /// Keeps what was learned of the contexts' files. To be called when the build has ended.
    pub fn keep_indexes(&self) -> Result<()> {
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, tree) in trees.iter() {
            if let (true, Some(context)) = (tree.has_learned(), self.options.contexts.get(name)) {
                let lost = self.spools.unsettled();
                self.store.put_context_index(&index_name(context), |file| tree.write_index(file, lost))?;
            }
        }
        Ok(())
    }

    /// When a source that another machine holds was last changed, in seconds since 1970: the commit of a repository,
    /// which is fetched for that, or what the server of a URL says; nothing where it says nothing, and for other
    /// operations.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn modified(&self, op: &Op, cancel: &Cancel) -> Result<Option<i64>> {
        // Nobody watches.
        let nobody = graph::Graph::new().add(Op::Scratch, Vec::new(), graph::About::default());
        match op {
            Op::Http(http) => match self.pin_http(nobody, "", http, cancel)?.key.op {
                KeyOp::Http { modified, .. } => Ok(modified),
                _ => Ok(None),
            },
            Op::Git(git) => self.git_time(nobody, git, cancel).map(Some),
            _ => Ok(None),
        }
    }

    /// The view of an input, whatever it is.
    pub(crate) fn view(&self, input: &Input) -> Result<View> {
        match input {
            Input::Snapshot(snapshot) => Ok(self.forms.view(&snapshot.stack)?),
            Input::Local(name) => Ok(View::new(vec![self.tree(name)?.listing()])),
        }
    }

    /// The view of an input in which the files that `select` takes of it have their digests.
    pub(crate) fn view_of(
        &self,
        input: &Input,
        select: impl for<'v> Fn(&'v View) -> Result<Vec<Taken<'v>>>,
    ) -> Result<View> {
        if let Input::Local(name) = input {
            let tree = self.tree(name)?;
            if tree.is_incomplete() {
                // What is found here goes before the tree is completed, which needs no second listing then.
                let numbers: Vec<u32> = {
                    let view = self.view(input)?;
                    let taken = select(&view)?;
                    taken.iter().flat_map(Taken::all).map(|found| found.number() as u32).collect()
                };
                tree.complete_keeping(&numbers, Some(&self.spools.keep(&self.store))).map_err(changed)?;
            }
        }
        self.view(input)
    }
}

/// A file that was there when the context was walked and is another thing now, or none, changed as one does whose
/// content did.
fn changed(error: source::Error) -> Error {
    let shown = |path: &std::path::Path| path.display().to_string();
    match &error {
        source::Error::Changing { path } | source::Error::NotAFile { path } => {
            Error::Changed { path: shown(path) }
        }
        source::Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::Changed { path: shown(path) }
        }
        _ => error.into(),
    }
}

/// The name of a context in the store's folder of stat indexes.
fn index_name(context: &LocalContext) -> String {
    use std::os::unix::ffi::OsStrExt;
    Digest::of(context.path.as_os_str().as_bytes()).hex()
}

impl SourceProvider for Worker {
    fn pin(&self, id: NodeId, node: &Node, cancel: &Cancel) -> Result<Pinned, BoxError> {
        Ok(match &node.op {
            Op::Http(http) => self.pin_http(id, &node.about.slot, http, cancel)?,
            Op::Git(git) => self.pin_git(id, git, cancel)?,
            _ => {
                return Err(Error::Unsupported { what: "asking for what no machine holds".to_owned() }.into());
            }
        })
    }

    fn content(&self, node: &Node, input: usize, source: &Input) -> Result<Digest, BoxError> {
        Ok(content::digest(self, node, input, source)?)
    }

    fn changes(&self, node: &Node, inputs: &[Input], old: Digest) -> (Vec<FileChange>, usize) {
        content::changes(self, node, inputs, old).unwrap_or_default()
    }
}

impl Executor for Worker {
    fn execute(&self, task: &Task<'_>) -> Result<Vec<LayerId>, BoxError> {
        self.cancel.lock().unwrap_or_else(PoisonError::into_inner).clone_from(task.cancel);
        let made = match &task.node.op {
            Op::Scratch => Vec::new(),
            Op::Local(_) => Vec::new(),
            Op::Image(image) => self.image(image)?,
            Op::Http(http) => self.http(task, http)?,
            Op::Git(git) => self.git(task, git)?,
            Op::Merge => self.merge(task)?,
            Op::File(op) => self.files(task, op)?,
            Op::Run(op) => self.run(task, op)?,
        };
        Ok(made)
    }
}

//! A store in a folder of its own, layers and contexts written down as text, and operations over them.
//!
//! ```text
//! d bin 755 0:0             a directory
//! f bin/sh 755 0:0 text     a file
//! l sh bin/sh               a symbolic link
//! h bin/ash bin/sh          another name of a file before it
//! ```

use executor::{BoxError, Error, Fetcher, Late, LocalContext, Worker, WorkerOptions};
use graph::{About, Copy, FileAction, FileOp, Graph, Node, Op, RunOp};
use layer::{Kind, LayerId, Listing, View};
use network::NetworkOptions;
use oci::{Descriptor, Digest, Hasher};
use session::{Agents, Secrets};
use solver::{Cancel, Executor, Input, NewRecord, Snapshot, SourceProvider, Task};
use std::collections::HashMap;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{Commit, Store};

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) worker: Worker,
    pub(crate) cancel: Cancel,
    count: AtomicUsize,
}

/// Nothing is remote here.
struct Nobody;

impl Fetcher for Nobody {
    fn fetch(
        &self,
        reference: &str,
        _: &Descriptor,
        _: Hasher,
        _: &mut dyn Write,
        _: &dyn Fn(u64),
    ) -> Result<(), BoxError> {
        Err(format!("nobody fetches {reference}").into())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut WorkerOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        let store = Store::open(store::Options::new(dir.path().join("store"))).unwrap();
        let worker = Self::worker(dir.path(), &store, change);
        Self { dir, store, worker, cancel: Cancel::new(), count: AtomicUsize::new(0) }
    }

    /// Goes on as another process, which protects nothing of what was used before it began.
    pub(crate) fn again(&mut self) {
        let mut options = store::Options::new(self.dir.path().join("store"));
        options.grace = std::time::Duration::ZERO;
        self.store = Store::open(options).unwrap();
        self.worker = Self::worker(self.dir.path(), &self.store, |_| {});
    }

    fn worker(dir: &Path, store: &Store, change: impl FnOnce(&mut WorkerOptions)) -> Worker {
        let context = LocalContext { path: dir.join("context"), ignore: None };
        let mut options = WorkerOptions {
            contexts: HashMap::from([("context".to_owned(), context)]),
            secrets: Secrets::new(),
            agents: Agents::new(),
            devices: executor::DeviceOptions::default(),
            network: Late::new(Box::new(NetworkOptions::default)),
            resolv_conf: Late::new(Box::new(|| ("nameserver 192.0.2.1\n".to_owned(), None))),
            host_ca: None,
            single_id: false,
            pulls: 2,
            web: web::Settings::default(),
            git: Late::new(Box::new(source::git::GitOptions::default)),
            pins: executor::Pins::default(),
            largest_download: 1 << 20,
            progress: progress::Progress::none(),
        };
        change(&mut options);
        Worker::new(store.clone(), Arc::new(Nobody), options)
    }

    /// Where the build context is.
    pub(crate) fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    /// A snapshot of one layer with these files, or of none.
    pub(crate) fn snapshot(&self, text: &str) -> Input {
        let stack = if text.trim().is_empty() { Vec::new() } else { vec![self.layer(text)] };
        Input::Snapshot(Snapshot { key: self.digest(), stack: stack.into() })
    }

    pub(crate) fn layer(&self, text: &str) -> LayerId {
        let mut draft = self.store.new_layer().unwrap();
        let (folder, _) = draft.make_folders().unwrap();
        write(&folder, text);
        let fd = snapshot::open_directory(&folder).unwrap();
        let listing = layer::scan(fd.as_fd(), &layer::ScanOptions::default()).unwrap();
        draft.write_listing(&listing).unwrap();
        let id = draft.id();
        self.store.commit(Commit { layers: vec![draft], ..Commit::default() }).unwrap();
        id
    }

    fn digest(&self) -> Digest {
        Digest::of(format!("{}", self.count.fetch_add(1, Ordering::Relaxed)).as_bytes())
    }

    /// Carries an operation out. The first input is what it stands on.
    pub(crate) fn execute(&self, op: Op, inputs: &[Input]) -> Result<Vec<LayerId>, Error> {
        let mut graph = Graph::new();
        let id = graph.add(op, Vec::new(), About::default());
        let record = NewRecord { key: self.digest(), text: "{}".to_owned(), links: Vec::new() };
        let task = Task { id, node: graph.node(id), inputs, record: Some(record), cancel: &self.cancel };
        self.worker.execute(&task).map_err(|error| *error.downcast::<Error>().unwrap())
    }

    pub(crate) fn run(&self, base: &Input, run: RunOp) -> Result<Vec<LayerId>, Error> {
        self.execute(Op::Run(Box::new(run)), std::slice::from_ref(base))
    }

    /// The content digest of what an operation takes from its input number 1.
    pub(crate) fn content(&self, op: Op, source: &Input) -> Digest {
        let node = Node { op, inputs: Vec::new(), about: About::default() };
        self.worker.content(&node, 1, source).unwrap()
    }

    /// What the top layer of a stack has.
    pub(crate) fn top(&self, stack: &[LayerId]) -> String {
        shown(&self.store.listing(*stack.last().unwrap()).unwrap())
    }

    /// What a whole stack shows.
    pub(crate) fn all(&self, stack: &[LayerId]) -> String {
        let view = View::new(stack.iter().map(|id| self.store.listing(*id).unwrap()).collect());
        let entries = view.below(b"").into_iter().map(|found| found.entry());
        shown(&Listing::new(entries, Vec::new()))
    }

    /// The text of a file of the top layer.
    pub(crate) fn read(&self, stack: &[LayerId], path: &str) -> Option<String> {
        let forms = snapshot::Forms::new(self.store.clone(), Arc::new(Nobody), false, 1);
        let view = forms.view(stack).unwrap();
        let bytes = forms.read(&view, stack, path, 1 << 20).unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Layers in the making that were left behind, and what waits in the trash.
    pub(crate) fn leftovers(&self) -> usize {
        let root = self.dir.path().join("store");
        std::fs::read_dir(root.join("trash")).unwrap().count()
            + std::fs::read_dir(root.join("layers"))
                .unwrap()
                .flatten()
                .filter(|entry| {
                    let id: LayerId = entry.file_name().to_str().unwrap().parse().unwrap();
                    self.store.layer(id).unwrap().is_none()
                })
                .count()
    }
}

/// A copy as it is written after COPY, without quotes; input 1 is the source.
pub(crate) fn copy(text: &str) -> Op {
    let mut copy = Copy { input: 1, ..Copy::default() };
    let mut paths = Vec::new();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("--chown", value)) => copy.chown = Some(value.to_owned()),
            Some(("--chmod", value)) => copy.chmod = Some(value.to_owned()),
            Some(("--exclude", value)) => copy.exclude.push(value.to_owned()),
            _ if word == "--parents" => copy.parents = true,
            _ if word == "--unpack" => copy.unpack = true,
            _ => paths.push(word.to_owned()),
        }
    }
    copy.destination = paths.pop().unwrap();
    copy.sources = paths;
    Op::File(FileOp { actions: vec![FileAction::Copy(copy)] })
}

/// Writes files as a text says.
pub(crate) fn write(folder: &Path, text: &str) {
    let mut modes = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let path = folder.join(words[1]);
        match words[0] {
            "d" => std::fs::create_dir(&path).unwrap(),
            "f" => std::fs::write(&path, words.get(4).copied().unwrap_or_default()).unwrap(),
            "l" => symlink(words[2], &path).unwrap(),
            "h" => std::fs::hard_link(folder.join(words[2]), &path).unwrap(),
            other => panic!("{other}"),
        }
        if matches!(words[0], "d" | "f") {
            let (uid, gid) = words[3].split_once(':').unwrap();
            chown(&path, Some(uid.parse().unwrap()), Some(gid.parse().unwrap())).unwrap();
            modes.push((path, u32::from_str_radix(words[2], 8).unwrap()));
        }
    }
    for (path, mode) in modes {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A listing in the same form; `h` says how many names a file has.
fn shown(listing: &Listing) -> String {
    let lines = listing.entries().map(|entry| {
        let path = String::from_utf8_lossy(&entry.path);
        let attributes = format!("{path} {:o} {}:{}", entry.mode, entry.uid, entry.gid);
        match &entry.kind {
            Kind::Directory { opaque: false } => format!("d {attributes}"),
            Kind::Directory { opaque: true } => format!("o {attributes}"),
            Kind::File { link: 0, .. } => format!("f {attributes}"),
            Kind::File { link, .. } => format!("f {attributes} link{link}"),
            Kind::Symlink { target } => format!("l {path} {}", String::from_utf8_lossy(target)),
            Kind::Whiteout => format!("w {path}"),
            other => format!("{other:?} {attributes}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines of a text without what indents them.
pub(crate) fn trimmed(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

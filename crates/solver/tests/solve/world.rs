//! A world of fakes: a cache in memory, files that are texts, and steps whose output follows from what they are told.

use graph::{
    About, Copy, EnvVar, FileAction, FileChange, FileOp, Graph, HttpOp, ImageOp, Key, KeyOp, LocalOp,
    MissReason, Node, NodeId, Op, RunOp,
};
use layer::LayerId;
use oci::Digest;
use solver::{
    BoxError, CacheBackend, Cancel, Error, Executor, Input, Observer, Options, Pinned, Record, Solved,
    Solver, SourceProvider, Task,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long a fake waits for something that must happen; a test that needs it all has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// All that outlives a build.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) kept: Mutex<Kept>,
    locks: Arc<Locks>,
    /// What local folders hold.
    pub(crate) folders: Mutex<HashMap<String, String>>,
    /// What URLs hold.
    pub(crate) urls: Mutex<HashMap<String, String>>,
    /// The URLs that were asked for, in order.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Commands whose output is this instead of what follows from their inputs.
    pub(crate) outputs: Mutex<HashMap<String, String>>,
    /// Commands that fail.
    pub(crate) fails: Mutex<HashSet<String>>,
    /// How long some steps take.
    slow: Mutex<HashMap<String, Duration>>,
    /// How long each step takes.
    pub(crate) pause: Mutex<Duration>,
    /// How many steps must be running at once before any of them may end.
    together: Mutex<usize>,
    meeting: Mutex<Meeting>,
    met: Condvar,
    /// The commands in the order in which they began.
    pub(crate) ran: Mutex<Vec<String>>,
}

/// The cache and the layers.
#[derive(Default)]
pub(crate) struct Kept {
    records: HashMap<Digest, (Vec<LayerId>, String)>,
    links: HashMap<Digest, Digest>,
    steps: HashMap<String, String>,
    layers: HashMap<LayerId, String>,
    /// What came from URLs once, kept or not.
    seen: HashSet<Digest>,
    pub(crate) lookups: usize,
}

/// The locks of keys, and who waits for one.
#[derive(Default)]
struct Locks {
    taken: Mutex<HashSet<Digest>>,
    given: Condvar,
}

/// Gives a lock back.
struct Unlock(Arc<Locks>, Digest);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.taken.lock().unwrap().remove(&self.1);
        self.0.given.notify_all();
    }
}

#[derive(Default)]
struct Meeting {
    inside: usize,
    most: usize,
    open: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self::default();
        world.folder("context", "v1");
        world
    }

    pub(crate) fn folder(&self, name: &str, content: &str) {
        self.folders.lock().unwrap().insert(name.to_owned(), content.to_owned());
    }

    pub(crate) fn output(&self, command: &str, content: &str) {
        self.outputs.lock().unwrap().insert(command.to_owned(), content.to_owned());
    }

    /// From here on no step ends before this many have been running at once.
    pub(crate) fn gather(&self, together: usize) {
        *self.together.lock().unwrap() = together;
        *self.meeting.lock().unwrap() = Meeting::default();
    }

    pub(crate) fn slow(&self, command: &str, pause: Duration) {
        self.slow.lock().unwrap().insert(command.to_owned(), pause);
    }

    /// Removes what a step left, as `prune` does: all records whose text holds a word; `@slot` is at its end.
    pub(crate) fn evict(&self, word: &str) {
        let before = self.kept.lock().unwrap().records.len();
        self.kept.lock().unwrap().records.retain(|_, (_, text)| !text.contains(word));
        assert!(self.kept.lock().unwrap().records.len() < before, "nothing was made by {word}");
    }

    /// The commands since the last time.
    pub(crate) fn take_ran(&self) -> String {
        std::mem::take(&mut *self.ran.lock().unwrap()).join(" ")
    }

    /// The most steps that ran at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.meeting.lock().unwrap().most
    }

    fn content(&self, input: &Input) -> String {
        match input {
            Input::Local(name) => self.folders.lock().unwrap()[name].clone(),
            Input::Snapshot(snapshot) => {
                let kept = self.kept.lock().unwrap();
                snapshot.stack.iter().map(|layer| kept.layers[layer].as_str()).collect::<Vec<_>>().join("/")
            }
        }
    }

    fn enter(&self, cancel: &Cancel) -> Result<(), BoxError> {
        let wanted = *self.together.lock().unwrap();
        let mut meeting = self.meeting.lock().unwrap();
        meeting.inside += 1;
        meeting.most = meeting.most.max(meeting.inside);
        meeting.open |= meeting.inside >= wanted;
        self.met.notify_all();
        let end = Instant::now() + PATIENCE;
        while !meeting.open && !cancel.is_cancelled() && Instant::now() < end {
            meeting = self.met.wait_timeout(meeting, Duration::from_millis(5)).unwrap().0;
        }
        if meeting.open || cancel.is_cancelled() { Ok(()) } else { Err("the others never came".into()) }
    }
}

impl CacheBackend for World {
    fn canonical(&self, keys: &[Digest]) -> Result<Vec<Option<Digest>>, BoxError> {
        let kept = self.kept.lock().unwrap();
        Ok(keys.iter().map(|key| kept.links.get(key).copied()).collect())
    }

    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Record>>, BoxError> {
        let mut kept = self.kept.lock().unwrap();
        kept.lookups += 1;
        let record =
            |key: &Digest| kept.records.get(key).map(|(stack, _)| Record { key: *key, stack: stack.clone() });
        Ok(keys.iter().map(record).collect())
    }

    fn link(&self, key: Digest, canonical: Digest) -> Result<(), BoxError> {
        self.kept.lock().unwrap().links.insert(key, canonical);
        Ok(())
    }

    fn lock(&self, key: Digest, cancel: &Cancel) -> Result<Box<dyn Send>, BoxError> {
        let mut taken = self.locks.taken.lock().unwrap();
        while taken.contains(&key) {
            if cancel.is_cancelled() {
                return Err("gave up waiting for a lock".into());
            }
            taken = self.locks.given.wait_timeout(taken, Duration::from_millis(5)).unwrap().0;
        }
        taken.insert(key);
        Ok(Box::new(Unlock(self.locks.clone(), key)))
    }

    fn last_step(&self, slot: &str) -> Result<Option<String>, BoxError> {
        Ok(self.kept.lock().unwrap().steps.get(slot).cloned())
    }

    fn remember(&self, steps: &[(String, String)]) -> Result<(), BoxError> {
        self.kept.lock().unwrap().steps.extend(steps.iter().cloned());
        Ok(())
    }
}

impl SourceProvider for World {
    /// As a server with validators does: what is known already is not sent.
    fn pin(&self, _: NodeId, node: &Node, _: &Cancel) -> Result<Pinned, BoxError> {
        let Op::Http(http) = &node.op else { return Err("nobody holds that".into()) };
        self.asked.lock().unwrap().push(http.url.clone());
        let content = self.urls.lock().unwrap().get(&http.url).cloned().ok_or("404")?;
        let digest = Digest::of(content.as_bytes());
        let key = Key::of_http(http, digest, None);
        let mut kept = self.kept.lock().unwrap();
        let brought = kept.seen.insert(digest);
        if brought {
            let layer = LayerId::from_bytes((kept.layers.len() as u128).to_be_bytes());
            kept.layers.insert(layer, content);
            kept.records.insert(key.digest(), (vec![layer], format!("{} @{}", key.text(), node.about.slot)));
        }
        Ok(Pinned { key, brought })
    }

    fn content(&self, node: &Node, _: usize, source: &Input) -> Result<Digest, BoxError> {
        let excluded: Vec<&[String]> = match &node.op {
            Op::File(op) => op
                .actions
                .iter()
                .filter_map(
                    |action| if let FileAction::Copy(copy) = action { Some(&copy.exclude[..]) } else { None },
                )
                .collect(),
            _ => Vec::new(),
        };
        let content = match source {
            // The builder's own layer is what is taken.
            Input::Snapshot(snapshot) => {
                let top = snapshot.stack.last().map(|layer| self.kept.lock().unwrap().layers[layer].clone());
                top.unwrap_or_default()
            }
            local => self.content(local),
        };
        if content == "missing" {
            return Err("no such file".into());
        }
        Ok(Digest::of(format!("{content} without {excluded:?}").as_bytes()))
    }

    fn changes(&self, _: &Node, _: &[Input], _: Digest) -> (Vec<FileChange>, usize) {
        (vec![FileChange::Changed("index.js".to_owned())], 2)
    }
}

impl Executor for World {
    fn execute(&self, task: &Task<'_>) -> Result<Vec<LayerId>, BoxError> {
        let inputs: Vec<String> = task.inputs.iter().map(|input| self.content(input)).collect();
        let (command, content) = match &task.node.op {
            Op::Image(image) => (image.reference.clone(), image.reference.clone()),
            Op::Scratch => return Ok(Vec::new()),
            Op::Local(_) => return Err("a folder is nothing to run".into()),
            Op::Http(http) => {
                let known = Key::parse(&task.record.as_ref().unwrap().text).unwrap();
                let KeyOp::Http { digest, .. } = known.op else { unreachable!() };
                let content = self.urls.lock().unwrap()[&http.url].clone();
                if Digest::of(content.as_bytes()) != digest {
                    return Err(format!("{} holds something else", http.url).into());
                }
                (http.url.clone(), content)
            }
            Op::Git(_) => return Err("there is no git here".into()),
            Op::Run(run) => {
                let command = run.args.join(" ");
                let digest = Digest::of(format!("{command} of {inputs:?}").as_bytes());
                (command, digest.to_string())
            }
            Op::File(_) => (task.node.about.slot.clone(), inputs.last().cloned().unwrap_or_default()),
            Op::Merge => (task.node.about.slot.clone(), "merged".to_owned()),
        };
        self.ran.lock().unwrap().push(command.clone());
        let is_step = matches!(task.node.op, Op::Run(_));
        if is_step {
            self.enter(task.cancel)?;
        }
        let own = self.slow.lock().unwrap().get(&command).copied();
        let pause = Instant::now() + own.unwrap_or(*self.pause.lock().unwrap());
        while Instant::now() < pause && !task.cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if is_step {
            self.meeting.lock().unwrap().inside -= 1;
        }
        let fails = self.fails.lock().unwrap().contains(&command);
        if fails {
            if command == "panics" {
                panic!("a step that panics");
            }
            return Err(format!("{command} does not work").into());
        }
        if task.cancel.is_cancelled() {
            return Err("stopped".into());
        }
        let content = self.outputs.lock().unwrap().get(&command).cloned().unwrap_or(content);
        let mut kept = self.kept.lock().unwrap();
        let layer = LayerId::from_bytes((kept.layers.len() as u128).to_be_bytes());
        kept.layers.insert(layer, content);
        let mut stack: Vec<LayerId> = match task.inputs.first() {
            Some(Input::Snapshot(snapshot)) => snapshot.stack.to_vec(),
            _ => Vec::new(),
        };
        stack.push(layer);
        if let Some(record) = &task.record {
            let text = format!("{} @{}", record.text, task.node.about.slot);
            kept.records.insert(record.key, (stack.clone(), text));
            for link in &record.links {
                kept.links.insert(*link, record.key);
            }
        }
        Ok(stack)
    }
}

/// A graph in the making.
#[derive(Clone, Default)]
pub(crate) struct Plan(pub(crate) Graph);

impl Plan {
    fn add(&mut self, op: Op, inputs: Vec<NodeId>, slot: &str) -> NodeId {
        let about = About { name: slot.to_owned(), slot: slot.to_owned(), ..About::default() };
        self.0.add(op, inputs, about)
    }

    pub(crate) fn image(&mut self, name: &str) -> NodeId {
        let digest = Digest::of(name.as_bytes());
        let image = ImageOp {
            reference: name.to_owned(),
            context: None,
            resolved: None,
            manifest: None,
            config: digest,
            diff_ids: vec![digest],
            platform: "linux/amd64".parse().unwrap(),
        };
        self.add(Op::Image(Box::new(image)), Vec::new(), "")
    }

    pub(crate) fn local(&mut self, name: &str) -> NodeId {
        self.add(Op::Local(LocalOp { name: name.to_owned() }), Vec::new(), "")
    }

    pub(crate) fn http(&mut self, url: &str, checksum: Option<&str>) -> NodeId {
        let checksum = checksum.map(|content| Digest::of(content.as_bytes()));
        let http = HttpOp { url: url.to_owned(), name: "f".to_owned(), checksum };
        self.add(Op::Http(http), Vec::new(), url)
    }

    /// A step whose place is called like its command.
    pub(crate) fn run(&mut self, on: NodeId, command: &str) -> NodeId {
        self.run_in(command, on, command)
    }

    pub(crate) fn run_in(&mut self, slot: &str, on: NodeId, command: &str) -> NodeId {
        self.run_with(slot, on, command, |_| {})
    }

    pub(crate) fn run_with(
        &mut self,
        slot: &str,
        on: NodeId,
        command: &str,
        change: impl Fn(&mut RunOp),
    ) -> NodeId {
        let mut run = RunOp { args: vec![command.to_owned()], cwd: "/".to_owned(), ..RunOp::default() };
        change(&mut run);
        self.add(Op::Run(Box::new(run)), vec![on], slot)
    }

    pub(crate) fn copy(&mut self, on: NodeId, from: NodeId, slot: &str) -> NodeId {
        self.copy_without(on, from, slot, &[])
    }

    pub(crate) fn copy_without(&mut self, on: NodeId, from: NodeId, slot: &str, exclude: &[&str]) -> NodeId {
        let copy = Copy {
            input: 1,
            sources: vec!["/out".to_owned()],
            destination: "/".to_owned(),
            exclude: exclude.iter().map(|one| (*one).to_owned()).collect(),
            ..Copy::default()
        };
        self.add(Op::File(FileOp { actions: vec![FileAction::Copy(copy)] }), vec![on, from], slot)
    }

    /// A step with further inputs.
    pub(crate) fn run_over(
        &mut self,
        inputs: &[NodeId],
        command: &str,
        change: impl Fn(&mut RunOp),
    ) -> NodeId {
        let id = self.run_with(command, inputs[0], command, change);
        let Op::Run(run) = self.0.node(id).op.clone() else { unreachable!() };
        // The node above stays behind unreached.
        self.add(Op::Run(run), inputs.to_vec(), command)
    }

    pub(crate) fn merge(&mut self, inputs: &[NodeId], slot: &str) -> NodeId {
        self.add(Op::Merge, inputs.to_vec(), slot)
    }

    pub(crate) fn fresh(&mut self, id: NodeId) -> NodeId {
        self.0.about_mut(id).no_cache = true;
        id
    }

    /// Builder and payload: `image, COPY context, RUN make` and `image, RUN prepare, COPY --from, RUN finish`.
    pub(crate) fn two_stages() -> (Self, NodeId) {
        let mut plan = Self::default();
        let (base, context) = (plan.image("node"), plan.local("context"));
        let sources = plan.copy(base, context, "sources");
        let built = plan.run(sources, "make");
        let prepared = plan.run(base, "prepare");
        let copied = plan.copy(prepared, built, "copy");
        let last = plan.run(copied, "finish");
        (plan, last)
    }
}

/// What a build came to, and what its observer saw.
pub(crate) struct Built {
    pub(crate) result: Result<Solved, Error>,
    /// `started make: why`, `ended make`, `cached make` in order.
    pub(crate) events: Vec<String>,
}

impl Built {
    /// Why steps ran, one a line.
    pub(crate) fn reasons(&self) -> String {
        self.events
            .iter()
            .filter_map(|event| event.strip_prefix("started "))
            .filter(|event| event.contains(": "))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

struct Events<'a> {
    graph: &'a Graph,
    seen: Mutex<Vec<String>>,
}

impl Events<'_> {
    fn say(&self, what: &str, id: NodeId, more: String) {
        let node = self.graph.node(id);
        if !node.about.slot.is_empty() {
            self.seen.lock().unwrap().push(format!("{what} {}{more}", node.about.name));
        }
    }
}

impl Observer for Events<'_> {
    fn planned(&self, nodes: &[NodeId]) {
        assert!(nodes.is_sorted(), "inputs first");
    }

    fn cached(&self, id: NodeId) {
        self.say("cached", id, String::new());
    }

    fn started(&self, id: NodeId, reason: Option<&MissReason>) {
        self.say("started", id, reason.map(|reason| format!(": {reason}")).unwrap_or_default());
    }

    fn ended(&self, id: NodeId, error: Option<&BoxError>) {
        self.say("ended", id, error.map(|error| format!(": {error}")).unwrap_or_default());
    }
}

/// Builds one target with four threads.
pub(crate) fn build(world: &World, plan: &Plan, target: NodeId) -> Built {
    build_with(world, plan, &[target], 4, &Cancel::new())
}

pub(crate) fn build_with(
    world: &World,
    plan: &Plan,
    targets: &[NodeId],
    parallel: usize,
    cancel: &Cancel,
) -> Built {
    build_in_mode(world, plan, targets, Options { parallel: Some(parallel), mode: None }, cancel)
}

pub(crate) fn build_in_mode(
    world: &World,
    plan: &Plan,
    targets: &[NodeId],
    options: Options,
    cancel: &Cancel,
) -> Built {
    let observer = Events { graph: &plan.0, seen: Mutex::default() };
    let solver = Solver {
        graph: &plan.0,
        cache: world,
        sources: world,
        executor: world,
        observer: &observer,
        cancel,
        options,
    };
    let result = solver.solve(targets);
    Built { result, events: observer.seen.into_inner().unwrap() }
}

/// The commands that a build of one target runs, in order.
pub(crate) fn ran(world: &World, plan: &Plan, target: NodeId) -> String {
    build(world, plan, target).result.unwrap();
    world.take_ran()
}

pub(crate) fn variable(name: &str, value: &str, arg: bool) -> EnvVar {
    EnvVar { name: name.to_owned(), value: value.to_owned(), arg }
}

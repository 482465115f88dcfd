//! The steps of a build in the words of BuildKit's LLB, as `buildConfig.llbDefinition` has them: the JSON of its protocol
//! (solver/pb/ops.proto), where what is 0, false or empty is left out.
//!
//! ```json
//! {"id": "step2", "op": {"Op": {"exec": {...}}, "platform": {...}, "constraints": {}}, "inputs": ["step0:0", "step1:0"]}
//! ```
//!
//! | operation | LLB |
//! |---|---|
//! | image, local, http, git | `source` with an identifier |
//! | run | `exec`: the root is its first mount |
//! | file | `file`: an action for each source of a COPY; each stands on the one before |
//! | merge | `merge` |
//! | scratch | no step: the input -1 |
//!
//! The last step has no operation; its input is the result.

use crate::captured::{git_url, image_name};
use crate::masked;
use crate::purl::Kind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph::{
    About, CacheSharing, Copy, FileAction, FileOp, Graph, HttpOp, ImageOp, Mount, MountKind, Network, NodeId,
    Op, RunOp, Security,
};
use oci::{Digest, Platform};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What LLB writes for an input that there is not.
const NONE: i64 = -1;
/// The kinds of LLB's mounts.
const SECRET: u8 = 1;
const SSH: u8 = 2;
const CACHE: u8 = 3;
const TMPFS: u8 = 4;

/// The steps of one target.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct BuildConfig {
    #[serde(rename = "llbDefinition")]
    steps: Vec<Step>,
    #[serde(rename = "digestMapping")]
    digests: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
struct Step {
    id: String,
    op: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<String>,
}

/// Which nodes are steps, in order; a node's place is its step's number.
pub(crate) struct Numbers(Vec<NodeId>);

impl Numbers {
    /// The steps that `target` needs.
    pub(crate) fn of(graph: &Graph, target: NodeId) -> Self {
        let reached = graph.reached(&[target]);
        let is_step = |id: &NodeId| reached[id.index()] && graph.node(*id).op != Op::Scratch;
        Self(graph.ids().filter(is_step).collect())
    }

    /// The steps' nodes.
    pub(crate) fn nodes(&self) -> &[NodeId] {
        &self.0
    }

    /// The name of a node's step.
    pub(crate) fn name(&self, id: NodeId) -> Option<String> {
        self.0.iter().position(|known| *known == id).map(|at| format!("step{at}"))
    }
}

impl BuildConfig {
    /// The one step of a source.
    pub(crate) fn of_source(source: Op) -> Self {
        let mut graph = Graph::new();
        let target = graph.add(source, Vec::new(), About::default());
        Self::of(&graph, target, &Numbers::of(&graph, target))
    }

    /// The steps of a target.
    pub(crate) fn of(graph: &Graph, target: NodeId, numbers: &Numbers) -> Self {
        let mut config = Self::default();
        let mut digests: Vec<Digest> = Vec::new();
        for id in numbers.nodes() {
            let node = graph.node(*id);
            // Scratch is no input.
            let mut places = Vec::with_capacity(node.inputs.len());
            let mut inputs = Vec::new();
            for input in &node.inputs {
                places.push(match numbers.0.iter().position(|known| known == input) {
                    Some(at) => {
                        inputs.push(at);
                        inputs.len() as i64 - 1
                    }
                    None => NONE,
                });
            }
            config.add(operation(&node.op, &places, inputs.len()), &inputs, &mut digests);
        }
        let last: Vec<usize> = numbers.0.iter().position(|known| *known == target).into_iter().collect();
        config.add(json!({"Op": {}}), &last, &mut digests);
        config
    }

    /// A step is known by its operation and by what its inputs are known by.
    fn add(&mut self, op: Value, inputs: &[usize], digests: &mut Vec<Digest>) {
        let id = format!("step{}", self.steps.len());
        let mut text = op.to_string();
        for input in inputs {
            text.push_str(&digests[*input].to_string());
        }
        let digest = Digest::of(text.as_bytes());
        digests.push(digest);
        self.digests.insert(digest.to_string(), id.clone());
        let inputs = inputs.iter().map(|input| format!("step{input}:0")).collect();
        self.steps.push(Step { id, op, inputs });
    }
}

/// `places`: the place of each of the node's inputs among the step's.
fn operation(op: &Op, places: &[i64], inputs: usize) -> Value {
    match op {
        Op::Scratch => json!({"Op": {}}),
        Op::Image(image) => {
            json!({"Op": {"source": {"identifier": image_identifier(image)}},
                   "platform": platform(&image.platform), "constraints": {}})
        }
        Op::Local(local) => source(format!("local://{}", local.name), Map::new()),
        Op::Http(http) => source(web::redacted(&http.url), http_attributes(http)),
        Op::Git(git) => {
            let mut attributes = Map::new();
            attributes.insert("git.fullurl".to_owned(), web::redacted(&git.remote).into());
            if git.keep_git_dir {
                attributes.insert("git.keepgitdir".to_owned(), "true".into());
            }
            let url = git_url(git, true);
            source(
                format!("git://{}", url.split_once("://").map_or(url.as_str(), |(_, rest)| rest)),
                attributes,
            )
        }
        Op::Run(run) => {
            json!({"Op": {"exec": exec(run, places)}, "platform": platform(&run.platform), "constraints": {}})
        }
        Op::File(file) => {
            json!({"Op": {"file": {"actions": actions(file, places, inputs)}}, "constraints": {}})
        }
        Op::Merge => {
            let merged: Vec<Value> = places
                .iter()
                .filter(|place| **place != NONE)
                .map(|place| present([("input", json!(place))]))
                .collect();
            json!({"Op": {"merge": {"inputs": merged}}, "constraints": {}})
        }
    }
}

/// An object of those fields that are not 0, false or empty.
fn present<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let is_there = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_i64() != Some(0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(_) => true,
    };
    Value::Object(
        fields
            .into_iter()
            .filter(|(_, value)| is_there(value))
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn platform(platform: &Platform) -> Value {
    present([
        ("Architecture", json!(platform.architecture)),
        ("OS", json!(platform.os)),
        ("Variant", json!(platform.variant)),
    ])
}

fn source(identifier: String, attributes: Map<String, Value>) -> Value {
    let mut source = json!({ "identifier": identifier });
    if !attributes.is_empty() {
        source["attrs"] = Value::Object(attributes);
    }
    json!({"Op": {"source": source}, "constraints": {}})
}

fn image_identifier(image: &ImageOp) -> String {
    let digest = image.known_by();
    match image_name(image) {
        (Kind::Oci, Some(name)) => format!("oci-layout://{name}"),
        _ => {
            let name = image.reference.split('@').next().unwrap_or_default();
            format!("docker-image://{name}@{digest}")
        }
    }
}

fn http_attributes(http: &HttpOp) -> Map<String, Value> {
    let mut attributes = Map::new();
    attributes.insert("http.filename".to_owned(), http.name.clone().into());
    if let Some(checksum) = &http.checksum {
        attributes.insert("http.checksum".to_owned(), checksum.to_string().into());
    }
    attributes
}

fn exec(run: &RunOp, places: &[i64]) -> Value {
    let env: Vec<String> = run
        .env
        .vars()
        .into_iter()
        .map(|var| format!("{}={}", var.name, masked::value(&var.name, &var.value)))
        .collect();
    let hosts: Vec<Value> =
        run.extra_hosts.iter().map(|(host, ip)| json!({"Host": host, "IP": ip})).collect();
    let limits: Vec<Value> =
        run.ulimits.iter().map(|one| json!({"Name": one.name, "Soft": one.soft, "Hard": one.hard})).collect();
    let meta = present([
        ("args", run.args.iter().map(|arg| masked::text(arg)).collect()),
        ("env", json!(env)),
        ("cwd", json!(run.cwd)),
        ("user", json!(run.user)),
        ("extraHosts", json!(hosts)),
        ("hostname", json!(run.hostname)),
        ("ulimit", json!(limits)),
    ]);
    let root = places.first().copied().unwrap_or(NONE);
    let mut mounts = vec![present([("input", json!(root)), ("dest", json!("/"))])];
    let mut secrets = Vec::new();
    for one in &run.mounts {
        if let MountKind::Secret { id, env: Some(name), required, .. } = &one.kind {
            secrets.push(present([("ID", json!(id)), ("name", json!(name)), ("optional", json!(!required))]));
        }
        mounts.extend(mount(one, places));
    }
    present([
        ("meta", meta),
        ("mounts", json!(mounts)),
        (
            "network",
            match run.network {
                Network::Default => Value::Null,
                Network::Host => json!(1),
                Network::None => json!(2),
            },
        ),
        ("security", json!(u8::from(run.security == Security::Insecure))),
        ("secretenv", json!(secrets)),
    ])
}

fn mount(mount: &Mount, places: &[i64]) -> Option<Value> {
    let place = |input: usize| places.get(input).copied().unwrap_or(NONE);
    // What a mount is for is told by its kind. All throw away what is written; those that lend something do not say so.
    let of = |input: i64, selector: &str, readonly: bool, kind: u8, key: &str, options: Value| {
        present([
            ("input", json!(input)),
            ("selector", json!(selector)),
            ("dest", json!(mount.target)),
            ("output", if matches!(kind, SECRET | SSH) { Value::Null } else { json!(NONE) }),
            ("readonly", json!(readonly)),
            ("mountType", json!(kind)),
            (key, options),
        ])
    };
    Some(match &mount.kind {
        MountKind::Bind { input, source, writable } => {
            of(place(*input), if source == "/" { "" } else { source }, !writable, 0, "", Value::Null)
        }
        MountKind::Cache { id, sharing, from, readonly, .. } => {
            let (input, selector) = from.as_ref().map_or((NONE, ""), |(input, path)| (place(*input), path));
            let sharing = match sharing {
                CacheSharing::Shared => 0,
                CacheSharing::Private => 1,
                CacheSharing::Locked => 2,
            };
            let options = present([("ID", json!(id)), ("sharing", json!(sharing))]);
            of(input, selector, *readonly, CACHE, "cacheOpt", options)
        }
        MountKind::Tmpfs { size, readonly } => {
            of(NONE, "", *readonly, TMPFS, "TmpfsOpt", present([("size", json!(size))]))
        }
        MountKind::Secret { file: false, .. } => return None,
        MountKind::Secret { id, required, mode, uid, gid, .. } => {
            of(NONE, "", false, SECRET, "secretOpt", lent(id, (*uid, *gid), *mode, *required))
        }
        MountKind::Ssh { id, required, mode, uid, gid } => {
            let id = if id == "default" { "" } else { id };
            of(NONE, "", false, SSH, "SSHOpt", lent(id, (*uid, *gid), *mode, *required))
        }
    })
}

fn lent(id: &str, (uid, gid): (u32, u32), mode: u32, required: bool) -> Value {
    present([
        ("ID", json!(id)),
        ("uid", json!(uid)),
        ("gid", json!(gid)),
        ("mode", json!(mode)),
        ("optional", json!(!required)),
    ])
}

/// The actions of a file operation. What an action makes has a number after those of the inputs; only the last one's is
/// an output of the step.
fn actions(file: &FileOp, places: &[i64], inputs: usize) -> Vec<Value> {
    let mut all: Vec<(i64, Value)> = Vec::new();
    for action in &file.actions {
        match action {
            FileAction::Copy(copy) => {
                let from = places.get(copy.input).copied().unwrap_or(NONE);
                all.extend(copy.sources.iter().map(|source| (from, json!({"copy": copied(copy, source)}))));
            }
            FileAction::MakeDirectory(made) => {
                let fields = present([
                    ("path", json!(made.path)),
                    ("mode", json!(made.mode)),
                    ("makeParents", json!(true)),
                    ("owner", owner(made.owner.as_deref())),
                    ("timestamp", json!(NONE)),
                ]);
                all.push((NONE, json!({ "mkdir": fields })));
            }
            FileAction::MakeFile(made) => {
                let fields = present([
                    ("path", json!(made.path)),
                    ("mode", json!(made.mode)),
                    ("data", json!(STANDARD.encode(masked::text(&made.content)))),
                    ("owner", owner(made.owner.as_deref())),
                    ("timestamp", json!(NONE)),
                ]);
                all.push((NONE, json!({ "mkfile": fields })));
            }
        }
    }
    let last = all.len().saturating_sub(1);
    let base = places.first().copied().unwrap_or(NONE);
    all.into_iter()
        .enumerate()
        .map(|(at, (from, action))| {
            let input = if at == 0 { base } else { (inputs + at) as i64 - 1 };
            let output = if at == last { 0 } else { NONE };
            json!({"input": input, "secondaryInput": from, "output": output, "Action": action})
        })
        .collect()
}

fn copied(copy: &Copy, source: &str) -> Value {
    let chmod = copy.chmod.as_deref();
    let octal = chmod.and_then(|mode| i64::from_str_radix(mode, 8).ok());
    present([
        ("src", json!(format!("/{}", source.trim_start_matches('/')))),
        ("dest", json!(copy.destination)),
        ("owner", owner(copy.chown.as_deref())),
        ("mode", json!(octal.unwrap_or(NONE))),
        ("followSymlink", json!(true)),
        ("dirCopyContents", json!(true)),
        ("attemptUnpackDockerCompatibility", json!(copy.unpack)),
        ("createDestPath", json!(true)),
        ("allowWildcard", json!(true)),
        ("allowEmptyWildcard", json!(true)),
        ("timestamp", json!(NONE)),
        ("excludePatterns", json!(copy.exclude)),
        ("modeStr", json!(chmod.filter(|_| octal.is_none()))),
    ])
}

/// `user[:group]`, each a name or a number.
fn owner(text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    let one = |part: &str| match part.parse::<u32>() {
        Ok(id) => json!({"User": {"byID": id}}),
        Err(_) => json!({"User": {"byName": {"name": part, "input": NONE}}}),
    };
    match text.split_once(':') {
        Some((user, group)) => json!({"user": one(user), "group": one(group)}),
        None => json!({"user": one(text)}),
    }
}

//! The steps of a graph as LLB, and what of a build is told at all.
#![allow(clippy::unwrap_used, reason = "tests")]

use attest::{Build, Captured, Details, Pin, Provenance, ProvenanceOptions, Request};
use graph::{
    About, CacheSharing, Copy, FileAction, FileOp, GitOp, Graph, HttpOp, ImageOp, LocalOp, MakeDirectory,
    MakeFile, Mount, MountKind, Network, NodeId, Op, RunOp, Security,
};
use oci::{Digest, Platform};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn platform() -> Platform {
    "linux/amd64".parse().unwrap()
}

/// The predicate of a graph's last node.
fn told(graph: &Graph, request: &Request) -> Value {
    let target = graph.ids().next_back().unwrap();
    let pin = |op: &Op| match op {
        Op::Git(_) => Some(Pin::Commit("c".repeat(40))),
        Op::Http(_) => Some(Pin::Content(Digest::of(b"file"))),
        _ => None,
    };
    let build = Build {
        request,
        captured: &Captured::of(graph, target, &pin),
        pin: &pin,
        invocation: "name",
        started: "2026-01-01T00:00:00Z",
        finished: "2026-01-01T00:00:01Z",
        vcs: &BTreeMap::new(),
        builder: &platform(),
        details: &Details { graph, target, dockerfile: "FROM scratch\n", layers: &|_| Vec::new() },
    };
    serde_json::to_value(Provenance::new(&build, &ProvenanceOptions::default())).unwrap()
}

/// The operations of a graph's steps.
fn steps(graph: &Graph) -> Vec<Value> {
    let told = told(graph, &Request::default());
    let steps = told["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"].clone();
    steps.as_array().unwrap().clone()
}

fn add(graph: &mut Graph, op: Op, inputs: &[NodeId]) -> NodeId {
    graph.add(op, inputs.to_vec(), About::default())
}

fn image() -> Op {
    Op::Image(Box::new(ImageOp {
        reference: "docker.io/library/busybox:latest".to_owned(),
        context: None,
        resolved: Some(Digest::of(b"index")),
        manifest: Some(Digest::of(b"manifest")),
        config: Digest::of(b"config"),
        diff_ids: Vec::new(),
        platform: platform(),
    }))
}

#[test]
fn sources_have_identifiers() {
    let digest = Digest::of(b"index");
    let local = image();
    let Op::Image(mut layout) = local.clone() else { unreachable!("an image") };
    layout.reference = format!("oci-layout:///home/someone/there@{digest}");
    layout.context = Some("bases".to_owned());
    let git = GitOp {
        remote: "https://u:p@host/r.git".to_owned(),
        reference: "main".to_owned(),
        subdir: "d".to_owned(),
        keep_git_dir: true,
        ..GitOp::default()
    };
    let http = HttpOp { url: "http://u:p@host/f?x".to_owned(), name: "f".to_owned(), checksum: None };
    for (op, source, material) in [
        (
            local,
            json!({"identifier": format!("docker-image://docker.io/library/busybox:latest@{digest}")}),
            json!("pkg:docker/busybox@latest?platform=linux%2Famd64"),
        ),
        (
            Op::Image(layout),
            json!({"identifier": format!("oci-layout://docker.io/library/bases@{digest}")}),
            json!(format!("pkg:oci/bases?digest={digest}&platform=linux%2Famd64")),
        ),
        (
            Op::Git(git),
            json!({
                "identifier": "git://xxxxx:xxxxx@host/r.git#main:d",
                "attrs": {"git.fullurl": "https://xxxxx:xxxxx@host/r.git", "git.keepgitdir": "true"},
            }),
            json!("https://xxxxx:xxxxx@host/r.git#main"),
        ),
        (
            Op::Http(http),
            json!({"identifier": "http://xxxxx:xxxxx@host/f?x", "attrs": {"http.filename": "f"}}),
            json!("http://xxxxx:xxxxx@host/f?x"),
        ),
        (
            Op::Local(LocalOp { name: "context".to_owned() }),
            json!({"identifier": "local://context"}),
            Value::Null,
        ),
    ] {
        let mut graph = Graph::new();
        add(&mut graph, op, &[]);
        assert_eq!(steps(&graph)[0]["op"]["Op"]["source"], source);
        let told = told(&graph, &Request::default());
        assert_eq!(told["buildDefinition"]["resolvedDependencies"][0]["uri"], material);
    }
}

#[test]
fn a_run_has_its_mounts() {
    let mut graph = Graph::new();
    let base = add(&mut graph, image(), &[]);
    let nothing = add(&mut graph, Op::Scratch, &[]);
    let context = add(&mut graph, Op::Local(LocalOp { name: "context".to_owned() }), &[]);
    let mount = |target: &str, kind| Mount { target: target.to_owned(), kind };
    let run = RunOp {
        args: vec!["sh".to_owned(), "-c".to_owned(), "x".to_owned()],
        cwd: "/".to_owned(),
        user: "1:2".to_owned(),
        network: Network::None,
        security: Security::Insecure,
        mounts: vec![
            mount("/b", MountKind::Bind { input: 2, source: "/f".to_owned(), writable: false }),
            mount(
                "/c",
                MountKind::Cache {
                    id: "id".to_owned(),
                    sharing: CacheSharing::Locked,
                    from: None,
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                    readonly: false,
                },
            ),
            mount(
                "/s",
                MountKind::Secret {
                    id: "tok".to_owned(),
                    file: false,
                    env: Some("TOK".to_owned()),
                    required: true,
                    mode: 0o400,
                    uid: 0,
                    gid: 0,
                },
            ),
        ],
        platform: platform(),
        ..RunOp::default()
    };
    add(&mut graph, Op::Run(Box::new(run)), &[base, nothing, context]);
    let steps = steps(&graph);
    // Scratch is no step.
    assert_eq!((steps.len(), &steps[2]["inputs"]), (4, &json!(["step0:0", "step1:0"])));
    assert_eq!(
        steps[2]["op"]["Op"]["exec"],
        json!({
            "meta": {"args": ["sh", "-c", "x"], "cwd": "/", "user": "1:2"},
            "mounts": [
                {"dest": "/"},
                {"input": 1, "selector": "/f", "dest": "/b", "output": -1, "readonly": true},
                {"input": -1, "dest": "/c", "output": -1, "mountType": 3, "cacheOpt": {"ID": "id", "sharing": 2}},
            ],
            "network": 2,
            "security": 1,
            "secretenv": [{"ID": "tok", "name": "TOK"}],
        })
    );
    assert_eq!(steps[3], json!({"id": "step3", "op": {"Op": {}}, "inputs": ["step2:0"]}));
}

#[test]
fn the_actions_of_a_step_stand_on_each_other() {
    let mut graph = Graph::new();
    let nothing = add(&mut graph, Op::Scratch, &[]);
    let context = add(&mut graph, Op::Local(LocalOp { name: "context".to_owned() }), &[]);
    let copy = Copy {
        input: 1,
        sources: vec!["a".to_owned(), "/b".to_owned()],
        destination: "/d/".to_owned(),
        chown: Some("me:7".to_owned()),
        chmod: Some("u+x".to_owned()),
        ..Copy::default()
    };
    let folder = MakeDirectory { path: "/w".to_owned(), mode: 0o755, owner: None };
    let file =
        MakeFile { path: "/f".to_owned(), content: "x\n".to_owned(), mode: 0o644, ..MakeFile::default() };
    let actions = vec![FileAction::MakeDirectory(folder), FileAction::Copy(copy), FileAction::MakeFile(file)];
    let made = add(&mut graph, Op::File(FileOp { actions }), &[nothing, context]);
    add(&mut graph, Op::Merge, &[made, made]);
    let steps = steps(&graph);
    let actions = steps[1]["op"]["Op"]["file"]["actions"].as_array().unwrap();
    let places: Vec<[i64; 3]> = actions
        .iter()
        .map(|action| ["input", "secondaryInput", "output"].map(|place| action[place].as_i64().unwrap()))
        .collect();
    assert_eq!(places, [[-1, -1, -1], [1, 0, -1], [2, 0, -1], [3, -1, 0]]);
    assert_eq!(
        actions[1]["Action"]["copy"],
        json!({
            "src": "/a", "dest": "/d/", "mode": -1, "modeStr": "u+x", "timestamp": -1,
            "owner": {"user": {"User": {"byName": {"name": "me", "input": -1}}}, "group": {"User": {"byID": 7}}},
            "followSymlink": true, "dirCopyContents": true, "createDestPath": true,
            "allowWildcard": true, "allowEmptyWildcard": true,
        })
    );
    assert_eq!(
        actions[3]["Action"]["mkfile"],
        json!({"path": "/f", "mode": 420, "data": "eAo=", "timestamp": -1})
    );
    assert_eq!(steps[2]["op"]["Op"]["merge"], json!({"inputs": [{}, {"input": 1}]}));
}

#[test]
fn arguments_are_told_whole_or_said_to_be_not() {
    let mut graph = Graph::new();
    add(&mut graph, image(), &[]);
    for (given, expected, whole) in [
        (("build-arg:WHO", "me"), json!({"build-arg:WHO": "me"}), true),
        (("build-arg:URL", "http://u:p@h/"), json!({"build-arg:URL": "http://xxxxx:xxxxx@h/"}), false),
        (("build-arg:http_proxy", "http://p"), json!({"build-arg:http_proxy": "xxxxx"}), false),
        (("build-arg:DB_PASSWORD", "p"), json!({"build-arg:DB_PASSWORD": "xxxxx"}), false),
        (("label:api_token", "t"), json!({"label:api_token": "xxxxx"}), false),
        (("target", "release"), json!({"target": "release"}), true),
    ] {
        let args = BTreeMap::from([(given.0.to_owned(), given.1.to_owned())]);
        let told = told(&graph, &Request { args, ..Request::default() });
        assert_eq!(told["buildDefinition"]["externalParameters"]["request"]["args"], expected);
        assert_eq!(told["runDetails"]["metadata"]["buildkit_completeness"]["request"], whole, "{given:?}");
    }
}

//! The whole of what provenance tells of one build, in both modes, in the words of both versions. A current BuildKit
//! tells the same of it, but for what docs/attestations.md says.

use crate::attestations::{Layout, image, layout, settled};
use crate::harness::own_with_busybox;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::fs;

const BUSYBOX: &str = "pkg:docker/busybox@latest?platform=linux%2Famd64";

/// An object with more fields.
fn with(mut object: Value, more: &Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    fields.extend(more.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    object
}

/// What both versions tell of the build, with its steps and all that was asked for, or without.
struct Told {
    dependencies: Value,
    request: Value,
    /// Empty with `mode=min`.
    build_config: Value,
    metadata: Value,
    is_whole: bool,
}

impl Told {
    fn of(made: &Layout, is_max: bool) -> Self {
        let locals = json!([{"name": "context"}, {"name": "dockerfile"}]);
        let request = json!({"frontend": "dockerfile.v0", "locals": locals});
        let metadata = json!({"vcs": {"localdir:context": ".", "localdir:dockerfile": "."}});
        let dependencies = json!([{"uri": BUSYBOX, "digest": {"sha256": "BASE"}}]);
        if !is_max {
            return Self { dependencies, request, build_config: json!({}), metadata, is_whole: false };
        }
        let args = json!({"build-arg:WHO": "you", "label:l": "1"});
        let lent = |id: &str| json!([{"id": id, "optional": true}]);
        Self {
            dependencies,
            request: with(request, &json!({"args": args, "secrets": lent("tok"), "ssh": lent("default")})),
            build_config: json!({"buildConfig": {"llbDefinition": steps(), "digestMapping": numbers(7)}}),
            metadata: with(metadata, &json!({"source": source(), "layers": layers(&made.image["layers"])})),
            is_whole: true,
        }
    }

    fn in_v1(&self) -> Value {
        let build_type = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
        json!({
            "buildDefinition": {
                "buildType": build_type,
                "resolvedDependencies": self.dependencies,
                "externalParameters": {"configSource": {"path": "Dockerfile"}, "request": self.request},
                "internalParameters": with(json!({"builderPlatform": "linux/amd64"}), &self.build_config),
            },
            "runDetails": {
                "builder": {"id": "https://ci.example/7"},
                "metadata": {
                    "invocationId": "INVOCATION", "startedOn": "STARTED", "finishedOn": "FINISHED",
                    "buildkit_metadata": self.metadata,
                    "buildkit_completeness": {"request": self.is_whole, "resolvedDependencies": false},
                    "buildkit_reproducible": true,
                },
            },
        })
    }

    fn in_v02(&self) -> Value {
        let predicate = json!({
            "builder": {"id": "https://ci.example/7"},
            "buildType": "https://mobyproject.org/buildkit@v1",
            "materials": self.dependencies,
            "invocation": {
                "configSource": {"entryPoint": "Dockerfile"},
                "parameters": self.request,
                "environment": {"platform": "linux/amd64"},
            },
            "metadata": {
                "buildInvocationID": "INVOCATION", "buildStartedOn": "STARTED", "buildFinishedOn": "FINISHED",
                "completeness": {"parameters": self.is_whole, "environment": true, "materials": false},
                "reproducible": true,
                "https://mobyproject.org/buildkit@v1#metadata": self.metadata,
            },
        });
        with(predicate, &self.build_config)
    }
}

/// The steps of [`image`] as LLB.
fn steps() -> Value {
    let platform = json!({"Architecture": "amd64", "OS": "linux"});
    let mount = |target: &str, kind: u8, options: &str, lent: Value| json!({"input": -1, "dest": target, "mountType": kind, options: lent});
    let meta = json!({
        "args": ["/bin/sh", "-c", "echo $WHO > /out"],
        "env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "WHO=you",
            "SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0",
        ],
        "cwd": "/",
    });
    let mounts = json!([
        {"dest": "/"},
        mount("/run/secrets/tok", 1, "secretOpt", json!({"ID": "tok", "mode": 256, "optional": true})),
        mount("/run/buildkit/ssh_agent.0", 2, "SSHOpt", json!({"mode": 384, "optional": true})),
    ]);
    let copied = |path: &str| {
        let copy = json!({
            "src": path, "dest": path, "mode": -1, "timestamp": -1, "followSymlink": true, "dirCopyContents": true,
            "createDestPath": true, "allowWildcard": true, "allowEmptyWildcard": true,
        });
        json!({"file": {"actions": [
            {"input": -1, "secondaryInput": 0, "output": 0, "Action": {"copy": copy}},
        ]}})
    };
    let base = "docker-image://docker.io/library/busybox:latest@sha256:BASE";
    let all = [
        (json!({"source": {"identifier": base}}), Some(&platform), json!([])),
        (json!({"exec": {"meta": meta, "mounts": mounts}}), Some(&platform), json!(["step0:0"])),
        (copied("/out"), None, json!(["step1:0"])),
        (json!({"source": {"identifier": "local://context"}}), None, json!([])),
        (copied("/f"), None, json!(["step3:0"])),
        (json!({"merge": {"inputs": [{}, {"input": 1}]}}), None, json!(["step2:0", "step4:0"])),
    ];
    let step = |(at, (op, platform, inputs)): (usize, (Value, Option<&Value>, Value))| {
        let mut step = json!({"id": format!("step{at}"), "op": {"Op": op, "constraints": {}}});
        if let Some(platform) = platform {
            step["op"]["platform"] = platform.clone();
        }
        if inputs != json!([]) {
            step["inputs"] = inputs;
        }
        step
    };
    let last = json!({"id": "step6", "op": {"Op": {}}, "inputs": ["step5:0"]});
    all.into_iter().enumerate().map(step).chain([last]).collect()
}

/// The lines that the steps are, and where the Dockerfile was.
fn source() -> Value {
    let lines = [Some(1), Some(4), Some(6), None, Some(7), Some(7)].into_iter().enumerate();
    let locations: Map<String, Value> = lines
        .map(|(at, line)| {
            let line = line.map(|line| json!({"line": line}));
            let ranges = line.map(|line| json!({"locations": [{"ranges": [{"start": line, "end": line}]}]}));
            (format!("step{at}"), ranges.unwrap_or_else(|| json!({})))
        })
        .collect();
    json!({
        "locations": locations,
        "infos": [{
            "filename": "Dockerfile", "language": "Dockerfile", "data": "DOCKERFILE",
            "llbDefinition": [
                {"id": "step0", "op": {"Op": {"source": {"identifier": "local://dockerfile"}}, "constraints": {}}},
                {"id": "step1", "op": {"Op": {}}, "inputs": ["step0:0"]},
            ],
            "digestMapping": numbers(2),
        }],
    })
}

/// The layers of those steps whose results have any, the base's first.
fn layers(leaving: &Value) -> Value {
    json!({
        "step0:0": [["BASE LAYER"]], "step2:0": [[leaving[0]]], "step4:0": [[leaving[1]]], "step5:0": [leaving],
    })
}

/// The steps that a mapping names, without the digests that they are known by.
fn numbers(count: usize) -> Value {
    (0..count).map(|at| format!("step{at}")).collect()
}

/// Replaces mappings of digests to steps by the steps, and what a base's layer is.
fn plain(value: &mut Value) {
    if let Some(mapping) = value.get("digestMapping") {
        let mut steps: Vec<&str> = mapping.as_object().unwrap().values().filter_map(Value::as_str).collect();
        steps.sort_unstable();
        value["digestMapping"] = json!(steps);
    }
    if let Some(base) = value.pointer_mut("/layers/step0:0/0/0") {
        assert_eq!(base["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        *base = json!("BASE LAYER");
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(fields) => fields.values_mut().for_each(plain),
        _ => {}
    }
}

#[test]
fn a_build_is_told_in_both_versions_and_modes() {
    let (house, context) = (own_with_busybox(), image());
    let base = house.inspect("busybox")["Descriptor"]["digest"].as_str().unwrap().to_owned();
    let dockerfile = STANDARD.encode(fs::read(context.path().join("Dockerfile")).unwrap());
    for (version, mode) in [("v1", "min"), ("v1", "max"), ("v0.2", "min"), ("v0.2", "max")] {
        let options =
            format!("mode={mode},version={version},builder-id=https://ci.example/7,reproducible=true");
        let args =
            ["-t", "ex.am/ple:1", "--build-arg", "WHO=you", "--label", "l=1", "--provenance", &options];
        let made = layout(&house, &context, &args);
        let text = made.statements[0].to_string();
        let text = text.replace(base.trim_start_matches("sha256:"), "BASE");
        let mut statement = settled(&text.replace(&dockerfile, "DOCKERFILE"), &made);
        plain(&mut statement);
        let told = Told::of(&made, mode == "max");
        let predicate = if version == "v1" { told.in_v1() } else { told.in_v02() };
        let subject = "pkg:docker/ex.am/ple@1?platform=linux%2Famd64";
        let expected = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": format!("https://slsa.dev/provenance/{version}"),
            "subject": [{"name": subject, "digest": {"sha256": "IMAGE"}}],
            "predicate": predicate,
        });
        assert_eq!(statement, expected, "{options}");
        assert_eq!(
            made.attested["layers"][0]["annotations"]["in-toto.io/predicate-type"],
            expected["predicateType"]
        );
    }
}

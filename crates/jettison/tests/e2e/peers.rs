//! What other programs make of our images: Docker's engine and podman pull and run what was pushed and load what was
//! saved, container-structure-test and dive read archives; and what others push is pulled in all its forms.

use crate::harness::{
    Context, DockerEngine, House, LIMIT, Podman, Registry, busybox, folder, own, own_with_busybox, run, tool,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// An image with a base, files of its own and a user.
fn image(house: &House, name: &str) {
    let context = Context::dockerfile(
        "FROM busybox\nRUN mkdir /data && echo made > /data/made && chown -R 1000:1000 /data\nCOPY f /data/f\n\
         ENV COLOUR=green\nWORKDIR /data\nUSER 1000\nEXPOSE 80\nLABEL a=b\nVOLUME /scratch\n\
         ENTRYPOINT [\"/bin/sh\", \"-c\"]\nCMD [\"echo $COLOUR $(cat made f) $(id -u)\"]\n",
    );
    context.write("f", "copied\n");
    house.build(&context, &["--tag", name]);
}

/// What the image says when it runs.
const SAYS: &str = "green made copied 1000";

/// How podman runs an image where it may not raise limits.
const PODMAN_RUN: [&str; 8] =
    ["run", "--rm", "--network", "host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];

#[test]
fn docker_runs_what_was_pushed_and_saved() {
    let (house, registry, engine, out) =
        (own_with_busybox(), Registry::open(), DockerEngine::start(), folder());
    let name = format!("{}/team/app:v1", registry.address);
    image(&house, &name);
    house.ok(&["push", &name]);
    let docker = |args: &[&str]| run(engine.docker(args), LIMIT);
    docker(&["pull", &name]).ok();
    assert_eq!(docker(&["run", "--rm", "--network", "none", &name]).ok().text(), SAYS);
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &name]).ok();
    assert_eq!(id.text(), house.inspect(&name)["Id"], "the same image");
    docker(&["rmi", &name]).ok();
    for archive in archives(&house, &name, out.path()) {
        docker(&["load", "--input", &archive]).ok();
        assert_eq!(docker(&["run", "--rm", "--network", "none", &name]).ok().text(), SAYS);
        docker(&["rmi", &name]).ok();
    }
}

#[test]
fn podman_runs_what_was_pushed_and_saved() {
    let (house, registry, podman, out) = (own_with_busybox(), Registry::open(), Podman::new(), folder());
    let name = format!("{}/team/app:v1", registry.address);
    image(&house, &name);
    house.ok(&["push", &name]);
    podman.ok(&["pull", "--tls-verify=false", &name]);
    let said = || podman.ok(&[&PODMAN_RUN[..], &[&name]].concat());
    assert_eq!(said().trim_end(), SAYS);
    let id = podman.ok(&["image", "inspect", "--format", "{{.Id}}", &name]);
    assert_eq!(format!("sha256:{}", id.trim_end()), house.inspect(&name)["Id"].as_str().unwrap());
    podman.ok(&["rmi", &name]);
    for format in ["docker-archive", "oci-archive"] {
        let archive = out.path().join(format!("{format}.tar"));
        let archive = archive.to_str().unwrap();
        house.ok(&["save", "--format", format, "--output", archive, &name]);
        podman.ok(&["load", "--input", archive]);
        assert_eq!(said().trim_end(), SAYS);
        podman.ok(&["rmi", &name]);
    }
}

#[test]
fn skopeo_copies_what_was_pushed() {
    let (house, registry, out) = (own_with_busybox(), Registry::open(), folder());
    let name = format!("{}/team/app:v1", registry.address);
    image(&house, &name);
    house.ok(&["push", &name]);
    let skopeo = |args: &[&str]| {
        let mut command = Command::new("skopeo");
        command.args(args);
        run(command, LIMIT).ok()
    };
    let source = format!("docker://{name}");
    let seen: Value =
        serde_json::from_str(&skopeo(&["inspect", "--config", "--tls-verify=false", &source]).stdout)
            .unwrap();
    let own = house.config(&name);
    for field in ["Env", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts", "Volumes", "Labels"] {
        assert_eq!(seen["config"][field], own[field], "{field}");
    }
    // Through every place that skopeo knows, and back: the same image.
    let archive = out.path().join("copied.tar");
    for place in [
        format!("docker-archive:{}:copied:v1", archive.display()),
        format!("oci:{}:copied", out.path().join("layout").display()),
        format!("dir:{}", out.path().join("dir").display()),
    ] {
        skopeo(&["copy", "--src-tls-verify=false", &source, &place]);
        let back = format!("{}/back:v1", registry.address);
        skopeo(&["copy", "--dest-tls-verify=false", &place, &format!("docker://{back}")]);
        let there = self::own();
        there.ok(&["pull", &back]);
        assert_eq!(there.inspect(&back)["Id"], house.inspect(&name)["Id"], "{place}");
    }
}

#[test]
fn every_form_of_an_image_is_pulled() {
    let (registry, here) = (Registry::open(), own_with_busybox());
    let source = format!("oci-archive:{}", busybox().display());
    let layers = here.inspect("busybox")["RootFS"]["Layers"].clone();
    let forms = [
        ("schema2", &["--format", "v2s2"][..]),
        ("oci-gzip", &["--format", "oci", "--dest-compress-format", "gzip"]),
        ("oci-zstd", &["--format", "oci", "--dest-compress-format", "zstd"]),
    ];
    for (form, flags) in forms {
        let name = format!("{}/{form}", registry.address);
        let mut skopeo = Command::new("skopeo");
        skopeo
            .args(["copy", "--dest-tls-verify=false"])
            .args(flags)
            .args([&source, &format!("docker://{name}")]);
        run(skopeo, LIMIT).ok();
        pulled(&name, &layers);
    }
    // Without compression, which skopeo does not push.
    let name = format!("{}/plain", registry.address);
    let context = Context::dockerfile("FROM busybox\n");
    let output = format!("type=image,name={name},push=true,compression=uncompressed,force-compression=true");
    here.build(&context, &["--output", &output]);
    pulled(&name, &layers);
}

/// The image under a name must come into a new store, and run.
#[track_caller]
fn pulled(name: &str, layers: &Value) {
    let there = own();
    there.ok(&["pull", name]);
    assert_eq!(&there.inspect(name)["RootFS"]["Layers"], layers, "{name}");
    assert_eq!(there.ok(&["run", "--rm", "--network", "none", name, "echo", "hi"]).text(), "hi");
}

#[test]
fn an_index_gives_the_platform_that_is_asked_for() {
    let (registry, here) = (Registry::open(), own());
    let name = format!("{}/several", registry.address);
    let context =
        Context::dockerfile("FROM scratch\nARG TARGETPLATFORM\nCOPY f /f\nLABEL of=$TARGETPLATFORM\n");
    context.write("f", "f\n");
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    here.build(&context, &["--platform", &platforms.join(","), "--tag", &name, "--push"]);
    for platform in platforms {
        let there = own();
        there.ok(&["pull", "--platform", platform, &name]);
        assert_eq!(there.config(&name)["Labels"]["of"], platform);
        let mut command = own().command(&["pull", &name]);
        command.env("DOCKER_DEFAULT_PLATFORM", platform);
        run(command, LIMIT).ok();
    }
    let out = own().fails(1, &["pull", "--platform", "linux/s390x", &name]);
    out.says("linux/s390x").says("linux/arm64").says(&name);
}

/// The archives of one image: saved, and written by a build.
fn archives(house: &House, name: &str, out: &Path) -> Vec<String> {
    let path = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let (saved, built) = (path("saved.tar"), path("built.tar"));
    house.ok(&["save", "--output", &saved, name]);
    let context = Context::dockerfile(&format!("FROM {name}\n"));
    house.build(&context, &["--output", &format!("type=docker,dest={built},name={name}")]);
    vec![saved, built]
}

#[test]
fn container_structure_test_finds_everything_in_archives() {
    let (house, out) = (own_with_busybox(), folder());
    image(&house, "structured:v1");
    let config = out.path().join("structure.yaml");
    fs::write(
        &config,
        r#"schemaVersion: 2.0.0
fileExistenceTests:
- {name: copied, path: /data/f, shouldExist: true, permissions: "-rw-r--r--"}
- {name: made, path: /data/made, shouldExist: true}
- {name: nothing, path: /nothing, shouldExist: false}
fileContentTests:
- {name: content, path: /data/made, expectedContents: ["^made\n$"]}
metadataTest:
  envVars: [{key: COLOUR, value: green}]
  labels: [{key: a, value: b}]
  exposedPorts: ["80"]
  volumes: ["/scratch"]
  entrypoint: ["/bin/sh", "-c"]
  cmd: ["echo $COLOUR $(cat made f) $(id -u)"]
  workdir: /data
  user: "1000"
"#,
    )
    .unwrap();
    for archive in archives(&house, "structured:v1", out.path()) {
        let mut test = Command::new(tool("container-structure-test/bin/container-structure-test"));
        test.args(["test", "--driver", "tar", "--image", &archive, "--output", "json", "--config"])
            .arg(&config);
        let out = run(test, LIMIT);
        let result: Value = serde_json::from_str(out.text()).unwrap_or_else(|_| panic!("{out:?}"));
        assert_eq!((&result["Pass"], &result["Fail"]), (&Value::from(5), &Value::from(0)), "{result:#}");
    }
}

#[test]
fn dive_reads_the_layers_of_archives() {
    let (house, out) = (own_with_busybox(), folder());
    image(&house, "dived:v1");
    for archive in archives(&house, "dived:v1", out.path()) {
        let report = out.path().join("dive.json");
        let mut dive = Command::new(tool("dive/bin/dive"));
        dive.args(["--source", "docker-archive", &archive, "--json"]).arg(&report);
        run(dive, LIMIT).ok();
        let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        let layers = report["layer"].as_array().unwrap();
        let history = house.inspect("dived:v1")["RootFS"]["Layers"].as_array().unwrap().clone();
        let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digestId"]).collect();
        assert_eq!(digests, history.iter().collect::<Vec<_>>());
        let files: Vec<&str> = layers[1]["fileList"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["path"].as_str().unwrap())
            .collect();
        assert!(files.contains(&"data/made"), "{files:?}");
        assert!(
            layers[1]["command"].as_str().unwrap().contains("echo made > /data/made"),
            "{}",
            layers[1]["command"]
        );
        let mut ci = Command::new(tool("dive/bin/dive"));
        ci.args(["--source", "docker-archive", &archive, "--ci", "--lowestEfficiency", "0.9"]);
        ci.current_dir(out.path());
        run(ci, LIMIT).ok();
    }
}

//! `import`: the tar of a file system becomes an image, as Docker's engine makes it.

use crate::harness::{Context, DockerEngine, LIMIT, Reply, Site, own_with_busybox, run, run_with_input};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// A tar with a file, a folder, a link, an owner and a mode.
fn tree() -> (Context, Vec<u8>) {
    let context = Context::new();
    context.write("tree/bin/tool", "#!/bin/sh\n");
    context.mode("tree/bin/tool", 0o4755);
    context.write("tree/etc/text", "text\n");
    std::os::unix::fs::symlink("../etc/text", context.path().join("tree/bin/link")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--owner=7", "--group=8", "--sort=name", "-C"]).arg(context.path().join("tree"));
    tar.args(["-cf"]).arg(context.path().join("tree.tar")).arg(".");
    run(tar, LIMIT).ok();
    let bytes = fs::read(context.path().join("tree.tar")).unwrap();
    (context, bytes)
}

const CHANGES: [&str; 8] = [
    "CMD [\"/bin/tool\", \"a\"]",
    "ENTRYPOINT echo hi",
    "ENV A=b C=\"d e\"",
    "EXPOSE 80 53/udp",
    "LABEL one=two",
    "USER 7:8",
    "VOLUME /data",
    "WORKDIR /etc",
];

#[test]
fn an_imported_tar_is_what_docker_makes_of_it() {
    let house = own_with_busybox();
    let engine = DockerEngine::start();
    let (context, tar) = tree();
    for (count, message) in [(0, None), (CHANGES.len(), Some("by hand"))] {
        let mut args = vec!["import"];
        CHANGES[..count].iter().for_each(|change| args.extend(["--change", change]));
        message.iter().for_each(|message| args.extend(["--message", message]));
        args.extend(["-", "tree:1"]);
        let ours = run_with_input(house.command(&args), Some(&tar), LIMIT).ok();
        assert!(ours.text().starts_with("sha256:"), "{}", ours.stdout);
        run_with_input(engine.docker(&args), Some(&tar), LIMIT).ok();
        let theirs = run(engine.docker(&["image", "inspect", "tree:1"]), LIMIT).ok().stdout;
        let theirs: Value = serde_json::from_str::<Value>(&theirs).unwrap()[0].take();
        let ours = house.inspect("tree:1");
        assert_eq!(ours["RootFS"]["Layers"], theirs["RootFS"]["Layers"]);
        for field in [
            "Cmd",
            "Entrypoint",
            "Env",
            "ExposedPorts",
            "Labels",
            "User",
            "Volumes",
            "WorkingDir",
            "Healthcheck",
            "OnBuild",
        ] {
            let (ours, theirs) = (&ours["Config"][field], &theirs["Config"][field]);
            assert_eq!(present(ours), present(theirs), "{field}: {ours} {theirs}");
        }
        let history = ["history", "--format", "{{.CreatedBy}}|{{.Comment}}", "tree:1"];
        assert_eq!(house.ok(&history).stdout, run(engine.docker(&history), LIMIT).ok().stdout);
    }
    let files = house.files("tree:1");
    assert_eq!((files.text("etc/text"), files.owner("bin/tool")), ("text\n", (7, 8)));
    // What leaves is the tar that came.
    house.ok(&["save", "-o", &context.at("saved.tar"), "tree:1"]);
    run(engine.docker(&["load", "-i", &context.at("saved.tar")]), LIMIT).ok();
}

/// What an inspected field says; nothing where it is empty, however that is written.
fn present(value: &Value) -> Option<&Value> {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    (!empty).then_some(value)
}

#[test]
fn imports_come_from_files_and_urls_packed_or_not() {
    let house = own_with_busybox();
    let (context, tar) = tree();
    let mut gzip = Command::new("gzip");
    gzip.arg("--keep").arg(context.at("tree.tar"));
    run(gzip, LIMIT).ok();
    let site = Site::start(move |_| Reply::ok(tar.clone()));
    let layers = |args: &[&str]| {
        let id = house.ok(&[&["import"], args].concat()).text().to_owned();
        house.inspect(&id)["RootFS"]["Layers"].clone()
    };
    let plain = layers(&[&context.at("tree.tar")]);
    assert_eq!(layers(&[&context.at("tree.tar.gz"), "packed"]), plain);
    assert_eq!(layers(&[&site.url("/tree.tar"), "fetched:2"]), plain);
    assert!(house.has_image("packed:latest") && house.has_image("fetched:2"));
    let comment = house.ok(&["history", "--format", "{{.Comment}}", "fetched:2"]).stdout;
    assert_eq!(comment, format!("Imported from {}\n", site.url("/tree.tar")));
    house.ok(&["image", "import", "--platform", "linux/arm64", &context.at("tree.tar"), "foreign"]);
    assert_eq!(house.inspect("foreign")["Architecture"], "arm64");
    // Its own container runs.
    house.ok(&["save", "-o", &context.at("busybox.tar"), "busybox"]);
    let image = Context::dockerfile("FROM busybox\n");
    let tar = image.at("files.tar");
    house.ok(&["build", "-o", &format!("type=tar,dest={tar}"), image.text()]);
    house.ok(&["import", "-c", "CMD echo ran", &tar, "again"]);
    assert_eq!(house.ok(&["run", "--rm", "again"]).stdout, "ran\n");
}

#[test]
fn what_is_no_tar_is_refused_and_leaves_nothing() {
    let house = own_with_busybox();
    let context = Context::new();
    context.write("text", &"no tar at all\n".repeat(100));
    context.write("empty", "");
    let before = house.ok(&["images", "-aq"]).stdout;
    for name in ["text", "empty"] {
        let path = context.at(name);
        house.fails(1, &["import", &path, "never"]).says(&format!("`{path}`"));
    }
    house.fails(1, &["import", &context.at("missing")]).says("cannot open ");
    house
        .fails(125, &["import", "-c", "RUN true", &context.at("text")])
        .says("--change: `RUN true` is none of");
    assert_eq!(house.ok(&["images", "-aq"]).stdout, before);
    assert_eq!(fs::read_dir(house.root().join("ingest")).unwrap().count(), 0);
}

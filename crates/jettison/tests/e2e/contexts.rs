//! Build contexts and named contexts that are no folders.

use crate::harness::*;
use std::io::Write;
use std::process::{Command, Stdio};

/// A tar of a folder with a Dockerfile, packed as `tar` packs it with this option.
fn archive(option: Option<&str>) -> Vec<u8> {
    let context = Context::dockerfile("FROM scratch\nCOPY . /\n");
    context.write("d/f", "in the archive");
    context.write(".dockerignore", "d\n");
    let mut tar = Command::new("tar");
    tar.args(option).arg("-c").arg("-C").arg(context.path()).arg(".");
    run(tar, LIMIT).ok().bytes
}

/// What `build ARGS CONTEXT` gives as a tar.
fn files(house: &House, context: &str, args: &[&str]) -> Files {
    let mut all = vec!["build", "--progress", "plain", "--output", "type=tar,dest=-"];
    all.extend(args);
    all.push(context);
    Files::read(&house.run(&all).ok().bytes)
}

#[test]
fn a_repository_is_a_context() {
    let repositories = Repositories::start();
    let repository = repositories.make("app.git");
    repository
        .write("Dockerfile", "FROM scratch\nCOPY . /all/\n")
        .write("sub/Dockerfile", "FROM scratch\nCOPY f /from-sub\n")
        .write("sub/f", "below")
        .write("other/Build", "FROM scratch\nCOPY sub/f /other\n")
        .write(".dockerignore", "sub\n");
    repository.commit();
    repository.git(&["tag", "v1"]);
    let url = repositories.url("app.git");
    let whole = files(shared(), &url, &[]);
    // No ignore file counts, and there is no `.git`.
    assert_eq!(whole.get("all/sub/f").bytes, b"below");
    assert!(!whole.has("all/.git"));
    assert_eq!((whole.get("all/Dockerfile").mode, whole.get("all/Dockerfile").uid), (0o644, 0));
    assert!(files(shared(), &format!("{url}#v1:sub"), &[]).has("from-sub"));
    assert!(files(shared(), &format!("{url}?tag=v1&subdir=sub"), &[]).has("from-sub"));
    assert!(files(shared(), &url, &["--file", "other/Build"]).has("other"));
    let kept = files(shared(), &url, &["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"]);
    assert!(kept.has("all/.git/HEAD"));
    // In a store of its own: times are in no key.
    assert_eq!(files(&own(), &format!("{url}?mtime=commit"), &[]).get("all/sub/f").mtime, COMMITTED);
    let given = shared().build_from(
        &url,
        &["--file", "-", "--output", "type=cacheonly"],
        Some(b"FROM scratch\nCOPY sub /\n"),
    );
    given.out.ok();
}

#[test]
fn a_repository_is_asked_once_in_a_build_and_fetched_once() {
    let house = own();
    let repositories = Repositories::start();
    let repository = repositories.make("app.git");
    repository.write("Dockerfile", "FROM scratch\nCOPY f /\nADD f /g\n").write("f", "one").commit();
    let url = repositories.url("app.git");
    let first = house.build_from(&url, &[], None);
    assert_eq!(first.out.code, Some(0), "{}", first.out.stderr);
    let name = format!("[internal] load git source {url}");
    assert!(first.steps.iter().any(|step| step.name == name && step.done), "{:?}", first.steps);
    repositories.site.seen();
    let again = house.build_from(&url, &[], None);
    let steps = again.steps.iter().filter(|step| step.name.starts_with('['));
    assert!(steps.clone().count() == 3 && steps.clone().all(|step| step.cached), "{:?}", again.steps);
    let asked = repositories.site.seen();
    assert!(
        !asked.is_empty() && asked.iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains("want "))
    );
    // What is there now counts.
    repository.write("f", "two").commit();
    assert_eq!(files(&house, &url, &[]).get("f").bytes, b"two");
}

#[test]
fn an_archive_by_its_url_is_a_context() {
    for option in [None, Some("--gzip"), Some("--zstd"), Some("--xz"), Some("--bzip2")] {
        let bytes = archive(option);
        let site = Site::start(move |_| Reply::ok(bytes.clone()).header("ETag", "\"1\""));
        let files = files(shared(), &site.url("/some/where?x=1"), &[]);
        assert_eq!(files.get("d/f").bytes, b"in the archive", "{option:?}");
        assert_eq!(site.seen().len(), 1);
    }
}

#[test]
fn a_dockerfile_by_its_url_is_a_context_of_its_own() {
    let site = Site::start(|_| Reply::ok("FROM scratch\nCOPY context /itself\nCOPY <<E /e\nE\n"));
    let files = files(shared(), &site.url("/Dockerfile"), &[]);
    assert!(files.has("itself") && files.has("e"));
    let out = shared().run(&["build", &site.url("/x.git#:nowhere")]).fails(1);
    assert!(out.stderr.contains("cannot load the build context"), "{}", out.stderr);
    let site = Site::start(|_| Reply::status(404));
    let out = shared().run(&["build", &site.url("/x")]).fails(1);
    assert!(out.stderr.contains("answered 404") && out.stderr.contains(&site.url("/x")), "{}", out.stderr);
}

#[test]
fn archives_come_on_standard_input() {
    for option in [None, Some("--gzip"), Some("--zstd"), Some("--xz"), Some("--bzip2")] {
        let built = shared().build_from("-", &["--output", "type=cacheonly"], Some(&archive(option)));
        assert_eq!(built.out.code, Some(0), "{option:?}: {}", built.out.stderr);
    }
}

#[test]
fn named_contexts_from_elsewhere_replace_stages_and_images() {
    let repositories = Repositories::start();
    let repository = repositories.make("lib.git");
    repository.write("d/f", "of the repository").commit();
    let bytes = archive(None);
    let site = Site::start(move |_| Reply::ok(bytes.clone()));
    let context = Context::dockerfile(
        "FROM nowhere.invalid/base AS base\nFROM nowhere.invalid/other AS builder\nRUN false\n\
         FROM base\nCOPY --from=builder d/f /copied\nCOPY --from=web context /web.tar\n",
    );
    let url = repositories.url("lib.git");
    let files = shared().files_of(
        &context,
        &[
            "--build-context",
            &format!("nowhere.invalid/base={url}#:d"),
            "--build-context",
            &format!("builder={url}"),
            "--build-context",
            &format!("web={}", site.url("/a.tar")),
        ],
    );
    assert_eq!(files.get("f").bytes, b"of the repository");
    assert_eq!(files.get("copied").bytes, b"of the repository");
    // As BuildKit has it: one file, called `context`, and not unpacked.
    assert_eq!(files.get("web.tar").mode, 0o600);
    let out = shared().try_build(&context, &["--build-context", "builder=target:x"]).out.fails(125);
    assert!(out.stderr.contains("bake"), "{}", out.stderr);
    let out = shared().try_build(&context, &["--build-context", "builder=ftp://x/y"]).out.fails(125);
    assert!(out.stderr.contains("ftp://x/y") && out.stderr.contains("hint"), "{}", out.stderr);
}

#[test]
fn a_mount_shows_a_repository() {
    let repositories = Repositories::start();
    repositories.make("lib.git").write("d/f", "of the repository").commit();
    let context =
        Context::dockerfile("FROM busybox\nRUN --mount=from=lib,target=/m cp /m/d/f /f && ! touch /m/x\n");
    let lib = format!("lib={}", repositories.url("lib.git"));
    let files = shared().files_of(&context, &["--build-context", &lib]);
    assert_eq!(files.get("f").bytes, b"of the repository");
}

#[test]
fn bases_come_from_a_layout_without_a_registry() {
    let folder = folder();
    let layout = folder.path().join("layout");
    let copy = |tag: &str| {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", &format!("oci-archive:{}", busybox().display())]);
        skopeo.arg(format!("oci:{}:{tag}", layout.display()));
        run(skopeo, LIMIT).ok();
    };
    copy("v1");
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let context = Context::dockerfile("FROM nowhere.invalid/base\nRUN echo hi > /hi\n");
    for place in [String::new(), ":v1".to_owned(), format!("@{digest}")] {
        let house = own();
        let base = format!("nowhere.invalid/base=oci-layout://{}{place}", layout.display());
        let files = house.files_of(&context, &["--build-context", &base]);
        assert!(files.has("bin/busybox") && files.has("hi"), "{place}");
        house.build(&context, &["--build-context", &base]);
    }
    let base = format!("nowhere.invalid/base=oci-layout://{}:none", layout.display());
    let out = own().try_build(&context, &["--build-context", &base]).out.fails(1);
    assert!(out.stderr.contains("no image of that name"), "{}", out.stderr);
    // A blob that is damaged is not taken.
    let largest = std::fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let largest = largest.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&largest).unwrap();
    file.write_all(b"damaged").unwrap();
    let base = format!("nowhere.invalid/base=oci-layout://{}", layout.display());
    let out = own().try_build(&context, &["--build-context", &base]).out.fails(1);
    assert!(out.stderr.contains("digest"), "{}", out.stderr);
}

#[test]
fn the_dockerfile_of_standard_input_needs_no_context() {
    let mut command = shared().command(&["build", "--output", "type=cacheonly", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"FROM scratch\nCOPY <<E /e\nE\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn add_unpacks_archives_of_all_kinds() {
    let context = Context::new();
    let mut lines = "FROM scratch\n".to_owned();
    for option in ["--format=gnu", "--gzip", "--zstd", "--xz", "--bzip2"] {
        let name = option.trim_start_matches("--");
        // The name says nothing: the content tells.
        std::fs::write(context.path().join(name), archive(Some(option))).unwrap();
        lines.push_str(&format!("ADD {name} /{name}\n"));
    }
    std::fs::write(context.path().join("no.tar.xz"), b"\xfd7zXZ\0 and then something else").unwrap();
    lines.push_str("ADD no.tar.xz /no/\n");
    context.write("Dockerfile", &lines);
    let files = shared().files_of(&context, &[]);
    for name in ["format=gnu", "gzip", "zstd", "xz", "bzip2"] {
        assert_eq!(files.get(&format!("{name}/d/f")).bytes, b"in the archive", "{name}");
    }
    assert!(files.has("no/no.tar.xz"));
}

#[test]
fn an_image_can_have_the_time_of_a_commit() {
    let repositories = Repositories::start();
    let repository = repositories.make("app.git");
    repository.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n").commit();
    let url = repositories.url("app.git");
    let context = Context::dockerfile(&format!(
        "FROM scratch AS added\nADD {url} /\nFROM scratch\nCOPY Dockerfile /f\n"
    ));
    let lib = format!("lib={url}");
    for (place, value, more) in [
        (url.as_str(), "context", &[][..]),
        (context.text(), "lib", &["--build-context", &lib]),
        (context.text(), "added", &[]),
    ] {
        let name = unique("dated");
        let argument = format!("SOURCE_DATE_EPOCH={value}");
        let mut args = vec!["--tag", &name, "--build-arg", &argument];
        args.extend(more);
        let built = shared().build_from(place, &args, None);
        assert_eq!(built.out.code, Some(0), "{value}: {}", built.out.stderr);
        assert_eq!(shared().inspect(&name)["Created"], "2020-01-02T03:04:05Z", "{value}");
    }
}

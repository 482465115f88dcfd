//! FROM: images, stages, scratch, platforms, named contexts, triggers, and what the target reaches.

use crate::support::*;
use frontend::NamedContext;
use insta::assert_snapshot;

#[test]
fn one_stage() {
    assert_snapshot!(dump("FROM alpine\nRUN true\n"), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "true"]  [2/2] RUN true
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    + RUN /bin/sh -c true # buildkit
    "#);
}

#[test]
fn a_stage_that_is_not_reached_is_not_even_resolved() {
    let images = images();
    let text =
        "FROM nowhere AS unused\nRUN x\nFROM alpine AS base\nFROM base\nRUN y\nFROM nowhere AS later\n";
    assert_snapshot!(dump_with(text, &with_target("base"), &images), @r#"
    *0 image alpine linux/amd64  [base 1/1] FROM alpine
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    "#);
    assert_eq!(*images.asked.borrow(), ["alpine linux/amd64"]);
}

#[test]
fn targets_are_found_in_any_case() {
    let text = "FROM alpine AS One\nRUN one\nFROM alpine AS two\nRUN two\n";
    assert_snapshot!(graph(&lowered(text, &with_target("ONE"), &images())), @r#"
     0 image alpine linux/amd64  [one 1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "one"]  [one 2/2] RUN one
    "#);
    assert_snapshot!(error_with(text, &with_target("three"), &images()), @r#"Target { target: "three", stages: ["one", "two"] }"#);
    assert_snapshot!(error_with(text, &with_target("0"), &images()), @r#"Target { target: "0", stages: ["one", "two"] }"#);
}

#[test]
fn the_last_of_two_stages_with_one_name_is_meant() {
    let text = "FROM alpine AS a\nRUN one\nFROM alpine AS a\nRUN two\nFROM a\nRUN three\n";
    assert_snapshot!(graph(&lowered(text, &options(), &images())), @r#"
     0 image alpine linux/amd64  [a 1/2] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "two"]  [a 2/2] RUN two
    *2 run on 1: ["/bin/sh", "-c", "three"]  [stage-2 1/1] RUN three
    "#);
}

#[test]
fn from_finds_stages_in_their_own_case_only() {
    assert_snapshot!(error("FROM alpine AS Base\nFROM BASE\n"), @r"
    error: cannot resolve the image `BASE`: no registry knows `BASE`
     --> Dockerfile:2:6
      |
    2 | FROM BASE
      |      ^^^^
      |
      = hint: the stage is called `base`
    ");
    assert_snapshot!(graph(&lowered("FROM alpine AS Base\nFROM base\nRUN x\n", &options(), &images())), @r#"
     0 image alpine linux/amd64  [base 1/1] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"]  [stage-1 1/1] RUN x
    "#);
}

#[test]
fn scratch_has_a_path_and_a_directory() {
    assert_snapshot!(dump("FROM scratch\nCOPY a /\n"), @r#"
     0 scratch
     1 local context  [internal] load context
    *2 file on 0: 1:["a"] -> /  [1/1] COPY a /
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    WorkingDir: "/"
    + COPY a / # buildkit
    "#);
}

#[test]
fn scratch_is_of_the_platform_that_was_asked_for() {
    let lowered = lowered("FROM --platform=linux/arm64 scratch\nCOPY a /\n", &options(), &images());
    assert_eq!(lowered.config.architecture, "amd64");
}

#[test]
fn a_stage_may_be_called_scratch() {
    let text = "FROM alpine AS scratch\nRUN x\nFROM scratch\nRUN y\n";
    assert_snapshot!(graph(&lowered(text, &options(), &images())), @r#"
     0 image alpine linux/amd64  [scratch 1/2] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "x"]  [scratch 2/2] RUN x
    *2 run on 1: ["/bin/sh", "-c", "y"]  [stage-1 1/1] RUN y
    "#);
}

#[test]
fn images_without_a_path_get_one() {
    let images = images().with_config("bare", r#"{"Env":["A=1"],"WorkingDir":"/x/./y/"}"#);
    assert_snapshot!(dump_with("FROM bare\nRUN x\n", &options(), &images), @r#"
     0 image bare linux/amd64  [1/2] FROM bare
    *1 run on 0: ["/bin/sh", "-c", "x"] A=1 in /x/y  [2/2] RUN x
    Env: ["A=1","PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    WorkingDir: "/x/y"
    + RUN /bin/sh -c x # buildkit
    "#);
}

#[test]
fn global_arguments_name_bases_and_platforms() {
    let text = "ARG V=alp\nARG NAME=${V}ine PLAT\nFROM --platform=${PLAT:-linux/arm64} $NAME\nRUN x\n";
    let images = images();
    lowered(text, &options(), &images);
    lowered(text, &with_args(&[("PLAT", "linux/arm/v7")]), &images);
    lowered("FROM --platform=$BUILDPLATFORM alpine\n", &options(), &images);
    assert_eq!(*images.asked.borrow(), ["alpine linux/arm64", "alpine linux/arm/v7", "alpine linux/amd64"]);
}

#[test]
fn a_build_argument_beats_a_predefined_one() {
    let images = images().with_config("for-riscv64", "{}");
    let args = with_args(&[("TARGETARCH", "riscv64")]);
    assert_snapshot!(dump_with("FROM for-$TARGETARCH\nARG TARGETARCH\nRUN x\n", &args, &images), @r#"
     0 image for-riscv64 linux/amd64  [1/2] FROM for-riscv64
    *1 run on 0: ["/bin/sh", "-c", "x"] arg:TARGETARCH=riscv64  [2/2] RUN x
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    - ARG TARGETARCH=riscv64
    + RUN |1 TARGETARCH=riscv64 /bin/sh -c x # buildkit
    "#);
}

#[test]
fn the_image_is_of_the_platform_that_was_asked_for() {
    let platform: oci::Platform = "linux/arm64".parse().unwrap();
    let options = frontend::Options { platform, ..options() };
    let images = images();
    let text = "FROM --platform=$BUILDPLATFORM alpine AS build\nCOPY --from=alpine /a /\n\
                FROM --platform=$BUILDPLATFORM alpine\nCOPY --from=build /a /\n";
    let made = lowered(text, &options, &images);
    assert_eq!(made.config.architecture, "arm64");
    // An image that is copied from is the target's, whatever the stage is.
    assert_snapshot!(graph(&made), @r#"
     0 image alpine linux/amd64  [build 1/2] FROM alpine
     1 image alpine linux/arm64  FROM alpine
     2 file on 0: 1:["/a"] -> /  [build 2/2] COPY --from=alpine /a /
    *3 file on 0: 2:["/a"] -> /  [stage-1 2/2] COPY --from=build /a /
    "#);
}

#[test]
fn empty_and_wrong_bases() {
    assert_snapshot!(error("ARG BASE\nFROM $BASE\n"), @r"
    error: the base name `$BASE` is empty once its arguments are filled in
     --> Dockerfile:2:6
      |
    2 | FROM $BASE
      |      ^^^^^
      |
      = hint: `BASE` has no value: give its ARG a default, or `--build-arg BASE=...`
    ");
    assert_snapshot!(error("FROM --platform=$TARGETPLATFORN alpine\n"), @r"
    error: the platform `$TARGETPLATFORN` is empty once its arguments are filled in
     --> Dockerfile:1:17
      |
    1 | FROM --platform=$TARGETPLATFORN alpine
      |                 ^^^^^^^^^^^^^^^
      |
      = hint: did you mean `$TARGETPLATFORM`?
    ");
    assert_snapshot!(error("FROM --platform=a/b/c/d alpine\n"), @r"
    error: `a/b/c/d` is not a platform: it has at most three parts
     --> Dockerfile:1:17
      |
    1 | FROM --platform=a/b/c/d alpine
      |                 ^^^^^^^
    ");
    assert_snapshot!(error("FROM nowhere\n"), @r"
    error: cannot resolve the image `nowhere`
     --> Dockerfile:1:6
      |
    1 | FROM nowhere
      |      ^^^^^^^
    ");
    assert_snapshot!(error("ARG V=${W?is needed}\nFROM alpine\n"), @r"
    error: in `${W?is` the `}` of a `${...}` is missing
     --> Dockerfile:1:7
      |
    1 | ARG V=${W?is needed}
      |       ^^^^^^
    ");
}

#[test]
fn triggers_of_an_image_run_first() {
    let images = images().with_config(
        "app",
        r#"{"OnBuild":["ARG MODE=dev","COPY --from=tools /tool /bin/","WORKDIR /app","RUN install $MODE"]}"#,
    );
    let text = "FROM alpine AS tools\nRUN make tools\nFROM app\nRUN build\n";
    assert_snapshot!(dump_with(text, &with_args(&[("MODE", "prod")]), &images), @r#"
     0 image app linux/amd64  [stage-1 1/5] FROM app
     1 image alpine linux/amd64  [tools 1/2] FROM alpine
     2 run on 1: ["/bin/sh", "-c", "make tools"]  [tools 2/2] RUN make tools
     3 file on 0: 2:["/tool"] -> /bin/  [stage-1 2/5] ONBUILD COPY --from=tools /tool /bin/
     4 file on 3: mkdir /app 755  [stage-1 3/5] ONBUILD WORKDIR /app
     5 run on 4: ["/bin/sh", "-c", "install $MODE"] arg:MODE=prod in /app  [stage-1 4/5] ONBUILD RUN install prod
    *6 run on 5: ["/bin/sh", "-c", "build"] arg:MODE=prod in /app  [stage-1 5/5] RUN build
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    WorkingDir: "/app"
    - ARG MODE=prod
    + COPY /tool /bin/ # buildkit
    + WORKDIR /app
    + RUN |1 MODE=prod /bin/sh -c install $MODE # buildkit
    + RUN |1 MODE=prod /bin/sh -c build # buildkit
    "#);
}

#[test]
fn triggers_of_a_stage_run_in_its_children_and_not_in_theirs() {
    let text =
        "FROM alpine AS base\nONBUILD RUN trigger\nFROM base AS child\nRUN own\nFROM child\nRUN last\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [base 1/1] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "trigger"]  [child 1/2] ONBUILD RUN trigger
     2 run on 1: ["/bin/sh", "-c", "own"]  [child 2/2] RUN own
    *3 run on 2: ["/bin/sh", "-c", "last"]  [stage-2 1/1] RUN last
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    + RUN /bin/sh -c trigger # buildkit
    + RUN /bin/sh -c own # buildkit
    + RUN /bin/sh -c last # buildkit
    "#);
    let text = "FROM alpine\nONBUILD RUN a <<E\nb\nE\n";
    assert_snapshot!(dump(text), @r#"
    *0 image alpine linux/amd64  [1/1] FROM alpine
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    OnBuild: ["RUN a <<E\nb\nE"]
    "#);
}

#[test]
fn wrong_triggers() {
    let with = |trigger: &str| images().with_config("app", &format!(r#"{{"OnBuild":["{trigger}"]}}"#));
    assert_snapshot!(error_with("FROM app\n", &options(), &with("RUNN x")), @r"
    error: the trigger `ONBUILD RUNN x` cannot be read: unknown instruction `RUNN`
     --> Dockerfile:1:6
      |
    1 | FROM app
      |      ^^^
    ");
    assert_snapshot!(error_with("FROM app\n", &options(), &with("COPY --from=missing a b")), @r"
    error: `missing` is no stage before this one, and no image of that name was found: no registry knows `missing`
     --> Dockerfile:1:6
      |
    1 | FROM app
      |      ^^^
      |
      = hint: no stage stands before this one
      = hint: the base has the trigger `ONBUILD COPY --from=missing a b`
    ");
}

#[test]
fn contexts_beat_images_by_whatever_name() {
    let contexts = [("alpine", NamedContext::Image("mine".to_owned()))];
    let images = images().with_config("mine", "{}");
    for base in ["alpine", "alpine:latest", "docker.io/library/alpine"] {
        images.asked.borrow_mut().clear();
        lowered(&format!("FROM {base}\n"), &with_contexts(&contexts), &images);
        assert_eq!(*images.asked.borrow(), ["mine linux/amd64"], "{base}");
    }
    images.asked.borrow_mut().clear();
    lowered("FROM scratch\nCOPY --from=alpine a /\n", &with_contexts(&contexts), &images);
    assert_eq!(*images.asked.borrow(), ["mine linux/amd64"]);
}

#[test]
fn contexts_beat_stages() {
    let contexts = [("deps", NamedContext::Local)];
    let text = "FROM nowhere AS deps\nRUN x\nFROM alpine\nCOPY --from=deps a /\nCOPY --from=0 b /\n\
                RUN --mount=from=deps,target=/d y\n";
    assert_snapshot!(graph(&lowered(text, &with_contexts(&contexts), &images())), @r#"
     0 image alpine linux/amd64  [stage-1 1/4] FROM alpine
     1 local deps  [internal] load deps
     2 file on 0: 1:["a"] -> /  [stage-1 2/4] COPY --from=deps a /
     3 file on 2: 1:["b"] -> /  [stage-1 3/4] COPY --from=0 b /
    *4 run on 3: ["/bin/sh", "-c", "y"] [bind 1:/ at /d]  [stage-1 4/4] RUN --mount=from=deps,target=/d y
    "#);
}

#[test]
fn a_folder_can_be_a_base() {
    let contexts = [("root", NamedContext::Local)];
    let text = "FROM root\nRUN x\n";
    assert_snapshot!(dump_with(text, &with_contexts(&contexts), &images()), @r#"
     0 scratch
     1 local root  [internal] load root
     2 file on 0: 1:["/"] -> /  [context root] load as a stage
    *3 run on 2: ["/bin/sh", "-c", "x"]  [1/1] RUN x
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    WorkingDir: "/"
    + FROM root # buildkit
    + RUN /bin/sh -c x # buildkit
    "#);
}

#[test]
fn scratch_and_the_context_keep_their_meaning() {
    let contexts = [("scratch", NamedContext::Image("mine".to_owned()))];
    let images = images();
    lowered("FROM scratch\nCOPY a /\n", &with_contexts(&contexts), &images);
    assert!(images.asked.borrow().is_empty());
}

#[test]
fn no_cache_for_all_or_for_a_stage() {
    let text = "FROM alpine AS a\nRUN x\nFROM alpine AS b\nRUN y\nFROM a\nCOPY --from=b / /\n";
    let some = frontend::Options { no_cache_filter: vec!["B".to_owned()], ..options() };
    assert_snapshot!(graph(&lowered(text, &some, &images())), @r#"
     0 image alpine linux/amd64  [a 1/2] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "x"]  [a 2/2] RUN x
     2 run on 0: ["/bin/sh", "-c", "y"] (no cache)  [b 2/2] RUN y
    *3 file on 1: 2:["/"] -> /  [stage-2 1/1] COPY --from=b / /
    "#);
    let all = frontend::Options { no_cache: true, ..options() };
    let made = lowered(text, &all, &images());
    let steps = made.graph.nodes().iter().filter(|node| !node.about.slot.is_empty());
    assert!(steps.clone().count() == 3 && steps.into_iter().all(|node| node.about.no_cache));
}

//! ARG and ENV: which value counts where.

use crate::support::*;
use insta::assert_snapshot;

#[test]
fn a_build_argument_beats_a_default_beats_a_global() {
    let text = "ARG A=global B=global C=global D=global\nFROM alpine\nARG A=default\nARG B\nARG C=default\nRUN x $A\n";
    assert_snapshot!(dump_with(text, &with_args(&[("C", "given"), ("D", "given")]), &images()), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x $A"] arg:A=default arg:B=global arg:C=given  [2/2] RUN x default
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    - ARG A=default
    - ARG B=global
    - ARG C=given
    + RUN |3 A=default B=global C=given /bin/sh -c x $A # buildkit
    "#);
}

#[test]
fn a_global_is_seen_only_when_declared_again() {
    assert_snapshot!(dump("ARG V=1\nFROM alpine\nENV A=$V\nARG V\nENV B=$V\n"), @r#"
    *0 image alpine linux/amd64  [1/1] FROM alpine
    Env: ["PATH=/usr/bin:/bin","A=","B=1"]
    Cmd: ["/bin/sh"]
    - ENV A=
    - ARG V=1
    - ENV B=1
    UndefinedVar: Usage of undefined variable '$V'
    "#);
}

#[test]
fn one_env_uses_the_old_values_one_arg_the_new() {
    assert_snapshot!(dump("FROM alpine\nENV a=0\nENV a=1 b=$a\nARG c=2 d=$c\nRUN x\n"), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"] a=1 b=0 arg:c=2 arg:d=2  [2/2] RUN x
    Env: ["PATH=/usr/bin:/bin","a=1","b=0"]
    Cmd: ["/bin/sh"]
    - ENV a=0
    - ENV a=1 b=0
    - ARG c=2 d=2
    + RUN |2 c=2 d=2 /bin/sh -c x # buildkit
    "#);
}

#[test]
fn the_later_of_env_and_arg_wins() {
    assert_snapshot!(dump("FROM alpine\nARG A=arg\nENV A=env\nENV B=env\nARG B=arg\nRUN x\nLABEL l=$A$B\n"), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"] A=env arg:B=arg  [2/2] RUN x
    Env: ["PATH=/usr/bin:/bin","A=env","B=env"]
    Cmd: ["/bin/sh"]
    Labels: {"l":"envarg"}
    - ARG A=arg
    - ENV A=env
    - ENV B=env
    - ARG B=arg
    + RUN |2 A=env B=arg /bin/sh -c x # buildkit
    - LABEL l=envarg
    "#);
}

#[test]
fn a_child_stage_inherits_both_and_its_env_wins_again() {
    let text = "FROM alpine AS base\nENV A=env\nARG A=arg\nARG B=arg\nFROM base\nRUN x\nARG A=later\nRUN y\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [base 1/1] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "x"] A=env arg:B=arg  [stage-1 1/2] RUN x
    *2 run on 1: ["/bin/sh", "-c", "y"] arg:A=later arg:B=arg  [stage-1 2/2] RUN y
    Env: ["PATH=/usr/bin:/bin","A=env"]
    Cmd: ["/bin/sh"]
    - ENV A=env
    - ARG A=arg
    - ARG B=arg
    + RUN |2 A=env B=arg /bin/sh -c x # buildkit
    - ARG A=later
    + RUN |2 A=later B=arg /bin/sh -c y # buildkit
    "#);
}

#[test]
fn each_stage_on_another_has_what_that_one_set() {
    // Of stages that stand on one, the last takes over what it knew; others still name its files.
    let text = "FROM alpine AS base\nENV A=a\nFROM base AS one\nENV B=${A}1\nFROM base AS two\nENV B=${A}2\nFROM one\n\
                COPY --from=two /x /\nCOPY --from=base /x /\nENV C=$A$B\n";
    let dumped = dump(text);
    assert!(dumped.contains(r#"Env: ["PATH=/usr/bin:/bin","A=a","B=a1","C=aa1"]"#), "{dumped}");
    // What stands on the target changes nothing of it.
    let base = dump_with(text, &with_target("base"), &images());
    assert!(base.contains(r#"Env: ["PATH=/usr/bin:/bin","A=a"]"#), "{base}");
}

#[test]
fn arguments_without_a_value() {
    assert_snapshot!(dump("FROM alpine\nARG A B=\nRUN x ${A-unset} ${B-unset}\nLABEL a=${A-unset} b=${B-unset}\n"), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x ${A-unset} ${B-unset}"] arg:B=  [2/2] RUN x ${A-unset}
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    Labels: {"a":"unset","b":""}
    - ARG A B=
    + RUN |2 A= B= /bin/sh -c x ${A-unset} ${B-unset} # buildkit
    - LABEL a=unset b=
    "#);
}

#[test]
fn the_platform_is_an_argument() {
    let text = "FROM alpine AS last\nARG TARGETPLATFORM TARGETOS TARGETVARIANT BUILDARCH TARGETSTAGE\nARG TARGETARCH=mine\nRUN x\n";
    assert_snapshot!(graph(&lowered(text, &options(), &images())), @r#"
     0 image alpine linux/amd64  [last 1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"] arg:TARGETPLATFORM=linux/amd64 arg:TARGETOS=linux arg:TARGETVARIANT= arg:BUILDARCH=amd64 arg:TARGETSTAGE=last arg:TARGETARCH=mine  [last 2/2] RUN x
    "#);
    let unnamed = "FROM alpine\nARG TARGETSTAGE\nRUN x\n";
    assert_snapshot!(graph(&lowered(unnamed, &options(), &images())), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"] arg:TARGETSTAGE=default  [2/2] RUN x
    "#);
}

#[test]
fn proxies_need_no_arg_and_leave_no_trace() {
    let args = with_args(&[
        ("HTTP_PROXY", "http://upper"),
        ("http_proxy", "http://lower"),
        ("no_proxy", "local"),
        ("ftp_proxy", ""),
    ]);
    assert_snapshot!(dump_with("FROM alpine\nRUN x\n", &args, &images()), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"] proxy:http_proxy=http://lower proxy:HTTP_PROXY=http://lower proxy:no_proxy=local proxy:NO_PROXY=local  [2/2] RUN x
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    + RUN /bin/sh -c x # buildkit
    "#);
    // A declared one is an argument like any other.
    assert_snapshot!(dump_with("FROM alpine\nARG http_proxy\nRUN x\n", &args, &images()), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "x"] arg:http_proxy=http://lower proxy:http_proxy=http://lower proxy:HTTP_PROXY=http://lower proxy:no_proxy=local proxy:NO_PROXY=local  [2/2] RUN x
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    - ARG http_proxy=http://lower
    + RUN |1 http_proxy=http://lower /bin/sh -c x # buildkit
    "#);
}

#[test]
fn arguments_that_nothing_declares() {
    let text = "FROM alpine AS a\nARG VERSION\nARG OTHER=1\nFROM alpine\nRUN x\n";
    let args = with_args(&[("VERSION", "1"), ("VERSIN", "2"), ("X", "3"), ("X", "4"), ("BUILDKIT_X", "5")]);
    assert_snapshot!(warnings_with(text, &args, &images()), @r"
    warning: no ARG declares the build argument `VERSIN`, so it is not used
     --> Dockerfile:2:5
      |
    2 | ARG VERSION
      |     ^^^^^^^
      |
      = hint: did you mean `VERSION`?

    warning: no ARG declares the build argument `X`, so it is not used
     --> Dockerfile:1:1
      |
    1 | FROM alpine AS a
      | ^^^^
      |
      = hint: a stage that uses it says `ARG X`
    ");
}

#[test]
fn what_cannot_be_expanded() {
    assert_snapshot!(error("FROM alpine\nENV A=\"${B:?must be set}\"\n"), @r#"
    error: `B` must be set
     --> Dockerfile:2:7
      |
    2 | ENV A="${B:?must be set}"
      |       ^^^^^^^^^^^^^^^^^^^
      |
      = hint: `--build-arg B=...` gives an ARG its value
    "#);
    assert_snapshot!(error("FROM alpine\nWORKDIR ${\n"), @r"
    error: in `${` the `}` of a `${...}` is missing
     --> Dockerfile:2:9
      |
    2 | WORKDIR ${
      |         ^^
    ");
    assert_snapshot!(error("FROM alpine\nENV $X=1\n"), @r"
    error: a name is empty once its variables are filled in
     --> Dockerfile:2:5
      |
    2 | ENV $X=1
      |     ^^
    ");
}

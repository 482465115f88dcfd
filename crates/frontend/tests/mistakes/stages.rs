//! Stages, images and targets that are not there.

use crate::{checked, told};
use insta::assert_snapshot;

#[test]
fn a_stage_with_a_typo() {
    assert_snapshot!(told("FROM alpine AS builder\nFROM alpine AS tester\nFROM alpine\nCOPY --from=bilder /a /b\n"), @r"
    error: `bilder` is no stage before this one, and no image of that name was found: the registry does not have `bilder`
     --> Dockerfile:4:13
      |
    4 | COPY --from=bilder /a /b
      |             ^^^^^^
      |
      = hint: the stages before this one are `builder`, `tester`
      = hint: did you mean `--from=builder`?
    ");
}

#[test]
fn a_stage_with_a_typo_in_a_mount() {
    assert_snapshot!(told("FROM alpine AS builder\nFROM alpine\nRUN --mount=from=buidler,target=/x y\n"), @r"
    error: `buidler` is no stage before this one, and no image of that name was found: the registry does not have `buidler`
     --> Dockerfile:3:13
      |
    3 | RUN --mount=from=buidler,target=/x y
      |             ^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: the stage before this one is `builder`
      = hint: did you mean `from=builder`?
    ");
}

#[test]
fn a_stage_with_a_typo_in_from() {
    assert_snapshot!(told("FROM alpine AS base\nFROM bsae\n"), @r"
    error: cannot resolve the image `bsae`: the registry does not have `bsae`
     --> Dockerfile:2:6
      |
    2 | FROM bsae
      |      ^^^^
      |
      = hint: did you mean the stage `base`?
    ");
}

#[test]
fn a_layout_is_named_on_the_command_line() {
    assert_snapshot!(told("FROM oci-layout:///srv/base:v1\n"), @r"
    error: `oci-layout:///srv/base:v1` is a folder of the building machine, and a Dockerfile cannot name one
     --> Dockerfile:1:6
      |
    1 | FROM oci-layout:///srv/base:v1
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: give it a name on the command line, `--build-context base=oci-layout:///srv/base:v1`, and use that
    ");
}

#[test]
fn a_stage_in_another_case_in_from() {
    assert_snapshot!(told("FROM alpine AS base\nFROM BASE\n"), @r"
    error: cannot resolve the image `BASE`: `BASE` is not a valid image name: a repository name is in lower case
     --> Dockerfile:2:6
      |
    2 | FROM BASE
      |      ^^^^
      |
      = hint: the stage is called `base`
    ");
}

#[test]
fn an_image_that_is_not_there() {
    assert_snapshot!(told("FROM nosuchimage\n"), @r"
    error: cannot resolve the image `nosuchimage`: the registry does not have `nosuchimage`
     --> Dockerfile:1:6
      |
    1 | FROM nosuchimage
      |      ^^^^^^^^^^^
    ");
}

#[test]
fn an_image_with_a_typo() {
    assert_snapshot!(told("FROM alpin\nFROM ubnutu:24.04\n"), @r"
    error: cannot resolve the image `ubnutu:24.04`: the registry does not have `ubnutu:24.04`
     --> Dockerfile:2:6
      |
    2 | FROM ubnutu:24.04
      |      ^^^^^^^^^^^^
      |
      = hint: did you mean `ubuntu:24.04`?
    ");
}

#[test]
fn an_image_with_upper_case() {
    assert_snapshot!(told("FROM MyImage\n"), @r"
    error: cannot resolve the image `MyImage`: `MyImage` is not a valid image name: a repository name is in lower case
     --> Dockerfile:1:6
      |
    1 | FROM MyImage
      |      ^^^^^^^
      |
      = hint: did you mean `myimage`?
    ");
}

#[test]
fn an_image_with_a_blank_tag() {
    assert_snapshot!(told("FROM alpine:\n"), @r"
    error: cannot resolve the image `alpine:`: `alpine:` is not a valid image name: a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and starts with none of the last two
     --> Dockerfile:1:6
      |
    1 | FROM alpine:
      |      ^^^^^^^
      |
      = hint: a tag follows the `:`, as in `:latest`
    ");
}

#[test]
fn an_image_by_an_address() {
    assert_snapshot!(told("FROM https://hub.docker.com/_/alpine\n"), @r"
    error: cannot resolve the image `https://hub.docker.com/_/alpine`: `https://hub.docker.com/_/alpine` is not a valid image name: its host's port is not a number of 1 to 65535
     --> Dockerfile:1:6
      |
    1 | FROM https://hub.docker.com/_/alpine
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: an image is named without a scheme, as in `alpine`
    ");
}

#[test]
fn a_stage_by_a_number_too_large() {
    assert_snapshot!(told("FROM alpine AS one\nFROM alpine\nCOPY --from=5 a b\nCOPY --from=-1 a b\n"), @r"
    error: there is no stage 5 before this one
     --> Dockerfile:3:13
      |
    3 | COPY --from=5 a b
      |             ^
      |
      = hint: the stage before this one is `one`

    error: there is no stage -1 before this one
     --> Dockerfile:4:13
      |
    4 | COPY --from=-1 a b
      |             ^^
      |
      = hint: the stage before this one is `one`
    ");
}

#[test]
fn a_stage_that_copies_from_itself() {
    assert_snapshot!(told("FROM alpine AS a\nCOPY --from=a x y\nCOPY --from=0 x y\n"), @r"
    error: stage `a` cannot take files from itself
     --> Dockerfile:2:13
      |
    2 | COPY --from=a x y
      |             ^
      |
      = hint: no stage stands before this one

    error: stage 0 cannot take files from itself
     --> Dockerfile:3:13
      |
    3 | COPY --from=0 x y
      |             ^
      |
      = hint: no stage stands before this one
    ");
}

#[test]
fn a_stage_that_comes_later() {
    assert_snapshot!(told("FROM alpine AS a\nCOPY --from=b x y\nFROM alpine AS b\nCOPY --from=a x y\n"), @r"
    error: the stage `b` is not defined before this instruction
     --> Dockerfile:2:13
      |
    2 | COPY --from=b x y
      |             ^
      |
      = hint: move the stage up: a stage can only use those before it
    ");
}

#[test]
fn an_argument_below_from() {
    assert_snapshot!(told("FROM alpine AS a\nARG TAG=3\nFROM alpine:$TAG\nCOPY --from=a x y\n"), @r"
    error: cannot resolve the image `alpine:`: `alpine:` is not a valid image name: a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and starts with none of the last two
     --> Dockerfile:3:6
      |
    3 | FROM alpine:$TAG
      |      ^^^^^^^^^^^
      |
      = hint: FROM sees only the ARGs above the first FROM; move `ARG TAG` of line 2 there
    ");
}

#[test]
fn an_argument_without_a_value() {
    assert_snapshot!(told("ARG BASE\nFROM $BASE\n"), @r"
    error: the base name `$BASE` is empty once its arguments are filled in
     --> Dockerfile:2:6
      |
    2 | FROM $BASE
      |      ^^^^^
      |
      = hint: `BASE` has no value: give its ARG a default, or `--build-arg BASE=...`
    ");
}

#[test]
fn a_copy_of_an_address() {
    assert_snapshot!(told("FROM alpine\nCOPY https://example.com/a.tgz /\nCOPY git@example.com:a/b.git /\n"), @r"
    error: COPY takes files, not the address `https://example.com/a.tgz`
     --> Dockerfile:2:6
      |
    2 | COPY https://example.com/a.tgz /
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: ADD takes addresses

    error: COPY takes files, not the address `git@example.com:a/b.git`
     --> Dockerfile:3:6
      |
    3 | COPY git@example.com:a/b.git /
      |      ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: ADD takes addresses
    ");
}

#[test]
fn several_errors_at_once() {
    assert_snapshot!(told("FROM alpine AS one\nSTOPSIGNAL none\nENV $NOTHING=1\nFROM one AS two\nEXPOSE port\nFROM alpine\nCOPY --chmod=x a b\nCOPY --from=two a b\n"), @r"
    error: `none` is no signal
     --> Dockerfile:2:12
      |
    2 | STOPSIGNAL none
      |            ^^^^
      |
      = hint: signals are numbers or names such as SIGTERM and SIGQUIT

    error: `port` in `port` is no port or range of ports from 0 to 65535
     --> Dockerfile:5:8
      |
    5 | EXPOSE port
      |        ^^^^

    error: `--chmod=x` is no mode
     --> Dockerfile:7:14
      |
    7 | COPY --chmod=x a b
      |              ^
      |
      = hint: a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`
    ");
}

#[test]
fn several_faults_at_once() {
    assert_snapshot!(told("FORM alpine\nFROM alpine AS 2\nRUN --mount=typ=cache x\nCOPY\nCMD [1]\n"), @r#"
    error: unknown instruction `FORM`
     --> Dockerfile:1:1
      |
    1 | FORM alpine
      | ^^^^ no instruction of the Dockerfile language
      |
      = hint: did you mean `FROM`?

    error: `2` cannot name a build stage
     --> Dockerfile:2:16
      |
    2 | FROM alpine AS 2
      |                ^
      |
      = hint: a stage's name begins with a letter and holds letters, digits, `-`, `_` and `.`

    error: COPY needs a source and a destination
     --> Dockerfile:4:1
      |
    4 | COPY
      | ^^^^
      |
      = hint: write it as `COPY source... destination`

    error: every element of a JSON array must be a string
     --> Dockerfile:5:6
      |
    5 | CMD [1]
      |      ^ not a string
      |
      = hint: write it as `"1"`
    "#);
}

#[test]
fn a_stage_with_a_typo_in_a_check() {
    let text = "FROM unknown AS builder\nFROM buidler AS next\nCOPY --from=bilder /a /b\nCOPY --from=node /c /d\nFROM scratch AS nodes\n\
                FROM scratch\nCOPY --from=node /a /b\n";
    assert_snapshot!(checked(text), @r"
    warning: `buidler` is no stage before this one, so it is taken for an image
     --> Dockerfile:2:6
      |
    2 | FROM buidler AS next
      |      ^^^^^^^
      |
      = hint: did you mean `FROM builder`?

    warning: `bilder` is no stage before this one, so it is taken for an image
     --> Dockerfile:3:13
      |
    3 | COPY --from=bilder /a /b
      |             ^^^^^^
      |
      = hint: did you mean `--from=builder`?
    ");
}

//! Flags with typos, of other instructions, with values that are none.

use crate::told;
use insta::assert_snapshot;

#[test]
fn a_flag_with_a_typo() {
    assert_snapshot!(told("FROM alpine\nCOPY --form=build a b\nCOPY --chwon=1 a b\n"), @r"
    error: COPY knows no flag `--form`
     --> Dockerfile:2:6
      |
    2 | COPY --form=build a b
      |      ^^^^^^ unknown flag
      |
      = hint: did you mean `--from`?

    error: COPY knows no flag `--chwon`
     --> Dockerfile:3:6
      |
    3 | COPY --chwon=1 a b
      |      ^^^^^^^ unknown flag
      |
      = hint: did you mean `--chown`?
    ");
}

#[test]
fn a_flag_of_another_instruction() {
    assert_snapshot!(told("FROM alpine\nADD --from=build a b\nRUN --from=build x\n"), @r"
    error: ADD knows no flag `--from`
     --> Dockerfile:2:5
      |
    2 | ADD --from=build a b
      |     ^^^^^^ unknown flag
      |
      = hint: `--from` is a flag of COPY

    error: RUN knows no flag `--from`
     --> Dockerfile:3:5
      |
    3 | RUN --from=build x
      |     ^^^^^^ unknown flag
      |
      = hint: files of a stage are mounted: `RUN --mount=from=STAGE,target=/path command`
    ");
}

#[test]
fn a_flag_of_docker_run() {
    assert_snapshot!(told("FROM alpine\nRUN --rm x\nRUN -v /a:/b x\n"), @r"
    error: RUN knows no flag `--rm`
     --> Dockerfile:2:5
      |
    2 | RUN --rm x
      |     ^^^^ unknown flag
      |
      = hint: RUN knows `--mount`, `--network`, `--security`, `--device`
    ");
}

#[test]
fn a_flag_without_a_value() {
    assert_snapshot!(told("FROM alpine\nCOPY --from a b\nCOPY --chown a b\n"), @r"
    error: the flag `--from` needs a value
     --> Dockerfile:2:6
      |
    2 | COPY --from a b
      |      ^^^^^^
      |
      = hint: write it as `--from=a`, without blanks

    error: the flag `--chown` needs a value
     --> Dockerfile:3:6
      |
    3 | COPY --chown a b
      |      ^^^^^^^
      |
      = hint: write it as `--chown=a`, without blanks
    ");
}

#[test]
fn a_flag_with_a_blank_for_an_equals_sign() {
    assert_snapshot!(told("FROM alpine AS build\nFROM alpine\nCOPY --from build a b\n"), @r"
    error: the flag `--from` needs a value
     --> Dockerfile:3:6
      |
    3 | COPY --from build a b
      |      ^^^^^^
      |
      = hint: write it as `--from=build`, without blanks
    ");
}

#[test]
fn a_flag_twice() {
    assert_snapshot!(told("FROM alpine\nCOPY --chown=1 --chown=2 a b\n"), @r"
    error: the flag `--chown` is given twice
     --> Dockerfile:2:16
      |
    2 | COPY --chown=1 --chown=2 a b
      |                ^^^^^^^^^ given again here
    ");
}

#[test]
fn a_flag_after_the_sources() {
    assert_snapshot!(told("FROM alpine\nCOPY a b --chown=1\n"), @r"
    no error
    warning: `--chown=1` is taken for a path
     --> Dockerfile:2:10
      |
    2 | COPY a b --chown=1
      |          ^^^^^^^^^
      |
      = hint: flags stand before the sources: `COPY --chown=1 ...`
    ");
}

#[test]
fn a_switch_with_a_value() {
    assert_snapshot!(told("FROM alpine\nCOPY --link=yes a b\n"), @r"
    error: the flag `--link` is `true` or `false`, not `yes`
     --> Dockerfile:2:6
      |
    2 | COPY --link=yes a b
      |      ^^^^^^^^^^
      |
      = hint: `--link` alone switches it on
    ");
}

#[test]
fn a_flag_of_an_instruction_without_flags() {
    assert_snapshot!(told("FROM alpine\nENV --global A=1\nWORKDIR --create /a\n"), @r"
    error: ENV knows no flag `--global`
     --> Dockerfile:2:5
      |
    2 | ENV --global A=1
      |     ^^^^^^^^ unknown flag
      |
      = hint: ENV takes no flags

    error: WORKDIR knows no flag `--create`
     --> Dockerfile:3:9
      |
    3 | WORKDIR --create /a
      |         ^^^^^^^^ unknown flag
      |
      = hint: WORKDIR takes no flags
    ");
}

#[test]
fn chmod_in_words() {
    assert_snapshot!(told("FROM alpine\nCOPY --chmod=executable a b\nCOPY --chmod=888 a b\n"), @r"
    error: `--chmod=executable` is no mode
     --> Dockerfile:2:14
      |
    2 | COPY --chmod=executable a b
      |              ^^^^^^^^^^
      |
      = hint: a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`

    error: `--chmod=888` is no mode
     --> Dockerfile:3:14
      |
    3 | COPY --chmod=888 a b
      |              ^^^
      |
      = hint: a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`
    ");
}

#[test]
fn a_platform_that_is_none() {
    assert_snapshot!(told("FROM --platform=linux/amd64/v1/x alpine\n"), @r"
    error: `linux/amd64/v1/x` is not a platform: it has at most three parts
     --> Dockerfile:1:17
      |
    1 | FROM --platform=linux/amd64/v1/x alpine
      |                 ^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_platform_of_a_variable_with_a_typo() {
    assert_snapshot!(told("FROM --platform=$BUILDPLATFROM alpine\n"), @r"
    error: the platform `$BUILDPLATFROM` is empty once its arguments are filled in
     --> Dockerfile:1:17
      |
    1 | FROM --platform=$BUILDPLATFROM alpine
      |                 ^^^^^^^^^^^^^^
      |
      = hint: did you mean `$BUILDPLATFORM`?
    ");
}

#[test]
fn a_network_that_is_none() {
    assert_snapshot!(told("FROM alpine\nRUN --network=hots x\n"), @r"
    error: `--network` is `default`, `none` or `host`, not `hots`
     --> Dockerfile:2:15
      |
    2 | RUN --network=hots x
      |               ^^^^
      |
      = hint: did you mean `host`?
    ");
}

#[test]
fn a_network_that_is_not_allowed() {
    assert_snapshot!(told("FROM alpine\nRUN --network=host x\n"), @r"
    error: RUN --network=host is not allowed in this build
     --> Dockerfile:2:5
      |
    2 | RUN --network=host x
      |     ^^^^^^^^^^^^^^
      |
      = hint: allow it with `--allow network.host`
    ");
}

#[test]
fn a_security_that_is_none() {
    assert_snapshot!(told("FROM alpine\nRUN --security=privileged x\n"), @r"
    error: `--security` is `sandbox` or `insecure`, not `privileged`
     --> Dockerfile:2:16
      |
    2 | RUN --security=privileged x
      |                ^^^^^^^^^^
      |
      = hint: did you mean `insecure`?
    ");
}

#[test]
fn a_mount_of_a_type_with_a_typo() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=type=cahce,target=/c x\n"), @r"
    error: in `--mount=type=cahce,target=/c`: unknown type `cahce`; did you mean `cache`?
     --> Dockerfile:2:18
      |
    2 | RUN --mount=type=cahce,target=/c x
      |                  ^^^^^
    ");
}

#[test]
fn a_mount_with_an_unknown_key() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=type=cache,traget=/c x\nRUN --mount=type=cache,path=/c x\n"), @r"
    error: in `--mount=type=cache,traget=/c`: unknown key `traget`; did you mean `target`?
     --> Dockerfile:2:24
      |
    2 | RUN --mount=type=cache,traget=/c x
      |                        ^^^^^^

    error: in `--mount=type=cache,path=/c`: unknown key `path`
     --> Dockerfile:3:24
      |
    3 | RUN --mount=type=cache,path=/c x
      |                        ^^^^
      |
      = hint: a mount knows type, source, target, from, id, sharing, required, env, readonly, size, mode, uid and gid
    ");
}

#[test]
fn a_mount_without_a_target() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=type=cache,id=x y\nRUN --mount=type=bind,from=alpine x\nRUN --mount=type=tmpfs x\n"), @r"
    error: in `--mount=type=cache,id=x`: a cache mount needs a `target`
     --> Dockerfile:2:13
      |
    2 | RUN --mount=type=cache,id=x y
      |             ^^^^^^^^^^^^^^^
      |
      = hint: it is the folder that the step sees, as in `target=/src`

    error: in `--mount=type=bind,from=alpine`: a bind mount needs a `target`
     --> Dockerfile:3:13
      |
    3 | RUN --mount=type=bind,from=alpine x
      |             ^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: it is the folder that the step sees, as in `target=/src`

    error: in `--mount=type=tmpfs`: a tmpfs mount needs a `target`
     --> Dockerfile:4:13
      |
    4 | RUN --mount=type=tmpfs x
      |             ^^^^^^^^^^
      |
      = hint: it is the folder that the step sees, as in `target=/src`
    ");
}

#[test]
fn a_mount_with_blanks() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=type=cache, target=/c x\n"), @r"
    error: in `--mount=type=cache,`: unknown key ``
     --> Dockerfile:2:13
      |
    2 | RUN --mount=type=cache, target=/c x
      |             ^^^^^^^^^^^
      |
      = hint: a blank ends the flag: write no blanks after the commas
    ");
}

#[test]
fn a_mount_like_a_volume() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=/c:/c x\n"), @r"
    error: in `--mount=/c:/c`: unknown key `/c:/c`
     --> Dockerfile:2:13
      |
    2 | RUN --mount=/c:/c x
      |             ^^^^^
      |
      = hint: fields are written as `type=bind,source=/from,target=/to`
    ");
}

#[test]
fn a_secret_without_an_id() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=type=secret x\n"), @r"
    error: in `--mount=type=secret`: a secret mount needs an `id` or a `target`
     --> Dockerfile:2:13
      |
    2 | RUN --mount=type=secret x
      |             ^^^^^^^^^^^
      |
      = hint: write it as `type=secret,id=NAME`
    ");
}

#[test]
fn a_secret_with_a_type_of_sharing() {
    assert_snapshot!(told("FROM alpine\nRUN --mount=type=secret,id=a,sharing=locked x\nRUN --mount=type=cache,target=/c,sharing=lock x\n"), @r"
    error: in `--mount=type=secret,id=a,sharing=locked`: a secret mount has no `sharing`
     --> Dockerfile:2:30
      |
    2 | RUN --mount=type=secret,id=a,sharing=locked x
      |                              ^^^^^^^

    error: in `--mount=type=cache,target=/c,sharing=lock`: unknown sharing `lock`; did you mean `locked`?
     --> Dockerfile:3:42
      |
    3 | RUN --mount=type=cache,target=/c,sharing=lock x
      |                                          ^^^^
    ");
}

#[test]
fn a_mount_from_a_variable() {
    assert_snapshot!(told("ARG B=x\nFROM alpine\nRUN --mount=from=$B,target=/b x\nCOPY --from=$B a b\n"), @r"
    error: in `--mount`: `from` does not expand variables (`$B`)
     --> Dockerfile:3:13
      |
    3 | RUN --mount=from=$B,target=/b x
      |             ^^^^^^^^^^^^^^^^^
      |
      = hint: give the image a stage of its own, `FROM $image AS name`, and take that

    error: `--from` of COPY does not expand variables
     --> Dockerfile:4:13
      |
    4 | COPY --from=$B a b
      |             ^^
      |
      = hint: give the image a stage of its own, `FROM $image AS name`, and copy from that
    ");
}

#[test]
fn a_stop_signal_that_is_none() {
    assert_snapshot!(told("FROM alpine\nSTOPSIGNAL SIGKILLL\nSTOPSIGNAL 99\n"), @r"
    error: `SIGKILLL` is no signal
     --> Dockerfile:2:12
      |
    2 | STOPSIGNAL SIGKILLL
      |            ^^^^^^^^
      |
      = hint: did you mean `SIGKILL`?
    ");
}

#[test]
fn a_port_that_is_none() {
    assert_snapshot!(told("FROM alpine\nEXPOSE http\nEXPOSE 70000\nEXPOSE 80/http\nEXPOSE 90-80\n"), @r"
    error: `http` in `http` is no port or range of ports from 0 to 65535
     --> Dockerfile:2:8
      |
    2 | EXPOSE http
      |        ^^^^

    error: `70000` in `70000` is no port or range of ports from 0 to 65535
     --> Dockerfile:3:8
      |
    3 | EXPOSE 70000
      |        ^^^^^

    error: `http` in `80/http` is no protocol; tcp, udp and sctp are
     --> Dockerfile:4:8
      |
    4 | EXPOSE 80/http
      |        ^^^^^^^

    error: `90-80` in `90-80` is no port or range of ports from 0 to 65535
     --> Dockerfile:5:8
      |
    5 | EXPOSE 90-80
      |        ^^^^^
    ");
}

#[test]
fn a_volume_that_is_empty() {
    assert_snapshot!(told("FROM alpine\nVOLUME [\"\"]\n"), @r#"
    error: a VOLUME cannot be an empty string
     --> Dockerfile:2:9
      |
    2 | VOLUME [""]
      |         ^^
    "#);
}

#[test]
fn a_variable_that_cannot_be_read() {
    assert_snapshot!(told("FROM alpine\nENV A=${B\nENV C=${D:\nWORKDIR ${E!x}\n"), @r"
    error: in `${B` the `}` of a `${...}` is missing
     --> Dockerfile:2:7
      |
    2 | ENV A=${B
      |       ^^^

    error: in `${D:` the `}` of a `${...}` is missing
     --> Dockerfile:3:7
      |
    3 | ENV C=${D:
      |       ^^^^

    error: in `${E!x}` the modifier `!` is not supported
     --> Dockerfile:4:9
      |
    4 | WORKDIR ${E!x}
      |         ^^^^^^
      |
      = hint: the modifiers are `:-`, `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/` and `//`
    ");
}

#[test]
fn a_variable_that_must_be_set() {
    assert_snapshot!(told("FROM alpine\nARG V\nWORKDIR /${V:?say which version}\n"), @r"
    error: `V` must be set: say which version
     --> Dockerfile:3:9
      |
    3 | WORKDIR /${V:?say which version}
      |         ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: `--build-arg V=...` gives an ARG its value
    ");
}

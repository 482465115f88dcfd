//! What people write in place of an instruction, or leave out of one.

use crate::told;
use insta::assert_snapshot;

#[test]
fn an_instruction_with_a_typo() {
    assert_snapshot!(told("FROM alpine\nRUNN make\n"), @r"
    error: unknown instruction `RUNN`
     --> Dockerfile:2:1
      |
    2 | RUNN make
      | ^^^^ no instruction of the Dockerfile language
      |
      = hint: did you mean `RUN`?
    ");
}

#[test]
fn an_instruction_with_two_letters_swapped() {
    assert_snapshot!(told("FROM alpine\nCPOY a b\n"), @r"
    error: unknown instruction `CPOY`
     --> Dockerfile:2:1
      |
    2 | CPOY a b
      | ^^^^ no instruction of the Dockerfile language
      |
      = hint: did you mean `COPY`?
    ");
}

#[test]
fn an_instruction_of_another_language() {
    assert_snapshot!(told("FROM alpine\nINCLUDE other.Dockerfile\n"), @r"
    error: unknown instruction `INCLUDE`
     --> Dockerfile:2:1
      |
    2 | INCLUDE other.Dockerfile
      | ^^^^^^^ no instruction of the Dockerfile language
      |
      = hint: the instructions are ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, MAINTAINER, ONBUILD, RUN, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR
    ");
}

#[test]
fn a_command_without_run() {
    assert_snapshot!(told("FROM alpine\napt-get update\n"), @r"
    error: unknown instruction `apt-get`
     --> Dockerfile:2:1
      |
    2 | apt-get update
      | ^^^^^^^ no instruction of the Dockerfile language
      |
      = hint: a command is run by `RUN apt-get update`
    ");
}

#[test]
fn a_command_on_a_line_that_should_continue() {
    assert_snapshot!(told("FROM alpine\nRUN apk add curl\n  && rm -rf /x\n"), @r"
    error: unknown instruction `&&`
     --> Dockerfile:3:3
      |
    3 |   && rm -rf /x
      |   ^^ no instruction of the Dockerfile language
      |
      = hint: if it belongs to line 2, that line must end in `\`
    ");
}

#[test]
fn a_continuation_with_a_blank_after_it() {
    assert_snapshot!(told("FROM alpine\nRUN a && \\ \n  b\nENV x=1 \\ # comment\n  y=2\n"), @r"
    error: `\ #` has no `=`; ENV takes name=value
     --> Dockerfile:4:9
      |
    4 | ENV x=1 \ # comment
      |         ^^^
      |
      = hint: nothing may follow the `\` at the end of a line, not even a comment

    error: unknown instruction `y=2`
     --> Dockerfile:5:3
      |
    5 |   y=2
      |   ^^^ no instruction of the Dockerfile language
      |
      = hint: line 4 does not continue here: nothing may follow its `\`, not even a comment
    ");
}

#[test]
fn an_instruction_before_from() {
    assert_snapshot!(told("RUN make\nFROM alpine\n"), @r"
    error: `RUN` stands before the first FROM; only ARG may
     --> Dockerfile:1:1
      |
    1 | RUN make
      | ^^^
      |
      = hint: a build stage begins with `FROM image`; put it above this line
    ");
}

#[test]
fn no_from() {
    assert_snapshot!(told("ARG X=1\n"), @r"
    error: the Dockerfile has no build stage
     --> Dockerfile:2:1
      |
    2 |
      | ^
      |
      = hint: a build stage begins with `FROM image`, or `FROM scratch` for an empty one
    ");
}

#[test]
fn nothing() {
    assert_snapshot!(told("# nothing\n"), @r"
    error: the Dockerfile has no instructions
     --> Dockerfile:2:1
      |
    2 |
      | ^
      |
      = hint: a build stage begins with `FROM image`, or `FROM scratch` for an empty one
    ");
}

#[test]
fn from_without_a_name() {
    assert_snapshot!(told("FROM\n"), @r"
    error: FROM takes one argument, or three: `FROM image AS name`
     --> Dockerfile:1:1
      |
    1 | FROM
      | ^^^^
      |
      = hint: write it as `FROM image` or `FROM image AS name`
    ");
}

#[test]
fn from_with_a_typo_in_as() {
    assert_snapshot!(told("FROM alpine SA build\n"), @r"
    error: FROM takes one argument, or three: `FROM image AS name`
     --> Dockerfile:1:6
      |
    1 | FROM alpine SA build
      |      ^^^^^^^^^^^^^^^
      |
      = hint: did you mean `FROM alpine AS build`?
    ");
}

#[test]
fn from_with_as_and_no_name() {
    assert_snapshot!(told("FROM alpine AS\n"), @r"
    error: FROM takes one argument, or three: `FROM image AS name`
     --> Dockerfile:1:6
      |
    1 | FROM alpine AS
      |      ^^^^^^^^^
      |
      = hint: the name is missing: `FROM alpine AS name`
    ");
}

#[test]
fn from_with_two_images() {
    assert_snapshot!(told("FROM alpine debian\n"), @r"
    error: FROM takes one argument, or three: `FROM image AS name`
     --> Dockerfile:1:6
      |
    1 | FROM alpine debian
      |      ^^^^^^^^^^^^^
      |
      = hint: a stage has one base; a name comes after AS: `FROM alpine AS debian`
    ");
}

#[test]
fn a_stage_name_with_a_blank() {
    assert_snapshot!(told("FROM alpine AS my build\n"), @r"
    error: FROM takes one argument, or three: `FROM image AS name`
     --> Dockerfile:1:6
      |
    1 | FROM alpine AS my build
      |      ^^^^^^^^^^^^^^^^^^
      |
      = hint: a stage's name is one word: `FROM alpine AS my-build`
    ");
}

#[test]
fn a_stage_name_with_a_digit_first() {
    assert_snapshot!(told("FROM alpine AS 1st\n"), @r"
    error: `1st` cannot name a build stage
     --> Dockerfile:1:16
      |
    1 | FROM alpine AS 1st
      |                ^^^
      |
      = hint: a stage's name begins with a letter and holds letters, digits, `-`, `_` and `.`
    ");
}

#[test]
fn a_stage_name_with_a_slash() {
    assert_snapshot!(told("FROM alpine AS app/build\n"), @r"
    error: `app/build` cannot name a build stage
     --> Dockerfile:1:16
      |
    1 | FROM alpine AS app/build
      |                ^^^^^^^^^
      |
      = hint: a stage's name begins with a letter and holds letters, digits, `-`, `_` and `.`
    ");
}

#[test]
fn copy_without_a_destination() {
    assert_snapshot!(told("FROM alpine\nCOPY package.json\n"), @r"
    error: COPY needs a source and a destination
     --> Dockerfile:2:6
      |
    2 | COPY package.json
      |      ^^^^^^^^^^^^
      |
      = hint: the last word is the destination: `COPY package.json ./`
    ");
}

#[test]
fn copy_of_nothing() {
    assert_snapshot!(told("FROM alpine\nCOPY\n"), @r"
    error: COPY needs a source and a destination
     --> Dockerfile:2:1
      |
    2 | COPY
      | ^^^^
      |
      = hint: write it as `COPY source... destination`
    ");
}

#[test]
fn env_without_a_value() {
    assert_snapshot!(told("FROM alpine\nENV PATH\n"), @r"
    error: ENV needs a name and a value
     --> Dockerfile:2:5
      |
    2 | ENV PATH
      |     ^^^^
      |
      = hint: write it as `ENV PATH=value`
    ");
}

#[test]
fn env_with_a_blank_before_the_equals_sign() {
    assert_snapshot!(told("FROM alpine\nENV A=1 B =2\n"), @r"
    error: `B` has no `=`; ENV takes name=value
     --> Dockerfile:2:9
      |
    2 | ENV A=1 B =2
      |         ^
      |
      = hint: no blanks stand around the `=`: `B=2`
    ");
}

#[test]
fn env_with_a_quote_that_is_not_closed() {
    assert_snapshot!(told("FROM alpine\nENV A=\"x\n"), @r#"
    error: in `"x` the double quote is never closed
     --> Dockerfile:2:7
      |
    2 | ENV A="x
      |       ^^
      |
      = hint: close it, or write it as `\"`
    "#);
}

#[test]
fn label_without_a_value() {
    assert_snapshot!(told("FROM alpine\nLABEL a=1 b\n"), @r#"
    error: `b` has no `=`; LABEL takes name=value
     --> Dockerfile:2:11
      |
    2 | LABEL a=1 b
      |           ^
      |
      = hint: a value with blanks needs quotes: `a="1 b"`; an empty one is `b=`
    "#);
}

#[test]
fn arg_without_a_name() {
    assert_snapshot!(told("FROM alpine\nARG\nARG =x\n"), @r"
    error: ARG needs at least one argument
     --> Dockerfile:2:1
      |
    2 | ARG
      | ^^^
      |
      = hint: write it as `ARG name=default`

    error: a name of ARG is empty
     --> Dockerfile:3:5
      |
    3 | ARG =x
      |     ^^
      |
      = hint: write it as `ARG name=default`
    ");
}

#[test]
fn expose_of_nothing() {
    assert_snapshot!(told("FROM alpine\nEXPOSE\n"), @r"
    error: EXPOSE needs at least one argument
     --> Dockerfile:2:1
      |
    2 | EXPOSE
      | ^^^^^^
      |
      = hint: write it as `EXPOSE 8080`
    ");
}

#[test]
fn workdir_of_nothing() {
    assert_snapshot!(told("FROM alpine\nWORKDIR\nUSER\n"), @r"
    error: WORKDIR takes exactly one argument
     --> Dockerfile:2:1
      |
    2 | WORKDIR
      | ^^^^^^^
      |
      = hint: write it as `WORKDIR /app`

    error: USER takes exactly one argument
     --> Dockerfile:3:1
      |
    3 | USER
      | ^^^^
      |
      = hint: write it as `USER name`
    ");
}

#[test]
fn user_of_two_words() {
    assert_snapshot!(told("FROM alpine\nUSER node node\n"), @"no error");
}

#[test]
fn shell_that_is_no_json() {
    assert_snapshot!(told("FROM alpine\nSHELL /bin/bash -c\n"), @r#"
    error: SHELL takes a JSON array of strings
     --> Dockerfile:2:7
      |
    2 | SHELL /bin/bash -c
      |       ^^^^^^^^^^^^
      |
      = hint: write it as `SHELL ["/bin/bash", "-c"]`
    "#);
}

#[test]
fn json_with_a_number() {
    assert_snapshot!(told("FROM alpine\nCMD [\"sleep\", 10]\n"), @r#"
    error: every element of a JSON array must be a string
     --> Dockerfile:2:15
      |
    2 | CMD ["sleep", 10]
      |               ^^ not a string
      |
      = hint: write it as `"10"`
    "#);
}

#[test]
fn healthcheck_without_cmd() {
    assert_snapshot!(told("FROM alpine\nHEALTHCHECK curl -f http://localhost\n"), @r"
    error: HEALTHCHECK is CMD or NONE, not `curl`
     --> Dockerfile:2:13
      |
    2 | HEALTHCHECK curl -f http://localhost
      |             ^^^^
      |
      = hint: write it as `HEALTHCHECK CMD curl -f http://localhost`
    ");
}

#[test]
fn healthcheck_with_a_bad_interval() {
    assert_snapshot!(told("FROM alpine\nHEALTHCHECK --interval=30 CMD x\n"), @r"
    error: `--interval=30` is not a duration: it is written like `30s`, `1m30s` or `500ms`
     --> Dockerfile:2:24
      |
    2 | HEALTHCHECK --interval=30 CMD x
      |                        ^^
      |
      = hint: did you mean `--interval=30s`?
    ");
}

#[test]
fn healthcheck_with_bad_retries() {
    assert_snapshot!(told("FROM alpine\nHEALTHCHECK --retries=lots CMD x\n"), @r"
    error: `--retries=lots` is not a number from 0 to 2147483647
     --> Dockerfile:2:23
      |
    2 | HEALTHCHECK --retries=lots CMD x
      |                       ^^^^
    ");
}

#[test]
fn onbuild_of_from() {
    assert_snapshot!(told("FROM alpine\nONBUILD FROM debian\nONBUILD ONBUILD RUN x\n"), @r"
    error: FROM is not allowed as an ONBUILD trigger
     --> Dockerfile:2:9
      |
    2 | ONBUILD FROM debian
      |         ^^^^

    error: ONBUILD of ONBUILD is not allowed
     --> Dockerfile:3:9
      |
    3 | ONBUILD ONBUILD RUN x
      |         ^^^^^^^
    ");
}

#[test]
fn a_heredoc_that_is_not_closed() {
    assert_snapshot!(told("FROM alpine\nRUN <<EOF\nmake\n"), @r"
    error: the heredoc `EOF` is never closed
     --> Dockerfile:2:7
      |
    2 | RUN <<EOF
      |       ^^^ opened here
      |
      = hint: a line that is just `EOF` closes it
    ");
}

#[test]
fn a_heredoc_with_a_blank_before_its_end() {
    assert_snapshot!(told("FROM alpine\nRUN <<EOF\nmake\n  EOF\nCMD [\"x\"]\n"), @r"
    error: the heredoc `EOF` is never closed
     --> Dockerfile:2:7
      |
    2 | RUN <<EOF
      |       ^^^ opened here
      |
      = hint: line 4 has blanks around `EOF`: take them out
    ");
}

#[test]
fn a_directive_twice() {
    assert_snapshot!(told("# escape=`\n# escape=\\\nFROM alpine\n"), @r"
    error: the directive `escape` is given twice
     --> Dockerfile:2:1
      |
    2 | # escape=\
      | ^^^^^^^^^^ given again here
    ");
}

#[test]
fn an_escape_character_that_is_none() {
    assert_snapshot!(told("# escape=^\nFROM alpine\n"), @r"
    error: `^` cannot be the escape character; only `\` and the backtick can
     --> Dockerfile:1:10
      |
    1 | # escape=^
      |          ^
    ");
}

#[test]
fn a_check_with_a_typo() {
    assert_snapshot!(told("# check=skp=all\nFROM alpine\n"), @r"
    error: `skp=all` is no option of `check`; it takes `skip=`, `experimental=` and `error=`; did you mean `skip`?
     --> Dockerfile:1:9
      |
    1 | # check=skp=all
      |         ^^^^^^^
    ");
}

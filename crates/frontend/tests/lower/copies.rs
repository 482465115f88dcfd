//! COPY and ADD.

use crate::support::*;
use insta::assert_snapshot;

#[test]
fn from_the_context() {
    let text = "FROM alpine\nWORKDIR /app\nENV D=dist\nCOPY package*.json ./\nCOPY a b $D\nCOPY . .\nCOPY x /y/\nADD a.tar /z\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [1/7] FROM alpine
     1 file on 0: mkdir /app 755  [2/7] WORKDIR /app
     2 local context  [internal] load context
     3 file on 1: 2:["package*.json"] -> /app/  [3/7] COPY package*.json ./
     4 file on 3: 2:["a", "b"] -> /app/dist  [4/7] COPY a b dist
     5 file on 4: 2:["."] -> /app/  [5/7] COPY . .
     6 file on 5: 2:["x"] -> /y/  [6/7] COPY x /y/
    *7 file on 6: 2:["a.tar"] -> /z unpack=yes  [7/7] ADD a.tar /z
    Env: ["PATH=/usr/bin:/bin","D=dist"]
    Cmd: ["/bin/sh"]
    WorkingDir: "/app"
    + WORKDIR /app
    - ENV D=dist
    + COPY package*.json ./ # buildkit
    + COPY a b dist # buildkit
    + COPY . . # buildkit
    + COPY x /y/ # buildkit
    + ADD a.tar /z # buildkit
    "#);
}

#[test]
fn from_stages_by_name_and_number() {
    let text = "FROM alpine AS deps\nRUN d\nFROM alpine\nRUN b\nFROM scratch\nCOPY --from=DEPS a /\n\
                COPY --from=1 b /\nCOPY --from=0 c /\nCOPY --from= d /\nCOPY --from=scratch e /\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [deps 1/2] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "d"]  [deps 2/2] RUN d
     2 run on 0: ["/bin/sh", "-c", "b"]  [stage-1 2/2] RUN b
     3 scratch
     4 file on 3: 1:["a"] -> /  [stage-2 1/5] COPY --from=DEPS a /
     5 file on 4: 2:["b"] -> /  [stage-2 2/5] COPY --from=1 b /
     6 file on 5: 1:["c"] -> /  [stage-2 3/5] COPY --from=0 c /
     7 local context  [internal] load context
     8 file on 6: 7:["d"] -> /  [stage-2 4/5] COPY --from= d /
    *9 file on 8: 3:["e"] -> /  [stage-2 5/5] COPY --from=scratch e /
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    WorkingDir: "/"
    + COPY a / # buildkit
    + COPY b / # buildkit
    + COPY c / # buildkit
    + COPY d / # buildkit
    + COPY e / # buildkit
    "#);
}

#[test]
fn flags_and_their_history() {
    let text = "FROM alpine\nENV U=node\nCOPY --chmod=644 --chown=$U:$U --parents --exclude=*.md --exclude=$X a b c/\n\
                ADD --chown=1 --unpack=false --exclude=x a.tar /\nCOPY --chmod=u+x,go=rX a /\nCOPY --chown=$NONE a /\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [1/5] FROM alpine
     1 local context  [internal] load context
     2 file on 0: 1:["a", "b"] -> /c/ chown=node:node chmod=644 parents=yes exclude=*.md,$X  [2/5] COPY --chmod=644 --chown=node:node --parents --exclude=*.md --exclude=$X a b c/
     3 file on 2: 1:["a.tar"] -> / chown=1 exclude=x  [3/5] ADD --chown=1 --unpack=false --exclude=x a.tar /
     4 file on 3: 1:["a"] -> / chmod=u+x,go=rX  [4/5] COPY --chmod=u+x,go=rX a /
    *5 file on 4: 1:["a"] -> /  [5/5] COPY --chown=$NONE a /
    Env: ["PATH=/usr/bin:/bin","U=node"]
    Cmd: ["/bin/sh"]
    - ENV U=node
    + COPY --parents --chown=node:node --chmod=644 a b c/ # buildkit
    + ADD --chown=1 a.tar / # buildkit
    + COPY --chmod=u+x,go=rX a / # buildkit
    + COPY a / # buildkit
    UndefinedVar: Usage of undefined variable '$NONE'
    "#);
}

#[test]
fn link_stands_on_nothing() {
    let text =
        "FROM alpine AS a\nFROM alpine\nCOPY --link --from=a x /y/\nCOPY --link --chmod=755 x /z\nRUN r\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [a 1/1] FROM alpine
     1 scratch
     2 file on 1: 0:["x"] -> /y/  [stage-1 2/4] COPY --link --from=a x /y/
     3 merge [0, 2]  [stage-1 2/4] COPY --link --from=a x /y/
     4 local context  [internal] load context
     5 file on 3: 4:["x"] -> /z chmod=755  [stage-1 3/4] COPY --link --chmod=755 x /z
    *6 run on 5: ["/bin/sh", "-c", "r"]  [stage-1 4/4] RUN r
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    + COPY x /y/ # buildkit
    + COPY --chmod=755 x /z # buildkit
    + RUN /bin/sh -c r # buildkit
    "#);
}

#[test]
fn heredocs_are_files() {
    let text = "FROM alpine\nWORKDIR /w\nENV X=1\nCOPY --chown=5 <<one <<-'two' three dest/\n$X \\$X 'a'\none\n\t$X\ntwo\n\
                COPY <<E /etc/e\ntext\nE\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [1/4] FROM alpine
     1 file on 0: mkdir /w 755  [2/4] WORKDIR /w
     2 local context  [internal] load context
     3 file on 1: 2:["three"] -> /w/dest/ chown=5; write /w/dest/one 644 "1 $X 'a'\n" owner=5; write /w/dest/two 644 "$X\n" owner=5  [3/4] COPY --chown=5 <<one <<-'two' three dest/
    *4 file on 3: write /etc/e 644 "text\n"  [4/4] COPY <<E /etc/e
    Env: ["PATH=/usr/bin:/bin","X=1"]
    Cmd: ["/bin/sh"]
    WorkingDir: "/w"
    + WORKDIR /w
    - ENV X=1
    + COPY --chown=5 three <<one <<two dest/ # buildkit
    + COPY <<E /etc/e # buildkit
    "#);
}

#[test]
fn heredocs_take_symbolic_modes() {
    let text = "FROM alpine\nCOPY --chmod=+x <<run.sh /\n#!/bin/sh\nrun.sh\n";
    assert_snapshot!(graph(&lowered(text, &options(), &images())), @r##"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 file on 0: write /run.sh 755 "#!/bin/sh\n"  [2/2] COPY --chmod=+x <<run.sh /
    "##);
}

#[test]
fn an_empty_source_is_everything() {
    assert_snapshot!(dump("FROM alpine\nARG MORE\nCOPY a $MORE /\n"), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
     1 local context  [internal] load context
    *2 file on 0: 1:["a", "/"] -> /  [2/2] COPY a $MORE /
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    - ARG MORE
    + COPY a  / # buildkit
    warning: this source is empty once its variables are filled in: all files are taken
    "#);
}

#[test]
fn wrong_sources() {
    assert_snapshot!(error("FROM alpine AS builder\nFROM alpine\nCOPY --from=bulider a b\n"), @r"
    error: `bulider` is no stage before this one, and no image of that name was found: no registry knows `bulider`
     --> Dockerfile:3:13
      |
    3 | COPY --from=bulider a b
      |             ^^^^^^^
      |
      = hint: the stage before this one is `builder`
      = hint: did you mean `--from=builder`?
    ");
}

#[test]
fn stages_are_used_after_they_are_defined() {
    let text = "FROM alpine AS one\nCOPY --from=two a b\nFROM alpine AS two\nFROM one\n";
    assert_snapshot!(error(text), @r"
    error: the stage `two` is not defined before this instruction
     --> Dockerfile:2:13
      |
    2 | COPY --from=two a b
      |             ^^^
      |
      = hint: move the stage up: a stage can only use those before it
    ");
    assert_snapshot!(error("FROM alpine AS one\nCOPY --from=one a b\n"), @r"
    error: stage `one` cannot take files from itself
     --> Dockerfile:2:13
      |
    2 | COPY --from=one a b
      |             ^^^
      |
      = hint: no stage stands before this one
    ");
    assert_snapshot!(error("FROM alpine\nCOPY --from=0 a b\n"), @r"
    error: stage 0 cannot take files from itself
     --> Dockerfile:2:13
      |
    2 | COPY --from=0 a b
      |             ^
      |
      = hint: no stage stands before this one
    ");
    assert_snapshot!(error("FROM alpine AS one\nFROM alpine\nCOPY --from=7 a b\n"), @r"
    error: there is no stage 7 before this one
     --> Dockerfile:3:13
      |
    3 | COPY --from=7 a b
      |             ^
      |
      = hint: the stage before this one is `one`
    ");
    assert_snapshot!(error("FROM alpine\nFROM alpine\nCOPY --from=-1 a b\n"), @r"
    error: there is no stage -1 before this one
     --> Dockerfile:3:13
      |
    3 | COPY --from=-1 a b
      |             ^^
      |
      = hint: the stage before this one is 0
    ");
}

#[test]
fn what_copy_does_not_take() {
    assert_snapshot!(error("FROM alpine\nCOPY https://example.com/a /\n"), @r"
    error: COPY takes files, not the address `https://example.com/a`
     --> Dockerfile:2:6
      |
    2 | COPY https://example.com/a /
      |      ^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: ADD takes addresses
    ");
    assert_snapshot!(error("FROM alpine\nCOPY --chmod=9 a /\n"), @r"
    error: `--chmod=9` is no mode
     --> Dockerfile:2:14
      |
    2 | COPY --chmod=9 a /
      |              ^
      |
      = hint: a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`
    ");
    assert_snapshot!(error("FROM alpine\nENV M=17777\nCOPY --chmod=$M a /\n"), @r"
    error: `--chmod=17777` is no mode
     --> Dockerfile:3:14
      |
    3 | COPY --chmod=$M a /
      |              ^^
      |
      = hint: a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`
    ");
    assert_snapshot!(error("FROM alpine\nCOPY --chmod=u+q <<E /e\nE\n"), @r"
    error: `--chmod=u+q` is no mode
     --> Dockerfile:2:14
      |
    2 | COPY --chmod=u+q <<E /e
      |              ^^^
      |
      = hint: a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`
    ");
}

#[test]
fn add_of_addresses() {
    let sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!(
        "FROM alpine\nADD https://example.com/a*b.tar local more git@example.com:x/y.git#v1:sub https://example.com/a*b.tar /to/\n\
         ADD --unpack --checksum={sum} --exclude=z http://example.com/ /\n\
         ADD --keep-git-dir=true https://example.com/r.git?submodules=0 /r\n"
    );
    let lowered = lowered(&text, &options(), &images());
    let graph = graph(&lowered);
    for line in [
        "http https://example.com/a*b.tar as \"a*b.tar\"",
        // In the order written; what stands between addresses stays together, and nothing is asked for twice.
        r#"1:["/a\\*b.tar"] -> /to/; 2:["local", "more"] -> /to/ unpack=yes; 3:["/"] -> /to/; 1:["/a\\*b.tar"] -> /to/"#,
        &format!("http http://example.com/ as \"__unnamed__\" {sum}"),
        "-> / unpack=yes exclude=z",
        "remote: \"git@example.com:x/y.git\", reference: \"v1\", subdir: \"sub\"",
        "keep_git_dir: true, skip_submodules: true",
    ] {
        assert!(graph.contains(line), "{line} is not in\n{graph}");
    }
    assert!(history(&lowered).contains(
        "+ ADD https://example.com/a*b.tar local more git@example.com:x/y.git#v1:sub https://example.com/a*b.tar /to/ # buildkit"
    ));
}

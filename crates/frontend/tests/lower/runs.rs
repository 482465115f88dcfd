//! RUN: forms, mounts, what it may do.

use crate::support::*;
use frontend::Options;
use graph::{Environment, Op};
use insta::assert_snapshot;

#[test]
fn both_forms_and_shells() {
    let text = "FROM alpine\nRUN echo \"$HOME\" && \\\n    true\nRUN [\"a\", \"$b\"]\nRUN\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN c\n";
    assert_snapshot!(dump(text), @r#"
     0 image alpine linux/amd64  [1/5] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "echo \"$HOME\" &&     true"]  [2/5] RUN echo "$HOME" &&     true
     2 run on 1: ["a", "$b"]  [3/5] RUN ["a", "$b"]
     3 run on 2: ["/bin/sh", "-c", ""]  [4/5] RUN
    *4 run on 3: ["/bin/bash", "-ec", "c"]  [5/5] RUN c
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    Shell: ["/bin/bash","-ec"]
    + RUN /bin/sh -c echo "$HOME" &&     true # buildkit
    + RUN a $b # buildkit
    + RUN /bin/sh -c  # buildkit
    - SHELL [/bin/bash -ec]
    + RUN /bin/bash -ec c # buildkit
    "#);
}

#[test]
fn heredocs() {
    let text = "FROM alpine\nRUN <<E\nset -e\n$x\nE\nRUN <<-S\n\t#!/usr/bin/env python\n\tprint(1)\nS\nRUN cat <<A >/b && cat <<B\n1\nA\n2\nB\n";
    assert_snapshot!(dump(text), @r##"
     0 image alpine linux/amd64  [1/4] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "set -e\n$x\n"]  [2/4] RUN <<E (set -e...)
     2 run on 1: ["/bin/sh", "-c", "/dev/pipes/S"] pipe S "#!/usr/bin/env python\nprint(1)\n"  [3/4] RUN <<-S (#!/usr/bin/env python...)
    *3 run on 2: ["/bin/sh", "-c", "cat <<A >/b && cat <<B\n1\nA\n2\nB"]  [4/4] RUN cat <<A >/b && cat <<B
    Env: ["PATH=/usr/bin:/bin"]
    Cmd: ["/bin/sh"]
    + RUN /bin/sh -c set -e
    $x
     # buildkit
    + RUN /bin/sh -c /dev/pipes/S # buildkit
    + RUN /bin/sh -c cat <<A >/b && cat <<B
    1
    A
    2
    B # buildkit
    "##);
}

#[test]
fn mounts_and_their_defaults() {
    let text = "FROM alpine AS tools\nFROM alpine\nWORKDIR /src\nENV ID=npm\n\
                RUN --mount=target=. a\n\
                RUN --mount=type=bind,from=tools,source=bin,target=/t,rw --mount=from=alpine,target=/i b\n\
                RUN --mount=type=cache,target=/root/.npm/ --mount=type=cache,target=rel --mount=type=cache,id=$ID,target=/c,sharing=locked,mode=0700,uid=5,ro c\n\
                RUN --mount=type=cache,target=/d,from=tools,source=/seed d\n\
                RUN --mount=type=tmpfs,target=/tmp,size=1m e\n\
                RUN --mount=type=secret,id=a/token --mount=type=secret,id=b,env=B --mount=type=secret,target=/run/c.txt,required f\n\
                RUN --mount=from=scratch,target=/empty g\n";
    assert_snapshot!(graph(&lowered(text, &options(), &images())), @r#"
     0 image alpine linux/amd64  [tools 1/1] FROM alpine
     1 file on 0: mkdir /src 755  [stage-1 2/9] WORKDIR /src
     2 local context  [internal] load context
     3 run on 1: ["/bin/sh", "-c", "a"] ID=npm in /src [bind 2:/ at /src]  [stage-1 3/9] RUN --mount=target=. a
     4 run on 3: ["/bin/sh", "-c", "b"] ID=npm in /src [bind 0:/bin at /t rw] [bind 0:/ at /i]  [stage-1 4/9] RUN --mount=type=bind,from=tools,source=bin,target=/t,rw --mount=from=alpine,target=/i b
     5 run on 4: ["/bin/sh", "-c", "c"] ID=npm in /src [cache /root/.npm at /root/.npm Shared 755 0:0] [cache rel at /src/rel Shared 755 0:0] [cache npm at /c Locked 700 5:0 ro]  [stage-1 5/9] RUN --mount=type=cache,target=/root/.npm/ --mount=type=cache,target=rel --mount=type=cache,id=npm,target=/c,sharing=locked,mode=0700,uid=5,ro c
     6 run on 5: ["/bin/sh", "-c", "d"] ID=npm in /src [cache /d at /d Shared 755 0:0 from 0:/seed]  [stage-1 6/9] RUN --mount=type=cache,target=/d,from=tools,source=/seed d
     7 run on 6: ["/bin/sh", "-c", "e"] ID=npm in /src [Tmpfs { size: 1048576, readonly: false } at /tmp]  [stage-1 7/9] RUN --mount=type=tmpfs,target=/tmp,size=1m e
     8 run on 7: ["/bin/sh", "-c", "f"] ID=npm in /src [Secret { id: "a/token", file: true, env: None, required: false, mode: 256, uid: 0, gid: 0 } at /run/secrets/token] [Secret { id: "b", file: false, env: Some("B"), required: false, mode: 256, uid: 0, gid: 0 } at /run/secrets/b] [Secret { id: "c.txt", file: true, env: None, required: true, mode: 256, uid: 0, gid: 0 } at /run/c.txt]  [stage-1 8/9] RUN --mount=type=secret,id=a/token --mount=type=secret,id=b,env=B --mount=type=secret,target=/run/c.txt,required f
     9 scratch
    *10 run on 8: ["/bin/sh", "-c", "g"] ID=npm in /src [bind 9:/ at /empty]  [stage-1 9/9] RUN --mount=from=scratch,target=/empty g
    "#);
}

#[test]
fn a_number_is_no_stage_to_a_mount() {
    let text = "FROM alpine AS zero\nRUN z\nFROM alpine\nRUN --mount=from=0,target=/z a\n";
    assert_snapshot!(error(text), @r"
    error: `0` is no stage before this one, and no image of that name was found: no registry knows `0`
     --> Dockerfile:4:13
      |
    4 | RUN --mount=from=0,target=/z a
      |             ^^^^^^^^^^^^^^^^
      |
      = hint: the stage before this one is `zero`
    ");
    let images = images().with_config("0", "{}");
    assert_snapshot!(graph(&lowered(text, &options(), &images)), @r#"
     0 image alpine linux/amd64  [stage-1 1/2] FROM alpine
     1 image 0 linux/amd64  FROM 0
    *2 run on 0: ["/bin/sh", "-c", "a"] [bind 1:/ at /z]  [stage-1 2/2] RUN --mount=from=0,target=/z a
    "#);
}

#[test]
fn caches_can_have_a_namespace_and_steps_a_host_name() {
    let args = with_args(&[("BUILDKIT_CACHE_MOUNT_NS", "mine"), ("BUILDKIT_SANDBOX_HOSTNAME", "box")]);
    let made = lowered("FROM alpine\nRUN --mount=type=cache,target=/c a\n", &args, &images());
    assert_snapshot!(graph(&made), @r#"
     0 image alpine linux/amd64  [1/2] FROM alpine
    *1 run on 0: ["/bin/sh", "-c", "a"] [cache mine//c at /c Shared 755 0:0]  [2/2] RUN --mount=type=cache,target=/c a
    "#);
    let graph::Op::Run(run) = &made.graph.node(made.target).op else { panic!() };
    assert_eq!(run.hostname.as_deref(), Some("box"));
    assert!(made.warnings.is_empty());
}

#[test]
fn networks_and_rights_must_be_allowed() {
    assert_snapshot!(error("FROM alpine\nRUN --network=host a\n"), @r"
    error: RUN --network=host is not allowed in this build
     --> Dockerfile:2:5
      |
    2 | RUN --network=host a
      |     ^^^^^^^^^^^^^^
      |
      = hint: allow it with `--allow network.host`
    ");
    assert_snapshot!(error("FROM alpine\nRUN --security=insecure a\n"), @r"
    error: RUN --security=insecure is not allowed in this build
     --> Dockerfile:2:5
      |
    2 | RUN --security=insecure a
      |     ^^^^^^^^^^^^^^^^^^^
      |
      = hint: allow it with `--allow security.insecure`
    ");
    let allowed = Options {
        allow_host_network: true,
        allow_insecure: true,
        network: graph::Network::None,
        ..options()
    };
    let text = "FROM alpine\nRUN a\nRUN --network=host --security=insecure b\nRUN --network=none c\n";
    let made = lowered(text, &allowed, &images());
    let runs: Vec<String> = made
        .graph
        .nodes()
        .iter()
        .filter_map(|node| if let graph::Op::Run(run) = &node.op { Some(run) } else { None })
        .map(|run| format!("{:?} {:?}", run.network, run.security))
        .collect();
    assert_eq!(runs, ["None Sandbox", "Host Insecure", "None Sandbox"]);
}

#[test]
fn wrong_mounts() {
    assert_snapshot!(error("FROM alpine\nRUN --mount=type=cache,target=/ a\n"), @r"
    error: in `--mount=type=cache,target=/`: a mount cannot be the root
     --> Dockerfile:2:13
      |
    2 | RUN --mount=type=cache,target=/ a
      |             ^^^^^^^^^^^^^^^^^^^
      |
      = hint: give it a folder of its own with `target=`
    ");
    assert_snapshot!(error("FROM alpine\nRUN --mount=type=cache,targett=/c a\n"), @r"
    error: in `--mount=type=cache,targett=/c`: unknown key `targett`; did you mean `target`?
     --> Dockerfile:2:24
      |
    2 | RUN --mount=type=cache,targett=/c a
      |                        ^^^^^^^
    ");
    assert_snapshot!(error("FROM alpine\nRUN --mount=type=ssh,source=x a\n"), @r"
    error: in `--mount=type=ssh,source=x`: an ssh mount has no `source`
     --> Dockerfile:2:13
      |
    2 | RUN --mount=type=ssh,source=x a
      |             ^^^^^^^^^^^^^^^^^
      |
      = hint: the agent is named by its `id`
    ");
    assert_snapshot!(error("FROM alpine AS tools\nFROM alpine\nRUN --mount=from=tool,target=/t a\n"), @r"
    error: `tool` is no stage before this one, and no image of that name was found: no registry knows `tool`
     --> Dockerfile:3:13
      |
    3 | RUN --mount=from=tool,target=/t a
      |             ^^^^^^^^^^^^^^^^^^^
      |
      = hint: the stage before this one is `tools`
      = hint: did you mean `from=tools`?
    ");
    assert_snapshot!(error("FROM alpine AS tools\nRUN --mount=from=tools,target=/t a\n"), @r"
    error: stage `tools` cannot take files from itself
     --> Dockerfile:2:13
      |
    2 | RUN --mount=from=tools,target=/t a
      |             ^^^^^^^^^^^^^^^^^^^^
      |
      = hint: no stage stands before this one
    ");
}

#[test]
fn agents_have_numbered_sockets_and_a_variable() {
    let text = "FROM alpine
RUN --mount=type=ssh --mount=type=ssh,id=other,required a
RUN --mount=type=ssh,target=/agent,mode=0666,uid=7,gid=8 --mount=type=ssh b
ENV SSH_AUTH_SOCK=/mine
RUN --mount=type=ssh c
";
    assert_snapshot!(graph(&lowered(text, &options(), &images())), @r#"
     0 image alpine linux/amd64  [1/4] FROM alpine
     1 run on 0: ["/bin/sh", "-c", "a"] SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0 [Ssh { id: "default", required: false, mode: 384, uid: 0, gid: 0 } at /run/buildkit/ssh_agent.0] [Ssh { id: "other", required: true, mode: 384, uid: 0, gid: 0 } at /run/buildkit/ssh_agent.1]  [2/4] RUN --mount=type=ssh --mount=type=ssh,id=other,required a
     2 run on 1: ["/bin/sh", "-c", "b"] SSH_AUTH_SOCK=/agent [Ssh { id: "default", required: false, mode: 438, uid: 7, gid: 8 } at /agent] [Ssh { id: "default", required: false, mode: 384, uid: 0, gid: 0 } at /run/buildkit/ssh_agent.1]  [3/4] RUN --mount=type=ssh,target=/agent,mode=0666,uid=7,gid=8 --mount=type=ssh b
    *3 run on 2: ["/bin/sh", "-c", "c"] SSH_AUTH_SOCK=/mine [Ssh { id: "default", required: false, mode: 384, uid: 0, gid: 0 } at /run/buildkit/ssh_agent.0]  [4/4] RUN --mount=type=ssh c
    "#);
}

#[test]
fn runs_share_their_environment() {
    // What the environments of all runs take together: each counts what the run before it has not.
    let links = |variables: usize, runs_each: usize| {
        let mut text = "FROM alpine\n".to_owned();
        for number in 0..variables {
            text.push_str(&format!("ENV NAME_{number}=value\n"));
            text.push_str(&"RUN echo $NAME_0\n".repeat(runs_each));
        }
        let lowered = lowered(&text, &options(), &images());
        let (mut all, mut before) = (0, Environment::default());
        for id in lowered.graph.ids() {
            if let Op::Run(run) = &lowered.graph.node(id).op {
                all += run.env.own_links(&before);
                before = run.env.clone();
            }
        }
        assert_eq!(before.vars().len(), variables + 1);
        all
    };
    // The image's PATH, and what the file sets: not more for more runs, and not faster than the file grows.
    assert_eq!(links(1, 1), 2);
    assert_eq!(links(90, 1), 91);
    assert_eq!(links(90, 10), 91);
    assert_eq!(links(300, 10), 301);
}

//! `RUN --mount=type=ssh` and `build --ssh`, with OpenSSH's own `ssh-add` in the step.

use crate::harness::{
    Built, Context, LIMIT, SshAgent, new_key, new_locked_key, own_with_busybox, put_ssh_add, run, shared,
    unique,
};

/// A context with `ssh-add` that is at /ssh/add in its image.
fn context_of(rest: &str) -> Context {
    let context = Context::dockerfile(&format!("FROM busybox\nCOPY ssh /ssh\n{rest}"));
    put_ssh_add(&context);
    context.write(".dockerignore", "*\n!ssh\n");
    context
}

#[test]
fn a_step_sees_a_key_and_nothing_of_it_stays() {
    let (house, name) = (own_with_busybox(), unique("ssh"));
    let context = context_of(
        "RUN --mount=type=ssh /ssh/add -L > /listed && echo $SSH_AUTH_SOCK > /variable && stat -c '%F %a %u:%g' $SSH_AUTH_SOCK > /socket\n\
         RUN test -z \"$SSH_AUTH_SOCK\" && test ! -e /run/buildkit/ssh_agent.0\n",
    );
    let public = new_key(&context.path().join("key"));
    let ssh = format!("default={}", context.at("key"));
    let built = house.build(&context, &["--tag", &name, "--ssh", &ssh]);
    let files = house.files(&name);
    assert!(files.text("listed").starts_with(&format!("ssh-ed25519 {public}")), "{}", files.text("listed"));
    assert_eq!(files.text("variable"), "/run/buildkit/ssh_agent.0\n");
    assert_eq!(files.text("socket"), "socket 600 0:0\n");
    assert!(!files.has("run/buildkit"), "the mount point is in the layer");

    let config = house.config(&name).to_string();
    assert!(!config.contains("SSH_AUTH_SOCK"), "{config}");
    let private: String = context.read("key").lines().skip(2).take(2).collect();
    for text in [&built.out.stderr, &house.ok(&["history", "--no-trunc", &name]).stdout] {
        assert!(!text.contains(&private), "{text}");
    }
    // Another key is no reason to run, none at all neither.
    new_key(&context.path().join("other"));
    house.build(&context, &["--ssh", &format!("default={}", context.at("other"))]).all_cached();
    house.build(&context, &[]).all_cached();
}

#[test]
fn of_the_users_agent_a_step_can_use_keys_but_not_change_them() {
    let context = context_of(
        "RUN --mount=type=ssh,required /ssh/add -L > /default && ! /ssh/add -D && ! /ssh/add -x </dev/null\n\
         RUN --mount=type=ssh,id=named,target=/deep/er/socket /ssh/add -L > /named && echo $SSH_AUTH_SOCK >> /named\n\
         RUN --mount=type=ssh --mount=type=ssh,id=named echo $SSH_AUTH_SOCK > /both && SSH_AUTH_SOCK=/run/buildkit/ssh_agent.1 /ssh/add -L >> /both\n\
         ENV SSH_AUTH_SOCK=/mine\n\
         RUN --mount=type=ssh,target=/mine /ssh/add -L > /own && echo $SSH_AUTH_SOCK >> /own\n",
    );
    let (first, second) = (new_key(&context.path().join("first")), new_key(&context.path().join("second")));
    let agent = SshAgent::start();
    agent.add(&["-q", &context.at("first")]);
    let all = [
        "build",
        "--progress",
        "plain",
        "--output",
        "type=tar,dest=-",
        "--ssh",
        "default",
        "--ssh",
        &format!("named={}", context.at("second")),
        context.text(),
    ];
    let mut command = shared().command(&all);
    command.env("SSH_AUTH_SOCK", agent.socket());
    let out = run(command, LIMIT).ok();
    let files = crate::harness::Files::read(&out.bytes);
    let (first, second) = (format!("ssh-ed25519 {first}"), format!("ssh-ed25519 {second}"));
    // Without the comment, which of the user's agent is what it was given.
    let lines = |path: &str| {
        let text = files.text(path);
        text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(lines("default"), [first.as_str()]);
    assert_eq!(lines("named"), [second.as_str(), "/deep/er/socket"]);
    assert_eq!(lines("both"), ["/run/buildkit/ssh_agent.0", second.as_str()]);
    assert_eq!(lines("own"), [first.as_str(), "/mine"]);
    assert!(!files.has("deep"), "the mount point is in the layer");
    assert_eq!(agent.add(&["-L"]).lines().count(), 1, "a step removed the user's key");

    // The socket by its path does the same.
    let by_path = context_of("RUN --mount=type=ssh,required test \"$(/ssh/add -L | wc -l)\" = 1\n");
    shared().build(&by_path, &["--ssh", &format!("default={}", agent.socket())]);
}

#[test]
fn other_users_need_a_socket_of_their_own() {
    let context = context_of(&format!(
        "USER 1000:1001\n\
         RUN --mount=type=ssh,uid=1000,required /ssh/add -L && stat -c %u:%g $SSH_AUTH_SOCK && echo {0}\n\
         RUN --mount=type=ssh,mode=0666,required /ssh/add -L\n\
         RUN --mount=type=ssh,gid=1001,mode=0660,required /ssh/add -L\n\
         RUN --mount=type=ssh,required ! /ssh/add -L\n",
        unique("here")
    ));
    new_key(&context.path().join("key"));
    let built = shared().build(&context, &["--ssh", &format!("default={}", context.at("key"))]);
    let log = &built.step("uid=1000").log;
    assert!(log[0].starts_with("ssh-ed25519 ") && log[1] == "1000:0", "{log:?}");
}

#[test]
fn a_missing_agent_is_an_error_only_where_it_is_required() {
    let house = shared();
    let optional = context_of("RUN --mount=type=ssh test ! -e $SSH_AUTH_SOCK && test -n $SSH_AUTH_SOCK\n");
    house.build(&optional, &[]);
    let required = context_of("RUN --mount=type=ssh,id=deploy,required true\n");
    let failed = house.try_build(&required, &[]);
    assert_eq!(failed.out.code, Some(1));
    failed
        .out
        .says("the ssh agent `deploy` is required and was not given")
        .says("hint: give it with `--ssh deploy`")
        .says("Dockerfile:3");
}

#[test]
fn wrong_agents_are_told_before_anything_runs() {
    let house = shared();
    let context = context_of("RUN --mount=type=ssh true\n");
    let build = |ssh: &[&str]| {
        let flags = ssh.iter().flat_map(|ssh| ["--ssh", ssh]);
        let all: Vec<&str> =
            ["build", "--progress", "plain"].into_iter().chain(flags).chain([context.text()]).collect();
        let mut command = house.command(&all);
        command.env_remove("SSH_AUTH_SOCK");
        let built = Built::new(run(command, LIMIT).fails(125));
        assert!(!built.has_step("RUN"), "{}", built.out.stderr);
        built.out
    };
    build(&["default"]).says("SSH_AUTH_SOCK is not set").says("hint: start one with `eval $(ssh-agent)`");
    build(&["a=/nowhere"]).says("--ssh a=/nowhere: cannot read /nowhere");
    new_locked_key(&context.path().join("locked"));
    build(&[&format!("a={}", context.at("locked"))])
        .says("is protected by a passphrase")
        .says("hint: add it to an agent with `ssh-add ");
    build(&[&format!("a={}", context.at("Dockerfile"))]).says("is no private key that can be used");
    new_key(&context.path().join("key"));
    let key = format!("a={}", context.at("key"));
    build(&[&key, &key]).says("two ssh agents with the id `a`");
    build(&[&format!("{key},raw=1x")]).says("`raw` is true or false");
}

#[test]
fn steps_and_a_build_that_end_close_the_agent() {
    // A step that leaves a connection open does not hold the build up.
    let house = shared();
    let context = context_of(&format!(
        "RUN --mount=type=ssh (sleep 1000 | nc local:$SSH_AUTH_SOCK) & sleep 0.2; echo {}\n",
        unique("left")
    ));
    new_key(&context.path().join("key"));
    let begun = std::time::Instant::now();
    house.build(&context, &["--ssh", &format!("default={}", context.at("key"))]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}

//! `RUN --mount` of the types bind, cache, tmpfs and secret in all their options. What is expected was seen of BuildKit
//! (August 2026) unless a test says otherwise.

use crate::harness::{Built, Context, Files, House, LIMIT, own_with_busybox, run, shared, unique};
use std::process::{Child, Stdio};

/// The files of a Dockerfile's image, built in a store of its own.
fn files_of(dockerfile: &str) -> Files {
    own_with_busybox().files_of(&Context::dockerfile(dockerfile), &[])
}

#[test]
fn caches_begin_as_they_are_told() {
    let files = files_of(
        "FROM busybox AS s
RUN mkdir -p /sub/deep && echo from > /sub/f && chown 5:6 /sub && chmod 700 /sub
FROM busybox
WORKDIR /w
ARG ID=exp
RUN --mount=type=cache,target=a stat -c '%a %u:%g' /w/a > /plain
RUN --mount=type=cache,target=/b,uid=7,gid=8,mode=0711 stat -c '%a %u:%g' /b > /owned
RUN --mount=type=cache,target=/c,from=s,source=/sub stat -c '%a %u:%g' /c > /filled; ls /c >> /filled
RUN --mount=type=cache,id=c1,target=/c,from=s,source=/sub,uid=7,mode=0750 stat -c '%a %u:%g' /c > /filled-owned; ls /c >> /filled-owned
RUN --mount=type=cache,id=c2,target=/c,from=s,uid=7,mode=0750 stat -c '%a %u:%g' /c > /whole-owned; ls /c >> /whole-owned
RUN --mount=type=cache,id=$ID-x,target=/d,ro touch /d/x 2>/dev/null; echo $? > /read-only
RUN --mount=type=cache,id=same,target=/d echo 1 > /d/x
RUN --mount=type=cache,id=same,target=/e ls /e > /same
RUN --mount=type=cache,id=same,target=/e,uid=4 ls /e > /same-owned; stat -c '%a %u:%g' /e >> /same-owned
RUN --mount=type=cache,target=/f/../g echo x > /g/y
RUN --mount=type=cache,target=/g ls /g > /cleaned
RUN --mount=type=cache,id=/g,target=/h ls /h > /by-id
RUN --mount=type=cache,id=same,target=/e --mount=type=cache,id=same,target=/e2 ls /e /e2 > /twice
RUN --mount=type=cache,id=$ID-y,target=/d touch /d/y
RUN --mount=type=cache,id=exp-y,target=/d ls /d > /expanded
",
    );
    for (path, text) in [
        ("plain", "755 0:0\n"),
        ("owned", "711 7:8\n"),
        ("filled", "700 5:6\ndeep\nf\n"),
        ("filled-owned", "700 5:6\ndeep\nf\n"),
        ("whole-owned", "750 7:0\n"),
        ("read-only", "1\n"),
        ("same", "x\n"),
        ("same-owned", "755 4:0\n"),
        ("cleaned", "y\n"),
        ("by-id", "y\n"),
        ("twice", "/e:\nx\n\n/e2:\nx\n"),
        ("expanded", "y\n"),
    ] {
        assert_eq!(files.text(path), text, "{path}");
    }
    for path in ["w/a", "b", "c", "d", "e", "e2", "f", "g", "h"] {
        assert!(!files.has(path), "{path} is in a layer");
    }
}

#[test]
fn binds_and_tmpfs_in_all_options() {
    let context = Context::dockerfile(
        "FROM busybox AS s
RUN mkdir -p /sub/deep && echo from > /sub/f && ln -s sub /link
FROM busybox
WORKDIR /w
ARG WHERE=sub TO=a
RUN --mount=from=s,source=sub,target=a cat /w/a/f > /1; touch /w/a/x 2>/dev/null; echo $? >> /1
RUN --mount=from=s,source=/sub,target=a,rw touch /w/a/x; echo $? > /2
RUN --mount=from=s,source=/$WHERE,target=$TO ls /w/a > /3
RUN --mount=from=s,source=/sub/f,target=/file cat /file > /4
RUN --mount=from=s,source=/link,target=/l ls /l > /5
RUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/x bs=1k count=2000 2>/dev/null; stat -c %s /t/x > /6; stat -c '%a' /t >> /6
RUN --mount=type=tmpfs,target=/t,ro touch /t/x 2>/dev/null; echo $? > /7
RUN --mount=target=/ctx ls /ctx > /8
RUN --mount=source=sub,target=/ctx ls /ctx > /9
RUN --mount=target=/etc/foo,source=sub/one,rw echo x > /etc/foo; cat /etc/foo > /10
RUN --mount=from=named,target=/n cat /n/file > /11
RUN --mount=from=image,source=/bin,target=/n test -x /n/busybox && echo yes > /12
RUN --mount=type=bind,from=s,source=/sub,dst=/x,readonly=false --mount=type=bind,from=s,src=/sub,destination=/y,readwrite touch /x/z /y/z && ls /x /y > /13
RUN mkdir /there && touch -d '2001-01-01 00:00:00' /there
RUN --mount=type=tmpfs,target=/there/new/deep --mount=type=tmpfs,target=/there2 true
",
    );
    context.write("sub/one", "1\n");
    context.write(".dockerignore", "Dockerfile\n.dockerignore\n");
    let named = Context::new();
    named.write("file", "named\n");
    let (named, image) = (format!("named={}", named.text()), "image=docker-image://busybox");
    let args = ["--build-context", &named, "--build-context", image];
    let files = own_with_busybox().files_of(&context, &args);
    for (path, text) in [
        ("1", "from\n1\n"),
        ("2", "0\n"),
        ("3", "deep\nf\n"),
        ("4", "from\n"),
        ("5", "deep\nf\n"),
        ("6", "1048576\n1777\n"),
        ("7", "1\n"),
        ("8", "sub\n"),
        ("9", "one\n"),
        ("10", "x\n"),
        ("11", "named\n"),
        ("12", "yes\n"),
        ("13", "/x:\ndeep\nf\nz\n\n/y:\ndeep\nf\nz\n"),
    ] {
        assert_eq!(files.text(path), text, "{path}");
    }
    assert_eq!(context.read("sub/one"), "1\n", "the context on disk is never written to");
    for path in ["w/a", "file", "l", "t", "ctx", "etc/foo", "n", "x", "y", "there/new", "there2"] {
        assert!(!files.has(path), "{path} is in a layer");
    }
}

#[test]
fn a_missing_source_is_named() {
    let house = shared();
    for text in ["source=/none", "from=busybox,source=/none", "type=cache,from=busybox,source=/none"] {
        let context = Context::dockerfile(&format!("FROM busybox\nRUN --mount={text},target=/x true\n"));
        let failed = house.try_build(&context, &[]);
        assert_eq!(failed.out.code, Some(1), "{text}");
        failed.out.says("`/none` is not in the source").says("Dockerfile:2");
    }
}

#[test]
fn secrets_in_all_options() {
    let context = Context::dockerfile(
        "FROM busybox
WORKDIR /w
RUN --mount=type=secret,id=a cat /run/secrets/a > /1; stat -c '%a %u:%g' /run/secrets/a >> /1
RUN --mount=type=secret,id=a,target=rel cat /w/rel > /2
RUN --mount=type=secret,id=a,env=E echo \"$E\" > /3; ls /run/secrets 2>/dev/null >> /3; true
RUN --mount=type=secret,id=a,env=E,target=/x echo \"$E\" > /4; cat /x >> /4
RUN --mount=type=secret,id=no,env=E echo \"[$E]\" > /5; env | grep -c ^E= >> /5
RUN --mount=type=secret,target=/x/a cat /x/a > /6
RUN --mount=type=secret,source=a cat /run/secrets/a > /7
RUN --mount=type=secret,id=a,mode=0444,uid=3,gid=4 stat -c '%a %u:%g' /run/secrets/a > /8
RUN --mount=type=secret,id=a,uid=3 stat -c '%a %u:%g' /run/secrets/a > /9
RUN --mount=type=secret,id=no ls /run/secrets > /10 2>/dev/null; true
RUN --mount=type=secret,id=sub/b cat /run/secrets/b > /12; ls /run/secrets >> /12
USER 1000
RUN --mount=type=secret,id=a,mode=0444 cat /run/secrets/a > /tmp/13
",
    );
    let outside = Context::new();
    outside.write("secret", "secret\n");
    let (a, b) = (
        format!("id=a,src={}", outside.at("secret")),
        format!("type=file,id=sub/b,source={}", outside.at("secret")),
    );
    let files = own_with_busybox().files_of(&context, &["--secret", &a, "--secret", &b]);
    for (path, text) in [
        ("1", "secret\n400 0:0\n"),
        ("2", "secret\n"),
        ("3", "secret\n\n"),
        ("4", "secret\n\nsecret\n"),
        ("5", "[]\n1\n"),
        ("6", "secret\n"),
        ("7", "secret\n"),
        ("8", "444 3:4\n"),
        ("9", "400 3:0\n"),
        ("10", ""),
        ("12", "secret\nb\n"),
        ("tmp/13", "secret\n"),
    ] {
        assert_eq!(files.text(path), text, "{path}");
    }
    assert!(
        !files.has("run/secrets") && !files.has("w/rel") && !files.has("x"),
        "a mount point is in a layer"
    );
}

#[test]
fn secrets_come_from_files_and_variables() {
    let house = shared();
    let context = Context::dockerfile(&format!(
        "FROM busybox\nRUN --mount=type=secret,id=s,required echo \"{}: $(cat /run/secrets/s)\"\n",
        unique("secret")
    ));
    let outside = Context::new();
    let file = outside.write("s", "from a file").display().to_string();
    let build = |secret: &str, code| {
        let mut command = house.command(&[
            "build",
            "--progress",
            "plain",
            "--no-cache",
            "--secret",
            secret,
            context.text(),
        ]);
        command.env("VAR", "from a variable").env("s", "by its id").current_dir(outside.path());
        run(command, LIMIT).fails(code)
    };
    build(&format!("id=s,src={file}"), 0).says(": from a file");
    build(&format!("id=s,source={file}"), 0).says(": from a file");
    build("id=s,src=s", 0).says(": from a file");
    build("id=s,env=VAR", 0).says(": from a variable");
    build("id=s,type=env,src=VAR", 0).says(": from a variable");
    build("id=s,type=env", 0).says(": by its id");
    build("id=s", 0).says(": by its id");
    build("type=file,id=s", 0).says(": from a file");
    build("id=s,env=NOT_SET", 125).says("the variable NOT_SET is not set");
    build("id=s,src=none", 125).says("none is no file");
    build("src=s", 125).says("`src=s` has no id");
    build("id=s,srce=s", 125).says("the key `srce` is not known");
}

/// A build in a process of its own.
fn begin(house: &House, context: &Context) -> Child {
    let mut command = house.command(&["build", "--progress", "plain", context.text()]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for builds, which must succeed.
fn end(builds: Vec<Child>) {
    for build in builds {
        let out = build.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

/// A shell that waits until a file is there.
fn wait_for(path: &str) -> String {
    format!("n=0; while test ! -e {path}; do n=$((n+1)); test $n -lt 600; sleep 0.1; done")
}

#[test]
fn locked_caches_are_used_by_one_process_at_a_time() {
    let (house, id) = (shared(), unique("locked"));
    let contexts: Vec<Context> = (0..3)
        .map(|number| {
            Context::dockerfile(&format!(
                "FROM busybox\nRUN --mount=type=cache,id={id},target=/c,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && echo {number} >> /c/done\n"
            ))
        })
        .collect();
    end(contexts.iter().map(|context| begin(house, context)).collect());
    let seen = Context::dockerfile(&format!(
        "FROM busybox\nRUN --mount=type=cache,id={id},target=/c sort /c/done > /seen\n"
    ));
    assert_eq!(house.files_of(&seen, &[]).text("seen"), "0\n1\n2\n");
}

#[test]
fn locked_caches_are_used_by_one_step_at_a_time() {
    let (house, id) = (shared(), unique("locked"));
    let mut text = String::new();
    for number in 0..3 {
        text += &format!(
            "FROM busybox AS s{number}\nRUN --mount=type=cache,id={id},target=/c,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && echo {number} > /f{number}\n"
        );
    }
    text += "FROM scratch\nCOPY --from=s0 /f0 /\nCOPY --from=s1 /f1 /\nCOPY --from=s2 /f2 /\n";
    let files = house.files_of(&Context::dockerfile(&text), &[]);
    assert_eq!(files.names(""), ["f0", "f1", "f2"]);
}

#[test]
fn shared_caches_are_used_at_once() {
    let (house, id) = (shared(), unique("shared"));
    // Each ends only when it sees the other: in two processes, and in two stages of one.
    let mount = format!("--mount=type=cache,id={id},target=/c");
    let step = |mine: &str, theirs: &str| {
        format!("RUN {mount} set -e; touch /c/{mine}; {}\n", wait_for(&format!("/c/{theirs}")))
    };
    let contexts = [("a", "b"), ("b", "a")]
        .map(|(mine, theirs)| Context::dockerfile(&format!("FROM busybox\n{}", step(mine, theirs))));
    end(contexts.iter().map(|context| begin(house, context)).collect());
    let text = format!(
        "FROM busybox AS one\n{}RUN touch /1\nFROM busybox AS two\n{}RUN touch /2\nFROM scratch\nCOPY --from=one /1 /\nCOPY --from=two /2 /\n",
        step("c", "d"),
        step("d", "c")
    );
    house.build(&Context::dockerfile(&text), &[]);
}

#[test]
fn private_caches_are_each_ones_own_while_they_are_used() {
    let (house, id) = (shared(), unique("private"));
    let mounts = format!(
        "--mount=type=cache,id={id},target=/p,sharing=private --mount=type=cache,id={id}-meet,target=/meet"
    );
    let step = |mine: &str, theirs: &str| {
        let waits = wait_for(&format!("/meet/{theirs}"));
        format!(
            "RUN {mounts} set -e; touch /p/{mine} /meet/{mine}; {waits}; test \"$(ls /p)\" = {mine}; touch /meet/{mine}2; {}\n",
            wait_for(&format!("/meet/{theirs}2"))
        )
    };
    let contexts = [("a", "b"), ("b", "a")]
        .map(|(mine, theirs)| Context::dockerfile(&format!("FROM busybox\n{}", step(mine, theirs))));
    end(contexts.iter().map(|context| begin(house, context)).collect());
    // Used again, one of them comes back.
    let seen = Context::dockerfile(&format!("FROM busybox\nRUN {mounts} ls /p > /seen\n"));
    let files = house.files_of(&seen, &[]);
    assert!(["a\n", "b\n"].contains(&files.text("seen")), "{}", files.text("seen"));
}

#[test]
fn a_namespace_keeps_caches_apart() {
    let (house, id) = (own_with_busybox(), unique("ns"));
    let context = Context::dockerfile(&format!(
        "FROM busybox\nARG N\nRUN --mount=type=cache,id={id},target=/c ls /c && echo $N > /c/$N && echo has $(ls /c)\n"
    ));
    let build = |number: &str, namespace: &str| -> Built {
        let (number, namespace) = (format!("N={number}"), format!("BUILDKIT_CACHE_MOUNT_NS={namespace}"));
        house.build(&context, &["--build-arg", &number, "--build-arg", &namespace])
    };
    build("1", "a").out.says(" has 1\n");
    build("2", "b").out.says(" has 2\n");
    build("3", "a").out.says(" has 1 3\n");
    build("4", "").out.says(" has 4\n");
}

#[test]
fn a_cached_step_stays_cached_whatever_its_cache_holds() {
    let (house, id) = (own_with_busybox(), unique("cached"));
    let step = format!("RUN --mount=type=cache,id={id},target=/c echo x >> /c/log && cp /c/log /seen\n");
    let context = Context::dockerfile(&format!("FROM busybox\n{step}"));
    house.build(&context, &[]).ran("RUN");
    house.build(&context, &[]).cached("RUN");
    // Another step that changes the cache is no reason either.
    let other =
        Context::dockerfile(&format!("FROM busybox\nRUN --mount=type=cache,id={id},target=/c rm /c/log\n"));
    house.build(&other, &[]);
    house.build(&context, &[]).cached("RUN");
    // Another option of the mount is one.
    context.replace("Dockerfile", "target=/c ", "target=/c,sharing=locked ");
    house.build(&context, &[]).ran("RUN");
}

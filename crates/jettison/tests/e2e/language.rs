//! What instructions mean: the files, owners and settings that come out of them.

use crate::harness::{Context, Kind, own_with_busybox, processes_with, shared, unique};
use serde_json::json;

/// Users of the images below: `app` has user 1234 and group 2345, `staff` is group 77.
const USERS: &str = "\
COPY <<EOF /etc/passwd
root:x:0:0:root:/root:/bin/sh
app:x:1234:2345:app:/home/app:/bin/sh
EOF
COPY <<EOF /etc/group
root:x:0:
app:x:2345:
staff:x:77:app
EOF
";

#[test]
fn chown_takes_names_and_numbers() {
    let context = Context::dockerfile(&format!(
        "FROM busybox\n{USERS}\
         COPY --chown=app f /user\n\
         COPY --chown=app:staff f /both\n\
         COPY --chown=55:66 f /numbers\n\
         COPY --chown=7 f /number\n\
         COPY --chown=app:9 f /mixed\n\
         COPY --chown=1234 --chmod=640 folder /folder/\n\
         COPY f /plain\n"
    ));
    context.write("f", "text\n");
    context.write("folder/sub/inner", "text\n");
    let files = shared().files_of(&context, &[]);
    // A name alone brings its own group, a number alone is both, as in BuildKit.
    assert_eq!(files.owner("user"), (1234, 2345));
    assert_eq!(files.owner("both"), (1234, 77));
    assert_eq!(files.owner("numbers"), (55, 66));
    assert_eq!(files.owner("number"), (7, 7));
    assert_eq!(files.owner("mixed"), (1234, 9));
    assert_eq!(files.owner("plain"), (0, 0));
    for path in ["folder", "folder/sub", "folder/sub/inner"] {
        assert_eq!(files.owner(path), (1234, 1234), "{path}");
    }
    assert_eq!(files.get("folder/sub/inner").mode, 0o640);
}

#[test]
fn chmod_is_octal_and_modes_are_kept_otherwise() {
    let context = Context::dockerfile(
        "FROM scratch\nCOPY --chmod=755 script /a\nCOPY --chmod=4711 script /b\nCOPY --chmod=0600 script /c\nCOPY script /d\n",
    );
    context.write("script", "#!/bin/sh\n");
    context.mode("script", 0o751);
    let files = shared().files_of(&context, &[]);
    assert_eq!(files.get("a").mode, 0o755);
    assert_eq!(files.get("b").mode, 0o4711);
    assert_eq!(files.get("c").mode, 0o600);
    assert_eq!(files.get("d").mode, 0o751);
}

#[test]
fn a_user_by_name_owns_what_it_makes() {
    let context = Context::dockerfile(&format!(
        "FROM busybox\n{USERS}\
         RUN mkdir -p /home/app && chown app:app /home/app\n\
         USER app\n\
         WORKDIR /made/by/app\n\
         RUN id > ids && echo $HOME > home\n\
         USER app:staff\n\
         RUN id -g > /made/by/app/group\n\
         USER 4321\n\
         RUN id -u > /tmp/number\n"
    ));
    context.write("f", "text\n");
    let house = shared();
    let name = unique("user");
    // /tmp may be missing in a small image.
    context.replace(
        "Dockerfile",
        "RUN mkdir -p /home/app",
        "RUN mkdir -p /tmp && chmod 1777 /tmp && mkdir -p /home/app",
    );
    house.build(&context, &["--tag", &name]);
    let files = house.files_of(&context, &[]);
    assert_eq!(files.owner("made/by/app"), (1234, 2345), "WORKDIR behind USER");
    assert_eq!(files.owner("made/by/app/ids"), (1234, 2345));
    let ids = files.text("made/by/app/ids");
    assert!(ids.starts_with("uid=1234(app) gid=2345(app)"), "{ids}");
    assert!(ids.contains("77(staff)"), "supplementary groups: {ids}");
    assert_eq!(files.text("made/by/app/home"), "/home/app\n");
    assert_eq!(files.text("made/by/app/group"), "77\n");
    assert_eq!(files.text("tmp/number"), "4321\n");
    assert_eq!(house.config(&name)["User"], "4321");
}

#[test]
fn wildcards_take_what_matches() {
    let context = Context::dockerfile(
        "FROM scratch\nCOPY *.txt ?.md src/*/main.[ch] /all/\nCOPY package*.json ./\nCOPY missing* here.txt /maybe/\n",
    );
    for path in [
        "one.txt",
        "two.txt",
        "here.txt",
        "a.md",
        "long.md",
        "src/x/main.c",
        "src/y/main.h",
        "src/z/main.o",
        "package.json",
        "package-lock.json",
    ] {
        context.write(path, path);
    }
    context.write(".hidden.txt", "hidden\n");
    let files = shared().files_of(&context, &[]);
    assert_eq!(
        files.names("all"),
        [".hidden.txt", "a.md", "here.txt", "main.c", "main.h", "one.txt", "two.txt"]
    );
    assert!(files.has("package.json") && files.has("package-lock.json"));
    assert_eq!(files.names("maybe"), ["here.txt"]);
}

#[test]
fn folders_are_copied_by_content_and_into_what_is_there() {
    let context = Context::dockerfile(
        "FROM scratch\nCOPY one /target\nCOPY two /target/\nCOPY one two /both/\nCOPY one/a /renamed\nCOPY one/a /into/\nWORKDIR /work\nCOPY one .\nCOPY one/a ./sub/b\n",
    );
    context.write("one/a", "one\n");
    context.write("one/same", "one\n");
    context.write("two/same", "two\n");
    context.write("two/deep/er", "two\n");
    std::os::unix::fs::symlink("a", context.path().join("one/link")).unwrap();
    let files = shared().files_of(&context, &[]);
    assert_eq!(files.names("target"), ["a", "deep", "link", "same"]);
    assert_eq!(files.text("target/same"), "two\n", "the later copy lies above");
    assert_eq!(files.names("both"), ["a", "deep", "link", "same"]);
    assert_eq!(files.text("renamed"), "one\n");
    assert_eq!(files.text("into/a"), "one\n");
    assert_eq!(files.names("work"), ["a", "link", "same", "sub"]);
    assert_eq!(files.text("work/sub/b"), "one\n");
    assert_eq!(files.get("target/link").kind, Kind::Symlink);
    assert_eq!(files.get("target/link").link.as_deref(), Some("a"));
}

#[test]
fn args_have_scopes_and_variables_are_expanded() {
    let context = Context::dockerfile(
        r#"ARG BASE=scratch
ARG SHARED=global
FROM busybox AS first
ARG SHARED
ARG OWN=${SHARED}-own
ARG GIVEN=default
ENV A=1 B="two words" C='$A'
ENV A=2 D=$A E=${A} F=${NONE:-fallback} G=${A:+set} H=\$A
RUN echo "$SHARED|$OWN|$GIVEN|$A|$B|$C|$D|$E|$F|$G|$H" > /seen
FROM first AS second
RUN echo "$SHARED|$OWN|$A" > /inherited
FROM busybox AS third
RUN echo "${SHARED:-nothing}|${OWN:-nothing}" > /other
FROM $BASE
COPY --from=first /seen /
COPY --from=second /inherited /
COPY --from=third /other /
"#,
    );
    let files = shared().files_of(&context, &["--build-arg", "GIVEN=from the command line"]);
    // Within one ENV all words see the environment before it; single quotes do not protect from it.
    assert_eq!(
        files.text("seen"),
        "global|global-own|from the command line|2|two words|$A|1|1|fallback|set|$A\n"
    );
    assert_eq!(files.text("inherited"), "global|global-own|2\n");
    assert_eq!(files.text("other"), "nothing|nothing\n");
}

#[test]
fn args_reach_steps_but_not_the_image() {
    let (house, name) = (shared(), unique("args"));
    let context = Context::dockerfile("FROM busybox\nARG TOKEN=abc\nENV KEPT=yes\nRUN echo $TOKEN > /seen\n");
    house.build(&context, &["--tag", &name, "--build-arg", "TOKEN=xyz"]);
    assert_eq!(house.files_of(&context, &["--build-arg", "TOKEN=xyz"]).text("seen"), "xyz\n");
    let env = house.config(&name)["Env"].to_string();
    assert!(env.contains("KEPT=yes") && !env.contains("TOKEN"), "{env}");
}

#[test]
fn settings_of_the_image() {
    let (house, name) = (shared(), unique("settings"));
    let context = Context::dockerfile(
        r#"FROM busybox
LABEL one=1 "two words"="with spaces" \
      three='3'
MAINTAINER somebody
WORKDIR /a
WORKDIR b
ENV PORT=99
EXPOSE $PORT 53/udp 8000-8002/tcp
VOLUME /data ["/not-json"
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=5s --timeout=2s --retries=4 CMD test -e /ok
ENTRYPOINT ["/bin/echo", "hello"]
CMD first $PORT
"#,
    );
    context.replace("Dockerfile", "VOLUME /data [\"/not-json\"\n", "VOLUME /data /more\n");
    house.build(&context, &["--tag", &name, "--label", "one=from the command line", "--label", "four=4"]);
    let config = house.config(&name);
    assert_eq!(config["Labels"]["one"], "from the command line");
    assert_eq!(config["Labels"]["two words"], "with spaces");
    assert_eq!(config["Labels"]["three"], "3");
    assert_eq!(config["Labels"]["four"], "4");
    assert_eq!(config["WorkingDir"], "/a/b");
    let ports: Vec<&String> = config["ExposedPorts"].as_object().unwrap().keys().collect();
    let mut ports: Vec<&str> = ports.into_iter().map(String::as_str).collect();
    ports.sort_unstable();
    assert_eq!(ports, ["53/udp", "8000/tcp", "8001/tcp", "8002/tcp", "99/tcp"]);
    assert_eq!(config["Volumes"], json!({"/data": {}, "/more": {}}));
    assert_eq!(config["StopSignal"], "SIGUSR1");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD-SHELL", "test -e /ok"]));
    assert_eq!(config["Healthcheck"]["Interval"], 5_000_000_000u64);
    assert_eq!(config["Healthcheck"]["Retries"], 4);
    assert_eq!(config["Entrypoint"], json!(["/bin/echo", "hello"]));
    assert_eq!(config["Cmd"], json!(["/bin/sh", "-c", "first $PORT"]));
}

#[test]
fn an_entrypoint_forgets_the_command_of_the_base() {
    let (house, name) = (shared(), unique("entrypoint"));
    house.build(&Context::dockerfile("FROM busybox\nENTRYPOINT [\"/bin/true\"]\n"), &["--tag", &name]);
    let config = house.config(&name);
    assert_eq!(config["Entrypoint"], json!(["/bin/true"]));
    assert!(config["Cmd"].is_null(), "{config}");
}

#[test]
fn both_forms_of_run_continuations_and_comments() {
    let context = Context::dockerfile(
        "# escape=`\nfrom busybox\n\n# a comment\nrun echo one `\n  # a comment within\n\n  && echo two > /shell\nRun [\"touch\", \"/a b\", \"/$HOME\"]\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN false || true; echo $0 > /shell2\n",
    );
    // The directive changes the escape, so that a backslash is a character.
    context.replace("Dockerfile", "RUN false", "RUN echo 'a\\\\b' > /escape; false");
    let files = shared().files_of(&context, &[]);
    assert_eq!(files.text("shell"), "two\n");
    assert!(files.has("a b") && files.has("$HOME"), "the exec form has no shell");
    assert!(files.has("shell2"));
    assert!(files.text("escape").starts_with("a\\"));
}

#[test]
fn heredocs_are_scripts_and_files() {
    let context = Context::dockerfile(
        r#"FROM busybox
ARG WHO=world
RUN <<EOF
set -e
mkdir /made
for i in 1 2 3; do echo "line $i" >> /made/lines; done
EOF
RUN <<'SCRIPT' sh > /made/output
echo "args: $0"
SCRIPT
COPY <<EOF <<'RAW' /files/
hello $WHO
EOF
hello $WHO
RAW
COPY --chmod=755 --chown=3:4 <<-EOF /tabs
		indented
	EOF
"#,
    );
    let files = shared().files_of(&context, &[]);
    assert_eq!(files.text("made/lines"), "line 1\nline 2\nline 3\n");
    assert_eq!(files.text("made/output"), "args: sh\n");
    assert_eq!(files.text("files/EOF"), "hello world\n");
    assert_eq!(files.text("files/RAW"), "hello $WHO\n");
    assert_eq!(files.text("tabs"), "indented\n");
    assert_eq!((files.owner("tabs"), files.get("tabs").mode), ((3, 4), 0o755));
}

#[test]
fn onbuild_waits_for_the_image_that_stands_on_it() {
    let (house, base) = (shared(), unique("onbuild"));
    let first =
        Context::dockerfile("FROM busybox\nONBUILD COPY marker /marker\nONBUILD RUN cat /marker > /copied\n");
    let built = house.build(&first, &["--tag", &base]);
    assert!(!built.has_step("marker"), "{}", built.out.stderr);
    assert_eq!(house.config(&base)["OnBuild"], json!(["COPY marker /marker", "RUN cat /marker > /copied"]));

    let (second, name) =
        (Context::dockerfile(&format!("FROM {base}\nRUN test -e /copied\n")), unique("onbuild-user"));
    second.write("marker", "of the second context\n");
    house.build(&second, &["--tag", &name]);
    assert_eq!(house.files_of(&second, &[]).text("copied"), "of the second context\n");
    assert!(house.config(&name)["OnBuild"].as_array().is_none_or(Vec::is_empty), "it is not handed on");
}

#[test]
fn copy_from_stages_by_number_name_and_from_images() {
    let (house, image) = (shared(), unique("copied-from"));
    house.build(&Context::dockerfile("FROM busybox\nRUN echo image > /from-image\n"), &["--tag", &image]);
    let context = Context::dockerfile(&format!(
        "FROM busybox AS One\nWORKDIR /deep\nRUN echo one > file\nFROM busybox\nRUN echo two > /two\nFROM scratch\nCOPY --from=0 /deep/file /number\nCOPY --from=ONE deep /name/\nCOPY --from=1 two /\nCOPY --from={image} /from-image /\n"
    ));
    let files = house.files_of(&context, &[]);
    assert_eq!(files.text("number"), "one\n");
    assert_eq!(files.text("name/file"), "one\n");
    assert_eq!(files.text("two"), "two\n");
    assert_eq!(files.text("from-image"), "image\n");
}

#[test]
fn unreached_stages_are_not_even_resolved() {
    let house = shared();
    let context = Context::dockerfile(
        "FROM registry.invalid/no/such:image AS unreached\nRUN exit 1\nFROM scratch AS other\nCOPY missing /\nFROM busybox\nRUN echo fine > /fine\n",
    );
    let built = house.build(&context, &[]);
    assert!(!built.has_step("unreached") && !built.has_step("other"), "{}", built.out.stderr);
}

#[test]
fn what_a_step_removes_is_gone() {
    let (house, name) = (shared(), unique("removed"));
    let context = Context::dockerfile(
        "FROM busybox\nRUN mkdir -p /d/sub && echo 1 > /d/a && echo 2 > /d/sub/b && echo 3 > /keep\nRUN rm -r /d && mkdir /d && echo new > /d/c\nRUN rm /keep && ln -s d /keep\n",
    );
    house.build(&context, &["--tag", &name]);
    for files in [house.files_of(&context, &[]), house.files(&name)] {
        assert_eq!(files.names("d"), ["c"], "a folder made anew hides the old one");
        assert_eq!(files.get("keep").kind, Kind::Symlink);
    }
}

#[test]
fn steps_get_their_surroundings_and_leave_none_of_them() {
    let context = Context::dockerfile(
        "FROM busybox\nRUN mkdir -p /seen && cat /proc/mounts > /seen/mounts && ls /proc | grep -c '^[0-9]' > /seen/processes && hostname > /seen/hostname && cat /etc/hosts > /seen/hosts && test -s /etc/resolv.conf && ls -l /dev > /seen/dev && test -w /dev/shm && touch /dev/shm/x /proc/self/comm\nRUN --network=none ls /sys/class/net > /seen/net\n",
    );
    let files = shared().files_of(&context, &[]);
    let processes: u32 = files.text("seen/processes").trim().parse().unwrap();
    assert!(processes < 8, "a pid namespace of its own: {processes}");
    assert!(files.text("seen/hosts").contains("127.0.0.1"));
    assert_eq!(files.text("seen/net"), "lo\n");
    assert!(files.text("seen/dev").contains("null") && !files.text("seen/dev").contains("vda"));
    for path in ["etc/resolv.conf", "etc/hosts", "etc/hostname"] {
        assert!(!files.has(path) || files.get(path).bytes.is_empty(), "{path} is in the layer");
    }
    assert_eq!(files.names("dev/shm"), [""; 0]);
}

#[test]
fn what_a_step_leaves_running_ends_with_it() {
    let house = shared();
    let seconds = format!("{}", 3_000_000 + std::process::id());
    let context =
        Context::dockerfile(&format!("FROM busybox\nRUN sleep {seconds} & echo started > /started\n"));
    house.build(&context, &[]).ran("RUN sleep");
    assert_eq!(processes_with(&seconds), [""; 0]);
}

#[test]
fn secrets_reach_the_step_and_nothing_else() {
    let (house, name) = (own_with_busybox(), unique("secret"));
    let (file_secret, env_secret) = (unique("file-secret"), unique("env-secret"));
    let context = Context::dockerfile(
        "FROM busybox\nRUN --mount=type=secret,id=file,required=true wc -c < /run/secrets/file > /length && stat -c %a /run/secrets/file > /mode\nRUN --mount=type=secret,id=var,target=/elsewhere,uid=12 test -n \"$(cat /elsewhere)\" && stat -c %u /elsewhere > /uid\nRUN --mount=type=secret,id=var,env=TOKEN echo ${#TOKEN} > /env-length\nRUN test ! -e /run/secrets/file && test -z \"$TOKEN\"\n",
    );
    let outside = Context::new();
    outside.write("token", &file_secret);
    let source = format!("id=file,src={}", outside.at("token"));
    let args = ["--tag", &name, "--secret", &source, "--secret", "id=var,env=SECRET_OF_TEST"];
    let mut all = vec!["build", "--progress", "plain"];
    all.extend(args);
    all.push(context.text());
    let mut command = house.command(&all);
    command.env("SECRET_OF_TEST", &env_secret);
    let built = crate::harness::run(command, crate::harness::LIMIT).ok();

    let files = house.files(&name);
    assert_eq!(files.text("length").trim(), file_secret.len().to_string());
    assert_eq!(files.text("env-length").trim(), env_secret.len().to_string());
    assert_eq!(files.text("mode"), "400\n");
    assert_eq!(files.text("uid"), "12\n");
    assert!(!files.has("run/secrets/file") && !files.has("elsewhere"));

    let archive = house.ok(&["save", &name]);
    let history = house.ok(&["history", "--no-trunc", &name]);
    let inspect = house.ok(&["inspect", &name]);
    for secret in [&file_secret, &env_secret] {
        assert!(!files.holds(secret));
        for text in [&built.stderr, &built.stdout, &history.stdout, &inspect.stdout] {
            assert!(!text.contains(secret.as_str()), "a secret is in: {text}");
        }
        assert!(!holds(&archive.bytes, secret));
        // Nothing of it anywhere in the store: no layer, no key, no log.
        assert_eq!(files_of_store_with(&house.root(), secret), [""; 0]);
    }

    // Another value is no reason to run.
    outside.write("token", &unique("another"));
    let mut command = house.command(&all);
    command.env("SECRET_OF_TEST", "x");
    crate::harness::Built::new(crate::harness::run(command, crate::harness::LIMIT).ok()).all_cached();
}

fn holds(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

fn files_of_store_with(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_of_store_with(&entry.path(), text));
        } else if kind.is_file() && holds(&std::fs::read(entry.path()).unwrap_or_default(), text) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_missing_secret_is_an_error_only_where_it_is_required() {
    let house = shared();
    let optional =
        Context::dockerfile("FROM busybox\nRUN --mount=type=secret,id=none test ! -e /run/secrets/none\n");
    house.build(&optional, &[]);
    let required = Context::dockerfile("FROM busybox\nRUN --mount=type=secret,id=none,required true\n");
    let failed = house.try_build(&required, &[]);
    assert_eq!(failed.out.code, Some(1));
    failed.out.says("`none`");
}

#[test]
fn cache_mounts_keep_their_content_across_builds() {
    let (house, id) = (shared(), unique("cache"));
    let context = Context::dockerfile(&format!(
        "FROM busybox\nARG N\nRUN --mount=type=cache,id={id},target=/c echo build $N >> /c/log && cp /c/log /seen\n"
    ));
    house.build(&context, &["--build-arg", "N=1"]).ran("RUN");
    let files = house.files_of(&context, &["--build-arg", "N=2"]);
    assert_eq!(files.text("seen"), "build 1\nbuild 2\n");
    assert_eq!(files.names("c"), [""; 0], "what is in the cache is not in the image");
}

#[test]
fn bind_mounts_show_files_and_keep_no_change() {
    let house = shared();
    let context = Context::dockerfile(&format!(
        "FROM busybox AS tools\nRUN mkdir /t && echo tool-{} > /t/tool\nFROM busybox\nRUN --mount=type=bind,target=/ctx,rw cp /ctx/f /seen && echo changed > /ctx/f && cat /ctx/f > /changed\nRUN --mount=type=bind,from=tools,source=/t,target=/t cat /t/tool > /tool && ! touch /t/new 2>/dev/null\nRUN --mount=type=bind,source=f,target=/one cat /one > /after\nRUN --mount=type=tmpfs,target=/scratch echo x > /scratch/x\n",
        unique("x")
    ));
    context.write("f", "of the context\n");
    let files = house.files_of(&context, &[]);
    assert_eq!(files.text("seen"), "of the context\n");
    assert_eq!(files.text("changed"), "changed\n");
    assert_eq!(files.text("after"), "of the context\n", "a change through a mount is lost");
    assert!(files.text("tool").starts_with("tool-x"));
    assert!(!files.has("t/tool") && !files.has("ctx/f") && !files.has("scratch/x"));
    assert_eq!(context.read("f"), "of the context\n", "the context on disk is never written to");

    // A read-only bind mount counts by the files it shows.
    context.write("f", "another\n");
    let changed = house.build(&context, &[]);
    changed.ran("RUN --mount=type=bind,source=f");
}

#[test]
fn the_ignore_file_has_mobys_rules() {
    let context = Context::dockerfile("FROM scratch\nCOPY . /\n");
    context.write(".dockerignore", "# comment\n*.log\n**/*.tmp\nfolder\n!folder/kept\nfolder/kept/not\n/rooted\n a-space \nDockerfile\n.dockerignore\n");
    for path in [
        "a.log",
        "sub/a.log",
        "a.tmp",
        "sub/deep/a.tmp",
        "folder/x",
        "folder/kept/y",
        "folder/kept/not",
        "rooted/x",
        "sub/rooted",
        "a-space",
        "plain",
    ] {
        context.write(path, "x\n");
    }
    let files = shared().files_of(&context, &[]);
    let kept: Vec<&str> = files.paths().filter(|path| files.get(path).kind == Kind::File).collect();
    assert_eq!(kept, ["folder/kept/y", "plain", "sub/a.log", "sub/rooted"]);
}

#[test]
fn an_ignore_file_of_the_dockerfile_comes_first() {
    let context = Context::new();
    context.write("other.Dockerfile", "FROM scratch\nCOPY . /\n");
    context.write("other.Dockerfile.dockerignore", "b\n*ocker*\n");
    context.write(".dockerignore", "a\n");
    for path in ["a", "b", "c"] {
        context.write(path, "x\n");
    }
    let files = shared().files_of(&context, &["--file", &context.at("other.Dockerfile")]);
    let kept: Vec<&str> = files.paths().filter(|path| files.get(path).kind == Kind::File).collect();
    assert_eq!(kept, ["a", "c"]);
}

#[test]
fn links_and_special_names_survive() {
    let context = Context::dockerfile(
        "FROM busybox\nRUN mkdir /l && cd /l && echo same > a && ln a b && ln -s a c && ln -s /nowhere d && mkfifo pipe && touch 'sp ace' \"$(printf 'new\\nline')\" 'ü' && touch -t 200102030405 old\nRUN test /l/a -ef /l/b\n",
    );
    let files = shared().files_of(&context, &[]);
    assert_eq!(files.text("l/b"), "same\n");
    assert_eq!(files.get("l/c").link.as_deref(), Some("a"));
    assert_eq!(files.get("l/d").link.as_deref(), Some("/nowhere"));
    assert_eq!(files.get("l/pipe").kind, Kind::Other);
    assert!(files.has("l/sp ace") && files.has("l/new\nline") && files.has("l/ü"));
}

//! Bad input gets an answer: what is wrong, where, and what may help; and nothing half-made stays.

use crate::harness::{
    Context, House, LIMIT, free_port, own, own_with_busybox, run_with_input, shared, unique,
};
use insta::assert_snapshot;
use std::fs;

/// The message of a build that must fail, without what differs from run to run and without progress.
#[track_caller]
fn message(house: &House, context: &Context, args: &[&str]) -> String {
    let name = unique("never");
    let mut all = vec!["--tag", &name];
    all.extend(args);
    let failed = house.try_build(context, &all);
    assert_eq!(failed.out.code, Some(1), "{}", failed.out.stderr);
    assert_eq!(failed.out.stdout, "");
    assert!(!house.has_image(&name), "a failed build names nothing");
    said(&failed.out.stderr, context)
}

/// What was said, without progress, times and paths.
fn said(stderr: &str, context: &Context) -> String {
    let lines = stderr.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let line = line.replace(context.text(), "CONTEXT");
        // `0.123 text`: a line of a step's log.
        match line.split_once(' ') {
            Some((time, text)) if time.contains('.') && time.parse::<f64>().is_ok() => format!("TIME {text}"),
            _ => line,
        }
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n").trim().to_owned()
}

#[test]
fn a_missing_dockerfile() {
    let (house, context) = (shared(), Context::new());
    assert_snapshot!(message(house, &context, &[]), @r"
    error: there is no Dockerfile in `CONTEXT`
    hint: name one with --file, or give the folder that has it as the context
    ");
    let context = Context::dockerfile("FROM scratch\n");
    assert_snapshot!(message(house, &context, &["--file", &context.at("Containerfile.other")]), @r"
    error: the Dockerfile `CONTEXT/Containerfile.other` is not there
    hint: --file is relative to the current folder
    ");
}

#[test]
fn a_missing_context() {
    let house = shared();
    let context = Context::new();
    let out = house.fails(1, &["build", &context.at("nowhere")]);
    assert_snapshot!(said(&out.stderr, &context), @"error: cannot open the build context `CONTEXT/nowhere`: No such file or directory (os error 2)");
    fs::write(context.path().join("file"), "x").unwrap();
    let out = house.fails(1, &["build", &context.at("file")]);
    assert_snapshot!(said(&out.stderr, &context), @r"
    error: the build context `CONTEXT/file` is not a folder
    hint: name a Dockerfile with --file and a folder as the context
    ");
}

#[test]
fn a_dockerfile_that_is_no_text() {
    let context = Context::new();
    fs::write(context.path().join("Dockerfile"), [0xff, 0xfe, 0, b'F', 0, b'R']).unwrap();
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: unknown instruction `��␀F␀R`
     --> Dockerfile:1:1
      |
    1 | ��␀F␀R
      | ^^^^^^ no instruction of the Dockerfile language
      |
      = hint: the instructions are ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, MAINTAINER, ONBUILD, RUN, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR

    warning: the Dockerfile is not UTF-8
     --> Dockerfile:1:1
      |
    1 | ��␀F␀R
      | ^
      |
      = hint: bytes that are not UTF-8 are read as U+FFFD
    error: Dockerfile has an error
    ");
}

#[test]
fn an_empty_dockerfile() {
    assert_snapshot!(message(shared(), &Context::dockerfile("# nothing\n"), &[]), @r"
    error: the Dockerfile has no instructions
     --> Dockerfile:2:1
      |
    2 |
      | ^
      |
      = hint: a build stage begins with `FROM image`, or `FROM scratch` for an empty one
    error: Dockerfile has an error
    ");
}

#[test]
fn an_unknown_instruction() {
    let context = Context::dockerfile("FROM busybox\nRUM echo hello\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: unknown instruction `RUM`
     --> Dockerfile:2:1
      |
    2 | RUM echo hello
      | ^^^ no instruction of the Dockerfile language
      |
      = hint: did you mean `RUN`?
    error: Dockerfile has an error
    ");
}

#[test]
fn an_unknown_flag_of_an_instruction() {
    let context = Context::dockerfile("FROM busybox\nCOPY --form=builder a b\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: COPY knows no flag `--form`
     --> Dockerfile:2:6
      |
    2 | COPY --form=builder a b
      |      ^^^^^^ unknown flag
      |
      = hint: did you mean `--from`?
    error: Dockerfile has an error
    ");
}

#[test]
fn an_unknown_target() {
    let context = Context::dockerfile("FROM busybox AS builder\nFROM busybox AS runner\n");
    assert_snapshot!(message(shared(), &context, &["--target", "bilder"]), @r"
    error: the target stage `bilder` is not in the Dockerfile
    hint: did you mean `builder`?
    hint: the stages are builder, runner
    ");
}

#[test]
fn an_empty_target_is_none() {
    let context = Context::dockerfile(
        "FROM scratch AS first\nCOPY Dockerfile /first\nFROM scratch\nCOPY Dockerfile /last\n",
    );
    assert_eq!(shared().files_of(&context, &["--target", ""]).names(""), ["last"]);
}

#[test]
fn an_unknown_stage_in_copy_from() {
    // As with Docker, a name that is no stage is an image; nobody listens at this one's registry.
    let registry = format!("127.0.0.1:{}", free_port());
    let context = Context::dockerfile(&format!(
        "FROM busybox AS builder\nFROM busybox\nCOPY --from={registry}/bilder /a /b\n"
    ));
    let text = message(shared(), &context, &[]).replace(&registry, "REGISTRY");
    assert!(text.contains("Dockerfile:3:13"), "{text}");
    assert!(text.contains("REGISTRY/bilder") && text.contains("hint: "), "{text}");
    // A number is no image.
    let context = Context::dockerfile("FROM busybox\nCOPY --from=7 /a /b\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: there is no stage 7 before this one
     --> Dockerfile:2:13
      |
    2 | COPY --from=7 /a /b
      |             ^
      |
      = hint: no stage stands before this one
    error: cannot build Dockerfile
    ");
}

#[test]
fn a_stage_that_copies_from_a_later_one() {
    let context = Context::dockerfile("FROM busybox AS one\nCOPY --from=two /a /b\nFROM busybox AS two\n");
    let failed = shared().try_build(&context, &["--target", "one"]);
    assert_ne!(failed.out.code, Some(0));
    failed.out.says("two").says("Dockerfile:2:");
}

#[test]
fn a_missing_file_in_copy() {
    let context = Context::dockerfile("FROM busybox\nCOPY pakage.json ./\n");
    context.write("package.json", "{}\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: `pakage.json` is not in the build context
     --> Dockerfile:2:1
      |
    2 | COPY pakage.json ./
      | ^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `package.json`?
    error: [2/2] COPY pakage.json ./ failed: `pakage.json` is not in the build context
    ");
    let context = Context::dockerfile("FROM busybox\nCOPY secret.env ./\n");
    context.write("secret.env", "x\n");
    context.write(".dockerignore", "*.env\n");
    assert_snapshot!(message(shared(), &context, &[]), @r#"
    1 warning about Dockerfile:
     - CopyIgnoredFile: Attempting to Copy file "secret.env" that is excluded by .dockerignore (line 2)
    error: `secret.env` is not in the build context
     --> Dockerfile:2:1
      |
    2 | COPY secret.env ./
      | ^^^^^^^^^^^^^^^^^^
      |
      = hint: check that `secret.env` exists and is not excluded by .dockerignore; paths are relative to the root of the source
    error: [2/2] COPY secret.env ./ failed: `secret.env` is not in the build context
    "#);
    let context =
        Context::dockerfile("FROM busybox AS builder\nFROM busybox\nCOPY --from=builder /app/dist /srv\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: `/app/dist` is not in the stage `builder`
     --> Dockerfile:3:1
      |
    3 | COPY --from=builder /app/dist /srv
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: see what it has: `jettison build --target builder -t look .`, then `jettison run --rm look ls /app`
    error: [stage-1 2/2] COPY --from=builder /app/dist /srv failed: `/app/dist` is not in the stage `builder`
    ");
    let context = Context::dockerfile("FROM busybox\nCOPY ../outside /\n");
    let text = message(shared(), &context, &[]);
    assert!(text.contains("Dockerfile:2:"), "{text}");
}

#[test]
fn a_step_that_fails() {
    let context = Context::dockerfile(
        "FROM busybox AS builder\nRUN echo before; echo why; exit 3\nFROM busybox\nCOPY --from=builder /a /\n",
    );
    assert_snapshot!(message(shared(), &context, &[]), @r"
    ------
     > [builder 2/2] RUN echo before; echo why; exit 3:
    TIME before
    TIME why
    ------
    error: the command ended with exit code 3
     --> Dockerfile:2:1
      |
    2 | RUN echo before; echo why; exit 3
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    error: [builder 2/2] RUN echo before; echo why; exit 3 failed: the command ended with exit code 3
    hint: to look around, take this line and what follows it out, build again and `jettison run -it` the result with a shell
    ");
}

#[test]
fn a_program_that_is_not_there() {
    let context = Context::dockerfile("FROM busybox\nRUN [\"nodejs\", \"--version\"]\n");
    assert_snapshot!(message(shared(), &context, &[]), @r#"
    error: cannot start the command: exec `nodejs`: executable file not found in $PATH
     --> Dockerfile:2:1
      |
    2 | RUN ["nodejs", "--version"]
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    error: [2/2] RUN ["nodejs", "--version"] failed: cannot start the command: exec `nodejs`: executable file not found in $PATH
    hint: to look around, take this line and what follows it out, build again and `jettison run -it` the result with a shell
    "#);
    let context = Context::dockerfile("FROM scratch\nRUN echo hello\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: cannot start the command: exec `/bin/sh`: no such file or directory
     --> Dockerfile:2:1
      |
    2 | RUN echo hello
      | ^^^^^^^^^^^^^^
    error: [1/1] RUN echo hello failed: cannot start the command: exec `/bin/sh`: no such file or directory
    hint: to look around, take this line and what follows it out, build again and `jettison run -it` the result with a shell
    ");
}

#[test]
fn a_base_that_does_not_exist() {
    let registry = crate::harness::Registry::open();
    let context = Context::dockerfile(&format!("FROM {}/no/such:image\nRUN true\n", registry.address));
    let text = message(shared(), &context, &[]).replace(&registry.address, "REGISTRY");
    assert_snapshot!(text, @r"
    error: cannot resolve the image `REGISTRY/no/such:image`: REGISTRY does not have `REGISTRY/no/such:image`: manifest unknown
     --> Dockerfile:1:6
      |
    1 | FROM REGISTRY/no/such:image
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: `REGISTRY/no/such:image` is neither a stage before this one nor in the store; check the name, or load it with `jettison load`
    error: cannot build Dockerfile
    ");
}

#[test]
fn a_name_that_is_none() {
    let context = Context::dockerfile("FROM Busy_Box:latest:latest\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: cannot resolve the image `Busy_Box:latest:latest`: `Busy_Box:latest:latest` is not a valid image name: a repository name is in lower case
     --> Dockerfile:1:6
      |
    1 | FROM Busy_Box:latest:latest
      |      ^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: `Busy_Box:latest:latest` is neither a stage before this one nor in the store; check the name, or load it with `jettison load`
    error: cannot build Dockerfile
    ");
    let context = Context::dockerfile("FROM scratch\n");
    let out = shared().fails(125, &["build", "--tag", "Not/A/Name", context.text()]);
    assert_snapshot!(said(&out.stderr, &context), @"error: --tag: `Not/A/Name` is not a valid image name: a repository name is in lower case");
}

#[test]
fn a_variable_that_makes_no_name() {
    let context = Context::dockerfile("ARG BASE\nFROM $BASE\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: the base name `$BASE` is empty once its arguments are filled in
     --> Dockerfile:2:6
      |
    2 | FROM $BASE
      |      ^^^^^
      |
      = hint: `BASE` has no value: give its ARG a default, or `--build-arg BASE=...`
    error: cannot build Dockerfile
    ");
}

#[test]
fn an_unknown_user() {
    let context = Context::dockerfile("FROM busybox\nUSER nodejs\nRUN id\n");
    assert_snapshot!(message(shared(), &context, &[]), @r"
    error: cannot start the command: unable to find user nodejs: no matching entries in passwd file
     --> Dockerfile:3:1
      |
    3 | RUN id
      | ^^^^^^
    error: [2/2] RUN id failed: cannot start the command: unable to find user nodejs: no matching entries in passwd file
    hint: to look around, take this line and what follows it out, build again and `jettison run -it` the result with a shell
    ");
    // COPY takes root for one that it does not know, as BuildKit does.
    let context = Context::dockerfile("FROM busybox\nCOPY --chown=nodejs f /f\n");
    context.write("f", "x\n");
    assert_eq!(shared().files_of(&context, &[]).owner("f"), (0, 0));
}

#[test]
fn what_is_not_there_yet_fails_by_name() {
    for (text, name) in [
        ("ADD https://127.0.0.1:1/x /x", "https://127.0.0.1:1/x"),
        ("RUN --mount=type=ssh,required true", "ssh"),
        ("RUN --device=x,required true", "device"),
        ("RUN --mount=type=nonsense true", "nonsense"),
        ("RUN --security=insecure true", "security.insecure"),
    ] {
        let text = message(shared(), &Context::dockerfile(&format!("FROM busybox\n{text}\n")), &[]);
        assert!(text.contains(name) && text.contains("Dockerfile:2:"), "{text}");
    }
    let text = message(shared(), &Context::dockerfile("# syntax=other/thing\nFROM busybox\n"), &[]);
    assert!(text.contains("other/thing"), "{text}");
}

#[test]
fn several_errors_are_told_at_once() {
    let context = Context::dockerfile("FROM busybox\nRUM a\nEXPOSE\nCOPY a\n");
    let text = message(shared(), &context, &[]);
    for place in ["Dockerfile:2:", "Dockerfile:3:", "Dockerfile:4:"] {
        assert!(text.contains(place), "{place} is not in\n{text}");
    }
}

#[test]
fn a_corrupt_archive() {
    let (house, context) = (own(), Context::new());
    // Cut off, damaged in the middle, no archive at all.
    let whole = fs::read(crate::harness::busybox()).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    for byte in &mut damaged[middle..middle + 64] {
        *byte ^= 0x55;
    }
    for (name, bytes) in
        [("cut", &whole[..whole.len() / 2]), ("damaged", &damaged), ("text", b"no archive at all\n")]
    {
        let file = context.path().join(name);
        fs::write(&file, bytes).unwrap();
        let out = house.fails(1, &["load", "--quiet", "--input", file.to_str().unwrap()]);
        out.says("error: ").says("hint: nothing of it was kept");
        assert_eq!(out.stdout, "", "{name}");
    }
    let out = run_with_input(house.command(&["load", "--quiet"]), Some(b""), LIMIT);
    assert_eq!(out.code, Some(1), "an empty archive: {out:?}");
    assert_eq!(house.ok(&["images", "--quiet"]).text(), "");
    for folder in ["ingest", "tmp"] {
        assert_eq!(fs::read_dir(house.root().join(folder)).unwrap().count(), 0, "{folder} keeps something");
    }
    house.ok(&["system", "prune", "--all", "--force"]);
    assert_eq!(fs::read_dir(house.root().join("layers")).unwrap().count(), 0);
}

#[test]
fn an_archive_that_reaches_out_of_its_root() {
    // A layer whose entries go through `..` and through a link; nothing may appear outside.
    let (house, context) = (own_with_busybox(), Context::new());
    let outside = Context::new();
    let evil = format!("../../../../../../../../{}/written", outside.text());
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_mode(0o777);
    builder.append_link(&mut header, "link", outside.path()).unwrap();
    for name in ["link/through-link", evil.as_str()] {
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        let bytes = name.as_bytes();
        let field = &mut header.as_old_mut().name;
        field[..bytes.len().min(100)].copy_from_slice(&bytes[..bytes.len().min(100)]);
        header.set_cksum();
        builder.append(&header, &b"evil"[..]).unwrap();
    }
    let archive = builder.into_inner().unwrap();
    context.write("Dockerfile", "FROM busybox\nADD evil.tar /unpacked/\n");
    fs::write(context.path().join("evil.tar"), &archive).unwrap();
    house.try_build(&context, &[]);
    // The same as a context on standard input.
    house.build_from("-", &[], Some(&archive));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "something was written outside");
}

#[test]
fn a_store_that_is_not_mine() {
    let house = own();
    fs::create_dir_all(house.root()).unwrap();
    fs::write(house.root().join("store.json"), "{\"format\": 999999}").unwrap();
    let out = house.fails(1, &["images"]);
    out.says(house.root().to_str().unwrap());
}

#[test]
fn a_base_is_no_beginning_of_an_id_but_may_be_an_id() {
    let house = own_with_busybox();
    house.registries("[[registry]]\nprefix = \"docker.io\"\nlocation = \"127.0.0.1:1\"\ninsecure = true\n");
    let id = house.inspect("busybox")["Id"].as_str().unwrap().replace("sha256:", "");
    let context = Context::dockerfile(&format!("FROM {}\nLABEL a=b\n", &id[..12]));
    house.build(&context, &[]);
    for short in [1, 4, 11] {
        context.write("Dockerfile", &format!("FROM {}\nLABEL a=b\n", &id[..short]));
        let built = house.try_build(&context, &[]);
        assert_eq!(built.out.code, Some(1), "{}", built.out.stderr);
        built.out.says(&id[..short]);
    }
}

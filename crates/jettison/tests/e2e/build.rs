//! The flags of `build`.

use crate::harness::{
    Context, House, LIMIT, free_port, program, run, run_with_input, shared, terminal, unique,
};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

fn simple() -> Context {
    let context = Context::dockerfile("FROM busybox\nARG WHO=nobody\nCOPY f /f\nRUN echo $WHO > /who\n");
    context.write("f", "f\n");
    context
}

#[test]
fn several_names_are_one_image() {
    let (house, context) = (shared(), simple());
    let (one, two) = (unique("one"), format!("{}:v2", unique("localhost/team/two")));
    house.build(&context, &["-t", &one, "--tag", &two]);
    assert_eq!(house.inspect(&one)["Id"], house.inspect(&two)["Id"]);
    let tags = house.inspect(&two)["RepoTags"].to_string();
    assert!(tags.contains(&format!("\"{one}:latest\"")) && tags.contains(&two), "{tags}");
}

#[test]
fn quiet_prints_the_id_alone_and_iidfile_holds_it() {
    let (house, context, name) = (shared(), simple(), unique("quiet"));
    let iidfile = context.at("../iid-".to_owned().as_str()) + &unique("iid");
    let out = house.ok(&["build", "--quiet", "--iidfile", &iidfile, "--tag", &name, context.text()]);
    let id = house.inspect(&name)["Id"].as_str().unwrap().to_owned();
    assert_eq!(out.stdout, format!("{id}\n"));
    assert_eq!(out.stderr, "");
    assert_eq!(fs::read_to_string(&iidfile).unwrap(), id, "no newline behind it");
    fs::remove_file(iidfile).unwrap();
}

#[test]
fn standard_output_stays_empty_without_quiet() {
    let out = shared().ok(&["build", "--progress", "plain", simple().text()]);
    assert_eq!(out.stdout, "");
}

#[test]
fn the_dockerfile_comes_from_standard_input() {
    let (house, context) = (shared(), simple());
    fs::remove_file(context.path().join("Dockerfile")).unwrap();
    let text = "FROM scratch\nCOPY f /from-context\n";
    let mut command = house.command(&["build", "--output", "type=tar,dest=-", "--file", "-", context.text()]);
    command.current_dir("/");
    let out = run_with_input(command, Some(text.as_bytes()), LIMIT).ok();
    assert_eq!(crate::harness::Files::read(&out.bytes).text("from-context"), "f\n");
}

#[test]
fn the_whole_context_comes_from_standard_input() {
    let (house, context) = (shared(), simple());
    // A Dockerfile alone.
    let out = house.build_from(
        "-",
        &["--output", "type=tar,dest=-"],
        Some(b"FROM busybox\nRUN echo stdin > /stdin\n"),
    );
    assert_eq!(out.out.code, Some(0), "{}", out.out.stderr);
    assert_eq!(crate::harness::Files::read(&out.out.bytes).text("stdin"), "stdin\n");
    // An archive, in each of the usual compressions.
    for flag in ["--gzip", "--zstd", "--no-auto-compress"] {
        let mut tar = Command::new("tar");
        tar.args(["-C", context.text(), flag, "-c", "."]);
        let archive = run(tar, LIMIT).ok().bytes;
        let out = house.build_from("-", &["--output", "type=tar,dest=-"], Some(&archive));
        assert_eq!(out.out.code, Some(0), "{flag}: {}", out.out.stderr);
        assert_eq!(crate::harness::Files::read(&out.out.bytes).text("f"), "f\n", "{flag}");
    }
}

#[test]
fn arguments_without_a_value_come_from_the_environment() {
    let (house, context) = (shared(), simple());
    let args = ["build", "--output", "type=tar,dest=-", "--build-arg", "WHO", context.text()];
    let mut command = house.command(&args);
    command.env("WHO", "the environment");
    let out = run(command, LIMIT).ok();
    assert_eq!(crate::harness::Files::read(&out.bytes).text("who"), "the environment\n");
    let out = house.ok(&args);
    assert_eq!(crate::harness::Files::read(&out.bytes).text("who"), "nobody\n");
}

#[test]
fn an_argument_that_nothing_declares_is_told() {
    let built = shared().build(&simple(), &["--build-arg", "WHOM=typo"]);
    built.out.says("WHOM");
}

#[test]
fn the_command_has_its_other_names() {
    let (house, context) = (shared(), simple());
    for words in [&["image", "build"][..], &["builder", "build"], &["buildx", "build"]] {
        let name = unique("spelling");
        let mut args = words.to_vec();
        args.extend(["--load", "--platform", "linux/amd64", "--tag", &name, context.text()]);
        if cfg!(target_arch = "aarch64") {
            args.retain(|arg| *arg != "linux/amd64" && *arg != "--platform");
        }
        house.ok(&args);
        assert!(house.has_image(&name), "{words:?}");
    }
}

#[test]
fn called_docker_it_behaves_the_same() {
    let (house, context, name) = (shared(), simple(), unique("docker"));
    let link = context.path().join("docker");
    std::os::unix::fs::symlink(program(), &link).unwrap();
    let mut command = Command::new(&link);
    command.args(["build", "--quiet", "--tag", &name, context.text()]);
    house.surround(&mut command);
    run(command, LIMIT).ok();
    assert!(house.has_image(&name));
}

#[test]
fn other_folders_and_images_are_contexts_by_name() {
    let (house, image) = (shared(), unique("named"));
    house.build(&Context::dockerfile("FROM scratch\nCOPY <<EOF /of-image\nimage\nEOF\n"), &["--tag", &image]);
    let other = Context::new();
    other.write("of-folder", "folder\n");
    let context = Context::dockerfile(
        "FROM scratch\nCOPY --from=files /of-folder /\nCOPY --from=picture /of-image /\n",
    );
    let folder = format!("files={}", other.text());
    let picture = format!("picture=docker-image://{image}");
    let files = house.files_of(&context, &["--build-context", &folder, "--build-context", &picture]);
    assert_eq!(files.text("of-folder"), "folder\n");
    assert_eq!(files.text("of-image"), "image\n");
}

#[test]
fn the_metadata_file_tells_id_and_names() {
    let (house, context, name) = (shared(), simple(), unique("metadata"));
    let file = context.at("metadata.json");
    house.build(&context, &["--metadata-file", &file, "--tag", &name]);
    let metadata: Value = serde_json::from_str(&context.read("metadata.json")).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], house.inspect(&name)["Id"]);
    assert_eq!(metadata["image.name"], format!("docker.io/library/{name}:latest"));
}

#[test]
fn raw_progress_is_json_line_by_line() {
    let (house, context) = (shared(), simple());
    context.replace("Dockerfile", "nobody", &unique("raw"));
    let out = house.ok(&["build", "--progress", "rawjson", context.text()]);
    let lines: Vec<Value> = out.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let names: Vec<&Value> = lines
        .iter()
        .flat_map(|line| line["vertexes"].as_array().into_iter().flatten())
        .map(|vertex| &vertex["name"])
        .collect();
    assert!(
        names.iter().any(|name| name.as_str().is_some_and(|name| name.contains("RUN echo"))),
        "{names:?}"
    );
}

#[test]
fn flags_of_the_old_builder_are_accepted_and_told() {
    let out = shared().ok(&["build", "--rm", "--force-rm", "--progress", "plain", simple().text()]);
    out.says("--rm").says("--force-rm");
}

#[test]
fn flags_that_are_not_there_are_refused_by_name() {
    let (house, context) = (shared(), simple());
    for flag in [&["--policy", "some.rego"][..], &["--bake-me"]] {
        let mut args = vec!["build"];
        args.extend(flag);
        args.push(context.text());
        let out = house.run(&args);
        assert!(matches!(out.code, Some(1 | 125)), "{flag:?}: {:?}", out.code);
        out.says(flag[0]);
    }
}

#[test]
fn steps_have_hosts_and_limits() {
    let context = Context::dockerfile(
        "FROM busybox\nRUN grep -c '10.9.8.7.*db.example' /etc/hosts > /hosts\nRUN ulimit -n > /files\nRUN df -k /dev/shm | tail -1 | awk '{print $2}' > /shm\n",
    );
    let files = shared().files_of(
        &context,
        &["--add-host", "db.example:10.9.8.7", "--ulimit", "nofile=123:456", "--shm-size", "3m"],
    );
    assert_eq!(files.text("hosts"), "1\n");
    assert_eq!(files.text("files"), "123\n");
    assert_eq!(files.text("shm"), "3072\n");
}

#[test]
fn steps_reach_the_network_only_as_allowed() {
    // A server on the machine's loopback, which steps must not reach.
    let house = shared();
    let server = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || server.incoming().for_each(drop));
    let probe = |flags: &str| {
        Context::dockerfile(&format!(
            "FROM busybox\nRUN {flags} nc -w 2 127.0.0.1 {port} < /dev/null && echo reached > /result || echo refused > /result\n"
        ))
    };
    assert_eq!(house.files_of(&probe(""), &[]).text("result"), "refused\n");
    let refused = house.try_build(&probe("--network=host"), &[]);
    assert_ne!(refused.out.code, Some(0));
    refused.out.says("network.host");
    assert_eq!(
        house.files_of(&probe("--network=host"), &["--allow", "network.host"]).text("result"),
        "reached\n"
    );
}

#[test]
fn the_image_says_when_it_was_made() {
    let (house, name) = (shared(), unique("epoch"));
    let context = Context::dockerfile("FROM scratch\nCOPY <<EOF /f\nepoch\nEOF\nLABEL made=then\n");
    let mut command = house.command(&["build", "--quiet", "--tag", &name, context.text()]);
    command.env("SOURCE_DATE_EPOCH", "1000000000");
    run(command, LIMIT).ok();
    assert_eq!(house.inspect(&name)["Created"], "2001-09-09T01:46:40Z");
}

#[test]
fn history_tells_each_instruction_and_nothing_of_the_machine() {
    let (house, name) = (shared(), unique("history"));
    let context = simple();
    context.write("Dockerfile", "FROM busybox\nCOPY f /f\nENV A=b\nRUN echo x > /x\nCMD [\"sh\"]\n");
    house.build(&context, &["--tag", &name]);
    let out = house.ok(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", &name]);
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert!(lines[0].contains("CMD [\"sh\"]"), "{lines:?}");
    assert!(lines[1].contains("RUN /bin/sh -c echo x > /x"), "{lines:?}");
    assert!(lines[2].contains("ENV A=b"), "{lines:?}");
    assert!(lines[3].contains("COPY f /f"), "{lines:?}");
    assert!(!out.stdout.contains(context.text()));
}

#[test]
fn proxies_reach_steps_and_nothing_else() {
    let (house, name) = (shared(), unique("proxy"));
    let secret = format!("http://user:{}@127.0.0.1:{}", unique("pw"), free_port());
    let context = Context::dockerfile("FROM busybox\nRUN echo ${#http_proxy} > /length\n");
    house.build(&context, &["--tag", &name, "--build-arg", &format!("http_proxy={secret}")]);
    let files = house.files(&name);
    assert_eq!(files.text("length"), format!("{}\n", secret.len()));
    let all = [house.ok(&["inspect", &name]).stdout, house.ok(&["history", "--no-trunc", &name]).stdout];
    assert!(all.iter().all(|text| !text.contains(&secret)));
    // Another proxy is no reason to run.
    house.build(&context, &["--build-arg", "http_proxy=http://127.0.0.1:1"]).all_cached();
}

#[test]
fn an_image_of_scratch_is_empty_but_for_what_was_put_there() {
    let (house, name) = (shared(), unique("scratch"));
    let context = Context::dockerfile("FROM scratch\nCOPY f /f\n");
    context.write("f", "f\n");
    house.build(&context, &["--tag", &name]);
    assert_eq!(files_of(house, &name), ["f"]);
    assert_eq!(house.inspect(&name)["RootFS"]["Layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        house.config(&name)["Env"],
        json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    );
}

fn files_of(house: &House, name: &str) -> Vec<String> {
    house.files(name).paths().filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_log_is_told_whole_however_long() {
    let context = Context::dockerfile(&format!(
        "FROM busybox\nRUN seq 20000 && echo {} && printf 'no newline'\n",
        unique("end")
    ));
    let built = shared().build(&context, &[]);
    let log = &built.ran("RUN seq").log;
    assert_eq!(log.len(), 20_002);
    assert_eq!((log[0].as_str(), log[19_999].as_str(), log[20_001].as_str()), ("1", "20000", "no newline"));
}

#[test]
fn in_a_terminal_progress_is_drawn() {
    let house = shared();
    let context = Context::dockerfile(&format!("FROM busybox\nRUN echo {}\n", unique("drawn")));
    let out = run(terminal(house, "stty rows 30 cols 100; ", &["build", context.text()]), LIMIT).ok();
    assert!(out.stdout.contains("RUN echo drawn-") && out.stdout.contains('\u{1b}'), "{}", out.stdout);
    assert!(!out.stdout.contains("#1 "), "no plain progress: {}", out.stdout);
    let mut command = terminal(house, "", &["build", context.text()]);
    command.env("TERM", "dumb");
    assert!(run(command, LIMIT).ok().stdout.contains("CACHED"));
}

#[test]
fn the_hosts_authorities_are_seen_by_steps_and_leave_no_trace() {
    let (house, name, files) = (shared(), unique("trust"), Context::new());
    let bundle = files.write("bundle.crt", "# an authority of this test\n");
    let context = Context::dockerfile(&format!(
        "FROM debian:bookworm-slim\nRUN for v in SSL_CERT_FILE NODE_EXTRA_CA_CERTS PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO; do eval cat \\$$v; done > /seen; echo {}\n",
        unique("trust")
    ));
    let mut command =
        house.command(&["build", "--progress", "plain", "--trust-host-ca", "--tag", &name, context.text()]);
    command.env("SSL_CERT_FILE", &bundle);
    run(command, LIMIT).ok();
    let made = house.files(&name);
    assert_eq!(made.text("seen"), "# an authority of this test\n".repeat(6));
    let traces: Vec<&str> = made
        .paths()
        .filter(|path| *path != "seen" && made.get(path).bytes.starts_with(b"# an authority"))
        .collect();
    assert_eq!(traces, [""; 0]);
    let base = house.files("debian:bookworm-slim");
    let new: Vec<&str> = made.paths().filter(|path| !base.has(path)).collect();
    assert_eq!(new, ["seen"], "nothing else came into the image");
    assert!(!house.config(&name).to_string().contains("SSL_CERT_FILE"));
    // Without the flag the step would see nothing; the key is the same.
    house.build(&context, &[]).all_cached();
}

#[test]
fn an_image_that_docker_cannot_load_says_so() {
    let steps: String = (0..124).map(|n| format!("RUN echo {n} > /f{n}\n")).collect();
    let build = |more: &str| {
        let context = Context::dockerfile(&format!("FROM busybox\n{steps}{more}"));
        shared().build(&context, &["--network", "none"]).out.stderr
    };
    let fine = build("");
    assert!(!fine.contains("Docker loads"), "{fine}");
    let deep = build(
        "RUN test -e /f0 && test -e /f123 && rm /f0 && touch /last\nRUN test ! -e /f0 && test -e /last\n",
    );
    // What a step removed from far below is gone, and all else is there.
    assert!(deep.contains("the image has 127 layers"), "{deep}");
}

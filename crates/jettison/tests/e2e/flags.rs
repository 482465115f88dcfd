//! How flags are written: booleans with values, the flags of podman and of older Dockers.

use crate::harness::{Context, LIMIT, Registry, own_with_busybox, run_with_input, shared, unique};

#[test]
fn boolean_flags_take_values() {
    let house = own_with_busybox();
    let context = Context::dockerfile("FROM busybox\nRUN date +%N > /time\n");
    // As CI writes it: --no-cache=$NO_CACHE --push=$PUSH --load=true.
    let name = unique("booleans");
    let flags = ["--rm=true", "--push=0", "--load=1", "--tag", &name];
    house.build(&context, &[&flags[..], &["--no-cache=true"]].concat()).ran("RUN");
    house.build(&context, &[&flags[..], &["--no-cache=false"]].concat()).cached("RUN");
    house.build(&context, &[&flags[..], &["--no-cache", "--no-cache=F"]].concat()).cached("RUN");
    // In `run`, alone and in clusters; what follows the image is the program's.
    let out = house.ok(&["run", "--rm=true", "-it=false", &name, "echo", "--rm=maybe", "-i=x"]);
    assert_eq!(out.stdout, "--rm=maybe -i=x\n");
    assert_eq!(house.ok(&["ps", "--all=true", "-q"]).stdout, "");
    let mut cat = house.command(&["run", "--rm=t", "-t=0", "-i=1", &name, "cat"]);
    cat.current_dir("/");
    assert_eq!(run_with_input(cat, Some(b"given"), LIMIT).ok().stdout, "given");
    let id = house.ok(&["create", "--rm=false", "--init=TRUE", &name, "true"]).text().to_owned();
    assert_eq!(house.ok(&["rm", "--force=true", "-v=false", &id]).text(), id);
    // What is no boolean is named.
    house.fails(125, &["rmi", "--force=maybe", &name]).says("invalid value 'maybe' for '--force[=<BOOL>]'");
    house.ok(&["rmi", "-f=true", "--no-prune=false", &name]);
    assert!(!house.has_image(&name));
}

#[test]
fn an_ignore_file_of_ones_own_is_used() {
    let context = Context::dockerfile("FROM busybox\nCOPY . /all\n");
    for name in ["one", "two", "three"] {
        context.write(name, name);
    }
    context.write(".dockerignore", "one\n");
    context.write("Dockerfile.dockerignore", "two\n");
    let elsewhere = Context::new();
    elsewhere.write("ignore", "three\nDocker*\n.docker*\n");
    let files = shared().files_of(&context, &["--ignorefile", &elsewhere.at("ignore")]);
    assert_eq!(files.names("all"), ["one", "two"]);
    let missing = elsewhere.at("missing");
    let failed = shared().fails(1, &["build", "--ignorefile", &missing, context.text()]);
    failed.says(&format!("the ignore file `{missing}` is not there"));
    let address = "https://127.0.0.1:1/context.tar";
    shared().fails(125, &["build", "--ignorefile", "x", address]).says("--ignorefile: the context `https");
}

#[test]
fn format_says_whose_words_documents_use() {
    let registry = Registry::open();
    let context = Context::dockerfile("FROM busybox\nRUN echo format > /format\n");
    for (format, manifest, config) in [
        (
            "docker",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
        ),
        ("oci", "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"),
    ] {
        let name = format!("127.0.0.1:{}/format/{format}:1", registry.port());
        shared().build(&context, &["--format", format, "--push", "--tag", &name]);
        let raw = shared().ok(&["imagetools", "inspect", "--raw", &name]).stdout;
        let raw: serde_json::Value = serde_json::from_str(&raw).unwrap();
        assert_eq!(raw["mediaType"], manifest, "{raw}");
        assert_eq!(raw["config"]["mediaType"], config, "{raw}");
    }
    let output = "type=image,push=true,compression=zstd";
    let refused = shared().fails(125, &["build", "--format=docker", "--output", output, context.text()]);
    refused.says("--format docker and compression=zstd do not go together");
    // Of a check it is the answer's format, as before.
    shared()
        .fails(125, &["build", "--check", "--format", "docker", context.text()])
        .says("`docker` is not known");
    shared().fails(125, &["build", "--format", "json", context.text()]).says("there is no answer to write");
}

#[test]
fn flags_of_other_builders() {
    let context = Context::dockerfile(&format!("FROM busybox\nRUN echo {}\n", unique("others")));
    let flags = [
        "-D",
        "--builder",
        "mine",
        "--disable-content-trust",
        "--isolation=chroot",
        "-c",
        "512",
        "-m",
        "1g",
        "--policy",
        "disabled=true",
    ];
    shared().build(&context, &[&flags[..], &["--layers"]].concat()).ran("RUN");
    shared().build(&context, &["--layers=true"]).cached("RUN");
    shared().build(&context, &["--layers=false"]).ran("RUN");
    let refused = shared().fails(125, &["build", "--policy", "filename=x.rego", context.text()]);
    refused.says("policies are not evaluated").says("hint: `--policy disabled=true`");
    let outline = shared().ok(&["build", "--print=targets", context.text()]).stdout;
    assert!(outline.starts_with("TARGET"), "{outline}");
}

#[test]
fn flags_before_the_command() {
    let house = own_with_busybox();
    let folder = Context::new();
    folder.write("config.json", r#"{"proxies":{"default":{"httpProxy":"http://127.0.0.1:9"}}}"#);
    let config = ["--config", folder.text()];
    let asked = ["run", "--rm", "busybox", "sh", "-c", "echo $HTTP_PROXY"];
    assert_eq!(house.ok(&[&config[..], &asked].concat()).text(), "http://127.0.0.1:9");
    assert_eq!(house.ok(&asked).stdout, "\n");
    let others = ["-D", "--log-level=debug", "-H", "unix:///var/run/docker.sock", "-c", "default", "--tls"];
    house.ok(&[&others[..], &["images", "-q"]].concat());
    for elsewhere in [["--host", "tcp://127.0.0.1:1"], ["--context", "far"]] {
        let refused = house.fails(125, &[&elsewhere[..], &["images"]].concat());
        refused.says(&format!("{} {}: there is no daemon to speak to", elsewhere[0], elsewhere[1]));
    }
    assert_eq!(house.ok(&["-v"]).stdout, house.ok(&["--version"]).stdout);
}

#[test]
fn help_is_a_command_too() {
    let text = |args: &[&str]| shared().ok(args).stdout;
    assert_eq!(text(&["help"]), text(&["--help"]));
    assert_eq!(text(&["help", "run"]), text(&["run", "--help"]));
    assert_eq!(text(&["help", "image", "build"]), text(&["image", "build", "--help"]));
    shared().fails(125, &["help", "nothing"]).says("unrecognized subcommand 'nothing'");
}

#[test]
fn proxies_of_dockers_settings_reach_steps_and_containers() {
    let house = own_with_busybox();
    let docker = house.home().join(".docker");
    std::fs::create_dir_all(&docker).unwrap();
    let settings = r#"{"proxies":{"default":{"httpProxy":"http://127.0.0.1:9","noProxy":"a,b"}}}"#;
    std::fs::write(docker.join("config.json"), settings).unwrap();
    let context = Context::dockerfile("FROM busybox\nRUN env | grep -i proxy | sort > /proxies\n");
    let files = house.files_of(&context, &["--build-arg", "NO_PROXY=c"]);
    let expected = "HTTP_PROXY=http://127.0.0.1:9\nNO_PROXY=c\nhttp_proxy=http://127.0.0.1:9\nno_proxy=c\n";
    assert_eq!(files.text("proxies"), expected);
    // They are no part of a key, nor of the image.
    std::fs::write(docker.join("config.json"), settings.replace(":9", ":10")).unwrap();
    house.build(&context, &["--tag", "proxied"]).cached("RUN");
    assert!(!house.inspect("proxied").to_string().contains("127.0.0.1"));
    let command = "env | grep -i proxy | sort";
    let out = house.ok(&["run", "--rm", "-e", "http_proxy=mine", "busybox", "sh", "-c", command]);
    assert_eq!(out.stdout, "HTTP_PROXY=http://127.0.0.1:10\nNO_PROXY=a,b\nhttp_proxy=mine\nno_proxy=a,b\n");
}

#[test]
fn broken_settings_of_docker_cost_a_warning() {
    let house = own_with_busybox();
    let registry = Registry::open();
    let name = format!("127.0.0.1:{}/broken:1", registry.port());
    house.ok(&["push", "busybox", &name]);
    let docker = house.home().join(".docker");
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(docker.join("config.json"), "{").unwrap();
    let out = house.ok(&["pull", &name]);
    let warnings = out.stderr.lines().filter(|line| line.starts_with("warning: ")).count();
    assert_eq!(warnings, 1, "{}", out.stderr);
    out.says(".docker/config.json is passed over: EOF while parsing");
    // What is not understood is not written over.
    let mut login = house.command(&["login", "-u", "a", "--password-stdin", &name]);
    login.current_dir("/");
    let refused = run_with_input(login, Some(b"b"), LIMIT);
    assert_ne!(refused.code, Some(0));
    assert_eq!(std::fs::read_to_string(docker.join("config.json")).unwrap(), "{");
}

#[test]
fn builders_are_taken_as_buildx_takes_them() {
    let house = own_with_busybox();
    // What CI does before it builds.
    let made = house.ok(&["buildx", "create", "--name", "ci", "--driver", "docker-container", "--use"]);
    assert_eq!(made.text(), "ci");
    made.says("there is one builder");
    let flags = ["--driver-opt=network=host", "--buildkitd-flags", "--debug", "--platform=linux/amd64"];
    assert_eq!(house.ok(&[&["buildx", "create"], &flags[..]].concat()).text(), "default");
    house.ok(&["buildx", "use", "ci"]);
    for args in
        [&["inspect", "--bootstrap", "ci"][..], &["--builder", "ci", "inspect"], &["inspect", "--builder=ci"]]
    {
        let text = house.ok(&[&["buildx"], args].concat()).stdout;
        assert!(text.starts_with("Name:             ci\nDriver:"), "{text}");
        assert!(
            text.contains("\nStatus:           running\n") && text.contains("\nPlatforms:        linux/"),
            "{text}"
        );
    }
    let table = house.ok(&["buildx", "ls"]).stdout;
    assert!(table.starts_with("NAME/NODE") && table.contains("\ndefault*"), "{table}");
    let json = house.ok(&["buildx", "ls", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["Current"], &json["Nodes"][0]["Status"]), (&true.into(), &"running".into()));
    assert_eq!(
        json["Nodes"][0]["Platforms"][0],
        house.inspect("busybox")["Os"]
            .as_str()
            .map(|os| { format!("{os}/{}", house.inspect("busybox")["Architecture"].as_str().unwrap()) })
            .unwrap()
    );
    let names = house.ok(&["buildx", "ls", "--format", "{{.Name}}: {{.Status}}"]).stdout;
    assert_eq!(names, "default: \ndefault: running\n");
    // Tools look for a version after a space.
    let version = house.ok(&["buildx", "version"]).stdout;
    assert!(version.split(' ').nth(1).is_some_and(|word| word.starts_with("v0.")), "{version}");
    let context = Context::dockerfile("FROM busybox\nRUN echo built > /built\n");
    house.ok(&["buildx", "--builder", "ci", "build", "--load=true", "--tag", "built", context.text()]);
    assert!(house.has_image("built"));
    house.ok(&["buildx", "stop", "ci"]);
    house.ok(&["buildx", "rm", "--force", "ci"]).says("ci removed");
    for bake in [&["bake", "--file", "x.hcl", "app"][..], &["buildx", "bake", "app", "--push"]] {
        house.fails(1, bake).says("`bake` is not supported yet");
    }
}

#[test]
fn a_prune_asks_whoever_answers() {
    let house = own_with_busybox();
    let answered = |args: &[&str], answer: &[u8]| run_with_input(house.command(args), Some(answer), LIMIT);
    house.ok(&["volume", "create", "kept"]);
    house.ok(&["create", "--name", "kept", "busybox"]);
    for (args, command) in [
        (&["volume", "prune", "-a"][..], "volume"),
        (&["image", "prune", "-a"], "image"),
        (&["system", "prune", "-a", "--volumes"], "system"),
        (&["builder", "prune", "-a"], "builder"),
        (&["container", "prune"], "container"),
    ] {
        for no in [&b"n\n"[..], b"", b"nobody"] {
            let out = answered(args, no).fails(1);
            out.says("WARNING! This will remove:").says(&format!("{command} prune has been cancelled"));
        }
    }
    assert_eq!(house.ok(&["volume", "ls", "-q"]).text(), "kept");
    assert_eq!(house.ok(&["ps", "-a", "--format", "{{.Names}}"]).text(), "kept");
    assert!(answered(&["container", "prune"], b"y\n").ok().stdout.len() >= 64);
    assert!(answered(&["volume", "prune", "-a"], b"yes\n").ok().stdout.contains("kept"));
}

#[test]
fn flags_of_containers_that_are_not_ours() {
    let house = own_with_busybox();
    let taken =
        ["--log-driver=none", "--log-opt", "max-size=10m", "--runtime", "runc", "--oom-kill-disable=true"];
    let out =
        house.ok(&[&["run", "--rm"], &taken[..], &["--ipc=private", "busybox", "echo", "ran"]].concat());
    assert_eq!(out.stdout, "ran\n");
    let warnings: Vec<&str> = out.stderr.lines().collect();
    let expected = ["log-driver", "log-opt", "runtime", "oom-kill-disable"];
    let expected = expected.map(|name| format!("warning: --{name} is accepted and has no effect"));
    assert_eq!(warnings, expected);
    for (flag, value) in [("--pid", "host"), ("--gpus", "all"), ("--sysctl", "net.ipv4.ip_forward=1")] {
        let refused = house.fails(125, &["run", "--rm", flag, value, "busybox", "true"]);
        refused.says(&format!("{flag} {value} is not supported yet"));
    }
    house
        .fails(125, &["run", "--memory", "1k", "busybox", "true"])
        .says("the least that a container can be given");
    let missing = ["build", "--authfile", "/nowhere/auth.json", "."];
    house.fails(125, &missing).says("--authfile: there is no file `/nowhere/auth.json`");
    house.fails(125, &["build", "--shm-size", "foo", "."]).says("--shm-size: `foo` is not a size");
    // A group alone is helped.
    assert!(house.ok(&["image"]).stdout.contains("Usage: jettison image"));
    let id = house.ok(&["create", "busybox"]).text().to_owned();
    let shown = house.ok(&["ps", "-a", "--filter", &format!("id={id}"), "--format", "{{.CreatedAt}}"]).stdout;
    assert!(shown.ends_with(" +0000 UTC\n"), "{shown}");
}

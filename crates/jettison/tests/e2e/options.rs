//! Flags of `build` that change what steps see, and build arguments with a meaning of their own.

use crate::harness::{Built, Context, LIMIT, own_with_busybox, run, shared, unique};

#[test]
fn hosts_are_added_in_all_forms() {
    let context = Context::dockerfile("FROM busybox\nRUN cat /etc/hosts > /hosts; ip route > /route\n");
    let args = [
        "--add-host",
        "one:10.9.8.7",
        "--add-host",
        "two=10.9.8.6",
        "--add-host",
        "three:fd00::1",
        "--add-host",
        "four=[fd00::2]",
        "--add-host",
        "five:[fd00::3]",
        "--add-host",
        "me:host-gateway",
    ];
    let files = shared().files_of(&context, &args);
    let hosts = files.text("hosts");
    let address = |name: &str| {
        let line = hosts.lines().find(|line| line.split_whitespace().skip(1).any(|word| word == name));
        line.unwrap_or_else(|| panic!("{name} is not in {hosts}"))
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(address("one"), "10.9.8.7");
    assert_eq!(address("two"), "10.9.8.6");
    assert_eq!(address("three"), "fd00::1");
    assert_eq!(address("four"), "fd00::2");
    assert_eq!(address("five"), "fd00::3");
    let gateway =
        files.text("route").lines().find_map(|line| line.strip_prefix("default via ").map(str::to_owned));
    assert_eq!(address("me"), gateway.unwrap().split(' ').next().unwrap());
    assert!(!files.has("etc/hosts") || !files.text("etc/hosts").contains("10.9.8.7"), "it is in a layer");
    for wrong in ["one", ":1.2.3.4", "one:1.2.3", "one:gateway"] {
        shared().fails(125, &["build", "--add-host", wrong, context.text()]).says("--add-host: ");
    }
    // Another address is a reason to run.
    let salted = Context::dockerfile(&format!("FROM busybox\nRUN echo {}\n", unique("hosts")));
    shared().build(&salted, &["--add-host", "a:1.2.3.4"]).ran("RUN");
    shared().build(&salted, &["--add-host", "a:1.2.3.4"]).cached("RUN");
    shared().build(&salted, &["--add-host", "a:1.2.3.5"]).ran("RUN");
}

#[test]
fn limits_and_shared_memory() {
    let context = Context::dockerfile(
        "FROM busybox\nRUN ulimit -Sn > /soft; ulimit -Hn > /hard; ulimit -c > /core; df -k /dev/shm | tail -1 | awk '{print $2}' > /shm\n",
    );
    let args = ["--ulimit", "nofile=123:456", "--ulimit", "core=-1", "--shm-size", "128m"];
    let files = shared().files_of(&context, &args);
    assert_eq!((files.text("soft"), files.text("hard")), ("123\n", "456\n"));
    assert_eq!((files.text("core"), files.text("shm")), ("unlimited\n", "131072\n"));
    for wrong in [
        &["--ulimit", "files=1"][..],
        &["--ulimit", "nofile"],
        &["--ulimit", "nofile=x"],
        &["--shm-size", "much"],
    ] {
        let mut args = vec!["build"];
        args.extend(wrong);
        args.push(context.text());
        shared().fails(125, &args);
    }
}

#[test]
fn networks_of_all_steps() {
    let salt = unique("network");
    let context = Context::dockerfile(&format!(
        "FROM busybox\nRUN ls /sys/class/net > /all; echo {salt}\nRUN --network=default ls /sys/class/net > /default\nRUN --network=none ls /sys/class/net > /none\n"
    ));
    let files = shared().files_of(&context, &["--network", "none"]);
    assert_eq!(files.text("all"), "lo\n");
    assert_eq!(files.text("default"), "lo\n", "`default` is what the build says");
    assert_eq!(files.text("none"), "lo\n");
    let files = shared().files_of(&context, &[]);
    assert_ne!(files.text("all"), "lo\n");
    assert_eq!(files.text("none"), "lo\n");
    shared()
        .fails(125, &["build", "--network", "some", context.text()])
        .says("--network: `some` is not known");
}

#[test]
fn insecure_steps_have_everything_and_need_leave() {
    let context = Context::dockerfile(&format!(
        "FROM busybox\n\
         RUN grep Cap /proc/self/status > /plain; grep Seccomp: /proc/self/status >> /plain; echo {}\n\
         RUN --security=insecure set -e; grep Cap /proc/self/status > /caps; grep Seccomp: /proc/self/status >> /caps; \
         mkdir /mnt; mount -t tmpfs none /mnt; umount /mnt; \
         test -w /sys/kernel/mm && grep -q ' /sys sysfs rw' /proc/mounts; \
         grep ' /sys/fs/cgroup' /proc/mounts > /cgroups; \
         ! grep -q ' /proc/sys .*ro' /proc/mounts\n\
         USER 1000\nRUN --security=insecure grep Cap /proc/self/status > /tmp/user\n",
        unique("insecure")
    ));
    let refused = shared().try_build(&context, &[]);
    assert_eq!(refused.out.code, Some(1));
    refused
        .out
        .says("--security=insecure is not allowed")
        .says("hint: allow it with `--allow security.insecure`");
    let files = shared().files_of(&context, &["--allow", "security.insecure"]);
    let field = |path: &str, name: &str| {
        let line = files.text(path).lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    // All that this machine's root has.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim().to_owned();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field("caps", set), bounding, "{set}");
    }
    assert_eq!(field("tmp/user", "CapEff"), bounding, "other users have them, too");
    assert_eq!(field("caps", "Seccomp"), "0");
    assert_eq!(
        (field("plain", "CapEff").as_str(), field("plain", "Seccomp").as_str()),
        ("00000000a80425fb", "2")
    );
    assert!(files.text("cgroups").contains(" rw,"), "{}", files.text("cgroups"));
}

#[test]
fn a_frontend_that_is_not_built_in_is_refused() {
    let (house, context) = (shared(), Context::dockerfile("FROM scratch\nCOPY <<E /f\nx\nE\n"));
    let build =
        |frontend: &str| house.try_build(&context, &["--build-arg", &format!("BUILDKIT_SYNTAX={frontend}")]);
    for known in [
        "docker/dockerfile:1",
        "docker/dockerfile:1.20-labs",
        "docker.io/docker/dockerfile-upstream:master",
        "",
    ] {
        assert_eq!(build(known).out.code, Some(0), "{known}");
    }
    let refused = build("example.com/my/frontend:1");
    assert_eq!(refused.out.code, Some(1));
    refused
        .out
        .says("the syntax `example.com/my/frontend:1` is not supported; only docker/dockerfile is built in");
    context.write("Dockerfile", "# syntax=example.com/my/frontend:1\nFROM scratch\nCOPY <<E /f\nx\nE\n");
    house.try_build(&context, &[]).out.says("the syntax `example.com/my/frontend:1` is not supported");
    assert_eq!(build("docker/dockerfile:1").out.code, Some(0), "the argument counts before the directive");
}

#[test]
fn arguments_with_a_meaning_of_their_own() {
    let house = own_with_busybox();
    let context = Context::dockerfile(
        "FROM busybox as x\nRUN hostname > /name; grep -c box.example /etc/hosts >> /name; true\n",
    );
    let files = house.files_of(&context, &["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=box.example"]);
    assert_eq!(files.text("name"), "box.example\n1\n");
    assert_eq!(house.files_of(&context, &[]).text("name"), "buildkitsandbox\n0\n");
    // The checks of the file.
    house.build(&context, &[]).out.says("FromAsCasing");
    let skipped = house.build(&context, &["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=FromAsCasing"]);
    assert!(!skipped.out.stderr.contains("FromAsCasing"), "{}", skipped.out.stderr);
    let failed = house.try_build(&context, &["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"]);
    assert_eq!(failed.out.code, Some(1), "{}", failed.out.stderr);
    // Those that say nothing to a build of this machine are known, too: nobody is told that no ARG declares them.
    for name in [
        "BUILDKIT_INLINE_CACHE",
        "BUILDKIT_BUILD_NAME",
        "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
        "BUILDKIT_MULTI_PLATFORM",
    ] {
        let built = house.build(&context, &["--build-arg", &format!("{name}=1")]);
        assert!(!built.out.stderr.contains("no ARG declares"), "{}", built.out.stderr);
    }
}

#[test]
fn build_arguments_come_from_the_environment_and_the_last_counts() {
    let context = Context::dockerfile(
        "FROM busybox\nARG A=default\nARG B=default\nARG C=default\nRUN echo $A $B $C > /seen\n",
    );
    let house = shared();
    let mut args = vec!["build", "--progress", "plain", "--output", "type=tar,dest=-", "--build-arg", "A"];
    args.extend([
        "--build-arg",
        "B=",
        "--build-arg",
        "C=1",
        "--build-arg",
        "C=2",
        "--build-arg",
        "NOT_SET_ANYWHERE",
        context.text(),
    ]);
    let mut command = house.command(&args);
    command.env("A", "from outside").env_remove("NOT_SET_ANYWHERE");
    let out = run(command, LIMIT).ok();
    assert_eq!(crate::harness::Files::read(&out.bytes).text("seen"), "from outside 2\n");
}

#[test]
fn proxies_of_arguments_count_before_the_environment_of_the_image() {
    let context = Context::dockerfile(
        "FROM busybox\nENV http_proxy=http://of-the-image.invalid\nRUN echo $http_proxy $HTTP_PROXY > /seen; env | grep -c -i ^http_proxy >> /seen\n",
    );
    let house = own_with_busybox();
    let files = house.files_of(&context, &["--build-arg", "HTTP_PROXY=http://given.invalid"]);
    assert_eq!(files.text("seen"), "http://given.invalid http://given.invalid\n2\n");
    // It is no reason to run, neither to come nor to go.
    house.build(&context, &[]).all_cached();
}

#[test]
fn flags_without_effect_are_told() {
    let context = Context::dockerfile("FROM scratch\nCOPY <<E /f\nx\nE\n");
    let flags = [
        "--cgroup-parent=a",
        "--memory=1g",
        "--memory-swap=1g",
        "--cpu-shares=1",
        "--cpu-quota=1",
        "--cpu-period=1",
        "--cpuset-cpus=0",
        "--cpuset-mems=0",
        "--squash",
        "--compress",
        "--force-rm",
        "--rm",
        "--security-opt=a",
        "--resource=memory=1g",
    ];
    let built: Built = shared().build(&context, &flags);
    for flag in flags {
        let name = flag.split('=').next().unwrap();
        built.out.says(&format!("warning: {name} is accepted and has no effect"));
    }
}

#[test]
fn a_foreign_platform_needs_no_handler_where_nothing_runs() {
    let (house, name) = (shared(), unique("foreign"));
    let copies = Context::dockerfile(
        "FROM --platform=$BUILDPLATFORM busybox AS tools\nRUN echo made on $(uname -m) > /made\nFROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY --from=tools /made /\nWORKDIR /w\n",
    );
    house.build(&copies, &["--platform", "linux/s390x", "--tag", &name]);
    let image = house.inspect(&name);
    assert_eq!((image["Architecture"].as_str(), image["Os"].as_str()), (Some("s390x"), Some("linux")));
    assert_eq!(image["Config"]["Labels"]["arch"], "s390x");
}

#[test]
fn a_step_of_a_foreign_platform_says_what_is_missing() {
    // A program of that platform, as far as its header says.
    let context = Context::dockerfile("FROM scratch\nCOPY --chmod=755 sh /bin/sh\nRUN true\n");
    let mut header =
        vec![0x7f, b'E', b'L', b'F', 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 22, 0, 0, 0, 1];
    header.resize(4096, 0);
    std::fs::write(context.path().join("sh"), header).unwrap();
    let failed = shared().try_build(&context, &["--platform", "linux/s390x"]);
    assert_eq!(failed.out.code, Some(1));
    // Where qemu stands ready, it says itself what it thinks of such a program.
    if !std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-s390x").exists() {
        failed
            .out
            .says("`/bin/sh` is a program of linux/s390x, which this machine of ")
            .says("hint: install a handler for its programs in binfmt_misc")
            .says("Dockerfile:3");
    }
}

#[test]
fn an_output_that_is_no_file_is_written_as_it_is() {
    let context = Context::dockerfile("FROM scratch\nCOPY <<E /f\nthrough a pipe\nE\n");
    let outside = Context::new();
    let pipe = outside.at("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap()
    });
    shared().build(&context, &["--output", &format!("type=tar,dest={pipe}")]);
    let read = reader.join().unwrap();
    assert_eq!(crate::harness::Files::read(&read).text("f"), "through a pipe\n");
    let kind = std::fs::symlink_metadata(&pipe).unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&kind), "it is a pipe still");
}

#[test]
fn triggers_bring_stages_images_and_mounts_with_them() {
    let (house, base) = (shared(), unique("trigger-base"));
    let first = Context::dockerfile(
        "FROM busybox
ONBUILD ARG Z=zz
ONBUILD COPY --from=helper /h /h
ONBUILD RUN --mount=from=helper,target=/m cat /m/h > /h2; echo $Z > /z
ONBUILD COPY --from=busybox /bin/busybox /bb
ONBUILD ENV ONB=1
ONBUILD COPY <<EOF /hd
text
EOF
ONBUILD WORKDIR /onb
",
    );
    house.build(&first, &["--tag", &base]);
    // What the trigger names is a stage of the file that it is triggered in.
    let context = Context::dockerfile(&format!(
        "FROM busybox AS helper\nRUN echo helped > /h\nFROM {base}\nRUN cat /h /h2 /z > all; echo $ONB >> all\n"
    ));
    let files = house.files_of(&context, &["--build-arg", "Z=given"]);
    assert_eq!(files.text("onb/all"), "helped\nhelped\ngiven\n1\n");
    assert_eq!(files.text("hd"), "text\n");
    assert!(files.has("bb") && !files.has("m"));
    // Without one it would be an image.
    let missing = Context::dockerfile(&format!("FROM {base}\nRUN true\n"));
    let failed = house.try_build(&missing, &[]);
    assert_eq!(failed.out.code, Some(1));
    failed.out.says("`helper` is no stage before this one").says("ONBUILD COPY --from=helper /h /h");
}

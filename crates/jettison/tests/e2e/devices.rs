//! `RUN --device` with specifications of the tests' own: in a mount namespace of its own, a folder of the test lies over
//! `/etc`'s `cdi` (made in an overlay of `/etc`), so that the machine is not touched.

use crate::harness::{Built, Context, House, LIMIT, own_with_busybox, run, unique};
use std::process::Command;

/// Two devices as YAML: nodes, a variable, a folder of the host, a group.
const YAML: &str = "cdiVersion: \"0.6.0\"
kind: test.jettison/dev
annotations:
  org.mobyproject.buildkit.device.class: test-class
containerEdits:
  env: [COMMON=1]
devices:
- name: zero
  containerEdits:
    env: [ZERO=yes]
    deviceNodes:
    - path: /dev/test/zero
      hostPath: /dev/zero
- name: \"null\"
  containerEdits:
    additionalGids: [4711]
    deviceNodes:
    - path: /dev/test-null
      hostPath: /dev/null
    mounts:
    - {hostPath: FOLDER, containerPath: /from-host, options: [ro, rbind]}
";

/// One with hooks, and one that allows itself, as JSON.
const JSON: &str = r#"{"cdiVersion": "0.6.0", "kind": "test.jettison/other", "devices": [
  {"name": "hooked", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/true"}]}},
  {"name": "free", "annotations": {"org.mobyproject.buildkit.device.autoallow": "true"},
   "containerEdits": {"deviceNodes": [{"path": "/dev/free", "hostPath": "/dev/null"}]}}
]}"#;

/// A store, and the specifications.
struct Machine {
    house: House,
    cdi: Context,
}

impl Machine {
    fn new() -> Self {
        let cdi = Context::new();
        cdi.write("folder/file", "of the host\n");
        cdi.write("cdi/test.yaml", &YAML.replace("FOLDER", &cdi.at("folder")));
        cdi.write("cdi/other.json", JSON);
        for folder in ["upper", "work"] {
            std::fs::create_dir(cdi.path().join(folder)).unwrap();
        }
        Self { house: own_with_busybox(), cdi }
    }

    fn build(&self, step: &str, args: &[&str]) -> Built {
        let context = Context::dockerfile(&format!("FROM busybox\n{step}\n"));
        let mut inner = vec!["build", "--progress", "plain"];
        inner.extend(args);
        inner.push(context.text());
        let program = self.house.command(&inner);
        let mut command = Command::new("unshare");
        let line = format!(
            "mount -t overlay overlay -o lowerdir=/etc,upperdir={0}/upper,workdir={0}/work /etc && mkdir -p /etc/cdi && mount --bind {0}/cdi /etc/cdi && exec \"$@\"",
            self.cdi.text()
        );
        command
            .args(["--mount", "sh", "-c", &line, "sh"])
            .arg(program.get_program())
            .args(program.get_args());
        self.house.surround(&mut command);
        Built::new(run(command, LIMIT))
    }

    #[track_caller]
    fn builds(&self, step: &str, args: &[&str]) -> Built {
        let built = self.build(step, args);
        assert_eq!(built.out.code, Some(0), "{}", built.out.stderr);
        built
    }
}

#[test]
fn devices_bring_nodes_variables_mounts_and_groups() {
    let machine = Machine::new();
    let all = "RUN --device=test.jettison/dev=* test \"$COMMON$ZERO\" = 1yes && head -c 3 /dev/test/zero | wc -c && echo x > /dev/test-null && test -c /dev/test-null && cat /from-host/file && id -G && ! touch /from-host/x 2>/dev/null";
    let built = machine.builds(all, &["--allow", "device"]);
    let log = &built.step("RUN").log;
    assert_eq!((log[0].as_str(), log[1].as_str()), ("3", "of the host"));
    assert!(log[2].split(' ').any(|group| group == "4711"), "{log:?}");
    // What is not asked for is not there; nothing of it is in the layer.
    let one = "RUN --device=test.jettison/dev=zero test -c /dev/test/zero && test ! -e /dev/test-null && test ! -e /from-host\nRUN test ! -e /dev/test && test -z \"$ZERO$COMMON\"";
    machine.builds(one, &["--allow", "device=test.jettison/dev=zero"]);
    // The first of a kind by name, and all of a class.
    machine.builds(
        "RUN --device=test.jettison/dev test -c /dev/test-null && test ! -e /dev/test",
        &["--allow", "device"],
    );
    machine.builds(
        "RUN --device=test-class test -c /dev/test-null && test -c /dev/test/zero",
        &["--allow", "device"],
    );
}

#[test]
fn devices_must_be_allowed() {
    let machine = Machine::new();
    let step = "RUN echo first\nRUN --device=test.jettison/dev=zero true";
    let refused = machine.build(step, &[]);
    assert_eq!(refused.out.code, Some(1));
    refused
        .out
        .says("the device test.jettison/dev=zero is requested by the build but not allowed")
        .says("hint: allow it with `--allow device=test.jettison/dev=zero`")
        .says("Dockerfile:3");
    assert!(!refused.has_step("echo first"), "it is told before anything runs: {}", refused.out.stderr);
    let other = machine.build("RUN --device=test-class true", &["--allow", "device=test.jettison/dev=zero"]);
    assert_eq!(other.out.code, Some(1));
    other.out.says("the device test.jettison/dev=null is requested");
    let both = machine.build("RUN --device=test-class true", &[]);
    both.out.says("the devices test.jettison/dev=null, test.jettison/dev=zero are requested");
    // By its own annotation, by kind, by an alias.
    machine.builds("RUN --device=test.jettison/other=free test -c /dev/free", &[]);
    machine.builds("RUN --device=test-class true", &["--allow", "device=test.jettison/dev=*"]);
    machine.builds(
        "RUN --device=mine,required test -c /dev/test/zero",
        &["--allow", "device=test.jettison/dev=zero,alias=mine"],
    );
    for (flag, what) in [
        ("device=", "it takes device=NAME"),
        ("device=a,aliass=b", "it takes device=NAME"),
        ("devices", "`devices` is not known"),
    ] {
        let wrong = machine.build("RUN true", &["--allow", flag]);
        assert_eq!(wrong.out.code, Some(125));
        wrong.out.says(what);
    }
}

#[test]
fn a_missing_device_is_an_error_only_where_it_is_required() {
    let machine = Machine::new();
    let salt = unique("salt");
    machine.builds(&format!("RUN --device=vendor.com/gpu=all echo {salt}"), &["--allow", "device"]);
    let missing = machine.build("RUN --device=vendor.com/gpu=all,required true", &["--allow", "device"]);
    assert_eq!(missing.out.code, Some(1));
    missing
        .out
        .says("the device `vendor.com/gpu=all` is required and is not registered")
        .says("hint: devices are described in /etc/cdi and /var/run/cdi");
    machine.cdi.write("cdi/broken.yaml", "kind: [\n");
    let broken = machine.build("RUN --device=vendor.com/gpu=all,required true", &["--allow", "device"]);
    broken.out.says("/etc/cdi/broken.yaml");
}

#[test]
fn hooks_are_refused() {
    let machine = Machine::new();
    let refused = machine.build("RUN --device=test.jettison/other=hooked true", &["--allow", "device"]);
    assert_eq!(refused.out.code, Some(1));
    refused.out.says(
        "the device `test.jettison/other=hooked` brings hooks, programs of the host to run beside the step",
    );
}

//! What the container crate needs: init, terminals, exec into a running container, control groups.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use sandbox::{Cgroup, ExecSpec, ExitStatus, Launcher, Limits, Stdio, tty};
use support::{Root, finish, run};

fn exec(args: &[&str]) -> ExecSpec {
    ExecSpec::new(args.iter().map(OsString::from).collect())
}

/// Reads a terminal until the other side is closed.
fn read_terminal(terminal: &mut File) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn init_reaps_orphans_forwards_signals_and_hides_its_memory() {
    let root = Root::new();
    let script = "
        (sleep 0.05 & exec true); sleep 0.3
        ps -o stat | grep -c Z || true
        cat /proc/1/environ > /dev/null || echo hidden
        cat /proc/1/comm; echo $$
        trap 'exit 42' TERM; echo ready; sleep 100 & wait";
    let mut spec = root.sh(script);
    spec.init = true;
    let launcher = Launcher::new().unwrap();
    let child = launcher.spawn(&spec, &Stdio::piped()).unwrap();
    let mut out = File::from(child.take_stdout().unwrap());
    let mut text = String::new();
    while !text.ends_with("ready\n") {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{text}");
        text.push(byte[0].into());
    }
    assert_eq!(text, "0\nhidden\ninit\n2\nready\n");
    child.kill(libc::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap(), ExitStatus::Code(42));
    let root = Root::new();
    let mut spec = root.spec(&["nosuch"]);
    spec.init = true;
    assert_eq!(launcher.spawn(&spec, &Stdio::default()).unwrap_err().exit_code(), 127);
    let root = Root::new();
    let mut spec = root.sh("kill -KILL $$");
    spec.init = true;
    assert_eq!(run(&spec).0, ExitStatus::Code(137));
}

#[test]
fn a_terminal_of_its_own() {
    for init in [false, true] {
        let root = Root::new();
        let script = "tty; test -t 0 && test -t 1 && echo yes; stty size; ls -l /dev/console | cut -c1; echo x > /dev/tty; read a; echo got $a";
        let mut spec = root.sh(script);
        spec.init = init;
        let launcher = Launcher::new().unwrap();
        let child = launcher.spawn(&spec, &Stdio::Terminal { size: Some((31, 97)) }).unwrap();
        let mut terminal = File::from(child.take_terminal().unwrap());
        assert_eq!(tty::size(&terminal).unwrap(), (31, 97));
        terminal.write_all(b"line\n").unwrap();
        let text = read_terminal(&mut terminal);
        assert!(child.wait().unwrap().success());
        for wanted in ["/dev/pts/0\r\n", "yes\r\n", "31 97\r\n", "c\r\n", "x\r\n", "got line\r\n"] {
            assert!(text.contains(wanted), "init {init}: {text:?}");
        }
    }
}

#[test]
fn control_c_and_resizing_reach_the_program() {
    let root = Root::new();
    let launcher = Launcher::new().unwrap();
    let script = "trap 'stty size; echo resized' WINCH; trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.02; done";
    let child = launcher.spawn(&root.sh(script), &Stdio::Terminal { size: None }).unwrap();
    let mut terminal = File::from(child.take_terminal().unwrap());
    let mut text = String::new();
    let mut until = |wanted: &str| {
        let mut buffer = [0; 256];
        while !text.contains(wanted) {
            let count = terminal.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        terminal.try_clone().unwrap()
    };
    tty::set_size(until("ready"), 10, 20).unwrap();
    until("10 20");
    until("resized").write_all(b"\x03").unwrap();
    until("interrupted");
    assert_eq!(child.wait().unwrap(), ExitStatus::Code(5));
}

#[test]
fn exec_joins_everything() {
    let root = Root::new();
    let launcher = Launcher::new().unwrap();
    let mut spec = root.sh("touch /made; echo up; sleep 100");
    spec.hostname = Some("inner".into());
    spec.init = true;
    let main = launcher.spawn(&spec, &Stdio::piped()).unwrap();
    let mut up = [0; 3];
    rustix::io::read(main.take_stdout().unwrap(), &mut up).unwrap();

    let namespaces = "ls /made; hostname; for n in mnt pid net ipc uts cgroup; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] && echo $n; done";
    let mut joined = exec(&["sh", "-c", namespaces]);
    // Reading another's links needs ptrace rights over the undumpable process 1, so compare as one that has them.
    joined.capabilities = sandbox::Capabilities::ALL;
    let child = launcher.exec_in(main.pid(), &joined, &Stdio::piped()).unwrap();
    let (status, out, err) = finish(child);
    assert_eq!(out, "/made\ninner\nmnt\npid\nnet\nipc\nuts\ncgroup\n", "{err}");
    assert!(status.success());

    let mut confined = exec(&["sh", "-c", "grep -E 'CapEff|Seccomp:' /proc/self/status; id; pwd; exit 9"]);
    (confined.uid, confined.gid, confined.cwd) = (1000, 1000, "/home/ann".into());
    let (status, out, _) = finish(launcher.exec_in(main.pid(), &confined, &Stdio::piped()).unwrap());
    assert_eq!(status.code(), 9);
    assert_eq!(out, "CapEff:\t0000000000000000\nSeccomp:\t2\nuid=1000(ann) gid=1000(ann)\n/home/ann\n");

    let child = launcher
        .exec_in(main.pid(), &exec(&["sh", "-c", "tty; stty size"]), &Stdio::Terminal { size: Some((5, 6)) })
        .unwrap();
    let mut terminal = File::from(child.take_terminal().unwrap());
    let text = read_terminal(&mut terminal);
    assert_eq!(text, "/dev/pts/0\r\n5 6\r\n");
    assert!(child.wait().unwrap().success());

    assert_eq!(
        launcher.exec_in(main.pid(), &exec(&["nosuch"]), &Stdio::piped()).unwrap_err().exit_code(),
        127
    );
    // The launcher's thread is back in its own process namespace.
    let again = Root::new();
    assert_eq!(run(&again.sh("echo $$")).1, "1\n");
    // What was executed in a container ends with it.
    let long = launcher.exec_in(main.pid(), &exec(&["sleep", "100"]), &Stdio::piped()).unwrap();
    main.kill(9).unwrap();
    main.wait().unwrap();
    assert_eq!(long.wait().unwrap(), ExitStatus::Signal(9));
    assert!(launcher.exec_in(main.pid(), &exec(&["true"]), &Stdio::piped()).is_err());
}

#[test]
fn limits_of_control_groups_hold() {
    let name = format!("jettison-test-{}", std::process::id());
    let limits = Limits {
        memory: Some(64 << 20),
        pids: Some(5),
        cpu_quota: Some(50_000),
        cpu_shares: Some(512),
        ..Limits::default()
    };
    let (group, warnings) = Cgroup::create(&name, &limits).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let group = Arc::new(group);
    let paths: Vec<_> = group.paths().map(std::path::Path::to_path_buf).collect();
    assert!(!paths.is_empty());
    let with_group = |root: &Root, script: &str| {
        let mut spec = root.sh(script);
        spec.cgroup = Some(group.clone());
        spec
    };
    let root = Root::new();
    let (_, out, err) = run(&with_group(&root, "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo no"));
    assert!(err.contains("can't fork") && !out.contains("no"), "{out}{err}");

    let root = Root::new();
    let script =
        "grep -E ':(pids|memory):|^0::' /proc/self/cgroup | head -1; head -c 200m /dev/zero | tail | wc -c";
    let (_, out, err) = run(&with_group(&root, script));
    assert!(out.lines().next().unwrap().ends_with(":/"), "its group is its root: {out}");
    assert!(!out.contains("209715200"), "{out}{err}");
    assert!(group.oom_kills() > 0);

    // A second process joins the groups of the first.
    let root = Root::new();
    let launcher = Launcher::new().unwrap();
    let main = launcher.spawn(&with_group(&root, "echo up; sleep 100"), &Stdio::piped()).unwrap();
    let mut up = [0; 3];
    rustix::io::read(main.take_stdout().unwrap(), &mut up).unwrap();
    let other = launcher.exec_in(main.pid(), &exec(&["sleep", "100"]), &Stdio::default()).unwrap();
    let usage = group.usage();
    assert!(usage.pids >= Some(2) && usage.memory > Some(0), "{usage:?}");
    let pids = paths.iter().find(|path| path.join("pids.max").exists()).unwrap();
    let listed = std::fs::read_to_string(pids.join("cgroup.procs")).unwrap();
    assert!(listed.lines().any(|line| line == other.pid().to_string()), "{listed}");
    drop(main);
    other.wait().unwrap();
    drop(group);
    assert!(paths.iter().all(|path| !path.exists()));
}

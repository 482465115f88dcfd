//! From start to end: logs, exec, terminals, signals, and what is left.

use crate::containers::prints;
use crate::harness::{
    Container, House, LIMIT, folder, processes_with, run, run_with_input, shared, terminal, unique,
};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_detached_container_outlives_its_command_and_keeps_logs_and_code() {
    let house = shared();
    let container = house.container();
    let begun = Instant::now();
    let id = house.ok(&[
        "run",
        "-d",
        "--name",
        &container.name,
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; sleep 1; echo later; exit 7",
    ]);
    assert_eq!(id.text().len(), 64);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(house.ok(&["wait", &container.name]).text(), "7");
    assert_eq!(container.logs(), ("out\nlater\n".to_owned(), "err\n".to_owned()));
    assert_eq!(container.inspect()["State"]["ExitCode"], 7);
    assert_eq!(container.inspect()["State"]["Status"], "exited");
    assert_eq!(container.inspect()["Id"], id.text());
    // Asked again, by an abbreviated id.
    assert_eq!(house.ok(&["wait", &id.text()[..12]]).text(), "7");
}

#[test]
fn logs_can_be_cut_and_followed() {
    let house = shared();
    let container = house.detached(
        &[],
        "busybox",
        &["sh", "-c", "for i in 1 2 3; do echo line $i; done; sleep 2; echo last"],
    );
    container.wait_for_log("line 3");
    let between = Instant::now();
    assert_eq!(house.ok(&["logs", "--tail", "2", &container.name]).stdout, "line 2\nline 3\n");
    assert_eq!(house.ok(&["logs", "-n", "0", &container.name]).stdout, "");
    // Following ends when the container does.
    let followed = house.ok(&["logs", "-f", "--tail", "1", &container.name]);
    assert_eq!(followed.stdout, "line 3\nlast\n");
    assert!(between.elapsed() < Duration::from_secs(30));
    let stamped = house.ok(&["logs", "--timestamps", &container.name]).stdout;
    let (stamp, text) = stamped.lines().last().unwrap().split_once(' ').unwrap();
    assert_eq!(text, "last");
    assert!(stamp.len() >= 20 && stamp.contains('T') && stamp.ends_with('Z'), "{stamp}");
    assert_eq!(house.ok(&["logs", "--since", stamp, &container.name]).stdout, "last\n");
    assert_eq!(house.ok(&["logs", "--until", stamp, &container.name]).stdout.lines().next(), Some("line 1"));
}

#[test]
fn exec_runs_beside_the_process() {
    let house = shared();
    let container = house.detached(&["-e", "A=1", "-w", "/tmp"], "busybox", &["sleep", "1000"]);
    assert_eq!(
        container.exec(&["sh", "-c", "echo $A; pwd; cat /proc/1/cmdline | tr '\\0' ' '"]).ok().text(),
        "1\n/tmp\nsleep 1000"
    );
    let out = house.ok(&[
        "exec",
        "-e",
        "A=2",
        "-u",
        "5:6",
        "-w",
        "/",
        &container.name,
        "sh",
        "-c",
        "echo $A $(id -u) $(id -g) $(pwd)",
    ]);
    assert_eq!(out.text(), "2 5 6 /");
    assert_eq!(container.exec(&["sh", "-c", "exit 9"]).code, Some(9));
    container.exec(&["no-such-program"]).fails(127).says("no-such-program");
    container.exec(&["/etc"]).fails(126);
    let typed = house.command(&["exec", "-i", &container.name, "sh", "-c", "read line; echo got $line"]);
    assert_eq!(run_with_input(typed, Some(b"this\n"), LIMIT).ok().text(), "got this");
    let detached = house.ok(&["exec", "-d", &container.name, "sh", "-c", "echo done > /tmp/marker"]);
    assert_eq!(detached.text(), "");
    let begun = Instant::now();
    while container.exec(&["cat", "/tmp/marker"]).text() != "done" {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    house.ok(&["stop", "-t", "0", &container.name]);
    house.fails(1, &["exec", &container.name, "true"]).says("not running");
}

#[test]
fn a_terminal_is_given_where_it_is_asked_for() {
    let house = shared();
    let out = run(
        terminal(
            house,
            "stty rows 17 cols 91; ",
            &["run", "--rm", "-it", "busybox", "sh", "-c", "tty; stty size; echo $TERM; exit 3"],
        ),
        LIMIT,
    );
    assert_eq!(out.code, Some(3), "{}{}", out.stdout, out.stderr);
    // `script` types a NUL when its own input ends, and the terminal echoes it.
    let text = out.stdout.replace("^@", "");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(lines[..3], ["/dev/pts/0", "17 91", "xterm"]);
    // Without a terminal here there is none to give.
    house.fails(125, &["run", "--rm", "-it", "busybox", "true"]).says("terminal");
    assert_eq!(prints(&["-t"], "tty"), "/dev/pts/0");

    let container = house.detached(&[], "busybox", &["sleep", "1000"]);
    let out = run(
        terminal(
            house,
            "stty rows 20 cols 70; ",
            &["exec", "-it", &container.name, "sh", "-c", "test -t 0 && stty size"],
        ),
        LIMIT,
    );
    assert_eq!(out.stdout.replace("^@", "").trim(), "20 70");
}

#[test]
fn a_resized_window_is_passed_on() {
    let (house, files) = (shared(), folder());
    let container = house.container();
    let device = files.path().join("tty");
    let setup = format!("stty rows 20 cols 60; tty > {}; ", device.display());
    let inside = "trap 'stty size' WINCH; stty size; while true; do sleep 0.05; done";
    let words = ["run", "-it", "--name", &container.name, "busybox", "sh", "-c", inside];
    let mut child = terminal(house, &setup, &words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    container_started(house, &container);
    container.wait_for_log("20 60");
    let device = fs::read_to_string(device).unwrap();
    let mut stty = Command::new("stty");
    stty.args(["-F", device.trim(), "rows", "33", "cols", "77"]);
    run(stty, LIMIT).ok();
    container.wait_for_log("33 77");
    house.ok(&["rm", "--force", &container.name]);
    child.wait().unwrap();
}

#[test]
fn the_detach_keys_leave_it_running() {
    let house = shared();
    let container = house.container();
    let words = ["run", "-it", "--name", &container.name, "busybox", "sh", "-c", "echo ready; sleep 1000"];
    let mut child = terminal(house, "", &words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    container_started(house, &container);
    container.wait_for_log("ready");
    child.stdin.as_mut().unwrap().write_all(b"\x10\x11").unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the command goes on");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
    assert_eq!(container.inspect()["State"]["Running"], true);
}

#[test]
fn kill_and_stop_send_their_signals() {
    let house = shared();
    let trap =
        "trap 'echo term; exit 5' TERM; trap 'echo usr1' USR1; echo ready; while true; do sleep 0.05; done";
    let container = house.detached(&[], "busybox", &["sh", "-c", trap]);
    container.wait_for_log("ready");
    house.ok(&["kill", "--signal", "USR1", &container.name]);
    container.wait_for_log("usr1");
    assert_eq!(house.ok(&["stop", &container.name]).text(), container.name);
    assert_eq!(container.inspect()["State"]["ExitCode"], 5);
    assert!(container.logs().0.ends_with("term\n"));

    // The first process has no default action for SIGTERM: after the time it is killed.
    let deaf = house.detached(&[], "busybox", &["sleep", "1000"]);
    let begun = Instant::now();
    house.ok(&["stop", "-t", "1", &deaf.name]);
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(8));
    assert_eq!(deaf.inspect()["State"]["ExitCode"], 137);

    let other = house.detached(
        &["--stop-signal", "USR2"],
        "busybox",
        &["sh", "-c", "trap 'exit 6' USR2; echo ready; while true; do sleep 0.05; done"],
    );
    other.wait_for_log("ready");
    house.ok(&["stop", &other.name]);
    assert_eq!(other.inspect()["State"]["ExitCode"], 6);
    house.fails(1, &["kill", &other.name]).says("not running");
}

#[test]
fn an_init_passes_signals_on_and_reaps() {
    let house = shared();
    let container = house.detached(&["--init"], "busybox", &["sleep", "1000"]);
    let begun = Instant::now();
    house.ok(&["stop", "-t", "30", &container.name]);
    assert!(begun.elapsed() < Duration::from_secs(15), "with an init SIGTERM ends it: {:?}", begun.elapsed());
    assert_eq!(container.inspect()["State"]["ExitCode"], 143);
    assert_ne!(prints(&["--init"], "echo $$"), "1");
}

#[test]
fn signals_to_the_command_reach_the_process() {
    let house = shared();
    let container = house.container();
    let mut command = house.command(&[
        "run",
        "--name",
        &container.name,
        "busybox",
        "sh",
        "-c",
        "trap 'echo caught; exit 11' TERM; echo ready; while true; do sleep 0.05; done",
    ]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    container_started(house, &container);
    container.wait_for_log("ready");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(11));
    assert_eq!(container.logs().0, "ready\ncaught\n");
}

/// Waits until a container that another process makes is there.
fn container_started(house: &House, container: &Container<'_>) {
    let begun = Instant::now();
    while house.run(&["inspect", &container.name]).code != Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn rm_removes_what_ended_and_by_force_what_runs() {
    let house = shared();
    let seconds = (6_000_000 + std::process::id()).to_string();
    let container = house.detached(&[], "busybox", &["sleep", &seconds]);
    house.fails(1, &["rm", &container.name]).says("running");
    assert_eq!(processes_with(&seconds).len(), 1);
    assert_eq!(house.ok(&["rm", "-f", &container.name]).text(), container.name);
    assert_eq!(processes_with(&seconds), [""; 0]);
    house.fails(1, &["inspect", &container.name]).says(&container.name);
    house.fails(1, &["rm", &container.name]).says(&container.name);
    // By force, one that is not there is no failure, as with Docker.
    house.ok(&["rm", "-f", &container.name]);
}

#[test]
fn dash_dash_rm_leaves_nothing() {
    let house = shared();
    let container = house.container();
    house.ok(&["run", "--rm", "--name", &container.name, "busybox", "true"]);
    house.fails(1, &["inspect", &container.name]);
}

#[test]
fn create_start_attach_and_start_again() {
    let house = shared();
    let container = house.container();
    let id = house.ok(&[
        "create",
        "--name",
        &container.name,
        "busybox",
        "sh",
        "-c",
        "echo run >> /count; cat /count; exit 4",
    ]);
    assert_eq!(id.text().len(), 64);
    assert_eq!(container.inspect()["State"]["Status"], "created");
    assert_eq!(house.ok(&["start", &container.name]).text(), container.name);
    assert_eq!(house.ok(&["wait", &container.name]).text(), "4");
    let again = house.fails(4, &["start", "--attach", &container.name]);
    assert_eq!(again.stdout, "run\nrun\n", "its files are kept");
    assert_eq!(container.logs().0, "run\nrun\nrun\n");
}

#[test]
fn a_crashed_monitor_leaves_no_lie() {
    let house = shared();
    let container = house.detached(&[], "busybox", &["sleep", "1000"]);
    let pid = container.inspect()["State"]["Pid"].as_i64().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent: i32 =
        status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    assert!(parent > 1);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(parent).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let begun = Instant::now();
    while container.inspect()["State"]["Running"] == json!(true) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is still said to run");
        std::thread::sleep(Duration::from_millis(20));
    }
    house.ok(&["rm", "--force", &container.name]);
}

#[test]
fn the_images_stop_signal_and_health_check_are_honoured() {
    let (house, name) = (shared(), unique("healthy"));
    let context = crate::harness::Context::dockerfile(
        "FROM busybox\nSTOPSIGNAL SIGUSR1\nHEALTHCHECK --interval=100ms CMD test -e /ok\nCMD trap 'exit 21' USR1; touch /ok; while true; do sleep 0.05; done\n",
    );
    house.build(&context, &["--tag", &name]);
    let container = house.detached(&[], &name, &[]);
    let begun = Instant::now();
    while container.inspect()["State"]["Health"]["Status"] != "healthy" {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", container.inspect()["State"]);
        std::thread::sleep(Duration::from_millis(50));
    }
    let filter = format!("name={}", container.name);
    let status = house.ok(&["ps", "--filter", &filter, "--format", "{{.Status}}"]);
    assert!(status.text().ends_with("(healthy)"), "{}", status.text());
    house.ok(&["stop", &container.name]);
    assert_eq!(container.inspect()["State"]["ExitCode"], 21);
}

#[test]
fn rename_restart_and_top() {
    let house = shared();
    let container = house.detached(&[], "busybox", &["sleep", "1000"]);
    let before = container.inspect()["State"]["Pid"].clone();
    house.ok(&["restart", "-t", "0", &container.name]);
    assert_eq!(container.inspect()["State"]["Running"], true);
    assert_ne!(container.inspect()["State"]["Pid"], before);
    let top = house.ok(&["top", &container.name]).stdout;
    assert!(top.contains("sleep 1000"), "{top}");
    let other = house.container();
    house.ok(&["rename", &container.name, &other.name]);
    assert_eq!(other.inspect()["Name"], format!("/{}", other.name));
    house.fails(1, &["inspect", &container.name]);
    house.fails(125, &["run", "--restart", "always", "busybox", "true"]).says("--restart");
}

#[test]
fn what_docker_leaves_to_its_engine_is_no_wrong_command_line() {
    for (words, code) in [
        (&["kill", "--signal", "BOGUS", "nobody"][..], 1),
        (&["ps", "--filter", "colour=red"], 1),
        (&["images", "--filter", "colour=red"], 1),
        (&["run", "--stop-signal", "BOGUS", "busybox"], 125),
        (&["ps", "--no-such-flag"], 125),
    ] {
        shared().fails(code, words);
    }
}

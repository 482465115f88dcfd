//! Containers: how they run, how they end, and what is told of them.

use crate::harness::{Container, House, LIMIT, Out, folder, run, run_with_input, shared, terminal, unique};
use crate::language::processes_with;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `run --rm busybox COMMAND` with flags.
fn busybox(flags: &[&str], command: &[&str]) -> Out {
    let mut args = vec!["run", "--rm"];
    args.extend(flags);
    args.push("busybox");
    args.extend(command);
    shared().run(&args)
}

/// What a command in busybox prints, which must succeed.
#[track_caller]
fn prints(flags: &[&str], command: &str) -> String {
    busybox(flags, &["sh", "-c", command]).ok().text().to_owned()
}

#[test]
fn exit_codes_are_the_processs_own_or_dockers() {
    assert_eq!(busybox(&[], &["true"]).code, Some(0));
    assert_eq!(busybox(&[], &["sh", "-c", "exit 1"]).code, Some(1));
    assert_eq!(busybox(&[], &["sh", "-c", "exit 42"]).code, Some(42));
    assert_eq!(busybox(&[], &["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code, Some(137));
    busybox(&[], &["/etc"]).fails(126).says("/etc");
    busybox(&[], &["no-such-program"]).fails(127).says("no-such-program");
    busybox(&["--no-such-flag"], &["true"]).fails(125).says("--no-such-flag");
    busybox(&["--publish", "nonsense"], &["true"]).fails(125).says("nonsense");
    busybox(&["--user", "nobody-of-that-name"], &["true"]).fails(125).says("nobody-of-that-name");
}

#[test]
fn both_streams_arrive_apart_and_whole() {
    let out = busybox(
        &[],
        &[
            "sh",
            "-c",
            "echo out; echo err >&2; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done",
        ],
    );
    assert_eq!(out.stderr, "err\n");
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2000]), (2001, "out", "line 1999"));
}

#[test]
fn standard_input_reaches_it_with_interactive_alone() {
    let house = shared();
    let with = house.command(&["run", "--rm", "-i", "busybox", "cat"]);
    assert_eq!(run_with_input(with, Some(b"typed\nlines"), LIMIT).ok().stdout, "typed\nlines");
    let without = house.command(&["run", "--rm", "busybox", "cat"]);
    assert_eq!(run_with_input(without, Some(b"typed\n"), LIMIT).ok().stdout, "");
}

#[test]
fn environment_directory_user_and_names() {
    let files = folder();
    let env_file = files.path().join("env");
    fs::write(&env_file, "# comment\nFROM_FILE=one two\nFROM_HOST\n\nBOTH=file\n").unwrap();
    let args = [
        "run",
        "--rm",
        "--env-file",
        env_file.to_str().unwrap(),
        "-e",
        "A=1",
        "-e",
        "BOTH=flag",
        "-e",
        "FROM_HOST_TOO",
        "-e",
        "UNSET_ON_HOST",
        "busybox",
        "sh",
        "-c",
        "env | sort",
    ];
    let mut command = shared().command(&args);
    command.env("FROM_HOST", "host").env("FROM_HOST_TOO", "host too");
    let out = run(command, LIMIT).ok();
    for line in
        ["A=1", "BOTH=flag", "FROM_FILE=one two", "FROM_HOST=host", "FROM_HOST_TOO=host too", "HOME=/root"]
    {
        assert!(
            out.stdout.lines().any(|one| one == line) || line.starts_with("HOME"),
            "no {line} in\n{}",
            out.stdout
        );
    }
    assert!(!out.stdout.contains("UNSET_ON_HOST"), "{}", out.stdout);

    assert_eq!(prints(&["-w", "/made/here"], "pwd"), "/made/here");
    assert_eq!(prints(&["--user", "12:34"], "id -u; id -g"), "12\n34");
    assert_eq!(prints(&["--hostname", "ship"], "hostname; grep -c ship /etc/hosts"), "ship\n1");
    assert_eq!(
        prints(&["--add-host", "db:10.1.2.3"], "grep db /etc/hosts").split_whitespace().collect::<Vec<_>>(),
        ["10.1.2.3", "db"]
    );
    assert_eq!(prints(&[], "echo $HOSTNAME").len(), 12, "the short id");
}

#[test]
fn entrypoint_and_command_take_each_others_place() {
    let (house, name) = (shared(), unique("entrypoint"));
    let context = crate::harness::Context::dockerfile(
        "FROM busybox\nENTRYPOINT [\"echo\", \"entry\"]\nCMD [\"command\"]\n",
    );
    house.build(&context, &["--tag", &name]);
    let text = |args: &[&str]| house.ok(args).text().to_owned();
    assert_eq!(text(&["run", "--rm", &name]), "entry command");
    assert_eq!(text(&["run", "--rm", &name, "other", "words"]), "entry other words");
    assert_eq!(text(&["run", "--rm", "--entrypoint", "printf", &name, "%s.", "a", "b"]), "a.b.");
    // The image's command goes with its entrypoint.
    assert_eq!(text(&["run", "--rm", "--entrypoint", "echo", &name]), "");
}

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
fn cp_goes_both_ways() {
    let house = shared();
    let files = folder();
    let at = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(files.path().join("in/sub")).unwrap();
    fs::write(files.path().join("in/sub/f"), "from the host\n").unwrap();
    fs::write(files.path().join("one"), "one\n").unwrap();
    let container = house.detached(&[], "busybox", &["sh", "-c", "mkdir -p /out/deep && echo inside > /out/deep/f && ln -s /etc/passwd /out/link && echo ready; sleep 1000"]);
    container.wait_for_log("ready");
    let inside = |path: &str| format!("{}:{path}", container.name);

    house.ok(&["cp", &at("in"), &inside("/new")]);
    assert_eq!(container.exec(&["cat", "/new/sub/f"]).ok().stdout, "from the host\n");
    house.ok(&["cp", &at("in"), &inside("/out")]);
    assert_eq!(container.exec(&["cat", "/out/in/sub/f"]).ok().stdout, "from the host\n");
    house.ok(&["cp", &at("one"), &inside("/out/renamed")]);
    assert_eq!(container.exec(&["cat", "/out/renamed"]).ok().stdout, "one\n");

    house.ok(&["cp", &inside("/out"), &at("got")]);
    assert_eq!(fs::read_to_string(files.path().join("got/deep/f")).unwrap(), "inside\n");
    assert_eq!(
        fs::read_link(files.path().join("got/link")).unwrap().to_str(),
        Some("/etc/passwd"),
        "the link, not the host's file"
    );
    house.ok(&["cp", &inside("/out/."), &at("in")]);
    assert!(files.path().join("in/deep/f").exists());
    let tar = house.ok(&["cp", &inside("/out/deep"), "-"]);
    assert_eq!(crate::harness::Files::read(&tar.bytes).text("deep/f"), "inside\n");
    house.fails(1, &["cp", &inside("/missing"), &at("x")]).says("/missing");

    // Of one that ended too.
    house.ok(&["stop", "-t", "0", &container.name]);
    house.ok(&["cp", &inside("/out/deep/f"), &at("after")]);
    assert_eq!(fs::read_to_string(files.path().join("after")).unwrap(), "inside\n");
}

#[test]
fn cp_does_not_follow_links_out_of_the_container() {
    let house = shared();
    let files = folder();
    fs::write(files.path().join("f"), "written through a link\n").unwrap();
    let outside = files.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let link = format!("ln -s {} /evil; ln -s /../../../../{} /evil2", outside.display(), outside.display());
    let container = house.detached(&[], "busybox", &["sh", "-c", &format!("{link}; echo ready; sleep 1000")]);
    container.wait_for_log("ready");
    for name in ["evil", "evil2"] {
        house.run(&[
            "cp",
            files.path().join("f").to_str().unwrap(),
            &format!("{}:/{name}/f", container.name),
        ]);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}

#[test]
fn a_read_only_root_takes_no_file() {
    assert_eq!(prints(&["--read-only"], "touch /x 2>/dev/null && echo written || echo refused"), "refused");
    assert_eq!(
        prints(&["--read-only", "--tmpfs", "/scratch"], "touch /scratch/x && echo written"),
        "written"
    );
}

#[test]
fn it_is_confined_as_dockers_are() {
    let status = prints(&[], "cat /proc/self/status");
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    assert_eq!(field("CapEff:"), "00000000a80425fb");
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(prints(&[], "cat /proc/kcore 2>/dev/null | wc -c"), "0");
    assert_eq!(
        prints(&[], "echo x 2>/dev/null > /proc/sysrq-trigger && echo written || echo refused"),
        "refused"
    );
    assert_eq!(
        prints(&[], "mount -t tmpfs none /tmp 2>/dev/null && echo mounted || echo refused"),
        "refused"
    );
    assert_eq!(prints(&["--privileged"], "mkdir -p /m; mount -t tmpfs none /m && echo mounted"), "mounted");
    assert_eq!(
        prints(&["--cap-drop", "ALL"], "grep CapEff /proc/self/status").split_whitespace().last(),
        Some("0000000000000000")
    );
    let processes: u32 = prints(&[], "ls /proc | grep -c '^[0-9]'").parse().unwrap();
    assert!(processes < 8);
}

#[test]
fn names_clash_and_are_made_up() {
    let house = shared();
    let container = house.container();
    house.ok(&["create", "--name", &container.name, "busybox"]);
    house.fails(125, &["run", "--name", &container.name, "busybox"]).says(&container.name);
    house.fails(125, &["create", "--name", &container.name, "busybox"]).says("in use");
    house.fails(125, &["run", "--name", "not/a name", "busybox"]).says("not/a name");
    let id = house.ok(&["create", "busybox"]).text().to_owned();
    let name = house.ok(&["inspect", "--format", "{{.Name}}", &id]).text().to_owned();
    assert!(name.starts_with('/') && name.contains('_'), "{name}");
    house.ok(&["rm", name.trim_start_matches('/')]);
}

#[test]
fn ps_shows_and_filters() {
    let house = shared();
    let label = unique("label");
    let label_flag = format!("test={label}");
    let running = house.detached(&["--label", &label_flag], "busybox", &["sleep", "1000"]);
    let ended = house.detached(&["--label", &label_flag], "busybox", &["sh", "-c", "exit 3"]);
    house.ok(&["wait", &ended.name]);
    let by_label = format!("label={label_flag}");
    let names = |args: &[&str]| {
        let mut all = vec!["ps", "--format", "{{.Names}}", "--filter", &by_label];
        all.extend(args);
        let mut names: Vec<String> = house.ok(&all).stdout.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(&[]), [running.name.as_str()]);
    let mut both = [running.name.clone(), ended.name.clone()];
    both.sort();
    assert_eq!(names(&["-a"]), both);
    assert_eq!(names(&["-a", "--filter", "status=exited"]), [ended.name.as_str()]);
    assert_eq!(names(&["-a", "--filter", "exited=3"]), [ended.name.as_str()]);
    assert_eq!(names(&["-a", "--filter", &format!("name={}", running.name)]), [running.name.as_str()]);
    assert_eq!(names(&["-a", "--filter", "ancestor=busybox"]), both);
    house.fails(125, &["ps", "--filter", "no-such-filter=1"]).says("no-such-filter");

    let table = house.ok(&["ps", "--filter", &by_label]).stdout;
    assert!(table.starts_with("CONTAINER ID   IMAGE     COMMAND"), "{table}");
    assert!(table.contains("busybox") && table.contains("Up ") && table.contains(&running.name), "{table}");
    let id = house.ok(&["ps", "-q", "--filter", &by_label]).text().to_owned();
    assert_eq!(id.len(), 12);
    assert_eq!(house.ok(&["ps", "-q", "--no-trunc", "--filter", &by_label]).text().len(), 64);
    let row: Value = serde_json::from_str(
        house.ok(&["container", "ls", "--format", "json", "--filter", &by_label]).text(),
    )
    .unwrap();
    assert_eq!(row["Names"], running.name.as_str());
    let status =
        house.ok(&["ps", "-a", "--format", "{{.Status}}", "--filter", &format!("name={}", ended.name)]);
    assert!(status.text().starts_with("Exited (3) "), "{}", status.text());
}

#[test]
fn inspect_has_dockers_fields() {
    let house = shared();
    let container = house.detached(
        &["--label", "a=b", "-p", "127.0.0.1::80", "-e", "X=y", "--hostname", "ship", "-v", "/anonymous"],
        "busybox",
        &["sleep", "1000"],
    );
    let format = |format: &str| house.ok(&["inspect", "--format", format, &container.name]).text().to_owned();
    assert_eq!(format("{{.State.Running}}"), "true");
    assert_eq!(format("{{.State.Status}} {{.State.ExitCode}}"), "running 0");
    assert_eq!(format("{{.Config.Hostname}}"), "ship");
    assert_eq!(format("{{json .Config.Cmd}}"), r#"["sleep","1000"]"#);
    assert_eq!(format("{{index .Config.Labels \"a\"}}"), "b");
    assert_eq!(format("{{range .Mounts}}{{.Destination}} {{.Type}}{{end}}"), "/anonymous volume");
    assert_eq!(
        format("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}"),
        container.port(80).to_string()
    );
    let address = format("{{.NetworkSettings.IPAddress}}");
    assert_eq!(address.split('.').count(), 4, "{address}");
    let pid: u32 = format("{{.State.Pid}}").parse().unwrap();
    assert!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().starts_with("sleep\0"));
    assert!(format("{{range .Config.Env}}{{println .}}{{end}}").contains("X=y"));
    house.fails(1, &["inspect", "--format", "{{.NoSuchField}}", &container.name]).says("NoSuchField");
    house.fails(1, &["inspect", "no-such-thing-anywhere"]).says("no-such-thing-anywhere");
}

#[test]
fn both_spellings_do_the_same() {
    let house = shared();
    let container = house.container();
    house.ok(&["container", "create", "--name", &container.name, "busybox", "sh", "-c", "echo hello"]);
    house.ok(&["container", "start", "--attach", &container.name]);
    assert_eq!(house.ok(&["container", "logs", &container.name]).text(), "hello");
    assert_eq!(house.ok(&["container", "wait", &container.name]).text(), "0");
    assert_eq!(
        house.ok(&["container", "inspect", "--format", "{{.State.Status}}", &container.name]).text(),
        "exited"
    );
    house.ok(&["container", "rm", &container.name]);
    assert_eq!(house.ok(&["container", "run", "--rm", "busybox", "echo", "hi"]).text(), "hi");
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
fn many_at_once() {
    let house = shared();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|number: i32| {
                scope.spawn(move || busybox(&[], &["sh", "-c", &format!("echo {number}; exit {number}")]))
            })
            .collect();
        for (number, one) in all.into_iter().enumerate() {
            let out = one.join().unwrap().fails(i32::try_from(number).unwrap());
            assert_eq!(out.text(), number.to_string());
        }
    });
    house.ok(&["ps", "--all"]);
}

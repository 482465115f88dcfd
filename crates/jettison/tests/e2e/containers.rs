//! Containers: how they run, how they end, and what is told of them.

use crate::harness::{Context, LIMIT, Out, folder, own_with_busybox, run, run_with_input, shared, unique};
use serde_json::Value;
use std::fs;

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
pub(crate) fn prints(flags: &[&str], command: &str) -> String {
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
        prints(&["--add-host", "zulu:10.1.2.3"], "grep zulu /etc/hosts")
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["10.1.2.3", "zulu"]
    );
    assert_eq!(prints(&[], "echo $HOSTNAME").len(), 12, "the short id");
}

#[test]
fn entrypoint_and_command_take_each_others_place() {
    let (house, name) = (shared(), unique("entrypoint"));
    let context = Context::dockerfile("FROM busybox\nENTRYPOINT [\"echo\", \"entry\"]\nCMD [\"command\"]\n");
    house.build(&context, &["--tag", &name]);
    let text = |args: &[&str]| house.ok(args).text().to_owned();
    assert_eq!(text(&["run", "--rm", &name]), "entry command");
    assert_eq!(text(&["run", "--rm", &name, "other", "words"]), "entry other words");
    assert_eq!(text(&["run", "--rm", "--entrypoint", "printf", &name, "%s.", "a", "b"]), "a.b.");
    // The image's command goes with its entrypoint.
    assert_eq!(text(&["run", "--rm", "--entrypoint", "echo", &name]), "");
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
    let mut archive = house.command(&["cp", "-", &inside("/new")]);
    archive.current_dir("/");
    run_with_input(archive, Some(&tar.bytes), LIMIT).ok();
    assert_eq!(container.exec(&["cat", "/new/deep/f"]).ok().stdout, "inside\n");
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
    let wrong = house.run(&["ps", "--filter", "no-such-filter=1"]);
    assert_ne!(wrong.code, Some(0));
    wrong.says("no-such-filter");

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

#[test]
fn ps_shows_an_image_by_its_id_once_its_name_is_gone() {
    let house = own_with_busybox();
    let id = house.ok(&["images", "-q", "busybox"]).text().to_owned();
    house.ok(&["tag", "busybox", "gone"]);
    house.ok(&["tag", "busybox", "moved"]);
    for name in ["busybox", "gone", "moved"] {
        house.ok(&["create", "--name", name, name]);
    }
    house.ok(&["rmi", "gone"]);
    house.build(&Context::dockerfile("FROM busybox\nLABEL a=b\n"), &["--tag", "moved"]);
    let shown = house.ok(&["ps", "--all", "--format", "{{.Names}} {{.Image}}"]).stdout;
    let mut shown: Vec<&str> = shown.lines().collect();
    shown.sort_unstable();
    assert_eq!(shown, ["busybox busybox".to_owned(), format!("gone {id}"), format!("moved {id}")]);
}

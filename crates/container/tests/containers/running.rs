//! What a container sees and does: streams, users, mounts, volumes, exec, terminals, health.

use crate::support::{Kit, alone, collect, sh, words};
use container::{Exec, NewContainer, NewMount, Outcome, RunOptions, Streams, logs};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

#[test]
fn streams_and_exit_code_reach_the_caller() {
    let kit = Kit::new();
    let (code, out, err) = kit.run(sh("echo out; echo err >&2; exit 9"));
    assert_eq!((code, out.as_str(), err.as_str()), (9, "out\n", "err\n"));
    // More than any pipe or socket holds.
    let (code, out, _) = kit.run(sh("yes 0123456789 | head -c 3000000"));
    assert_eq!((code, out.len()), (0, 3_000_000));
}

#[test]
fn standard_input_is_passed_on_to_its_end() {
    let kit = Kit::new();
    let new = NewContainer {
        options: RunOptions { open_stdin: true, stdin_once: true, ..alone() },
        ..sh("wc -c; cat /dev/stdin | wc -c")
    };
    let id = kit.containers.create(&new).unwrap().id;
    let attached = kit.containers.start(&id, true, true, None).unwrap().attached.unwrap();
    let bytes = vec![b'x'; 1 << 20];
    let (code, out, _) = collect(attached, Some(&bytes));
    assert_eq!((code, out.as_str()), (0, "1048576\n0\n"));
    // What goes in and out at once does not block.
    let new =
        NewContainer { options: RunOptions { open_stdin: true, stdin_once: true, ..alone() }, ..sh("cat") };
    let id = kit.containers.create(&new).unwrap().id;
    let attached = kit.containers.start(&id, true, true, None).unwrap().attached.unwrap();
    let (_, out, _) = collect(attached, Some(&bytes));
    assert_eq!(out.len(), bytes.len());
}

#[test]
fn what_it_sees_is_what_was_asked() {
    let kit = Kit::with(oci::ContainerConfig {
        env: vec!["FROM=image".into(), "KEPT=1".into()],
        working_dir: "/work/here".into(),
        user: "ann".into(),
        ..oci::ContainerConfig::default()
    });
    let new = NewContainer {
        env: vec!["FROM=user".into()],
        hostname: Some("inner".into()),
        options: RunOptions {
            extra_hosts: vec![("db".into(), "192.0.2.7".parse().unwrap())],
            dns: vec!["192.0.2.99".parse().unwrap()],
            ..alone()
        },
        ..sh(
            "id -un; echo $FROM $KEPT $HOME; pwd; hostname; cat /etc/hostname; grep db /etc/hosts; cat /etc/resolv.conf",
        )
    };
    let (code, out, err) = kit.run(new);
    assert_eq!(
        out, "ann\nuser 1 /home/ann\n/work/here\ninner\ninner\n192.0.2.7\tdb\nnameserver 192.0.2.99\n",
        "{code} {err}"
    );
    let new = NewContainer {
        user: Some("1234:5".into()),
        options: RunOptions { read_only: true, ..alone() },
        ..sh("id -u; id -g; touch /x 2>&1; cat /proc/1/comm")
    };
    let (_, out, _) =
        kit.run(NewContainer { options: RunOptions { init: true, ..new.options.clone() }, ..new });
    assert_eq!(out, "1234\n5\ntouch: /x: Read-only file system\ninit\n");
    // The files that name things are in no layer.
    let container = &kit.containers.list().unwrap()[0];
    let layer = kit.store.container(&container.id).unwrap().unwrap().layer.unwrap();
    let upper = kit.store.layer_dir(layer).join("fs/etc/hosts");
    assert!(std::fs::read(&upper).map_or(true, |bytes| bytes.is_empty()), "only a mount point");
}

#[test]
fn mounts_of_all_kinds() {
    let kit = Kit::new();
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("file"), "host\n").unwrap();
    let bind = |target: &str, readonly| NewMount::Bind {
        source: host.path().into(),
        target: target.into(),
        readonly,
        create: false,
        recursive: true,
    };
    let tmpfs = NewMount::Tmpfs {
        target: "/mem".into(),
        size: Some(1 << 20),
        mode: Some(0o700),
        readonly: false,
        noexec: false,
    };
    let new = NewContainer {
        mounts: vec![bind("/rw", false), bind("/ro", true), tmpfs],
        ..sh(
            "cat /ro/file; touch /ro/x 2>&1; echo new > /rw/made; stat -c %a /mem; df -k /mem | tail -1 | awk '{print $2}'",
        )
    };
    let (_, out, _) = kit.run(new);
    assert_eq!(out, "host\ntouch: /ro/x: Read-only file system\n700\n1024\n");
    assert_eq!(std::fs::read_to_string(host.path().join("made")).unwrap(), "new\n");
    let gone = NewContainer {
        mounts: vec![NewMount::Bind {
            source: host.path().join("gone"),
            target: "/x".into(),
            readonly: false,
            create: false,
            recursive: true,
        }],
        ..sh("true")
    };
    assert!(kit.containers.create(&gone).unwrap_err().to_string().contains("gone"));
}

#[test]
fn a_new_volume_has_the_images_files_once() {
    let kit = Kit::with(oci::ContainerConfig {
        volumes: std::collections::BTreeMap::from([("/data".to_owned(), oci::Empty {})]),
        ..oci::ContainerConfig::default()
    });
    let id =
        kit.start(sh("stat -c '%n %u:%g' /data /data/sub/file; cat /data/sub/file; echo mine > /data/mine"));
    kit.containers.wait(&id).unwrap();
    assert_eq!(kit.log(&id), "/data 1000:1000\n/data/sub/file 1000:7\nfrom the image");
    kit.containers.start(&id, false, false, None).unwrap();
    assert_eq!(kit.containers.wait(&id).unwrap(), 0);
    let volume = |name: &str| NewMount::Volume {
        name: Some(name.into()),
        target: "/data".into(),
        readonly: false,
        nocopy: false,
        subpath: String::new(),
    };
    let script = "ls /data; rm -r /data/sub; echo left > /data/left";
    let (_, out, _) = kit.run(NewContainer { mounts: vec![volume("named")], ..sh(script) });
    assert_eq!(out, "sub\n");
    let (_, out, _) = kit.run(NewContainer { mounts: vec![volume("named")], ..sh("ls /data") });
    assert_eq!(out, "left\n", "nothing is copied a second time");
    kit.containers.remove(&id, false, true).unwrap();
    let left: Vec<_> = kit.store.volumes().unwrap().into_iter().map(|volume| volume.name).collect();
    assert_eq!(left, ["named"], "the anonymous one went with its container");
}

#[test]
fn other_processes_run_inside() {
    let kit = Kit::new();
    let new = NewContainer {
        env: vec!["A=1".into()],
        hostname: Some("inner".into()),
        ..sh("touch /made; sleep 1000")
    };
    let id = kit.start(new);
    kit.until("it is up", || kit.exec(&id, "test -e /made").0 == 0);
    let (code, out, err) = kit.exec(&id, "hostname; echo $A; echo err >&2; exit 6");
    assert_eq!((code, out.as_str(), err.as_str()), (6, "inner\n1\n", "err\n"));
    let exec = Exec {
        args: words(&["sh", "-c", "id -un; pwd; echo $A$B; cat"]),
        env: words(&["A=2", "B=3"]),
        cwd: Some("/tmp".into()),
        user: Some("ann".into()),
        stdin: true,
        ..Exec::default()
    };
    let (code, out, _) = collect(kit.containers.exec(&id, &exec).unwrap(), Some(b"typed\n"));
    assert_eq!((code, out.as_str()), (0, "ann\n/tmp\n23\ntyped\n"));
    for (program, code) in [("nosuch", 127), ("/bin/noexec", 126)] {
        let exec = Exec { args: words(&[program]), ..Exec::default() };
        let error = kit.containers.exec(&id, &exec).unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
    }
    let exec =
        Exec { args: words(&["sh", "-c", "touch /later; sleep 1000"]), detach: true, ..Exec::default() };
    kit.containers.exec(&id, &exec).unwrap();
    kit.until("the detached one ran", || kit.exec(&id, "test -e /later").0 == 0);
    let listed = kit.containers.processes(&id).unwrap();
    assert!(
        listed.iter().filter(|process| process.command.contains("sleep 1000")).count() >= 2,
        "{listed:?}"
    );
    // Killing a process of exec does not end the container; the container's end ends them.
    let long =
        kit.containers.exec(&id, &Exec { args: words(&["sleep", "1000"]), ..Exec::default() }).unwrap();
    kit.containers.kill(&id, 9).unwrap();
    assert_eq!(collect(long, None).0, 137);
    assert!(kit.containers.exec(&id, &exec).is_err());
}

#[test]
fn a_terminal_with_its_size_and_detach_keys() {
    let kit = Kit::new();
    let new = NewContainer {
        options: RunOptions { tty: true, open_stdin: true, ..alone() },
        ..sh("test -t 0 && stty size; read a; echo got $a; read b; exit $b")
    };
    let id = kit.containers.create(&new).unwrap().id;
    let attached = kit.containers.start(&id, true, true, Some((31, 97))).unwrap().attached.unwrap();
    let (mut out, out_write) = std::io::pipe().unwrap();
    let (in_read, mut keys) = std::io::pipe().unwrap();
    keys.write_all(b"hello\n").unwrap();
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let streams = Streams {
                stdin: Some(in_read.as_fd()),
                stdout: Some(out_write.as_fd()),
                detach_keys: b"\x10\x11".to_vec(),
                ..Streams::default()
            };
            attached.run(&streams).unwrap()
        });
        let mut seen = String::new();
        let mut buffer = [0; 256];
        while !seen.contains("got hello") {
            let count = out.read(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        assert!(seen.contains("31 97"), "{seen}");
        keys.write_all(b"\x10\x11").unwrap();
        running.join().unwrap()
    });
    assert_eq!(outcome, Outcome::Detached);
    assert!(kit.containers.get(&id).unwrap().state.is_running());
    let again = kit.containers.attach(&id, true, Some((10, 20))).unwrap();
    let (code, _, _) = collect(again, Some(b"13\n"));
    assert_eq!(code, 13);
}

#[test]
fn a_log_is_followed_to_the_end() {
    let kit = Kit::new();
    let id = kit.start(sh("for n in 1 2 3 4; do echo $n; sleep 0.1; done"));
    let mut text = String::new();
    let options = logs::Options { follow: true, tail: Some(100), ..logs::Options::default() };
    kit.containers
        .logs(&id, &options, &mut |_, bytes| {
            text.push_str(std::str::from_utf8(bytes).unwrap());
            Ok(())
        })
        .unwrap();
    assert_eq!(text, "1\n2\n3\n4\n");
}

#[test]
fn limits_and_rights() {
    let kit = Kit::new();
    let new = NewContainer {
        options: RunOptions {
            cap_drop: words(&["ALL"]),
            cap_add: words(&["CHOWN"]),
            ulimits: vec![("nofile".into(), 100, 200)],
            no_new_privileges: true,
            ..alone()
        },
        ..sh("grep CapEff /proc/self/status; ulimit -n; ulimit -Hn; grep NoNewPrivs /proc/self/status")
    };
    let (_, out, _) = kit.run(new);
    assert_eq!(out, "CapEff:\t0000000000000001\n100\n200\nNoNewPrivs:\t1\n");
    let limits = container::Limits { memory: Some(32 << 20), pids: Some(50), ..container::Limits::default() };
    let new = NewContainer {
        options: RunOptions { limits, ..alone() },
        ..sh("head -c 200m /dev/zero | tail | wc -c; exit 0")
    };
    let id = kit.start(new);
    kit.containers.wait(&id).unwrap();
    assert!(kit.containers.get(&id).unwrap().state.oom_killed);
    assert!(!kit.log(&id).contains("209715200"));
}

#[test]
fn a_health_check_says_how_it_is() {
    let kit = Kit::with(oci::ContainerConfig {
        healthcheck: Some(oci::Healthcheck {
            test: words(&["CMD-SHELL", "test -e /well && echo fine"]),
            interval: 30_000_000,
            retries: 2,
            ..oci::Healthcheck::default()
        }),
        ..oci::ContainerConfig::default()
    });
    let id = kit.start(sh("sleep 1000"));
    let health = || kit.containers.get(&id).unwrap().state.health.unwrap();
    kit.until("it is unwell", || health().status == "unhealthy");
    kit.exec(&id, "touch /well");
    kit.until("it is well", || health().status == "healthy");
    assert!(health().log.last().unwrap().output.contains("fine"));
    std::thread::sleep(Duration::from_millis(1));
}

#[test]
fn a_process_that_leaves_others_behind_does_not_hold_its_client() {
    let kit = Kit::new();
    let id = kit.start(sh("sleep 1000"));
    let begun = std::time::Instant::now();
    let (code, out, _) = kit.exec(&id, "sleep 1000 & echo started");
    assert_eq!((code, out.as_str()), (0, "started\n"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_reader_that_has_gone_ends_the_session() {
    let kit = Kit::new();
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    for (output, outcome) in [(write.as_fd(), Outcome::OutputGone), (full.as_fd(), Outcome::OutputFailed(28))]
    {
        let id = kit.containers.create(&sh("yes")).unwrap().id;
        let attached = kit.containers.start(&id, true, false, None).unwrap().attached.unwrap();
        let streams = Streams { stdout: Some(output), ..Streams::default() };
        assert_eq!(attached.run(&streams).unwrap(), outcome);
        assert!(kit.containers.get(&id).unwrap().state.is_running());
    }
}

//! Steps as root: exit codes, isolation, mounts, streams.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::{
    Capabilities, Confinement, Error, ExitStatus, Launcher, Mount, MountKind, Network, Rlimit, Seccomp,
    Stdio, Stream, Tree, mountpoint, user,
};
use support::{Root, output, run};

#[test]
fn exit_codes_and_signals() {
    let root = Root::new();
    assert_eq!(run(&root.sh("exit 7")).0, ExitStatus::Code(7));
    // Process 1 of a namespace is not killed by its own signals, its child is.
    let root = Root::new();
    assert_eq!(run(&root.sh("sh -c 'kill -TERM $$'; exit $?")).0, ExitStatus::Code(143));
    let root = Root::new();
    let launcher = Launcher::new().unwrap();
    let child = launcher.spawn(&root.sh("sleep 100"), &Stdio::default()).unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(child.wait_timeout(Duration::from_millis(20)).unwrap(), None);
    child.kill(9).unwrap();
    assert_eq!(child.wait().unwrap(), ExitStatus::Signal(9));
    assert_eq!(child.wait().unwrap().code(), 137);
    child.kill(9).unwrap();
}

#[test]
fn what_cannot_be_executed_is_told_apart() {
    let launcher = Launcher::new().unwrap();
    for (args, code, text) in [
        (["nosuch"], 127, "exec `nosuch`: executable file not found in $PATH"),
        (["/bin/nosuch"], 127, "exec `/bin/nosuch`: no such file or directory"),
        (["badinterp"], 127, "exec `badinterp`: its interpreter: no such file or directory"),
        (["noexec"], 126, "exec `noexec`: Permission denied (os error 13)"),
        (["/bin"], 126, "exec `/bin`: Permission denied (os error 13)"),
    ] {
        let root = Root::new();
        let error = launcher.spawn(&root.spec(&args), &Stdio::default()).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (code, text));
    }
    let root = Root::new();
    let mut spec = root.sh("true");
    spec.cwd = "/missing".into();
    let error = launcher.spawn(&spec, &Stdio::default()).unwrap_err().to_string();
    assert!(error.contains("change directory to `/missing`"), "{error}");
    let root = Root::new();
    let mut spec = root.sh("pwd");
    spec.cwd = "/made/for/it".into();
    spec.make_cwd = true;
    assert_eq!(output(&spec), "/made/for/it\n");
    assert_eq!(root.upper.join("made/for").metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn process_and_names_are_its_own() {
    let root = Root::new();
    let mut spec = root.sh("echo $$; hostname; cat /proc/sys/kernel/domainname; ps -o pid,args | grep -c .; umask; echo $A; pwd; ls /");
    spec.hostname = Some("box".into());
    spec.domainname = Some("dom".into());
    spec.env.push("A=b c".into());
    let text = output(&spec);
    assert_eq!(text, "1\nbox\ndom\n4\n0022\nb c\n/\nbin\ndev\netc\nhome\nproc\nsys\ntmp\n", "{text}");
}

#[test]
fn a_killed_step_leaves_nothing() {
    let root = Root::new();
    let launcher = Launcher::new().unwrap();
    let mark = format!("{}", 1_000_000 + std::process::id());
    let script = format!("setsid sleep {mark} & sleep {mark} & echo ready; wait");
    let child = launcher.spawn(&root.sh(&script), &Stdio::piped()).unwrap();
    let mut ready = [0; 6];
    rustix::io::read(child.take_stdout().unwrap(), &mut ready).unwrap();
    let count = || {
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|entry| {
                std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
                    line.starts_with(b"sleep") && String::from_utf8_lossy(&line).contains(&mark)
                })
            })
            .count()
    };
    let begun = Instant::now();
    while count() < 2 && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(count(), 2);
    child.kill(9).unwrap();
    child.wait().unwrap();
    assert_eq!(count(), 0);
    // The main process's end is the end of what it left, too.
    let root = Root::new();
    let child =
        launcher.spawn(&root.sh(&format!("setsid sleep {mark} & exit 3")), &Stdio::default()).unwrap();
    assert_eq!(child.wait().unwrap().code(), 3);
    assert_eq!(count(), 0);
    // And so is the launcher's.
    let root = Root::new();
    let child = launcher.spawn(&root.sh(&format!("sleep {mark}")), &Stdio::default()).unwrap();
    drop(launcher);
    assert_eq!(child.wait().unwrap(), ExitStatus::Signal(9));
}

#[test]
fn root_and_proc_are_confined() {
    let root = Root::new();
    let script = "
        for f in /proc/kcore /proc/keys /proc/timer_list; do [ -e $f ] && wc -c < $f; done | sort -u
        [ -d /sys/firmware ] && ls /sys/firmware | wc -l
        echo x > /proc/sys/kernel/hostname || echo ro
        echo x > /proc/sysrq-trigger || echo ro
        mkdir /sys/fs/x || echo ro
        touch /dev/shm/x /dev/y /tmp/z && echo rw
        mount -t tmpfs x /tmp || echo denied
        unshare -U true || echo denied
        hostname other || echo denied";
    let (_, out, _) = run(&root.sh(script));
    assert_eq!(out, "0\n0\nro\nro\nro\nrw\ndenied\ndenied\ndenied\n");
}

#[test]
fn devices_are_docker_s_and_no_others() {
    let root = Root::new();
    let script = "
        echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c
        ls /dev | tr '\\n' ' '; echo
        mknod /dev/disk b 254 0 && echo made; head -c 1 /dev/disk || echo shut
        mknod /tmp/disk b 254 0 && echo made; head -c 1 /tmp/disk || echo shut
        mknod /dev/shm/null c 1 3; echo > /dev/shm/null || echo shut
        chmod 600 /dev/null || echo kept
        for link in ptmx fd stdout; do readlink /dev/$link; done";
    let (_, out, err) = run(&root.sh(script));
    assert_eq!(
        out,
        "3\n3\ncore fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \n\
         made\nshut\nmade\nshut\nshut\nkept\npts/ptmx\n/proc/self/fd\n/proc/self/fd/1\n",
        "{err}"
    );
    assert_eq!(Path::new("/dev/null").metadata().unwrap().mode() & 0o777, 0o666);
}

#[test]
fn capabilities_and_filter_are_docker_s() {
    let caps = |spec: &sandbox::Spec| output(spec);
    let script = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | tr -s '\\t' ' '";
    let root = Root::new();
    let text = caps(&root.sh(script));
    assert_eq!(
        text,
        "CapInh: 0000000000000000\nCapPrm: 00000000a80425fb\nCapEff: 00000000a80425fb\n\
         CapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n"
    );
    let root = Root::new();
    let mut spec = root.sh(script);
    (spec.uid, spec.gid, spec.no_new_privileges, spec.seccomp) = (1000, 1000, true, Seccomp::Unconfined);
    let text = caps(&spec);
    assert!(text.contains("CapEff: 0000000000000000") && text.contains("CapBnd: 00000000a80425fb"), "{text}");
    assert!(text.contains("NoNewPrivs: 1\nSeccomp: 0"), "{text}");
    // With CAP_SYS_ADMIN mounting is allowed by both.
    let root = Root::new();
    let mut spec = root.sh("mount -t tmpfs x /tmp && hostname other && hostname");
    spec.capabilities = Capabilities::ALL;
    spec.confinement = Confinement::Privileged;
    spec.seccomp = Seccomp::Unconfined;
    assert_eq!(output(&spec), "other\n");
}

#[test]
fn ids_are_as_asked() {
    let root = Root::new();
    let mut spec =
        root.sh("id -u; id -g; id -G; echo hi > /dev/stdout; touch /tmp/mine; touch /mine || echo no");
    let Tree::Mount(fd) = &spec.root else { unreachable!() };
    let found = user::lookup(fd, "ann").unwrap();
    (spec.uid, spec.gid, spec.additional_gids) = (found.uid, found.gid, found.additional_gids);
    let (_, out, _) = run(&spec);
    assert_eq!(out, "1000\n1000\n1000 44\nhi\nno\n");
    assert_eq!(root.upper.join("tmp/mine").metadata().unwrap().uid(), 1000);
}

#[test]
fn mounts_of_every_kind() {
    let root = Root::new();
    let host = tempfile::tempdir().unwrap();
    std::fs::write(host.path().join("file"), "from the host").unwrap();
    std::os::unix::fs::symlink("/etc", root.dir.path().join("top/link")).unwrap();
    let bind =
        |readonly| MountKind::Bind { source: Tree::Path(host.path().into()), readonly, recursive: false };
    let script = "
        cat /deep/er/file; echo w > /deep/er/out; echo w > /ro/out || echo ro
        cat /etc/resolv.conf; cat /run/secrets/s; stat -c '%a %u' /run/secrets/s
        stat -c '%a %u' /cache; touch /cache/sub/x; ls /cache";
    let mut spec = root.sh(script);
    spec.mounts = vec![
        Mount { target: "/cache/sub".into(), kind: bind(false) },
        Mount { target: "/deep/er".into(), kind: bind(false) },
        Mount { target: "/ro".into(), kind: bind(true) },
        Mount {
            target: "/link/resolv.conf".into(),
            kind: MountKind::Bind {
                source: Tree::Path(host.path().join("file")),
                readonly: true,
                recursive: false,
            },
        },
        Mount {
            target: "/run/secrets/s".into(),
            kind: MountKind::Data { bytes: b"hush".into(), mode: 0o400, uid: 7, gid: 7, readonly: true },
        },
        Mount {
            target: "/cache".into(),
            kind: MountKind::Tmpfs {
                size: Some(1 << 20),
                mode: 0o1770,
                uid: 5,
                gid: 5,
                noexec: false,
                readonly: false,
            },
        },
    ];
    let root_fd = match &spec.root {
        Tree::Mount(fd) => fd.clone(),
        _ => unreachable!(),
    };
    let launcher = Launcher::new().unwrap();
    let child = launcher.spawn(&spec, &Stdio::piped()).unwrap();
    let created = child.created().to_vec();
    let (status, out, err) = support::finish(child);
    assert_eq!(out, "from the hostro\nfrom the hosthush400 7\n1770 5\nsub\n", "{err}");
    assert!(status.success(), "{err}");
    assert!(host.path().join("out").exists() && host.path().join("x").exists());
    let mut paths: Vec<_> = created.iter().map(|point| point.path.display().to_string()).collect();
    paths.sort();
    // `/cache/sub` was made in a file system that is gone, `resolv.conf` through a link.
    assert_eq!(
        paths,
        [
            "/cache",
            "/deep",
            "/deep/er",
            "/dev",
            "/link/resolv.conf",
            "/proc",
            "/ro",
            "/run",
            "/run/secrets",
            "/run/secrets/s",
            "/sys"
        ]
    );
    assert!(root.upper.join("etc/resolv.conf").exists());
    let before = root.dir.path().join("base/etc").metadata().unwrap().modified().unwrap();
    mountpoint::remove(&root_fd, &created).unwrap();
    let left: Vec<_> = std::fs::read_dir(&root.upper).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["etc"], "only the directory that a file was made in remains");
    assert_eq!(root.upper.join("etc").read_dir().unwrap().count(), 0);
    assert_eq!(root.upper.join("etc").metadata().unwrap().modified().unwrap(), before);
}

#[test]
fn read_only_root() {
    let root = Root::new();
    let mut spec = root.sh("touch /x || echo ro; touch /tmp/x && echo tmp; touch /dev/shm/x && echo shm");
    spec.readonly_root = true;
    spec.mounts = vec![Mount {
        target: "/tmp".into(),
        kind: MountKind::Tmpfs { size: None, mode: 0o1777, uid: 0, gid: 0, noexec: true, readonly: false },
    }];
    assert_eq!(run(&spec).1, "ro\ntmp\nshm\n");
}

#[test]
fn more_mount_points_are_made_than_reports_fit_into_a_pipe() {
    let root = Root::new();
    let mut spec = root.sh("echo on");
    spec.mounts = vec![Mount {
        target: "/m".repeat(1500).into(),
        kind: MountKind::Tmpfs { size: None, mode: 0o755, uid: 0, gid: 0, noexec: true, readonly: false },
    }];
    assert_eq!(run(&spec).1, "on\n");
}

#[test]
fn networks() {
    let root = Root::new();
    let devices = "tail -n +3 /proc/net/dev | cut -d: -f1; ping -c1 -W1 127.0.0.1 > /dev/null && echo up";
    assert_eq!(output(&root.sh(devices)).split_whitespace().collect::<Vec<_>>(), ["lo", "up"]);
    let root = Root::new();
    let namespace = Arc::new(sandbox::netns::new_netns().unwrap());
    let mut spec = root.sh("readlink /proc/self/ns/net");
    spec.network = Network::Join(namespace.clone());
    let inode = rustix::fs::fstat(&namespace).unwrap().st_ino;
    assert_eq!(output(&spec), format!("net:[{inode}]\n"));
    let root = Root::new();
    let mut spec = root.sh("readlink /proc/self/ns/net");
    spec.network = Network::Host;
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(output(&spec).trim(), own.to_str().unwrap());
}

#[test]
fn streams_go_where_they_should() {
    let root = Root::new();
    let launcher = Launcher::new().unwrap();
    let (read, write) = rustix::pipe::pipe().unwrap();
    let write = Arc::new(write);
    let stdio = Stdio::Streams {
        stdin: Stream::Pipe,
        stdout: Stream::Fd(write.clone()),
        stderr: Stream::Fd(write.clone()),
    };
    let child = launcher.spawn(&root.sh("cat; echo err >&2; ls /proc/self/fd | wc -l"), &stdio).unwrap();
    drop((stdio, write));
    rustix::io::write(child.take_stdin().unwrap(), b"in\n").unwrap();
    assert_eq!(std::io::read_to_string(std::fs::File::from(read)).unwrap(), "in\nerr\n4\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn limits_that_cannot_be_had_are_warnings() {
    let root = Root::new();
    let mut spec = root.sh("ulimit -n; cat /proc/self/oom_score_adj");
    spec.rlimits = vec![
        Rlimit { resource: sandbox::rlimit_by_name("nofile").unwrap(), soft: 123, hard: 123 },
        Rlimit { resource: 99, soft: 1, hard: 1 },
    ];
    spec.oom_score_adj = Some(321);
    let launcher = Launcher::new().unwrap();
    let child = launcher.spawn(&spec, &Stdio::piped()).unwrap();
    assert_eq!(child.warnings(), ["cannot set the limit unknown to 1:1: Invalid argument (os error 22)"]);
    assert_eq!(support::finish(child).1, "123\n321\n");
}

#[test]
fn steps_start_from_many_threads_at_a_time() {
    let launcher = Launcher::new().unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let launcher = &launcher;
            scope.spawn(move || {
                for m in 0..5 {
                    let root = Root::new();
                    let code = n * 8 + m;
                    let child = launcher.spawn(&root.sh(&format!("exit {code}")), &Stdio::default()).unwrap();
                    assert_eq!(child.wait().unwrap().code(), code);
                }
            });
        }
    });
}

#[test]
fn a_target_that_is_a_dangling_link_is_refused() {
    let root = Root::new();
    std::os::unix::fs::symlink("/nowhere", root.dir.path().join("top/dangling")).unwrap();
    let mut spec = root.sh("true");
    spec.mounts = vec![Mount {
        target: "/dangling".into(),
        kind: MountKind::Tmpfs { size: None, mode: 0o755, uid: 0, gid: 0, noexec: false, readonly: false },
    }];
    let error = Launcher::new().unwrap().spawn(&spec, &Stdio::default()).unwrap_err();
    assert!(matches!(error, Error::Start { .. }) && error.to_string().contains("/dangling"), "{error}");
}

#[test]
fn descriptors_of_the_launcher_are_no_way_out() {
    let launcher = Launcher::new().unwrap();
    let outside = std::fs::File::open("/").unwrap();
    for number in 3..40 {
        let root = Root::new();
        let mut spec = root.sh("true");
        spec.cwd = format!("/proc/self/fd/{number}").into();
        let error = launcher.spawn(&spec, &Stdio::default()).unwrap_err().to_string();
        assert!(error.contains("change directory"), "{error}");
    }
    drop(outside);
}

#[test]
fn control_groups_are_shown_read_only() {
    let root = Root::new();
    let script = "
        find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs | head -1 | grep -c .
        mkdir /sys/fs/cgroup/x || echo ro
        file=$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs | head -1); echo $$ > $file || echo ro";
    let mut spec = root.sh(script);
    spec.mount_cgroup = true;
    let launcher = Launcher::new().unwrap();
    let child = launcher.spawn(&spec, &Stdio::piped()).unwrap();
    assert_eq!(child.warnings(), [""; 0]);
    assert_eq!(support::finish(child).1, "1\nro\nro\n");
}

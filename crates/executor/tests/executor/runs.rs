//! RUN: processes over a snapshot of busybox.

use crate::world::{World, copy, write};
use dockerfile::ignore::Patterns;
use executor::Error;
use graph::{CacheSharing, EnvVar, Mount, MountKind, Network, RunOp};
use layer::LayerId;
use session::SecretSource;
use solver::{Input, Snapshot};
use std::time::{Duration, Instant};

/// A base of busybox alone.
fn base(world: &World) -> Input {
    with(world, "")
}

/// Busybox and these files.
fn with(world: &World, more: &str) -> Input {
    let mut draft = world.store.new_layer().unwrap();
    let (folder, _) = draft.make_folders().unwrap();
    write(&folder, "d bin 755 0:0\nd etc 755 0:0\nd tmp 1777 0:0\nf etc/passwd 644 0:0 x");
    std::fs::write(
        folder.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n",
    )
    .unwrap();
    std::fs::write(folder.join("etc/group"), "root:x:0:\nuser:x:1001:\nmore:x:44:user\n").unwrap();
    std::fs::copy("/bin/busybox", folder.join("bin/busybox")).unwrap();
    for name in [
        "sh", "cat", "ls", "id", "mkdir", "touch", "rm", "ln", "echo", "sleep", "chown", "chmod", "test",
        "stat", "env",
    ] {
        std::os::unix::fs::symlink("busybox", folder.join("bin").join(name)).unwrap();
    }
    write(&folder, more);
    let fd = snapshot::open_directory(&folder).unwrap();
    let listing = layer::scan(std::os::fd::AsFd::as_fd(&fd), &layer::ScanOptions::default()).unwrap();
    draft.write_listing(&listing).unwrap();
    let id = draft.id();
    world.store.commit(store::Commit { layers: vec![draft], ..store::Commit::default() }).unwrap();
    snapshot(&[id])
}

fn snapshot(stack: &[LayerId]) -> Input {
    Input::Snapshot(Snapshot { key: oci::Digest::of(b"base"), stack: stack.into() })
}

fn sh(command: &str) -> RunOp {
    RunOp {
        args: vec!["/bin/sh".to_owned(), "-ec".to_owned(), command.to_owned()],
        env: [EnvVar { name: "PATH".to_owned(), value: "/bin".to_owned(), arg: false }].into_iter().collect(),
        cwd: "/".to_owned(),
        network: Network::None,
        ..RunOp::default()
    }
}

fn mounted(command: &str, mounts: Vec<(&str, MountKind)>) -> RunOp {
    let mounts = mounts.into_iter().map(|(target, kind)| Mount { target: target.to_owned(), kind }).collect();
    RunOp { mounts, ..sh(command) }
}

fn cache(id: &str, sharing: CacheSharing, from: Option<(usize, String)>) -> MountKind {
    MountKind::Cache { id: id.to_owned(), sharing, from, mode: 0o755, uid: 0, gid: 0, readonly: false }
}

fn secret(id: &str, file: bool, env: Option<&str>, required: bool) -> MountKind {
    MountKind::Secret {
        id: id.to_owned(),
        file,
        env: env.map(str::to_owned),
        required,
        mode: 0o400,
        uid: 0,
        gid: 0,
    }
}

#[test]
fn what_a_command_leaves_is_the_layer() {
    let world = World::new();
    let base = with(
        &world,
        "d d 755 0:0\nf d/gone 644 0:0 x\nf d/stays 644 0:0 x\nd whole 755 0:0\nf whole/x 644 0:0 x",
    );
    for (command, made) in [
        ("true", ""),
        ("echo hi > /new; chmod 600 /new", "f new 600 0:0"),
        ("mkdir -p /a/b; chown 5:6 /a/b", "d a 755 0:0\nd a/b 755 5:6"),
        ("rm /d/gone", "d d 755 0:0\nw d/gone"),
        ("rm -r /whole; mkdir /whole; touch /whole/y", "o whole 755 0:0\nf whole/y 644 0:0"),
        ("rm -r /whole", "w whole"),
        ("ln -s d /l; echo x > /f; ln /f /g", "f f 644 0:0 link1\nf g 644 0:0 link1\nl l d"),
        ("chmod 700 /d", "d d 700 0:0"),
    ] {
        let stack = world.run(&base, sh(command)).unwrap();
        assert_eq!(world.top(&stack), made, "{command}");
    }
}

#[test]
fn a_command_that_fails_leaves_nothing() {
    let world = World::new();
    let base = base(&world);
    for (command, code) in [
        ("exit 7", 7),
        ("touch /x; false", 1),
        ("/bin/sh -c 'kill -9 $$' || exit $?", 137),
        ("nothing-like-it", 127),
    ] {
        match world.run(&base, sh(command)) {
            Err(Error::Exit { code: is, .. }) => assert_eq!(is, code, "{command}"),
            other => panic!("{command}: {other:?}"),
        }
    }
    assert_eq!(world.leftovers(), 0);
    let missing = RunOp { args: vec!["/no/such/program".to_owned()], ..sh("") };
    let error = world.run(&base, missing).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    assert!(text.contains("/no/such/program") || text.contains("127"), "{text}");
}

#[test]
fn users_are_looked_up_in_the_snapshot() {
    let world = World::new();
    let base = with(&world, "d home 755 0:0\nd home/user 777 1000:1001");
    for (user, is) in [
        ("", "0 0 0 /root"),
        ("user", "1000 1001 1001 44 /home/user"),
        ("user:more", "1000 44 44 /home/user"),
        ("1000", "1000 1001 1001 44 /home/user"),
        ("77:88", "77 88 88 /"),
    ] {
        let command = "echo $(id -u) $(id -g) $(id -G) $HOME > /tmp/who";
        let stack = world.run(&base, RunOp { user: user.to_owned(), ..sh(command) }).unwrap();
        assert_eq!(world.read(&stack, "tmp/who").unwrap().trim(), is, "{user}");
    }
    for user in ["nobody-here", "user:nogroup-here"] {
        let error = world.run(&base, RunOp { user: user.to_owned(), ..sh("true") }).unwrap_err();
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("-here"), "{text}");
    }
}

#[test]
fn mount_points_belong_to_no_layer() {
    let command = "cat /etc/resolv.conf /etc/hosts > /dev/null; ls /m/n/o /secrets/s /linked/deep > /dev/null; touch /made";
    let mounts = vec![
        ("/m/n/o", MountKind::Tmpfs { size: 0, readonly: false }),
        ("/linked/deep/er", MountKind::Tmpfs { size: 0, readonly: false }),
        ("/secrets/s", secret("s", true, None, false)),
        ("/c/d", cache("c", CacheSharing::Shared, None)),
    ];
    let world =
        World::with(|options| options.secrets.insert("s".to_owned(), SecretSource::Value(b"v".to_vec())));
    let base = with(&world, "l etc/resolv.conf ../run/systemd/resolve/stub.conf\nl var run\nl linked etc");
    let stack = world.run(&base, mounted(command, mounts)).unwrap();
    assert_eq!(world.top(&stack), "f made 644 0:0");
}

#[test]
fn secrets_and_proxies_leave_no_trace() {
    let world = World::with(|options| {
        options.secrets.insert("s".to_owned(), SecretSource::Value(b"top secret".to_vec()));
        options.host_ca = Some(b"authorities".to_vec());
    });
    let base = base(&world);
    let mounts = vec![
        ("/run/secrets/s", secret("s", true, Some("S"), true)),
        ("/other", secret("o", true, Some("O"), false)),
    ];
    let mut run = mounted(
        "test \"$(cat /run/secrets/s)\" = 'top secret'; test \"$S\" = 'top secret'; test -z \"$O\"; test ! -e /other
         test $(stat -c %a /run/secrets/s) = 400; test \"$http_proxy\" = http://p; test -s $SSL_CERT_FILE; touch /done",
        mounts,
    );
    run.proxies = vec![("http_proxy".to_owned(), "http://p".to_owned())];
    run.trust_host_ca = true;
    let stack = world.run(&base, run).unwrap();
    assert_eq!(world.top(&stack), "f done 644 0:0");
    let required = mounted("true", vec![("/x", secret("none", true, None, true))]);
    let error = world.run(&base, required).unwrap_err();
    assert!(matches!(error, Error::Secret { id } if id == "none"));
}

#[test]
fn binds_show_what_the_key_covers() {
    let world = World::with(|options| {
        options.contexts.get_mut("context").unwrap().ignore = Some(Patterns::parse("**/*.log\n").unwrap());
    });
    write(
        &world.context(),
        "d src 750 0:0\nf src/a 640 0:0 text\nf src/x.log 644 0:0 x\nf x.log 644 0:0 x\nl link src\nf one 600 0:0 1",
    );
    let base = base(&world);
    let context = Input::Local("context".to_owned());
    let other = world.snapshot("d o 755 3:4\nf o/f 600 3:4 other\nl to /o");
    let bind = |input: usize, source: &str, writable: bool| MountKind::Bind {
        input,
        source: source.to_owned(),
        writable,
    };
    let run = |command: &str, mounts| {
        let inputs = [base.clone(), context.clone(), other.clone()];
        let run = mounted(command, mounts);
        world.execute(graph::Op::Run(Box::new(run)), &inputs).map(|stack| world.top(&stack))
    };
    // The root of a context, a folder, through a link, one file.
    for (command, source) in [
        ("test -f /m/src/a; test ! -e /m/x.log; test $(stat -c %a /m/src) = 750", "/"),
        ("test \"$(cat /m/a)\" = text; test $(stat -c %a-%u /m/a) = 640-0", "/src"),
        ("test \"$(ls /m)\" = a", "/link"),
        ("test \"$(cat /m)\" = 1", "/one"),
    ] {
        assert_eq!(run(command, vec![("/m", bind(1, source, false))]).unwrap(), "", "{source}");
    }
    for (command, source) in [("test $(stat -c %a-%u:%g /m/f) = 600-3:4", "/o"), ("test -f /m/f", "/to")] {
        assert_eq!(run(command, vec![("/m", bind(2, source, false))]).unwrap(), "", "{source}");
    }
    // What is written to is thrown away; what is read-only refuses.
    for input in [1, 2] {
        let source = if input == 1 { "/src" } else { "/o" };
        assert_eq!(
            run("echo x > /m/new; test -f /m/new", vec![("/m", bind(input, source, true))]).unwrap(),
            ""
        );
        assert_eq!(run("! echo x > /m/new", vec![("/m", bind(input, source, false))]).unwrap(), "");
        let error = run("true", vec![("/m", bind(input, "/none", false))]).unwrap_err();
        assert!(matches!(&error, Error::NoSource { path, .. } if path == "/none"), "{error}");
    }
    assert_eq!(world.read(&[world.layer("f x 644 0:0 x")], "x").unwrap(), "x");
    assert_eq!(
        std::fs::read_dir(world.context().join("src")).unwrap().count(),
        2,
        "the context is as it was"
    );
}

#[test]
fn caches_keep_what_was_put_into_them() {
    let world = World::new();
    let base = base(&world);
    let seed = world.snapshot("d s 755 3:4\nf s/seed 600 3:4 seed");
    let run = |command: &str, mounts| {
        let run = mounted(command, mounts);
        world
            .execute(graph::Op::Run(Box::new(run)), &[base.clone(), seed.clone()])
            .map(|stack| world.top(&stack))
    };
    for sharing in [CacheSharing::Shared, CacheSharing::Private, CacheSharing::Locked] {
        let id = format!("{sharing:?}");
        let mount = || vec![("/c", cache(&id, sharing, None))];
        assert_eq!(run("test ! -e /c/x; echo 1 > /c/x", mount()).unwrap(), "");
        assert_eq!(run("test -f /c/x", mount()).unwrap(), "");
    }
    let seeded = || vec![("/c", cache("seeded", CacheSharing::Shared, Some((1, "/s".to_owned()))))];
    assert_eq!(run("test $(cat /c/seed) = seed; rm /c/seed", seeded()).unwrap(), "");
    assert_eq!(run("test ! -e /c/seed", seeded()).unwrap(), "", "only a new one is filled");
    // One id has as many folders as it has beginnings: content, mode, owner.
    let other = world.snapshot("d s 711 5:6\nf s/other 600 3:4 other");
    let begins = |id: &str, wanted: &str, inputs: &[Input], change: fn(&mut MountKind)| {
        let mut kind = cache(id, CacheSharing::Shared, Some((1, "/s".to_owned())));
        change(&mut kind);
        let run =
            mounted(&format!("test \"$(stat -c %a:%u:%g /c) $(ls /c)\" = \"{wanted}\""), vec![("/c", kind)]);
        world.execute(graph::Op::Run(Box::new(run)), inputs).unwrap();
    };
    let (first, second) = ([base.clone(), seed.clone()], [base.clone(), other]);
    begins("begins", "755:3:4 seed", &first, |_| {});
    begins("begins", "711:5:6 other", &second, |_| {});
    begins("begins", "755:3:4 seed", &first, |_| {});
    begins("begins", "700:7:8 ", &first, |kind| {
        if let MountKind::Cache { from, mode, uid, gid, .. } = kind {
            (*from, *mode, *uid, *gid) = (None, 0o700, 7, 8);
        }
    });
    // One id twice in a step, even a locked one, is one folder.
    let twice = vec![
        ("/a", cache("twice", CacheSharing::Locked, None)),
        ("/b", cache("twice", CacheSharing::Locked, None)),
    ];
    assert_eq!(run("echo 1 > /a/x; test -f /b/x", twice).unwrap(), "");
}

#[test]
fn locked_caches_never_meet_and_never_block_each_other() {
    let world = World::new();
    let base = base(&world);
    let locked = |id: &str| cache(id, CacheSharing::Locked, None);
    let command = "test ! -e /p/busy; touch /p/busy; sleep 0.3; rm /p/busy";
    std::thread::scope(|scope| {
        let orders = [[("/p", "p"), ("/q", "q")], [("/q", "q"), ("/p", "p")], [("/q", "q"), ("/p", "p")]];
        let steps: Vec<_> = orders
            .into_iter()
            .map(|order| {
                let mounts = order.map(|(target, id)| (target, locked(id))).into_iter().collect();
                let (world, base, run) = (&world, &base, mounted(command, mounts));
                scope.spawn(move || world.run(base, run))
            })
            .collect();
        for step in steps {
            step.join().unwrap().unwrap();
        }
    });
}

#[test]
fn tmpfs_pipes_and_directories() {
    let world = World::new();
    let base = base(&world);
    let limited = mounted(
        "! cat /dev/zero > /t/x 2>/dev/null; test $(stat -c %s /t/x) -le 1048576",
        vec![("/t", MountKind::Tmpfs { size: 1 << 20, readonly: false })],
    );
    assert_eq!(world.top(&world.run(&base, limited).unwrap()), "");
    let mut piped = sh("cat /dev/pipes/EOF > /out");
    piped.pipes = vec![("EOF".to_owned(), "here\n".to_owned())];
    let stack = world.run(&base, piped).unwrap();
    assert_eq!(world.read(&stack, "out").unwrap(), "here\n");
    assert_eq!(world.top(&stack), "f out 644 0:0");
    let stack = world.run(&base, RunOp { cwd: "/not/there".to_owned(), ..sh("touch x") }).unwrap();
    assert_eq!(world.top(&stack), "d not 755 0:0\nd not/there 755 0:0\nf not/there/x 644 0:0");
}

#[test]
fn a_step_that_is_no_longer_wanted_does_not_go_on() {
    let world = World::new();
    let base = base(&world);
    let held = world.store.cache_mount("held", store::Sharing::Locked, &mut || true).unwrap();
    let waits = mounted("true", vec![("/c", cache("held", CacheSharing::Locked, None))]);
    for run in [sh("sleep 60"), waits] {
        let cancel = world.cancel.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                cancel.cancel();
            });
            let began = Instant::now();
            world.run(&base, run).unwrap_err();
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        });
    }
    drop(held);
    assert_eq!(world.leftovers(), 0);
}

#[test]
fn a_copy_is_mounted_under_a_step() {
    let world = World::new();
    write(&world.context(), "d d 755 0:0\nf d/f 640 0:0 text\nl d/l f\nf x 644 0:0 new");
    let base = with(&world, "d app 700 5:6\nf app/old 644 5:6 old\nf app/x 644 5:6 old");
    let Input::Snapshot(below) = &base else { unreachable!() };
    let context = Input::Local("context".to_owned());
    let stack = world.execute(copy("--chown=user d x /app/"), &[base.clone(), context]).unwrap();
    assert_eq!(stack[..1], below.stack[..]);
    let command =
        "test $(stat -c %a-%u:%g /app) = 700-5:6; test -f /app/old; test \"$(cat /app/l /app/x)\" = textnew
        test $(stat -c %a-%u:%g /app/f) = 640-1000:1001";
    let over = world.run(&snapshot(&stack), sh(command)).unwrap();
    assert_eq!(world.top(&over), "");
}

#[test]
fn with_a_single_id_what_was_there_keeps_its_owner() {
    let world = World::with(|options| options.single_id = true);
    let base = with(&world, "d home 755 5:6\nf home/kept 644 5:6 x\nf home/other 644 5:6 x");
    let stack = world.run(&base, sh("echo new > /home/kept; touch /home/made; touch /root-made")).unwrap();
    assert_eq!(
        world.top(&stack),
        "d home 755 5:6\nf home/kept 644 5:6\nf home/made 644 0:0\nf root-made 644 0:0"
    );
}

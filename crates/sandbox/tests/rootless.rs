//! As a plain user, with a range of ids and with one id. The tests run as root and become someone else in a fork.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sandbox::rootless::{self, Mode};
use sandbox::{ExecSpec, Launcher, Mount, MountKind, Network, Stdio, Tree};
use support::{Root, finish, run};

const UID: u32 = 54_321;

/// Runs in a forked process with one thread: as root in a mount namespace of its own, then what `work` makes of it.
fn forked(work: impl FnOnce(&Path)) {
    // One at a time: a lock that another test's thread holds at the fork would stay held in the child.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    support::applets();
    // Root's, so the parent must remove it.
    let etc = tempfile::tempdir().unwrap();
    let mut pipe = [0; 2];
    // SAFETY: room for two descriptors, owned from here on; the child runs on a copy of this one thread (glibc keeps
    // its allocator usable across fork) and ends by _exit.
    let (pid, mut read, mut write) = unsafe {
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
        let pid = libc::fork();
        (pid, File::from_raw_fd(pipe[0]), File::from_raw_fd(pipe[1]))
    };
    if pid == 0 {
        std::panic::set_hook(Box::new(|_| {}));
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| work(etc.path())));
        if let Err(panic) = done {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let _ = write.write_all(text.unwrap_or_else(|| "panic".into()).as_bytes());
        } else {
            let _ = write.write_all(b"done");
        }
        // SAFETY: ends the forked process without the harness's handlers.
        unsafe { libc::_exit(0) };
    }
    drop(write);
    let text = std::io::read_to_string(&mut read).unwrap();
    // SAFETY: our child.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    assert_eq!(text, "done");
}

/// Becomes the plain user, for whom `/etc/subuid` and `/etc/subgid` say `ranges`.
fn become_plain(dir: &Path, ranges: &str) {
    let passwd = format!("root:x:0:0::/root:/bin/sh\nplain:x:{UID}:{UID}::/:/bin/sh\n");
    for (name, text) in [("passwd", passwd.as_str()), ("subuid", ranges), ("subgid", ranges)] {
        fs::write(dir.join(name), text).unwrap();
    }
    // SAFETY: one thread; plain arguments.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
        let none = std::ptr::null();
        assert_eq!(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()), 0);
    }
    for name in ["passwd", "subuid", "subgid"] {
        rustix::mount::mount_bind(dir.join(name), format!("/etc/{name}")).unwrap();
    }
    // SAFETY: one thread; plain arguments.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(UID, UID, UID), 0);
        assert_eq!(libc::setresuid(UID, UID, UID), 0);
        // As a fresh login would be: its own `/proc` entries are its own.
        libc::prctl(libc::PR_SET_DUMPABLE, 1);
    }
}

fn some_mounts(host: &Path) -> Vec<Mount> {
    vec![
        Mount {
            target: "/run/secrets/s".into(),
            kind: MountKind::Data { bytes: b"hush".into(), mode: 0o400, uid: 0, gid: 0, readonly: true },
        },
        Mount {
            target: "/host".into(),
            kind: MountKind::Bind { source: Tree::Path(host.into()), readonly: true, recursive: false },
        },
        Mount {
            target: "/cache".into(),
            kind: MountKind::Tmpfs {
                size: None,
                mode: 0o700,
                uid: 0,
                gid: 0,
                noexec: false,
                readonly: false,
            },
        },
    ]
}

/// What the step did to it is in the upper layer: a directory and a whiteout.
fn assert_layer(root: &Root) {
    assert!(root.upper.join("bin/newdir").is_dir());
    assert!(root.upper.join("etc/group").symlink_metadata().unwrap().file_type().is_char_device());
}

const COMMON: &str = "id -u; echo x > /dev/null && head -c 2 /dev/zero | wc -c; cat /run/secrets/s; ls /host; touch /host/x || echo ro;
    touch /cache/x /new; mkdir /bin/newdir; rm /etc/group; echo $$; cat /proc/sys/kernel/hostname > /dev/null; cat /proc/kcore | wc -c;
    ls /sys | wc -l | grep -vx 0 > /dev/null && echo sys; tail -n +3 /proc/net/dev | cut -d: -f1";

#[test]
fn a_range_of_ids() {
    forked(|etc| {
        become_plain(etc, &format!("other:1:1\nplain:700000:65536\n{UID}:900000:10\n"));
        let mode = rootless::detect();
        let Mode::Mapped { uids, .. } = &mode else { panic!("{mode:?}") };
        assert_eq!(uids.len(), 2);
        assert_eq!(mode.uid_count(), 65_547);
        rootless::enter(&mode).unwrap();
        assert!(sandbox::in_user_namespace());

        let root = Root::new();
        let host = tempfile::tempdir().unwrap();
        fs::write(host.path().join("file"), "").unwrap();
        let mut spec = root.sh(COMMON);
        spec.mounts = some_mounts(host.path());
        let (_, out, err) = run(&spec);
        assert_eq!(out, "0\n2\nhushfile\nro\n1\n0\nsys\n    lo\n", "{err}");
        assert_layer(&root);

        let root = Root::new();
        let script = "id -u; id -G; touch /tmp/mine; stat -c %u /tmp/mine";
        let mut spec = root.sh(script);
        (spec.uid, spec.gid, spec.additional_gids) = (1000, 1000, vec![44]);
        let (_, out, err) = run(&spec);
        assert_eq!(out, "1000\n1000 44\n1000\n", "{err}");
        assert_eq!(root.upper.join("tmp/mine").metadata().unwrap().uid(), 1000);
        let outside = std::process::Command::new("/bin/true").status();
        assert!(outside.unwrap().success());

        // The host's network: `/sys` is then a bind of the host's.
        let root = Root::new();
        let mut spec = root.sh("ls -d /sys/class/net/lo; mkdir /sys/x || echo ro");
        spec.network = Network::Host;
        let (_, out, err) = run(&spec);
        assert_eq!(out, "/sys/class/net/lo\nro\n", "{err}");

        // A terminal, an init and a second process.
        let root = Root::new();
        let launcher = Launcher::new().unwrap();
        let mut spec = root.sh("echo up; sleep 100");
        spec.init = true;
        let main = launcher.spawn(&spec, &Stdio::piped()).unwrap();
        let mut up = [0; 3];
        rustix::io::read(main.take_stdout().unwrap(), &mut up).unwrap();
        let second = ExecSpec::new(
            ["sh", "-c", "id -u; hostname > /dev/null; ls /proc | grep -cx 1"].map(Into::into).into(),
        );
        let (status, out, err) = finish(launcher.exec_in(main.pid(), &second, &Stdio::piped()).unwrap());
        assert!(status.success(), "{err}");
        assert_eq!(out, "0\n1\n");
        let root = Root::new();
        let child = launcher.spawn(&root.sh("tty"), &Stdio::Terminal { size: None }).unwrap();
        let mut terminal = File::from(child.take_terminal().unwrap());
        let mut text = [0; 64];
        let count = std::io::Read::read(&mut terminal, &mut text).unwrap();
        assert_eq!(&text[..count], b"/dev/pts/0\r\n");
        child.wait().unwrap();
    });
}

#[test]
fn a_single_id() {
    forked(|etc| {
        become_plain(etc, "other:1:70000\n");
        let mode = rootless::detect();
        let Mode::SingleId { reason } = &mode else { panic!("{mode:?}") };
        assert!(reason.contains("plain"), "{reason}");
        rootless::enter(&mode).unwrap();

        let root = Root::new();
        let host = tempfile::tempdir().unwrap();
        fs::write(host.path().join("file"), "").unwrap();
        let mut spec = root.sh(COMMON);
        spec.mounts = some_mounts(host.path());
        let (_, out, err) = run(&spec);
        assert_eq!(out, "0\n2\nhushfile\nro\n1\n0\nsys\n    lo\n", "{err}");
        assert_layer(&root);

        let root = Root::new();
        let mut spec = root.sh("true");
        (spec.uid, spec.gid) = (1000, 1000);
        let error = Launcher::new().unwrap().spawn(&spec, &Stdio::default()).unwrap_err().to_string();
        assert!(error.contains("become group 1000 (this user namespace does not map it)"), "{error}");

        let root = Root::new();
        let child = Launcher::new().unwrap().spawn(&root.sh("tty"), &Stdio::Terminal { size: None }).unwrap();
        drop(child.take_terminal());
        child.wait().unwrap();
    });
}

#[test]
fn threads_are_too_late() {
    forked(|etc| {
        become_plain(etc, "");
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        let error = rootless::enter(&rootless::detect()).unwrap_err().to_string();
        assert!(error.contains("2 threads"), "{error}");
        drop(sender);
        let _ = thread.join();
    });
}

#[test]
fn root_is_root() {
    forked(|_| {
        assert_eq!(rootless::detect(), Mode::Root);
        rootless::enter(&Mode::Root).unwrap();
        assert!(!sandbox::in_user_namespace());
    });
}

//! A small root made of one static busybox.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sandbox::{Child, ExitStatus, Launcher, Spec, Stdio, Tree, overlay};

/// Directories of one test: a busybox root as lower layer and an overlay over it.
pub(crate) struct Root {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) volatile: bool,
}

impl Root {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let upper = dir.path().join("upper");
        for name in ["upper", "work", "top", "base"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        make_base(&dir.path().join("base"));
        let work = dir.path().join("work");
        Self { dir, upper, work, volatile: false }
    }

    /// The same root again, with nothing written to it.
    pub(crate) fn renew(&mut self, number: usize) {
        let fresh = self.dir.path().join(format!("{number}"));
        fs::create_dir(&fresh).unwrap();
        for name in ["upper", "work"] {
            fs::create_dir(fresh.join(name)).unwrap();
        }
        (self.upper, self.work) = (fresh.join("upper"), fresh.join("work"));
    }

    pub(crate) fn overlay(&self) -> OwnedFd {
        let lowers = ["top", "base"].map(|name| self.dir.path().join(name));
        let options = overlay::Options {
            userxattr: sandbox::in_user_namespace(),
            volatile: self.volatile,
            ..Default::default()
        };
        overlay::mount_detached(&lowers, Some((self.upper.clone(), self.work.clone())), options).unwrap()
    }

    pub(crate) fn spec(&self, args: &[&str]) -> Spec {
        Spec::new(self.overlay().into(), args.iter().map(OsString::from).collect())
    }

    pub(crate) fn sh(&self, script: &str) -> Spec {
        self.spec(&["sh", "-c", script])
    }

    /// The overlay and a spec that uses it, for looking at the root afterwards.
    pub(crate) fn kept(&self, script: &str) -> (Arc<OwnedFd>, Spec) {
        let root = Arc::new(self.overlay());
        let args = ["sh", "-c", script].map(OsString::from).into();
        (root.clone(), Spec::new(Tree::Mount(root), args))
    }
}

/// The lower layer: /bin with busybox and its links, /etc, /tmp; /proc, /sys and /dev are missing on purpose.
fn make_base(dir: &Path) {
    for name in ["bin", "etc", "tmp", "home/ann"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", dir.join("bin/busybox")).unwrap();
    for applet in applets() {
        symlink("busybox", dir.join("bin").join(applet)).unwrap();
    }
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
    fs::write(dir.join("etc/passwd"), passwd).unwrap();
    fs::write(dir.join("etc/group"), "root:x:0:\nann:x:1000:\nvideo:x:44:ann\n").unwrap();
    fs::write(dir.join("bin/noexec"), "x").unwrap();
    fs::write(dir.join("bin/badinterp"), "#!/no/such\n").unwrap();
    fs::set_permissions(dir.join("bin/badinterp"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// What busybox can be called as; asked once, before any test forks.
pub(crate) fn applets() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let listed = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap().stdout;
        let names = String::from_utf8(listed).unwrap();
        names.lines().filter(|name| *name != "busybox").map(str::to_owned).collect()
    })
}

/// Runs to the end: status, standard output, standard error.
pub(crate) fn run(spec: &Spec) -> (ExitStatus, String, String) {
    let launcher = Launcher::new().unwrap();
    let child = launcher.spawn(spec, &Stdio::piped()).unwrap();
    finish(child)
}

pub(crate) fn finish(child: Child) -> (ExitStatus, String, String) {
    let (out, err) = (child.take_stdout().unwrap(), child.take_stderr().unwrap());
    let err = std::thread::spawn(move || std::io::read_to_string(fs::File::from(err)).unwrap());
    let out = std::io::read_to_string(fs::File::from(out)).unwrap();
    (child.wait().unwrap(), out, err.join().unwrap())
}

/// Runs to a successful end and gives its standard output.
pub(crate) fn output(spec: &Spec) -> String {
    let (status, out, err) = run(spec);
    assert!(status.success(), "{status:?}: {out}{err}");
    out
}

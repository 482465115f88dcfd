//! A store with a busybox image, and shortcuts to what most tests do.

use container::{
    BoxError, Containers, Lowers, NewContainer, Outcome, Roots, RunOptions, Settings, Streams, logs,
};
use layer::LayerId;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Commit, NewImage, Options, Store};
use tempfile::TempDir;

pub(crate) struct Kit {
    pub(crate) _dir: TempDir,
    pub(crate) store: Store,
    pub(crate) containers: Containers,
}

struct Folders(Store);

impl Roots for Folders {
    fn lowers(&self, _: &str, stack: &[LayerId]) -> Result<Lowers, BoxError> {
        let mut lowers = Lowers::default();
        stack.iter().for_each(|id| lowers.push(self.0.layer_dir(*id).join("fs")));
        Ok(lowers)
    }
}

impl Kit {
    pub(crate) fn new() -> Self {
        Self::with(oci::ContainerConfig::default())
    }

    /// A store whose image `busybox` has these settings.
    pub(crate) fn with(config: oci::ContainerConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let store = Store::open(Options::new(dir.path().join("root"))).unwrap();
        put_image(&store, config);
        let settings = Settings {
            program: std::env::current_exe().unwrap(),
            args: ["--ignored", "--exact", "monitor_process", "--nocapture"].map(Into::into).into(),
            resolv_conf: "nameserver 192.0.2.53\n".into(),
            hosts: "127.0.0.1 localhost\n".into(),
            hostname: "host".into(),
            ..Settings::default()
        };
        let containers = Containers::new(store.clone(), Arc::new(Folders(store.clone())), settings);
        Self { _dir: dir, store, containers }
    }

    /// Makes a container and starts it; its id.
    pub(crate) fn start(&self, new: NewContainer) -> String {
        let id = self.containers.create(&new).unwrap().id;
        self.containers.start(&id, false, false, None).unwrap();
        id
    }

    /// Runs a container to its end: exit code, standard output and standard error.
    pub(crate) fn run(&self, new: NewContainer) -> (i32, String, String) {
        let id = self.containers.create(&new).unwrap().id;
        let attached = self.containers.start(&id, true, false, None).unwrap().attached.unwrap();
        collect(attached, None)
    }

    pub(crate) fn exec(&self, id: &str, script: &str) -> (i32, String, String) {
        let exec = container::Exec { args: words(&["sh", "-c", script]), ..container::Exec::default() };
        collect(self.containers.exec(id, &exec).unwrap(), None)
    }

    pub(crate) fn log(&self, id: &str) -> String {
        let mut text = Vec::new();
        self.containers
            .logs(id, &logs::Options::default(), &mut |_, bytes| {
                text.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        String::from_utf8(text).unwrap()
    }

    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(20), "waited too long until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Kit {
    /// No container outlives its test, however that ends.
    fn drop(&mut self) {
        for container in self.containers.list().unwrap_or_default() {
            let _ = self.containers.remove(&container.id, true, true);
        }
    }
}

/// Passes nothing in and all that comes out into texts.
pub(crate) fn collect(attached: container::Attached, stdin: Option<&[u8]>) -> (i32, String, String) {
    let pipe = || std::io::pipe().unwrap();
    let ((out_read, out_write), (err_read, err_write), (in_read, mut in_write)) = (pipe(), pipe(), pipe());
    let reader = |mut from: std::io::PipeReader| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            from.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let (out, err) = (reader(out_read), reader(err_read));
    let writer = stdin.map(|bytes| {
        let bytes = bytes.to_vec();
        std::thread::spawn(move || std::io::Write::write_all(&mut in_write, &bytes).unwrap())
    });
    let streams = Streams {
        stdin: stdin.map(|_| in_read.as_fd()),
        stdout: Some(out_write.as_fd()),
        stderr: Some(err_write.as_fd()),
        ..Streams::default()
    };
    let outcome = attached.run(&streams).unwrap();
    drop((out_write, err_write));
    if let Some(writer) = writer {
        writer.join().unwrap();
    }
    let Outcome::Ended(code) = outcome else { panic!("{outcome:?}") };
    (code, out.join().unwrap(), err.join().unwrap())
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// A container that runs a script, with a loopback interface and nothing else.
pub(crate) fn sh(script: &str) -> NewContainer {
    NewContainer {
        image: "busybox".into(),
        command: words(&["sh", "-c", script]),
        options: alone(),
        ..NewContainer::default()
    }
}

/// RunOptions without a network, as [`sh`] has them.
pub(crate) fn alone() -> RunOptions {
    RunOptions { network: container::NetworkMode::None, ..RunOptions::default() }
}

fn put_image(store: &Store, config: oci::ContainerConfig) {
    let mut draft = store.new_layer().unwrap();
    let (root, work) = draft.make_folders().unwrap();
    fill(&root);
    fs::remove_dir(work).unwrap();
    let folder = fs::File::open(&root).unwrap();
    let listing = layer::scan(folder.as_fd(), &layer::ScanOptions::default()).unwrap();
    draft.write_listing(&listing).unwrap();
    let stack = vec![draft.id()];
    store.commit(Commit { layers: vec![draft], record: None, links: Vec::new() }).unwrap();
    let config = oci::ImageConfig {
        architecture: "amd64".into(),
        os: "linux".into(),
        config,
        rootfs: oci::RootFs { kind: "layers".into(), diff_ids: vec![oci::Digest::of(b"layer")] },
        ..oci::ImageConfig::default()
    };
    let names = vec!["busybox".parse().unwrap()];
    store.put_image(&NewImage { config: config.to_bytes(), stack, names, ..NewImage::default() }).unwrap();
}

/// `/bin` with busybox and its links, `/etc`, `/tmp`, `/home/ann`, and `/data` with something to copy.
fn fill(root: &Path) {
    for name in ["bin", "etc", "tmp", "home/ann", "data/sub"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let applets = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap().stdout;
    for applet in String::from_utf8(applets).unwrap().lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nann:x:1000:\n").unwrap();
    fs::write(root.join("bin/noexec"), "x").unwrap();
    fs::write(root.join("data/sub/file"), "from the image").unwrap();
    std::os::unix::fs::chown(root.join("data"), Some(1000), Some(1000)).unwrap();
    std::os::unix::fs::chown(root.join("data/sub/file"), Some(1000), Some(7)).unwrap();
}

/// Labels and the like.
pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

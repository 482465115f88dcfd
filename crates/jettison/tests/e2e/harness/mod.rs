//! What the tests stand on: the program, stores, contexts, the files of images, HTTP.
//!
//! ```text
//! target/tmp/e2e/RUN/        one run of the test binary; its lock is held as long as it lives
//!   lock
//!   shared/                  the store that tests share, seeded once from the bases' layout, with its home folder
//!   busybox.tar              the smallest base alone, for stores of a test's own
//!   ...                      folders of single tests
//! ```
//! A run removes what earlier runs left (their locks are free), so at most one store stays behind.

mod actions;
mod authority;
mod azure;
mod bucket;
mod build;
mod container;
mod context;
mod engine;
mod faults;
mod files;
mod git;
mod http;
mod output;
mod podman;
mod registry;
mod server;
mod site;
mod ssh;
mod terminal;
mod tokens;
mod wire;

pub(crate) use actions::Actions;
pub(crate) use authority::Authority;
pub(crate) use azure::Azure;
pub(crate) use bucket::Bucket;
pub(crate) use build::Built;
pub(crate) use container::Container;
pub(crate) use context::Context;
pub(crate) use engine::DockerEngine;
pub(crate) use faults::{Exchange, Fault, FaultProxy, Point, held};
pub(crate) use files::{Files, Kind};
pub(crate) use git::{COMMITTED, Repositories};
pub(crate) use http::{http, http_get};
pub(crate) use output::{LIMIT, Out, processes_with, run, run_with_input};
pub(crate) use podman::Podman;
pub(crate) use registry::{Registry, free_port};
pub(crate) use server::tool;
pub(crate) use site::{Reply, Site};
pub(crate) use ssh::{SshAgent, new_key, new_locked_key, put_ssh_add};
pub(crate) use terminal::terminal;
pub(crate) use tokens::TokenServer;

use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The program: what cargo built, unless another one is named.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("JETTISON_E2E_BIN").map_or_else(|| env!("CARGO_BIN_EXE_jettison").into(), PathBuf::from)
}

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The OCI layout with the base images.
pub(crate) fn bases() -> PathBuf {
    let layout = std::env::var_os("JETTISON_TEST_BASES")
        .map_or_else(|| workspace().join("target/bases/layout"), PathBuf::from);
    assert!(
        layout.join("index.json").is_file(),
        "there are no base images in {}: make them with `cargo xtask bases`",
        layout.display()
    );
    layout
}

/// A name that no other test and no other run uses.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The folder of this run.
fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (folder, _lock) = FOLDER.get_or_init(|| {
        assert!(
            rustix::process::geteuid().is_root(),
            "the end-to-end tests make users and networks: run them as root"
        );
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        fs::create_dir_all(&all).unwrap();
        sweep(&all);
        let folder = all.join(format!("{:x}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        (folder, lock)
    });
    folder
}

/// Removes what runs that ended left: their containers, then their folders.
fn sweep(all: &Path) {
    for folder in fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()) {
        let lock = File::open(folder.join("lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
            continue;
        }
        let shared = House { folder: folder.join("shared"), _temp: None };
        if shared.root().exists() {
            shared.remove_containers();
        }
        let _ = fs::remove_dir_all(&folder);
    }
}

/// A folder for one test, removed when it is dropped.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("test-").tempdir_in(run_folder()).unwrap()
}

/// A folder for sockets and the like, whose paths may not be as long as the path to the workspace can be.
pub(crate) fn short_folder() -> TempDir {
    tempfile::Builder::new().prefix("jettison-e2e-").tempdir_in("/tmp").unwrap()
}

/// A store, and the home folder of the user who owns it.
pub(crate) struct House {
    folder: PathBuf,
    _temp: Option<TempDir>,
}

/// The store with all base images that tests share. The first to ask seeds it.
pub(crate) fn shared() -> &'static House {
    static SHARED: OnceLock<House> = OnceLock::new();
    SHARED.get_or_init(|| {
        let house = House::in_folder(run_folder().join("shared"), None);
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(bases())
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .expect("`tar` packs the bases' layout");
        let mut load = house.command(&["load", "--quiet"]);
        load.stdin(tar.stdout.take().unwrap());
        run(load, LIMIT).ok();
        assert!(tar.wait().unwrap().success());
        house
    })
}

/// An empty store of a test's own.
pub(crate) fn own() -> House {
    let temp = folder();
    House::in_folder(temp.path().to_owned(), Some(temp))
}

/// A store of a test's own with `busybox` in it.
pub(crate) fn own_with_busybox() -> House {
    let house = own();
    house.ok(&["load", "--quiet", "--input", busybox().to_str().unwrap()]);
    house
}

/// An archive with `busybox` alone.
pub(crate) fn busybox() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let archive = run_folder().join("busybox.tar");
        let name = "docker.io/library/busybox:latest";
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", &format!("oci:{}:{name}", bases().display())]);
        skopeo.arg(format!("oci-archive:{}:{name}", archive.display()));
        run(skopeo, LIMIT).ok();
        archive
    })
}

impl House {
    pub(crate) fn in_folder(folder: PathBuf, temp: Option<TempDir>) -> Self {
        fs::create_dir_all(folder.join("home")).unwrap();
        fs::write(folder.join("registries.conf"), "").unwrap();
        Self { folder, _temp: temp }
    }

    /// The folder of the store.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// The user's home folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The program with arguments, in surroundings that hold nothing of the machine's own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args);
        self.surround(&mut command);
        command
    }

    /// Gives a command the environment of this house.
    pub(crate) fn surround(&self, command: &mut Command) {
        for name in [
            "PATH",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
        ] {
            match std::env::var_os(name) {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        for name in [
            "DOCKER_CONFIG",
            "REGISTRY_AUTH_FILE",
            "DOCKER_AUTH_CONFIG",
            "BUILDKIT_PROGRESS",
            "BUILDX_NO_DEFAULT_ATTESTATIONS",
            "BUILDX_METADATA_PROVENANCE",
            "SOURCE_DATE_EPOCH",
        ] {
            command.env_remove(name);
        }
        for name in [
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_RUNTIME_DIR",
            "DOCKER_DEFAULT_PLATFORM",
            "JETTISON_TRUST_HOST_CA",
            "SSH_AUTH_SOCK",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_REGION",
            "AWS_ENDPOINT_URL",
            "ACTIONS_RUNTIME_TOKEN",
            "ACTIONS_RESULTS_URL",
            "ACTIONS_CACHE_URL",
            "ACTIONS_CACHE_SERVICE_V2",
        ] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.home())
            .env("CONTAINERS_REGISTRIES_CONF", self.folder.join("registries.conf"))
            .env("JETTISON_ROOT", self.root())
            .stdin(Stdio::null());
    }

    /// Runs the program; nothing is said of how it must end.
    pub(crate) fn run(&self, args: &[&str]) -> Out {
        run(self.command(args), LIMIT)
    }

    /// Runs the program, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Out {
        self.run(args).ok()
    }

    /// Runs the program, which must end with `code`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> Out {
        self.run(args).fails(code)
    }

    /// Everything that `inspect` says of an image or a container.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str) -> Value {
        let out = self.ok(&["inspect", name]);
        let all: Value = serde_json::from_str(&out.stdout).expect("`inspect` prints JSON");
        all[0].clone()
    }

    /// The configuration of an image.
    #[track_caller]
    pub(crate) fn config(&self, image: &str) -> Value {
        self.inspect(image)["Config"].clone()
    }

    /// The files of an image, as a container would see them.
    #[track_caller]
    pub(crate) fn files(&self, image: &str) -> Files {
        let context = Context::new();
        context.write("Dockerfile", &format!("FROM {image}\n"));
        self.files_of(&context, &[])
    }

    /// The files of what a build makes.
    #[track_caller]
    pub(crate) fn files_of(&self, context: &Context, args: &[&str]) -> Files {
        let mut all = vec!["build", "--progress", "plain", "--output", "type=tar,dest=-"];
        all.extend(args);
        all.push(context.text());
        let out = self.ok(&all);
        Files::read(&out.bytes)
    }

    /// Whether the store holds an image of that name.
    pub(crate) fn has_image(&self, name: &str) -> bool {
        self.run(&["image", "inspect", name]).code == Some(0)
    }

    /// Sets this house's registries.conf.
    pub(crate) fn registries(&self, text: &str) {
        fs::write(self.folder.join("registries.conf"), text).unwrap();
    }

    /// Removes every container of the store.
    fn remove_containers(&self) {
        let all = self.run(&["ps", "--all", "--quiet"]);
        for id in all.stdout.lines() {
            self.run(&["rm", "--force", "--volumes", id]);
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self._temp.is_some() && self.root().exists() {
            self.remove_containers();
        }
    }
}

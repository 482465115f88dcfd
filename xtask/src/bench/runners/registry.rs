//! A registry on loopback for the works that pull and push: the distribution's own `docker-registry`, with a store
//! below `target/bench`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Place;
use super::daemon::Daemon;
use crate::shell;
use crate::trouble::{Doing, Result, Trouble};

/// A running registry.
pub(in super::super) struct Registry {
    /// `127.0.0.1:PORT`.
    pub(in super::super) host: String,
    program: PathBuf,
    /// The store in which images for it are made: no runner's.
    maker: PathBuf,
    archive: PathBuf,
    _server: Daemon,
}

impl Registry {
    /// Starts one. `program` is the jettison that makes images for it, of the bases in `archive`.
    pub(in super::super) fn start(program: &Path, archive: &Path, place: &Place) -> Result<Self> {
        for need in ["docker-registry", "skopeo"] {
            if !shell::has(need) {
                return Err(Trouble::Said(format!("`{need}` is not on this machine (`cargo xtask setup`)")));
            }
        }
        let doing = || "find a free port on loopback".to_owned();
        // Free now, and most probably still free when the registry asks for it.
        let port =
            TcpListener::bind(("127.0.0.1", 0)).and_then(|found| found.local_addr()).doing(doing)?.port();
        let host = format!("127.0.0.1:{port}");
        let store = place.store("registry");
        fs::create_dir_all(&store).doing(|| format!("make the folder `{}`", store.display()))?;
        let path = store.join("config.yml");
        let data = store.join("data");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\nhttp: {{addr: '{host}'}}\n",
            data.display()
        );
        fs::write(&path, config).doing(|| format!("write `{}`", path.display()))?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path);
        let log = place.folder.join("registry.log");
        let server = Daemon::start(&mut command, &log, || TcpStream::connect(&host).is_ok())?;
        let maker = place.store("maker");
        let registry = Self {
            host,
            program: program.to_owned(),
            maker,
            archive: place.folder.join("pulled.tar"),
            _server: server,
        };
        shell::output(registry.jettison("load").arg("--quiet").arg("--input").arg(archive))?;
        Ok(registry)
    }

    fn jettison(&self, word: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(word).env("JETTISON_ROOT", &self.maker);
        command
    }

    /// Builds `context` and puts it there as `name`. The layers are compressed by skopeo, as one gzip member each and
    /// at its usual level, like those of most images in the world.
    pub(in super::super) fn offer(&self, context: &Path, name: &str) -> Result<()> {
        let mut build = self.jettison("build");
        build.args(["--quiet", "--network", "none", "--output"]);
        build.arg(format!("type=docker,dest={}", self.archive.display()));
        shell::output(build.args(["--tag", name]).arg(context))?;
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--dest-tls-verify=false"]);
        copy.arg(format!("docker-archive:{}", self.archive.display())).arg(format!("docker://{name}"));
        shell::output(&mut copy)?;
        fs::remove_file(&self.archive).doing(|| format!("remove `{}`", self.archive.display()))
    }
}

//! Keys, an agent of OpenSSH, and its tools in a form that runs over any root.

use super::{Context, short_folder};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A new ed25519 key without a passphrase; gives the public part of its `.pub` file.
pub(crate) fn new_key(path: &Path) -> String {
    key(path, "")
}

/// The same with a passphrase.
pub(crate) fn new_locked_key(path: &Path) -> String {
    key(path, "secret")
}

fn key(path: &Path, passphrase: &str) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-C", "", "-N", passphrase, "-f"]).arg(path);
    assert!(command.status().expect("`ssh-keygen` is installed").success());
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    public.split(' ').nth(1).unwrap().trim().to_owned()
}

/// Puts `ssh-add` into `ssh/` of a context, with its libraries: `ssh/add -l` runs it.
pub(crate) fn put_ssh_add(context: &Context) {
    let which = Command::new("sh").args(["-c", "command -v ssh-add"]).output().unwrap();
    let program = PathBuf::from(String::from_utf8(which.stdout).unwrap().trim());
    assert!(program.is_file(), "`ssh-add` is installed");
    let listed = Command::new("ldd").arg(&program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let folder = context.path().join("ssh");
    fs::create_dir_all(&folder).unwrap();
    let mut loader = None;
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    for path in libraries.chain([program]) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&path, folder.join(&name)).unwrap();
        if name.starts_with("ld-linux") {
            loader = Some(name);
        }
    }
    let loader = loader.expect("`ssh-add` is a program of glibc");
    let script = format!("#!/bin/sh\nd=${{0%/*}}\nexec $d/{loader} --library-path $d $d/ssh-add \"$@\"\n");
    context.write("ssh/add", &script);
    context.mode("ssh/add", 0o755);
}

/// An agent of OpenSSH; it ends with this.
pub(crate) struct SshAgent {
    socket: PathBuf,
    child: Child,
    _folder: TempDir,
}

impl SshAgent {
    /// Starts it with no keys.
    pub(crate) fn start() -> Self {
        let folder = short_folder();
        let socket = folder.path().join("agent");
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
        let agent =
            Self { child: command.spawn().expect("`ssh-agent` is installed"), socket, _folder: folder };
        for _ in 0..1000 {
            if UnixStream::connect(&agent.socket).is_ok() {
                return agent;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("ssh-agent does not listen");
    }

    /// Its socket, as an argument.
    pub(crate) fn socket(&self) -> &str {
        self.socket.to_str().unwrap()
    }

    /// What `ssh-add` prints with these arguments.
    pub(crate) fn add(&self, args: &[&str]) -> String {
        let mut command = Command::new("ssh-add");
        command.args(args).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Agents seen by OpenSSH's own tools: `ssh-add` lists keys, `ssh-keygen -Y` signs and checks signatures.
#![allow(clippy::unwrap_used, reason = "tests")]

use session::{Agent, Agents, Error, Forward};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A folder with keys, agents and sockets.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new key as ssh-keygen makes it; its public key lies beside it.
    fn key(&self, name: &str, args: &[&str]) -> PathBuf {
        let path = self.at(name);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-C", "somebody@somewhere", "-f"]).arg(&path).args(args);
        let out = command.output().expect("`ssh-keygen` is installed");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        path
    }

    /// An agent of these paths behind a socket of ours.
    fn forward(&self, paths: &[PathBuf], raw: bool) -> Forward {
        let agent = Agent::open(paths, raw).unwrap();
        Forward::start(Arc::new(agent), UnixListener::bind(self.at("ours")).unwrap()).unwrap()
    }

    fn ssh_add(&self, socket: &str, args: &[&str]) -> Output {
        let mut command = Command::new("ssh-add");
        command.args(args).env("SSH_AUTH_SOCK", self.at(socket)).stdin(Stdio::null());
        command.output().expect("`ssh-add` is installed")
    }

    /// What `ssh-add -L` prints of our socket.
    fn listed(&self) -> String {
        String::from_utf8(self.ssh_add("ours", &["-L"]).stdout).unwrap()
    }

    /// Whether the key can be signed with through our socket: OpenSSH signs a file and checks the signature.
    fn signs(&self, key: &Path) -> bool {
        let signature = self.at("message.sig");
        let _ = std::fs::remove_file(&signature);
        std::fs::write(self.at("message"), "text").unwrap();
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-Y", "sign", "-n", "test", "-f"])
            .arg(key.with_extension("pub"))
            .arg(self.at("message"));
        // The private key beside the public one would do, too.
        let hidden = key.with_extension("hidden");
        std::fs::rename(key, &hidden).unwrap();
        let signed = sign.env("SSH_AUTH_SOCK", self.at("ours")).stderr(Stdio::null()).status().unwrap();
        std::fs::rename(&hidden, key).unwrap();
        if !signed.success() {
            return false;
        }
        let mut check = Command::new("ssh-keygen");
        check.args(["-Y", "check-novalidate", "-n", "test", "-s"]).arg(&signature);
        check.stdin(std::fs::File::open(self.at("message")).unwrap()).stdout(Stdio::null());
        check.status().unwrap().success()
    }
}

/// An agent of OpenSSH.
struct SshAgent(Child);

impl SshAgent {
    fn start(place: &Place) -> Self {
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(place.at("theirs"))
            .stdout(Stdio::null())
            .spawn()
            .expect("`ssh-agent` is installed");
        let agent = Self(child);
        for _ in 0..500 {
            if UnixStream::connect(place.at("theirs")).is_ok() {
                return agent;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("ssh-agent does not listen");
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn keys_of_every_kind_and_format_sign() {
    let place = Place::new();
    let keys = [
        place.key("ed25519", &["-N", "", "-t", "ed25519"]),
        place.key("ecdsa256", &["-N", "", "-t", "ecdsa", "-b", "256"]),
        place.key("ecdsa384", &["-N", "", "-t", "ecdsa", "-b", "384"]),
        place.key("rsa", &["-N", "", "-t", "rsa", "-b", "2048"]),
        place.key("rsa-odd", &["-N", "", "-t", "rsa", "-b", "3072"]),
        place.key("rsa-pem", &["-N", "", "-t", "rsa", "-b", "2048", "-m", "PEM"]),
        place.key("rsa-pkcs8", &["-N", "", "-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        place.key("ecdsa-pem", &["-N", "", "-t", "ecdsa", "-b", "256", "-m", "PEM"]),
        place.key("ecdsa-pkcs8", &["-N", "", "-t", "ecdsa", "-b", "384", "-m", "PKCS8"]),
    ];
    let _forward = place.forward(&keys, false);
    let listed = place.listed();
    assert_eq!(listed.lines().count(), keys.len(), "{listed}");
    for key in &keys {
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let blob = public.split(' ').nth(1).unwrap();
        assert!(listed.contains(blob), "{} is not among {listed}", key.display());
        assert!(place.signs(key), "{}", key.display());
    }
    assert!(!listed.contains("somebody"), "comments stay here: {listed}");
    let other = place.key("other", &["-N", "", "-t", "ed25519"]);
    assert!(!place.signs(&other), "a key that is not there");
}

#[test]
fn keys_that_cannot_be_used_say_why() {
    let place = Place::new();
    let error = |path: PathBuf| Agent::open(&[path], false).unwrap_err();
    for (name, args) in [
        ("locked", &["-N", "secret", "-t", "ed25519"][..]),
        ("locked-pem", &["-N", "secret", "-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("locked-pkcs8", &["-N", "secret", "-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
    ] {
        let error = error(place.key(name, args));
        assert!(matches!(error, Error::Passphrase { .. }), "{name}: {error}");
        assert!(error.hint().unwrap().contains("ssh-add"), "{name}");
    }
    let message = error(place.key("p521", &["-N", "", "-t", "ecdsa", "-b", "521"])).to_string();
    assert!(message.ends_with("its curve is neither P-256 nor P-384"), "{message}");
    let message = error(place.key("small", &["-N", "", "-t", "rsa", "-b", "1024"])).to_string();
    assert!(message.ends_with("has not 2048 to 4096 bits"), "{message}");
    let public = place.key("public", &["-N", "", "-t", "ed25519"]).with_extension("pub");
    assert!(matches!(error(public), Error::Key { .. }));
    assert!(matches!(error(place.at("missing")), Error::Io { .. }));
    // A key that ends too early, wherever that is.
    let whole = std::fs::read_to_string(place.at("public")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for left_out in 1..lines.len() - 1 {
        let kept: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| *line).collect();
        std::fs::write(place.at("damaged"), kept.join("\n")).unwrap();
        assert!(matches!(error(place.at("damaged")), Error::Key { .. }), "without line {left_out}");
    }
}

#[test]
fn of_a_users_agent_a_step_sees_keys_and_signatures_alone() {
    let place = Place::new();
    let _agent = SshAgent::start(&place);
    let key = place.key("key", &["-N", "", "-t", "ed25519"]);
    assert!(place.ssh_add("theirs", &["-q", key.to_str().unwrap()]).status.success());
    let forward = place.forward(&[place.at("theirs")], false);
    assert_eq!(place.listed().lines().count(), 1);
    assert!(place.signs(&key));
    let more = place.key("more", &["-N", "", "-t", "ed25519"]);
    for refused in [&["-D"][..], &["-d", key.to_str().unwrap()], &["-q", more.to_str().unwrap()]] {
        assert!(!place.ssh_add("ours", refused).status.success(), "{refused:?}");
    }
    // Its agent has what it had.
    let theirs = String::from_utf8(place.ssh_add("theirs", &["-L"]).stdout).unwrap();
    assert_eq!(theirs.lines().count(), 1);
    drop(forward);
    assert!(UnixStream::connect(place.at("ours")).is_err(), "the socket outlives its step");
    assert_eq!(place.ssh_add("theirs", &["-l"]).status.code(), Some(0), "the agent lives on");
}

#[test]
fn raw_passes_everything_on() {
    let place = Place::new();
    let _agent = SshAgent::start(&place);
    let key = place.key("key", &["-N", "", "-t", "ed25519"]);
    let _forward = place.forward(&[place.at("theirs")], true);
    assert!(place.ssh_add("ours", &["-q", key.to_str().unwrap()]).status.success());
    let theirs = String::from_utf8(place.ssh_add("theirs", &["-L"]).stdout).unwrap();
    assert_eq!(theirs.lines().count(), 1);
}

#[test]
fn sockets_and_keys_are_not_mixed_and_ids_are_single() {
    let place = Place::new();
    let (_one, _two) =
        (UnixListener::bind(place.at("one")).unwrap(), UnixListener::bind(place.at("two")).unwrap());
    let key = place.key("key", &["-N", "", "-t", "ed25519"]);
    let message = |paths: &[PathBuf], raw| Agent::open(paths, raw).unwrap_err().to_string();
    assert!(message(&[place.at("one"), place.at("two")], false).ends_with("not several sockets"));
    assert!(message(&[place.at("one"), key.clone()], false).ends_with("not both"));
    assert!(message(std::slice::from_ref(&key), true).ends_with("not keys with `raw`"));
    let mut agents = Agents::new();
    agents.insert("a".into(), Agent::open(std::slice::from_ref(&key), false).unwrap()).unwrap();
    let twice = agents.insert("a".into(), Agent::open(std::slice::from_ref(&key), false).unwrap());
    assert!(matches!(twice, Err(Error::Duplicate { .. })));
    assert!(agents.get("a").is_some() && agents.get("b").is_none());
    assert!(!format!("{agents:?}").contains("seed"), "{agents:?}");
}

#[test]
fn damaged_messages_end_the_connection_and_nothing_else() {
    use std::io::{Read, Write};
    let place = Place::new();
    let key = place.key("key", &["-N", "", "-t", "ed25519"]);
    let _forward = place.forward(std::slice::from_ref(&key), false);
    for bytes in [&[0u8; 4][..], &[0xff; 4], &[0, 8, 0, 0, 13]] {
        let mut stream = UnixStream::connect(place.at("ours")).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // The other side may be gone before all was read.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{bytes:?}: {answer:?}");
    }
    for request in [&[13u8][..], &[13, 0, 0, 0, 9], &[27], &[17, 1, 2, 3], &[255]] {
        let mut stream = UnixStream::connect(place.at("ours")).unwrap();
        stream.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0, 0, 0, 1, 5], "{request:?}");
    }
    assert!(place.signs(&key));
}

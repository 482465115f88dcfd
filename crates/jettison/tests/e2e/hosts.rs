//! Which host is asked and how it is trusted: certificates, mirrors, what is blocked or insecure; with files below /etc
//! of a mount namespace's own.

use crate::harness::{
    Authority, Context, FaultProxy, House, LIMIT, Out, Registry, folder, free_port, own, run,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A small image without a base.
fn image(house: &House, name: &str) {
    let context = Context::dockerfile("FROM scratch\nCOPY f /\nCMD [\"/none\"]\n");
    context.write("f", name);
    house.build(&context, &["--tag", name]);
}

/// Files that stand in /etc for the commands of one test.
struct Etc(TempDir);

impl Etc {
    /// `registry.test` is the loopback there.
    fn new() -> Self {
        let etc = Self(folder());
        etc.write("hosts", "127.0.0.1 localhost registry.test other.test\n");
        etc
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn copy(&self, path: &str, from: &Path) {
        fs::copy(from, self.path(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// Runs the program where these files are in /etc.
    fn run(&self, house: &House, args: &[&str]) -> Out {
        run(self.command(house, args), LIMIT)
    }

    fn command(&self, house: &House, args: &[&str]) -> Command {
        let program = house.command(args);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg(r#"mount -t overlay -o "lowerdir=$0:/etc" overlay /etc && exec "$@""#);
        command.arg(self.0.path()).arg(program.get_program()).args(program.get_args());
        house.surround(&mut command);
        command
    }
}

#[test]
fn a_private_authority_is_trusted_where_it_is_configured() {
    let (authority, house, etc) = (Authority::new(), own(), Etc::new());
    let registry = Registry::with_tls(&authority.sign("registry.test"), None);
    let host = format!("registry.test:{}", registry.port());
    let name = format!("{host}/app");
    image(&house, &name);
    let push = |args: &[&str]| etc.run(&house, &[&["push", &name], args].concat());
    push(&[]).fails(1).says(&host).says("certificate").says("/etc/docker/certs.d/");
    push(&["--tls-verify=false"]).ok();
    // Every folder of certificates counts, each for its host alone.
    let user = house.home().join(".config/containers/certs.d").join(&host);
    fs::create_dir_all(&user).unwrap();
    fs::copy(authority.certificate(), user.join("ca.crt")).unwrap();
    push(&[]).ok();
    fs::remove_dir_all(&user).unwrap();
    push(&[]).fails(1);
    for folder in ["docker/certs.d", "containers/certs.d"] {
        let file = format!("{folder}/{host}/ca.crt");
        etc.copy(&file, &authority.certificate());
        push(&[]).ok();
        etc.run(&house, &["pull", &name]).ok();
        // A certificate for another name is none.
        let other = format!("other.test:{}", registry.port());
        etc.copy(&format!("{folder}/{other}/ca.crt"), &authority.certificate());
        etc.run(&house, &["pull", &format!("{other}/app")]).fails(1).says("certificate").says(&other);
        etc.remove(folder);
    }
    // Insecure by registries.conf, or by Docker's own settings.
    house.registries(&format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"));
    push(&[]).ok();
    house.registries("");
    etc.write("docker/daemon.json", &format!(r#"{{"insecure-registries": ["{host}"], "debug": true}}"#));
    push(&[]).ok();
    etc.write("docker/daemon.json", "{");
    push(&[]).fails(1).says("/etc/docker/daemon.json is not valid");
}

#[test]
fn a_client_certificate_is_shown() {
    let (authority, house, etc) = (Authority::new(), own(), Etc::new());
    let registry = Registry::with_tls(&authority.sign("registry.test"), Some(&authority.certificate()));
    let host = format!("registry.test:{}", registry.port());
    let name = format!("{host}/app");
    image(&house, &name);
    let folder = format!("docker/certs.d/{host}");
    etc.copy(&format!("{folder}/ca.crt"), &authority.certificate());
    etc.run(&house, &["push", &name]).fails(1).says(&host);
    let me = authority.sign("me");
    etc.copy(&format!("{folder}/client.cert"), &me.certificate);
    etc.run(&house, &["push", &name]).fails(1).says("client.key");
    etc.copy(&format!("{folder}/client.key"), &me.key);
    etc.run(&house, &["push", &name]).ok();
}

#[test]
fn plain_http_needs_leave_where_it_is_not_the_loopback() {
    let (registry, house, etc) = (Registry::open(), own(), Etc::new());
    let host = format!("registry.test:{}", registry.port());
    let name = format!("{host}/app");
    image(&house, &name);
    etc.run(&house, &["push", &name]).fails(1).says("plain HTTP").says("--tls-verify=false");
    etc.run(&house, &["push", "--tls-verify=false", &name]).ok();
    house.registries(&format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"));
    etc.run(&house, &["pull", &name]).ok();
}

#[test]
fn dockers_mirrors_are_asked_for_the_hub() {
    let (registry, house, there, etc) = (Registry::open(), own(), own(), Etc::new());
    let name = crate::harness::unique("mirrored");
    image(&house, &format!("{}/library/{name}", registry.address));
    house.ok(&["push", &format!("{}/library/{name}", registry.address)]);
    // The first mirror does not answer; the second one has it.
    let mirrors = format!(r#"["http://127.0.0.1:{}", "http://{}"]"#, free_port(), registry.address);
    etc.write("docker/daemon.json", &format!(r#"{{"registry-mirrors": {mirrors}}}"#));
    etc.run(&there, &["pull", &name]).ok();
    assert!(there.has_image(&format!("docker.io/library/{name}:latest")));
}

#[test]
fn a_blocked_registry_is_not_asked() {
    let (registry, house) = (Registry::open(), own());
    let proxy = FaultProxy::before(&registry);
    let name = format!("{}/team/app", proxy.address);
    image(&house, &name);
    house.registries(&format!("[[registry]]\nprefix = \"{}/team\"\nblocked = true\n", proxy.address));
    for args in [["push", &name], ["pull", &name]] {
        house.fails(1, &args).says("registries.conf blocks").says(&proxy.address);
    }
    let context = Context::dockerfile(&format!("FROM {name}:none\nCOPY f /\n"));
    context.write("f", "f");
    house.fails(1, &["build", context.text()]).says("registries.conf blocks");
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
    // What is not below the prefix is not blocked.
    house.ok(&["push", &name, &format!("{}/other", proxy.address)]);
}

#[test]
fn files_of_registries_conf_d_are_added_in_their_order() {
    let (registry, house, etc) = (Registry::open(), own(), Etc::new());
    let name = format!("{}/team/app", registry.address);
    image(&house, &name);
    let entry = |blocked: bool| {
        format!("[[registry]]\nprefix = \"{}/team\"\nblocked = {blocked}\n", registry.address)
    };
    let user = house.home().join(".config/containers");
    let own_file = |path: &str, text: &str| {
        fs::create_dir_all(user.join(path).parent().unwrap()).unwrap();
        fs::write(user.join(path), text).unwrap();
    };
    let system = |path: &str, text: &str| etc.write(&format!("containers/registries.conf.d/{path}"), text);
    // Whether it may be pushed: with the file that the environment names, and with the usual ones.
    let open = |named: bool| {
        let mut command = etc.command(&house, &["push", &name]);
        if !named {
            command.env_remove("CONTAINERS_REGISTRIES_CONF");
        }
        let out = run(command, LIMIT);
        match out.code {
            Some(0) => true,
            _ => {
                out.fails(1).says("registries.conf blocks");
                false
            }
        }
    };
    etc.write("containers/registries.conf", &entry(false));
    house.registries(&entry(false));
    assert!(open(true) && open(false));
    system("10-team.conf", &entry(true));
    assert!(!open(true) && !open(false), "what is added replaces");
    // What has another ending is no such file, nor is a folder.
    system("20-team.conf.off", &entry(false));
    system("30.conf/team.conf", &entry(false));
    assert!(!open(true) && !open(false));
    system("9-team.conf", &entry(false));
    assert!(open(true) && open(false), "`9` comes after `10`");
    own_file("registries.conf.d/1.conf", &entry(true));
    assert!(!open(true) && !open(false), "the user's come after the system's");
    // A registries.conf of the user's own leaves out the system's additions.
    own_file("registries.conf.d/1.conf", "");
    system("99.conf", &entry(true));
    own_file("registries.conf", &entry(false));
    assert!(!open(true) && open(false));
    own_file("registries.conf.d/1.conf", "[[registry]]");
    etc.run(&house, &["push", &name]).fails(1).says("registries.conf.d/1.conf is not valid");
}

#[test]
fn mirrors_stand_in_and_the_registry_for_them() {
    let (mirror, registry, house) = (Registry::open(), Registry::open(), own());
    let pushed = format!("{}/team/app", registry.address);
    image(&house, &pushed);
    house.ok(&["push", &pushed]);
    // A name that is made up: its location says where it is; the mirror before it is empty, or gone.
    for address in [mirror.address.clone(), format!("127.0.0.1:{}", free_port())] {
        let there = own();
        there.registries(&format!(
            "[[registry]]\nprefix = \"made.up/x\"\nlocation = \"{}/team\"\ninsecure = true\n\
             [[registry.mirror]]\nlocation = \"{address}/x\"\ninsecure = true\n",
            registry.address
        ));
        there.ok(&["pull", "made.up/x/app"]);
        assert!(there.has_image("made.up/x/app:latest"));
        // What nobody has is told with what was tried.
        let out = there.fails(1, &["pull", "made.up/x/none"]);
        out.says("made.up/x/none").says(&registry.address);
    }
}

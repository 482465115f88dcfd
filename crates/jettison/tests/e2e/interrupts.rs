//! Ctrl-C: whatever a command waits for, it ends soon, says so, and leaves nothing half-done.

use crate::harness::{Context, FaultProxy, House, LIMIT, Registry, own, own_with_busybox};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// So long an interrupted command may go on.
const SOON: Duration = Duration::from_secs(5);

/// A server that takes connections and never answers. Gives its address, and each connection as it comes.
fn silent() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (send, connections) = channel();
    // It ends with the first connection after the test.
    std::thread::spawn(move || listener.incoming().flatten().try_for_each(|stream| send.send(stream)));
    (address, connections)
}

/// A command that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is no error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(mut command: Command) -> Running {
    Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Interrupts a command once; gives what it says on standard error.
#[track_caller]
fn interrupt(mut running: Running, what: &str) -> String {
    let child = &mut running.0;
    let begun = Instant::now();
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
    // Its output stays unread, as long as it lives.
    let stdout = child.stdout.take();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{what}: {said}");
    assert!(begun.elapsed() < SOON, "{what} took {:?}", begun.elapsed());
    assert!(
        said.lines().any(|line| line.starts_with("error: ") && line.contains("interrupted")),
        "{what}: {said}"
    );
    drop(stdout);
    said
}

fn entries(house: &House, folder: &str) -> usize {
    fs::read_dir(house.root().join(folder)).map_or(0, Iterator::count)
}

#[test]
fn a_registry_that_never_answers_keeps_nobody() {
    let house = own_with_busybox();
    let (local, remote) = (Context::dockerfile("FROM busybox\nRUN true\n"), Context::new());
    for words in [
        "build --cache-from type=registry,ref=HOST/a LOCAL",
        "pull HOST/a",
        "push busybox HOST/a",
        "run HOST/a",
        "create HOST/a",
        "copy docker://HOST/a docker://HOST/b",
        "build REMOTE",
        "build --push -t HOST/a LOCAL",
        "build --cache-to type=registry,ref=HOST/a LOCAL",
    ] {
        let (host, connections) = silent();
        remote.write("Dockerfile", &format!("FROM {host}/base\n"));
        let words =
            words.replace("HOST", &host).replace("LOCAL", local.text()).replace("REMOTE", remote.text());
        let child = start(house.command(&words.split(' ').collect::<Vec<_>>()));
        let connection = connections.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{words} asks nobody"));
        interrupt(child, &words);
        drop(connection);
    }
}

#[test]
fn an_export_ends_however_far_it_is() {
    let (house, context) = (own(), Context::dockerfile("FROM scratch\nCOPY noise /\n"));
    let mut noise = vec![0; 4 << 20];
    rustix::rand::getrandom(&mut noise, rustix::rand::GetRandomFlags::empty()).unwrap();
    fs::write(context.path().join("noise"), noise).unwrap();
    house.build(&context, &["--tag", "noise"]);
    let text = context.text();
    let build = |kind: &str| {
        vec!["build".to_owned(), "-o".to_owned(), format!("type={kind},dest=-"), text.to_owned()]
    };
    let save = ["save", "noise"].map(str::to_owned).to_vec();
    for args in [build("tar"), build("oci"), build("docker"), save] {
        let mut child = start(house.command(&args.iter().map(String::as_str).collect::<Vec<_>>()));
        // A reader that stops: it stands in a write from then on.
        let mut stdout = child.0.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 512]).unwrap();
        child.0.stdout = Some(stdout);
        interrupt(child, &args.join(" "));
        assert_eq!(entries(&house, "ingest"), 0);
    }
    house.build(&context, &[]).all_cached();
}

#[test]
fn an_interrupted_pull_is_gone_on_with() {
    let (house, registry) = (own(), Registry::open());
    let context = Context::dockerfile("FROM scratch\nCOPY noise /\n");
    let mut noise = vec![0; 1_000_000];
    rustix::rand::getrandom(&mut noise, rustix::rand::GetRandomFlags::empty()).unwrap();
    fs::write(context.path().join("noise"), &noise).unwrap();
    house.build(&context, &["--tag", "noise"]);
    house.ok(&["push", "-q", "noise", &format!("{}/image", registry.address)]);
    let (there, proxy) = (own(), FaultProxy::before(&registry));
    let name = format!("{}/image", proxy.address);
    proxy.slow(20_000);
    let child = start(there.command(&["pull", "--progress", "plain", &name]));
    let ingest = there.root().join("ingest");
    let bytes = || -> u64 {
        let files = fs::read_dir(&ingest).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|known| known.len()).sum()
    };
    let begun = Instant::now();
    while bytes() < 100_000 && begun.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = interrupt(child, "pull");
    assert!(said.contains("the next pull goes on from there"), "{said}");
    let kept = bytes();
    assert!((100_000..1_000_000).contains(&kept), "{kept}");
    assert!(there.ok(&["system", "df"]).text().contains("Build Cache"));
    proxy.slow(0);
    let before = proxy.seen().len();
    there.ok(&["pull", &name]);
    let sent: usize = proxy.seen()[before..].iter().map(|exchange| exchange.got).sum();
    assert!((sent as u64) < 1_010_000 - kept + 20_000, "{sent} bytes came, {kept} were here");
    assert_eq!((entries(&there, "ingest"), entries(&there, "leases")), (0, 0));
    assert_eq!(there.files(&name).get("noise").bytes, noise);
}

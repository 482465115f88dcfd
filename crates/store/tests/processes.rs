//! Several processes at one store. This binary starts itself again as each of them: `processes ROLE ROOT`. A role says
//! `ready` on its standard output and goes on when it reads a line, or ends with what it counted.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::explicit_write, reason = "the print macros are banned")]

use layer::{Content, Entry, Kind, Listing, Place, Time};
use oci::Digest;
use std::io::{BufRead, BufReader, Read, Write, stderr, stdin, stdout};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use store::{Commit, Kinds, NewRecord, Options, Prune, Sharing, Store};

const STEPS: u64 = 40;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, root] = &arguments[..]
        && let Some(role) = role.strip_prefix("role=")
    {
        play(role, Path::new(root));
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let tests: [(&str, fn()); 6] = [
        ("each_step_is_made_once", each_step_is_made_once),
        ("a_killed_maker_leaves_nothing_to_see", a_killed_maker_leaves_nothing_to_see),
        ("a_lease_protects_across_processes", a_lease_protects_across_processes),
        ("a_killed_holder_lets_go_of_its_mount", a_killed_holder_lets_go_of_its_mount),
        ("a_killed_holder_of_a_key_leaves_its_note", a_killed_holder_of_a_key_leaves_its_note),
        ("collecting_under_writers_breaks_no_hit", collecting_under_writers_breaks_no_hit),
    ];
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            // A panic ends the process with a failure.
            test();
            writeln!(stderr(), "test {name} ... ok").unwrap();
        }
    }
    ExitCode::SUCCESS
}

fn each_step_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody made the store before: they race for that too.
    let makers: Vec<_> = (0..4).map(|_| start("make", dir.path())).collect();
    let made: u64 = makers.into_iter().map(counted).sum();
    assert_eq!(made, STEPS);
    let store = open(dir.path());
    let keys: Vec<[Digest; 1]> = (0..STEPS).map(|mark| [key(mark)]).collect();
    assert!(store.find_many(&keys).unwrap().iter().all(Option::is_some));
}

fn a_killed_maker_leaves_nothing_to_see() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = ready("draft", dir.path());
    let store = open(dir.path());
    let entries = |folder: &str| std::fs::read_dir(store.root().join(folder)).unwrap().count();
    store.sweep().unwrap();
    // The blob that it writes has no name yet.
    assert_eq!((entries("layers"), entries("ingest"), entries("leases")), (1, 0, 1));
    maker.kill().unwrap();
    maker.wait().unwrap();
    assert_eq!(store.find(&[key(1)]).unwrap(), None);
    store.sweep().unwrap();
    // The lease left is this process's own.
    assert_eq!((entries("layers"), entries("leases")), (0, 1));
}

fn a_lease_protects_across_processes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    make(&store, 1);
    make(&store, 2);
    store.end_lease();
    let mut user = ready("use", dir.path());
    let pruned = store.prune(&everything()).unwrap();
    assert_eq!(pruned.records.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key(2)]);
    user.kill().unwrap();
    user.wait().unwrap();
    assert_eq!(store.prune(&everything()).unwrap().records.len(), 1);
}

fn a_killed_holder_lets_go_of_its_mount() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = ready("mount", dir.path());
    let store = open(dir.path());
    assert!(store.cache_mount("npm", Sharing::Locked, &mut || false).is_err());
    holder.kill().unwrap();
    holder.wait().unwrap();
    store.cache_mount("npm", Sharing::Locked, &mut || false).unwrap();
}

fn a_killed_holder_of_a_key_leaves_its_note() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = ready("hold", dir.path());
    let store = open(dir.path());
    assert!(store.lock_key(&key(1), &mut || false).is_err());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let lock = store.lock_key(&key(1), &mut || true).unwrap();
    assert_eq!(lock.left_behind(), Some("cgroup/of/the/step"));
    drop(lock);
    assert_eq!(store.lock_key(&key(1), &mut || true).unwrap().left_behind(), None);
}

fn collecting_under_writers_breaks_no_hit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let checkers: Vec<_> = (0..2).map(|_| start("check", dir.path())).collect();
    let mut checkers: Vec<_> = checkers.into_iter().map(Some).collect();
    let mut removed = 0;
    while checkers.iter().any(Option::is_some) {
        removed += store.prune(&everything()).unwrap().records.len();
        for place in &mut checkers {
            if place.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
                counted(place.take().unwrap());
            }
        }
    }
    assert!(removed > 0);
}

fn play(role: &str, root: &Path) {
    let store = open(root);
    match role {
        "make" => {
            let mut made = 0;
            for mark in 0..STEPS {
                let _lock = store.lock_key(&key(mark), &mut || true).unwrap();
                if store.find(&[key(mark)]).unwrap().is_none() {
                    make(&store, mark);
                    made += 1;
                }
            }
            store.finish().unwrap();
            writeln!(stdout(), "{made}").unwrap();
        }
        "draft" => {
            let draft = store.new_layer().unwrap();
            draft.make_folders().unwrap();
            std::fs::write(draft.fs().join("file"), "half").unwrap();
            let mut blob = store.blob_writer(None).unwrap();
            blob.write_all(b"half").unwrap();
            wait();
        }
        "use" => {
            store.find(&[key(1)]).unwrap().unwrap();
            wait();
        }
        "hold" => {
            let mut lock = store.lock_key(&key(1), &mut || true).unwrap();
            lock.note("cgroup/of/the/step").unwrap();
            wait();
        }
        "mount" => {
            let mut mount = store.cache_mount("npm", Sharing::Locked, &mut || true).unwrap();
            mount.ready().unwrap();
            wait();
        }
        // Short leases, so that there is always something to collect; what was found must stay whole.
        "check" => {
            for round in 0..60 {
                let mark = round % 5;
                let hit = store.find(&[key(mark)]).unwrap();
                match hit {
                    Some(hit) => {
                        for id in hit.record.stack {
                            assert!(store.layer(id).unwrap().unwrap().folder);
                            let text = std::fs::read_to_string(store.layer_dir(id).join("fs/file")).unwrap();
                            assert_eq!(text, "text");
                        }
                    }
                    None => make(&store, mark),
                }
                store.end_lease();
                std::thread::sleep(Duration::from_millis(1));
            }
            writeln!(stdout(), "0").unwrap();
        }
        other => panic!("no role `{other}`"),
    }
}

fn wait() {
    writeln!(stdout(), "ready").unwrap();
    stdout().flush().unwrap();
    stdin().read_line(&mut String::new()).unwrap();
}

fn start(role: &str, root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(format!("role={role}"))
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ready(role: &str, root: &Path) -> Child {
    let mut child = start(role, root);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn counted(mut child: Child) -> u64 {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text.trim().parse().unwrap()
}

fn open(root: &Path) -> Store {
    let mut options = Options::new(root.join("root"));
    options.grace = Duration::ZERO;
    Store::open(options).unwrap()
}

fn everything() -> Prune {
    Prune { kinds: Kinds { records: true, ..Kinds::default() }, all: true, ..Prune::default() }
}

fn key(mark: u64) -> Digest {
    Digest::of(&mark.to_le_bytes())
}

fn make(store: &Store, mark: u64) {
    let mut draft = store.new_layer().unwrap();
    draft.make_folders().unwrap();
    std::fs::write(draft.fs().join("file"), "text").unwrap();
    let content = Content::Own(Place::Folder);
    let entry = Entry {
        path: b"file"[..].into(),
        kind: Kind::File { size: 4, digest: Digest::of(b"text"), link: 0, content },
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        xattrs: Vec::new().into(),
    };
    draft.write_listing(&Listing::new(vec![entry], Vec::new())).unwrap();
    let record = NewRecord { stack: vec![draft.id()], ..NewRecord::default() };
    let commit = Commit { layers: vec![draft], record: Some((key(mark), record)), links: Vec::new() };
    store.commit(commit).unwrap();
}

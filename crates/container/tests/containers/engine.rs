//! Names, states, removal, crashes: what is true of containers without looking into them.

use crate::support::{Kit, alone, map, sh, words};
use container::{Error, NewContainer, RunOptions, Status};
use std::time::Instant;

#[test]
fn a_name_that_is_taken_is_named_and_leaves_nothing() {
    let kit = Kit::with(oci::ContainerConfig {
        volumes: std::collections::BTreeMap::from([("/v".to_owned(), oci::Empty {})]),
        ..oci::ContainerConfig::default()
    });
    let named = || NewContainer { name: Some("box".into()), ..sh("true") };
    let id = kit.containers.create(&named()).unwrap().id;
    let error = kit.containers.create(&named()).unwrap_err();
    assert!(error.to_string().contains("`box`") && error.to_string().contains(&id), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(kit.store.volumes().unwrap().len(), 1, "the anonymous volume of the second is gone");
    kit.containers.rename("box", "other").unwrap();
    kit.containers.create(&named()).unwrap();
    let labels = kit.containers.create(&NewContainer { labels: map(&[("a", "b")]), ..sh("true") }).unwrap();
    assert_eq!(kit.containers.get(&labels.name).unwrap().config.labels["a"], "b");
    assert_eq!(kit.containers.list().unwrap().len(), 3);
    kit.containers.remove(&id[..12], false, true).unwrap();
    assert!(matches!(kit.containers.get(&id), Err(Error::NoContainer { .. })));
    assert_eq!(kit.store.volumes().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_made_is_named() {
    let kit = Kit::new();
    let missing = NewContainer { image: "nothing".into(), ..sh("true") };
    assert!(matches!(kit.containers.create(&missing), Err(Error::NoImage { name }) if name == "nothing"));
    let empty = NewContainer { command: Vec::new(), ..sh("") };
    assert!(matches!(kit.containers.create(&empty), Err(Error::NoCommand { .. })));
    assert!(matches!(kit.containers.start("nobody", false, false, None), Err(Error::NoContainer { .. })));
    assert!(kit.containers.list().unwrap().is_empty());
}

#[test]
fn the_exit_code_and_times_stay() {
    let kit = Kit::new();
    let id = kit.start(sh("echo said; exit 42"));
    assert_eq!(kit.containers.wait(&id).unwrap(), 42);
    let state = kit.containers.get(&id).unwrap().state;
    assert_eq!((state.status, state.exit_code, state.pid), (Status::Exited, 42, 0));
    assert!(state.started.unwrap() < state.finished.unwrap());
    assert_eq!(kit.log(&id), "said\n");
    // Its files and its log are there at the next start.
    kit.containers.start(&id, false, false, None).unwrap();
    assert_eq!(kit.containers.wait(&id).unwrap(), 42);
    assert_eq!(kit.log(&id), "said\nsaid\n");
}

#[test]
fn codes_of_programs_that_cannot_start() {
    let kit = Kit::new();
    for (program, code) in [("nosuch", 127), ("/bin/noexec", 126), ("/etc", 126)] {
        let id = kit.containers.create(&NewContainer { command: words(&[program]), ..sh("") }).unwrap().id;
        let error = kit.containers.start(&id, true, false, None).unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(program), "{error}");
        let state = kit.containers.get(&id).unwrap().state;
        assert_eq!((state.status, state.exit_code), (Status::Created, code));
        kit.containers.remove(&id, false, false).unwrap();
    }
    let nobody = NewContainer { user: Some("nobody-there".into()), ..sh("true") };
    let id = kit.containers.create(&nobody).unwrap().id;
    let error = kit.containers.start(&id, false, false, None).unwrap_err();
    assert!(error.exit_code() == 125 && error.to_string().contains("nobody-there"), "{error}");
}

#[test]
fn stop_asks_and_then_kills() {
    let kit = Kit::new();
    let ready = |id: &str| kit.until("the trap is set", || kit.exec(id, "test -e /ready").0 == 0);
    let id = kit.start(sh("trap 'exit 7' TERM; : > /ready; while :; do sleep 0.01; done"));
    ready(&id);
    kit.containers.stop(&id, None, None).unwrap();
    assert_eq!(kit.containers.get(&id).unwrap().state.exit_code, 7);
    let own = NewContainer {
        stop_signal: Some("USR1".into()),
        ..sh("trap 'exit 8' USR1; : > /ready; while :; do sleep 0.01; done")
    };
    let id = kit.start(own);
    ready(&id);
    kit.containers.stop(&id, None, None).unwrap();
    assert_eq!(kit.containers.get(&id).unwrap().state.exit_code, 8);
    // Process 1 ignores what it has no handler for.
    let id = kit.start(sh("sleep 1000"));
    let begun = Instant::now();
    kit.containers.stop(&id, None, Some(1)).unwrap();
    assert!((1..5).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(kit.containers.get(&id).unwrap().state.exit_code, 137);
    kit.containers.stop(&id, None, None).unwrap();
    assert!(matches!(kit.containers.kill(&id, 9), Err(Error::NotRunning { .. })));
}

#[test]
fn a_running_container_is_removed_by_force_only() {
    let kit = Kit::new();
    let id = kit.start(sh("sleep 1000"));
    assert!(matches!(kit.containers.remove(&id, false, false), Err(Error::Running { .. })));
    let (dir, layer) =
        (kit.store.container_dir(&id), kit.store.container(&id).unwrap().unwrap().layer.unwrap());
    kit.containers.remove(&id, true, false).unwrap();
    assert!(!dir.exists() && !kit.store.layer_dir(layer).exists());
}

#[test]
fn it_removes_itself_where_that_was_asked() {
    let kit = Kit::new();
    let (code, out, _) = kit
        .run(NewContainer { options: RunOptions { auto_remove: true, ..alone() }, ..sh("echo hi; exit 3") });
    assert_eq!((code, out.as_str()), (3, "hi\n"));
    assert!(kit.containers.list().unwrap().is_empty(), "it is gone when its exit code is known");
}

#[test]
fn it_removes_itself_without_its_starter_too() {
    let kit = Kit::new();
    let new =
        |script: &str| NewContainer { options: RunOptions { auto_remove: true, ..alone() }, ..sh(script) };
    let id = kit.start(new("exit 3"));
    let _ = kit.containers.wait(&id);
    kit.until("it is gone", || kit.containers.list().unwrap().is_empty());
    // A starter that goes away in the middle.
    let id = kit.containers.create(&new("sleep 0.3")).unwrap().id;
    drop(kit.containers.start(&id, true, false, None).unwrap());
    kit.until("it is gone", || kit.containers.list().unwrap().is_empty());
}

#[test]
fn a_monitor_that_is_asked_to_end_asks_the_container() {
    let kit = Kit::new();
    let id = kit.start(sh("trap 'exit 21' TERM; echo up; while :; do sleep 0.01; done"));
    kit.until("it is up", || kit.log(&id) == "up\n");
    sandbox::signals::send(monitor_of(&kit, &id), 15).unwrap();
    kit.until("it has ended", || !kit.containers.get(&id).unwrap().state.is_running());
    assert_eq!(kit.containers.get(&id).unwrap().state.exit_code, 21);
}

fn monitor_of(kit: &Kit, id: &str) -> i32 {
    let main = kit.containers.get(id).unwrap().state.pid;
    let status = std::fs::read_to_string(format!("/proc/{main}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

#[test]
fn of_two_starts_one_wins() {
    let kit = Kit::new();
    let id = kit.containers.create(&sh("sleep 1000")).unwrap().id;
    let starts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| kit.containers.start(&id, false, false, None).map(drop))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(starts.iter().filter(|start| start.is_ok()).count(), 1, "{starts:?}");
    assert!(starts.iter().all(|s| matches!(s, Ok(()) | Err(Error::Running { .. }))), "{starts:?}");
}

#[test]
fn a_killed_monitor_takes_the_container_with_it() {
    let kit = Kit::new();
    let id = kit.start(sh("echo up; sleep 1000"));
    kit.until("it is up", || kit.log(&id) == "up\n");
    let main = kit.containers.get(&id).unwrap().state.pid;
    let monitor = monitor_of(&kit, &id);
    let waiting = std::thread::spawn({
        let (containers, id) = (kit.containers.clone(), id.clone());
        move || containers.wait(&id).unwrap()
    });
    sandbox::signals::send(monitor, 9).unwrap();
    assert_eq!(waiting.join().unwrap(), 137);
    let state = kit.containers.get(&id).unwrap().state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 137));
    assert!(!state.error.is_empty());
    kit.until("the process is gone", || {
        // A zombie is gone too: nobody here reaps what was the monitor's.
        std::fs::read_to_string(format!("/proc/{main}/status"))
            .map_or(true, |status| status.contains("State:\tZ") || !status.contains("sleep"))
    });
    assert!(matches!(kit.containers.kill(&id, 9), Err(Error::NotRunning { .. })));
    kit.containers.start(&id, false, false, None).unwrap();
    assert!(kit.containers.get(&id).unwrap().state.is_running());
    kit.containers.remove(&id, true, true).unwrap();
}

#[test]
fn inspect_has_dockers_shape() {
    let kit = Kit::new();
    let new = NewContainer {
        name: Some("shown".into()),
        ports: network::ports::parse("127.0.0.1:8080:80").unwrap(),
        mounts: vec![container::NewMount::Volume {
            name: Some("data".into()),
            target: "/data".into(),
            readonly: true,
            nocopy: false,
            subpath: String::new(),
        }],
        ..sh("exit 5")
    };
    let id = kit.start(new);
    kit.containers.wait(&id).unwrap();
    let shown = kit.containers.inspect("shown").unwrap();
    assert_eq!(shown["Id"], id.as_str());
    assert_eq!(shown["Name"], "/shown");
    assert_eq!((&shown["Path"], &shown["Args"][1]), (&"sh".into(), &"exit 5".into()));
    assert_eq!(shown["State"]["ExitCode"], 5);
    assert_eq!(shown["State"]["Status"], "exited");
    assert_eq!(shown["Config"]["Cmd"][2], "exit 5");
    assert_eq!(shown["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
    assert_eq!(shown["Mounts"][0]["Name"], "data");
    assert_eq!(shown["Mounts"][0]["RW"], false);
}

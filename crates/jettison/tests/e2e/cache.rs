//! What is done twice and what is not: hits across processes, kills and neighbours, and the reasons of misses.

use crate::harness::{Built, Context, House, own_with_busybox, processes_with, shared, unique};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

/// A Dockerfile whose steps no other test has.
fn salted(text: &str) -> Context {
    Context::dockerfile(&text.replace("SALT", &unique("salt")))
}

#[test]
fn a_second_process_finds_everything() {
    let house = shared();
    let context = salted(
        "FROM busybox AS a\nRUN echo SALT > /a\nFROM busybox\nWORKDIR /SALT\nCOPY f .\nCOPY --from=a /a .\nRUN cat a f > both\n",
    );
    context.write("f", "f\n");
    let first = house.build(&context, &["--tag", &unique("cache")]);
    assert_eq!(first.ran("[a 2/2] RUN").reason(), "runs because it was not built before");
    house.build(&context, &["--tag", &unique("cache")]).all_cached();
}

#[test]
fn equal_builds_give_equal_images() {
    let house = shared();
    let context = salted("FROM busybox\nCOPY f /f\nRUN echo SALT > /a\n");
    context.write("f", "f\n");
    let id = |args: &[&str]| {
        let mut all = vec!["--quiet"];
        all.extend(args);
        house.build(&context, &all).out.text().to_owned()
    };
    let first = id(&[]);
    assert!(first.starts_with("sha256:") && first.len() == 71, "{first}");
    assert_eq!(id(&[]), first);
}

#[test]
fn time_stamps_are_no_reason_but_modes_are() {
    let house = shared();
    let context = salted("FROM busybox\nCOPY . /SALT/\n");
    context.write("f", "f\n");
    house.build(&context, &[]);
    let file = fs::File::options().write(true).open(context.path().join("f")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(10_000)).unwrap();
    drop(file);
    house.build(&context, &[]).all_cached();
    fs::set_permissions(context.path().join("f"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(house.build(&context, &[]).ran("COPY").reason(), "runs because 1 file changed: f");
}

#[test]
fn reasons_name_files_that_came_changed_and_went() {
    let house = shared();
    let context = salted("FROM busybox\nCOPY . /SALT/\nRUN ls /SALT\n");
    context.write("changed", "1\n");
    context.write("gone", "1\n");
    context.write("same", "1\n");
    house.build(&context, &[]);
    context.write("changed", "2\n");
    context.write("new", "1\n");
    fs::remove_file(context.path().join("gone")).unwrap();
    let built = house.build(&context, &[]);
    assert_eq!(
        built.ran("COPY").reason(),
        "runs because 3 files changed: changed, new (new), gone (removed)"
    );
    assert_eq!(built.ran("RUN").notes, [""; 0]);
}

#[test]
fn reasons_name_instructions_arguments_and_variables() {
    let house = shared();
    let context = salted("FROM busybox\nARG VERSION=1\nENV MODE=a\nRUN echo SALT > /a\nRUN echo b > /b\n");
    house.build(&context, &[]);

    let built = house.build(&context, &["--build-arg", "VERSION=2"]);
    assert_eq!(built.ran("> /a").reason(), "runs because build argument VERSION changed from `1` to `2`");

    context.replace("Dockerfile", "MODE=a", "MODE=b");
    let built = house.build(&context, &["--build-arg", "VERSION=2"]);
    assert_eq!(built.ran("> /a").reason(), "runs because environment variable MODE changed from `a` to `b`");

    context.replace("Dockerfile", "echo b > /b", "echo c > /b");
    let built = house.build(&context, &["--build-arg", "VERSION=2"]);
    built.cached("> /a");
    assert_eq!(
        built.ran("> /b").reason(),
        "runs because the instruction changed from `echo b > /b` to `echo c > /b`"
    );

    context.replace("Dockerfile", "RUN echo c", "WORKDIR /elsewhere\nRUN echo c");
    let built = house.build(&context, &["--build-arg", "VERSION=2"]);
    built.cached("> /a");
    built.ran("WORKDIR");
}

#[test]
fn an_argument_before_its_first_use_changes_nothing_above() {
    let house = shared();
    let context = salted("FROM busybox\nRUN echo SALT > /above\nARG VERSION\nRUN echo $VERSION > /below\n");
    house.build(&context, &["--build-arg", "VERSION=1"]);
    let built = house.build(&context, &["--build-arg", "VERSION=2"]);
    built.cached("> /above");
    assert_eq!(built.ran("> /below").reason(), "runs because build argument VERSION changed from `1` to `2`");
}

#[test]
fn no_cache_runs_everything() {
    let house = shared();
    let context =
        salted("FROM busybox AS a\nRUN echo SALT > /a\nFROM busybox\nCOPY --from=a /a /\nRUN cat /a\n");
    house.build(&context, &[]);
    let built = house.build(&context, &["--no-cache"]);
    assert_eq!(built.ran("[a 2/2] RUN").reason(), "runs because of --no-cache");
    built.ran("RUN cat /a");
    house.build(&context, &[]).all_cached();

    let built = house.build(&context, &["--no-cache-filter", "a"]);
    built.ran("[a 2/2] RUN");
    built.cached("RUN cat /a");
}

#[test]
fn a_stage_that_makes_the_same_files_is_as_good_as_the_old_one() {
    let house = shared();
    let context = salted(
        "FROM busybox AS a\nRUN echo SALT > /a\nFROM busybox\nCOPY --from=a /a /SALT/\nRUN cat /SALT/a\n",
    );
    house.build(&context, &[]);
    context.replace("Dockerfile", "RUN echo salt", "RUN true && echo salt");
    let built = house.build(&context, &[]);
    built.ran("[a 2/2] RUN");
    built.cached("COPY --from=a");
    built.cached("RUN cat");
}

#[test]
fn a_failed_step_is_tried_again_and_what_was_finished_stays() {
    let house = shared();
    let id = unique("gate");
    let context = salted(&format!(
        "FROM busybox\nRUN echo SALT > /a\nRUN --mount=type=cache,id={id},target=/c test -e /c/open || {{ touch /c/open; exit 3; }}\n"
    ));
    let failed = house.try_build(&context, &[]);
    assert_eq!(failed.out.code, Some(1), "{}", failed.out.stderr);
    failed.ran("RUN echo");
    let built = house.build(&context, &[]);
    built.cached("RUN echo");
    built.ran("RUN --mount");
}

/// Starts a build and waits until it says `text`.
fn begin(house: &House, context: &Context, text: &str) -> std::process::Child {
    let mut command = house.command(&["build", "--progress", "plain", context.text()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    loop {
        match lines.next() {
            // What the step writes, not the command that is its name.
            Some(Ok(line)) if line.ends_with(&format!(" {text}")) && !line.contains("RUN") => break,
            Some(Ok(line)) => said.push(line),
            _ => panic!("the build ended without saying `{text}`:\n{}", said.join("\n")),
        }
    }
    // The pipe stays open and is read to its end, or the build would be stopped by it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// A build that hangs in its second step the first time, and knows by a cache mount when it is the second time.
fn hanging(seconds: &str) -> Context {
    let id = unique("hang");
    salted(&format!(
        "FROM busybox\nRUN echo SALT > /a\nRUN --mount=type=cache,id={id},target=/c echo half > /b; if test -e /c/again; then echo whole > /b; else touch /c/again; echo it hangs; sleep {seconds}; fi\nRUN cat /a /b > /both\n"
    ))
}

#[test]
fn a_killed_build_leaves_nothing_half_done() {
    let house = shared();
    let seconds = (4_000_000 + std::process::id()).to_string();
    let context = hanging(&seconds);
    let mut child = begin(house, &context, "it hangs");
    child.kill().unwrap();
    child.wait().unwrap();
    // The step dies with the build.
    let begun = Instant::now();
    while !processes_with(&seconds).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the step goes on: {:?}",
            processes_with(&seconds)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let built = house.build(&context, &[]);
    built.cached("RUN echo");
    built.ran("RUN --mount");
    assert!(house.files_of(&context, &[]).text("both").ends_with("\nwhole\n"));
}

#[test]
fn an_interrupted_build_ends_its_step_and_says_so() {
    let house = shared();
    let seconds = (5_000_000 + std::process::id()).to_string();
    let context = hanging(&seconds);
    let mut child = begin(house, &context, "it hangs");
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    assert_eq!(processes_with(&seconds), [""; 0]);
    house.build(&context, &[]).cached("RUN echo");
}

#[test]
fn of_two_builds_at_once_one_runs_the_step() {
    let house = shared();
    let id = unique("once");
    let context = salted(&format!(
        "FROM busybox\nRUN --mount=type=cache,id={id},target=/c echo SALT >> /c/log; sleep 1; cp /c/log /log\n"
    ));
    let (first, second) = std::thread::scope(|scope| {
        let build = || house.build(&context, &[]);
        let (first, second) = (scope.spawn(build), scope.spawn(build));
        (first.join().unwrap(), second.join().unwrap())
    });
    let ran = |built: &Built| built.step("RUN --mount").done && !built.step("RUN --mount").cached;
    assert!(ran(&first) != ran(&second), "{}\n---\n{}", first.out.stderr, second.out.stderr);
    assert_eq!(house.files_of(&context, &[]).text("log").lines().count(), 1);
}

#[test]
fn stages_run_side_by_side() {
    let house = shared();
    let id = unique("meet");
    // Each stage waits for the other one; in a row neither would ever end.
    let stage = |own: &str, other: &str| {
        format!(
            "FROM busybox AS {own}\nRUN --mount=type=cache,id={id},target=/c touch /c/{own}; i=0; until test -e /c/{other}; do i=$((i+1)); test $i -lt 300 || exit 1; sleep 0.1; done; echo {own} > /{own}\n"
        )
    };
    let context = Context::dockerfile(&format!(
        "{}{}FROM scratch\nCOPY --from=left /left /\nCOPY --from=right /right /\n",
        stage("left", "right"),
        stage("right", "left")
    ));
    house.build(&context, &[]);
}

#[test]
fn a_shared_stage_runs_once_for_two_that_stand_on_it() {
    let house = shared();
    let id = unique("shared");
    let context = Context::dockerfile(&format!(
        "FROM busybox AS base\nRUN --mount=type=cache,id={id},target=/c echo x >> /c/log; cp /c/log /log\nFROM base AS one\nRUN echo 1 > /one\nFROM base AS two\nRUN echo 2 > /two\nFROM scratch\nCOPY --from=one /one /log /\nCOPY --from=two /two /\n"
    ));
    assert_eq!(house.files_of(&context, &[]).text("log"), "x\n");
}

#[test]
fn another_base_is_a_reason() {
    let (house, base) = (shared(), unique("base"));
    let below = salted("FROM busybox\nRUN echo SALT > /below\n");
    let above = salted(&format!("FROM {base}\nRUN echo SALT > /above\n"));
    house.build(&below, &["--tag", &base]);
    house.build(&above, &[]).ran("RUN");
    house.build(&above, &[]).all_cached();
    below.replace("Dockerfile", "/below", "/below2");
    house.build(&below, &["--tag", &base]);
    assert_eq!(house.build(&above, &[]).ran("RUN").reason(), "runs because what it stands on changed");
}

#[test]
fn a_pruned_store_builds_again() {
    let house = own_with_busybox();
    let context = salted("FROM busybox AS a\nRUN echo SALT > /a\nFROM scratch\nCOPY --from=a /a /\n");
    let name = unique("kept");
    house.build(&context, &["--tag", &name]);
    house.ok(&["builder", "prune", "--all", "--force"]);
    // The image is whole, whatever was pruned around it.
    assert!(house.files(&name).has("a"));
    let built = house.build(&context, &["--no-cache"]);
    built.ran("[a 2/2] RUN");
}

#[test]
fn killed_at_any_instant_the_next_build_is_right() {
    let house = own_with_busybox();
    let context = Context::dockerfile(
        "FROM busybox AS a\nCOPY files /files\nRUN cat /files/* > /all && for i in $(seq 200); do echo $i > /n$i; done\nFROM busybox AS b\nRUN for i in $(seq 200); do echo $i > /m$i; done\nFROM scratch\nCOPY --from=a /all /n* /a/\nCOPY --from=b /m* /b/\n",
    );
    for number in 0..50 {
        context.write(&format!("files/{number:02}"), &format!("{number}\n"));
    }
    for pause in [5, 20, 40, 60, 80, 120, 160, 250] {
        let mut command = house.command(&["build", "--progress", "none", "--tag", "killed", context.text()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        // An image that has a name is whole.
        if house.has_image("killed") {
            assert!(house.files("killed").has("b/m200"), "after {pause} ms");
        }
    }
    house.build(&context, &["--tag", "killed"]);
    let files = house.files("killed");
    let expected: String = (0..50).map(|number| format!("{number}\n")).collect();
    assert_eq!(files.text("a/all"), expected);
    assert_eq!((files.names("a").len(), files.names("b").len()), (201, 200));
    assert!(files.below("b").all(|(path, entry)| entry.bytes == format!("{}\n", &path[3..]).into_bytes()));
    house.build(&context, &[]).all_cached();
    // And nothing of the killed ones stays once it is tidied up.
    house.ok(&["system", "prune", "--all", "--force"]);
    assert_eq!(fs::read_dir(house.root().join("layers")).unwrap().count(), 0);
}

#[test]
fn many_builds_at_once_share_a_store() {
    let house = shared();
    let salt = unique("many");
    std::thread::scope(|scope| {
        let salt = &salt;
        let all: Vec<_> = (0..6)
            .map(|number| {
                scope.spawn(move || {
                    let context = Context::dockerfile(&format!(
                        "FROM busybox AS common\nRUN echo {salt} > /common\nFROM common\nCOPY f /f\nRUN cat /common /f > /both\n"
                    ));
                    context.write("f", &format!("{}\n", number % 3));
                    house.files_of(&context, &[]).text("both").to_owned()
                })
            })
            .collect();
        for (number, one) in all.into_iter().enumerate() {
            assert_eq!(one.join().unwrap(), format!("{salt}\n{}\n", number % 3));
        }
    });
}

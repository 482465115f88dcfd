//! Caches in GitHub's Actions, against a service of the tests' own that has its rules (`harness/actions.rs`).

use crate::harness::{Actions, Built, Context, House, LIMIT, Reply, own_with_busybox};
use std::process::Stdio;
use std::time::{Duration, Instant};

const MAIN: &str = "refs/heads/main";
const BRANCH: &str = "refs/heads/feature";

fn context() -> Context {
    let context = Context::dockerfile(
        "FROM busybox AS builder\nCOPY f /src/\nRUN cat /src/f > /copied\n\
         FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /own\nCOPY --from=builder /copied /\n",
    );
    context.write("f", "f\n");
    context
}

/// The variables that the runner sets for each version of the protocol.
fn runner(service: &Actions, version: u32, token: &str) -> Vec<(&'static str, String)> {
    let mut variables = vec![("ACTIONS_RUNTIME_TOKEN", token.to_owned())];
    match version {
        1 => variables.push(("ACTIONS_CACHE_URL", service.url())),
        _ => variables.extend([
            ("ACTIONS_RESULTS_URL", service.url()),
            ("ACTIONS_CACHE_SERVICE_V2", "True".to_owned()),
        ]),
    }
    variables
}

fn build(house: &House, args: &[&str], runner: &[(&str, String)]) -> Built {
    house.build_with(&context(), args, runner)
}

#[test]
fn a_branch_finds_what_main_built() {
    for version in [1, 2] {
        let (one, two, service) = (own_with_busybox(), own_with_busybox(), Actions::start());
        let main = runner(&service, version, &Actions::token(&[(MAIN, true)]));
        build(&one, &["--tag", "a", "--cache-to", "type=gha,mode=max"], &main);
        let keys = service.keys();
        let begin = |begin: &str| keys.iter().filter(|(_, key)| key.starts_with(begin)).count();
        assert_eq!(begin("index-buildkit-1-"), 1, "{keys:?}");
        assert!(begin("buildkit-blob-1-sha256:") >= 3, "{keys:?}");
        // A branch reads its own caches and main's, and writes only its own.
        let branch = runner(&service, version, &Actions::token(&[(BRANCH, true), (MAIN, false)]));
        service.requests();
        let args = ["--tag", "a", "--cache-from", "type=gha", "--cache-to", "type=gha,mode=max"];
        build(&two, &args, &branch).all_cached();
        assert_eq!(one.inspect("a")["Id"], two.inspect("a")["Id"], "the same image");
        let requests = service.requests();
        assert!(!requests.iter().any(|r| r.starts_with("PATCH") && r.ends_with("/1")), "{requests:?}");
        let keys = service.keys();
        let of_branch: Vec<&str> =
            keys.iter().filter(|(branch, _)| branch == BRANCH).map(|(_, key)| key.as_str()).collect();
        // Blobs of main are there for the branch: only the index is new.
        assert!(of_branch.len() == 1 && of_branch[0].ends_with("#1"), "{of_branch:?}");
        // The index of main is written under the next number.
        build(&one, &["--cache-to", "type=gha,mode=max"], &main);
        assert!(service.keys().iter().any(|(branch, key)| branch == MAIN && key.ends_with("#2")));
    }
}

#[test]
fn large_blobs_go_in_chunks_and_a_busy_service_is_waited_for() {
    for version in [1, 2] {
        let (one, two, service) = (own_with_busybox(), own_with_busybox(), Actions::start());
        let runner = runner(&service, version, &Actions::token(&[(MAIN, true)]));
        let context = Context::dockerfile("FROM busybox\nRUN head -c 40000000 /dev/zero > /big\n");
        service.be_busy(2);
        let to = "type=gha,compression=uncompressed,force-compression=true";
        one.build_with(&context, &["--tag", "a", "--cache-to", to], &runner);
        let requests = service.requests();
        let chunk = if version == 1 { "PATCH " } else { "&comp=block&" };
        assert!(requests.iter().filter(|request| request.contains(chunk)).count() >= 2, "{requests:?}");
        two.build_with(&context, &["--tag", "a", "--cache-from", "type=gha"], &runner).all_cached();
        let size = "FROM a\nRUN stat -c %s /big\n";
        assert!(two.build(&Context::dockerfile(size), &[]).step("stat").log.contains(&"40000000".to_owned()));
    }
}

#[test]
fn a_service_that_fails_costs_a_warning_and_a_limited_time() {
    let service = Actions::start();
    let token = Actions::token(&[(MAIN, true)]);
    let one = own_with_busybox();
    build(&one, &["--cache-to", "type=gha,mode=max"], &runner(&service, 2, &token));
    let html = || Reply::ok("<html>a proxy's page</html>").header("Content-Type", "text/html");
    let stalls = Reply { pause: Duration::from_secs(3600), ..Reply::ok("late") };
    let echo = Reply { status: 403, ..Reply::ok(format!("your token is {token}")) };
    for (part, reply) in [
        ("/twirp/", Reply::status(500)),
        ("/twirp/", html()),
        ("/twirp/", Reply::ok("{\"ok\":true}")),
        ("/twirp/", echo),
        ("/twirp/", stalls.clone()),
        ("/blob/", Reply::ok("{\"layers\":[}")),
        ("/blob/", html()),
    ] {
        service.break_down(part, reply);
        let (house, begun) = (own_with_busybox(), Instant::now());
        let args = ["--cache-from", "type=gha,timeout=4s"];
        let built = build(&house, &args, &runner(&service, 2, &token));
        built.out.says("warning: the cache gha://");
        built.ran("RUN cat /src/f");
        assert!(begun.elapsed() < Duration::from_secs(40), "{part} took {:?}", begun.elapsed());
        assert!(!built.out.stderr.contains(&token), "{}", built.out.stderr);
    }
}

#[test]
fn layers_that_were_evicted_or_break_off_are_made_again() {
    let service = Actions::start();
    let runner = runner(&service, 2, &Actions::token(&[(MAIN, true)]));
    build(&own_with_busybox(), &["--cache-to", "type=gha,mode=max"], &runner);
    service.evict("buildkit-blob-");
    let house = own_with_busybox();
    let built = build(&house, &["--tag", "a", "--cache-from", "type=gha"], &runner);
    built.out.says("warning: a shared cache names layers that cannot be had; the build goes on without it");
    assert_eq!(house.files("a").text("copied"), "f\n");
}

#[test]
fn outside_of_a_run_it_is_left_out() {
    let house = own_with_busybox();
    let built = house.build(&context(), &["--cache-from", "type=gha", "--cache-to", "type=gha,mode=max"]);
    built.out.says("warning: --cache-from: type=gha is left out");
    built.out.says("warning: --cache-to: type=gha is left out");
    let old = [
        ("ACTIONS_RUNTIME_TOKEN", "no.token".to_owned()),
        ("ACTIONS_CACHE_URL", "http://127.0.0.1:9/".to_owned()),
    ];
    let built = build(&house, &["--cache-from", "type=gha", "--no-cache"], &old);
    assert!(!built.out.stderr.contains("no.token"), "{}", built.out.stderr);
}

#[test]
fn an_interrupt_does_not_wait_for_a_cache() {
    let (house, service) = (own_with_busybox(), Actions::start());
    service.break_down("/twirp/", Reply { pause: Duration::from_secs(3600), ..Reply::ok("late") });
    let context = context();
    let mut command = house.command(&["build", "--cache-from", "type=gha", context.text()]);
    command.envs(runner(&service, 2, &Actions::token(&[(MAIN, true)])));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while service.requests().is_empty() && begun.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(20));
    }
    let begun = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
}

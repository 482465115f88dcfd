//! Sources that other machines hold: when they are asked, when they are fetched.

use crate::world::*;
use graph::NodeId;

const URL: &str = "https://example.com/f";

/// `image, RUN prepare, ADD url, RUN finish`.
fn plan(checksum: Option<&str>) -> (Plan, NodeId) {
    let mut plan = Plan::default();
    let base = plan.image("node");
    let prepared = plan.run(base, "prepare");
    let file = plan.http(URL, checksum);
    let added = plan.copy(prepared, file, "add");
    let last = plan.run(added, "finish");
    (plan, last)
}

fn world(content: &str) -> World {
    let world = World::new();
    world.urls.lock().unwrap().insert(URL.to_owned(), content.to_owned());
    world
}

fn asked(world: &World) -> usize {
    std::mem::take(&mut *world.asked.lock().unwrap()).len()
}

#[test]
fn a_url_is_asked_in_every_build_and_runs_nothing_while_it_holds_the_same() {
    let world = world("one");
    let (plan, last) = plan(None);
    ran(&world, &plan, last);
    assert_eq!(asked(&world), 1);
    let second = build(&world, &plan, last);
    assert_eq!(second.result.unwrap().ran, 0);
    assert_eq!((asked(&world), world.take_ran()), (1, String::new()));
    let file: Vec<_> = second.events.iter().filter(|event| event.contains(URL)).collect();
    assert_eq!(file, ["started https://example.com/f", "cached https://example.com/f"]);
    world.urls.lock().unwrap().insert(URL.to_owned(), "two".to_owned());
    assert_eq!(ran(&world, &plan, last), "add finish");
}

#[test]
fn with_a_checksum_nobody_is_asked_before_the_file_is_needed() {
    let world = world("one");
    let (plan, last) = plan(Some("one"));
    let first = build(&world, &plan, last);
    assert_eq!(first.result.unwrap().ran, 3);
    assert_eq!(asked(&world), 0);
    let mut commands: Vec<_> = world.take_ran().split(' ').map(str::to_owned).collect();
    commands.sort();
    assert_eq!(commands, ["add", "finish", URL, "node", "prepare"]);
    assert_eq!(ran(&world, &plan, last), "");
    assert_eq!(asked(&world), 0);
}

#[test]
fn a_file_that_was_pruned_is_not_fetched_for_a_step_that_is_kept() {
    let world = world("one");
    let (plan, last) = plan(None);
    ran(&world, &plan, last);
    world.evict(&format!("@{URL}"));
    let second = build(&world, &plan, last);
    assert_eq!(second.result.unwrap().ran, 0);
    assert_eq!(world.take_ran(), "");
    let file: Vec<_> = second.events.iter().filter(|event| event.contains(URL)).collect();
    assert_eq!(file, ["started https://example.com/f", "ended https://example.com/f"]);
    // It is fetched again when the step must run.
    world.evict("@add");
    world.evict("@finish");
    let (before, _) =
        ran(&world, &plan, last).split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(before, URL);
}

#[test]
fn an_unreached_url_is_not_asked() {
    let world = world("one");
    let mut plan = Plan::default();
    let base = plan.image("node");
    let target = plan.run(base, "prepare");
    plan.http("https://example.com/none", None);
    ran(&world, &plan, target);
    assert_eq!(asked(&world), 0);
}

#[test]
fn a_url_that_is_not_there_fails_its_own_node() {
    let world = World::new();
    let (plan, last) = plan(None);
    let built = build(&world, &plan, last);
    let error = built.result.unwrap_err();
    assert!(matches!(&error, solver::Error::Step { name, .. } if name == URL), "{error}");
    assert!(built.events.contains(&"ended https://example.com/f: 404".to_owned()), "{:?}", built.events);
}

//! What is run and what is not.

use crate::world::*;
use graph::{MountKind, NodeId};
use solver::{Cancel, Options};

/// The commands of a build with one thread, so that their order is always the same.
fn ran_one_by_one(world: &World, plan: &Plan, target: NodeId) -> String {
    build_with(world, plan, &[target], 1, &Cancel::new()).result.unwrap();
    world.take_ran()
}

#[test]
fn a_second_build_runs_nothing_and_gives_the_same() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    let first = build_with(&world, &plan, &[last], 1, &Cancel::new()).result.unwrap();
    assert_eq!(first.ran, 5);
    assert_eq!(world.take_ran(), "node sources prepare make copy finish");
    world.kept.lock().unwrap().lookups = 0;
    let second = build(&world, &plan, last);
    let solved = second.result.unwrap();
    assert_eq!((solved.ran, solved.targets), (0, first.targets));
    // Not even the base image was asked for, and the cache once.
    assert_eq!(world.take_ran(), "");
    assert_eq!(world.kept.lock().unwrap().lookups, 1);
    assert_eq!(
        second.events,
        ["cached sources", "cached make", "cached prepare", "cached copy", "cached finish"]
    );
}

#[test]
fn several_targets_are_given_in_the_order_asked_for() {
    let world = World::new();
    let mut plan = Plan::default();
    let base = plan.image("node");
    let (a, b) = (plan.run(base, "a"), plan.run(base, "b"));
    let solved = build_with(&world, &plan, &[b, a, b], 2, &Cancel::new()).result.unwrap();
    assert_eq!(solved.targets[0], solved.targets[2]);
    assert_ne!(solved.targets[0], solved.targets[1]);
    assert!(build_with(&world, &plan, &[], 2, &Cancel::new()).result.unwrap().targets.is_empty());
}

#[test]
fn what_no_target_reaches_is_not_looked_at() {
    let world = World::new();
    world.folder("broken", "missing");
    let mut plan = Plan::default();
    let (base, broken) = (plan.image("node"), plan.local("broken"));
    let a = plan.run(base, "a");
    plan.copy(base, broken, "unreached");
    assert_eq!(ran(&world, &plan, a), "node a");
}

#[test]
fn a_change_runs_what_stands_on_it() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    ran(&world, &plan, last);
    world.folder("context", "v2");
    assert_eq!(ran_one_by_one(&world, &plan, last), "node sources make copy finish");
}

#[test]
fn the_same_output_of_changed_sources_ends_the_chain() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    world.output("make", "bundle");
    ran(&world, &plan, last);
    world.folder("context", "v2");
    let built = build_with(&world, &plan, &[last], 1, &Cancel::new());
    assert_eq!(world.take_ran(), "node sources make");
    assert!(built.events.contains(&"cached copy".to_owned()));
    assert!(built.events.contains(&"cached finish".to_owned()));
    // The new definition leads to the old result from now on, without the builder.
    world.evict("make");
    assert_eq!(ran(&world, &plan, last), "");
}

#[test]
fn a_pruned_builder_is_not_missed() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    ran(&world, &plan, last);
    world.evict("make");
    let (again, last) = Plan::two_stages();
    let built = build(&world, &again, last);
    assert_eq!(world.take_ran(), "");
    assert!(!built.events.iter().any(|event| event.ends_with("make")));
}

#[test]
fn what_a_copy_stands_on_is_not_run_when_the_copy_hits() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    world.output("make", "bundle");
    ran(&world, &plan, last);
    // The definition leads nowhere, so the builder runs; the payload's own first step, which was pruned, does not.
    world.folder("context", "v2");
    world.evict("\"args\":[\"prepare\"]");
    assert_eq!(ran_one_by_one(&world, &plan, last), "node sources make");
}

#[test]
fn a_pruned_copy_is_not_missed_where_one_above_it_hits() {
    let world = World::new();
    let mut plan = Plan::default();
    let (base, context) = (plan.image("node"), plan.local("context"));
    let one = plan.run(base, "one");
    let sources = plan.copy(base, context, "sources");
    let two = plan.run(sources, "two");
    let first = plan.copy(base, one, "first");
    let second = plan.copy(first, two, "second");
    world.output("two", "always this");
    ran(&world, &plan, second);
    world.evict("@first");
    world.evict("@one");
    world.folder("context", "v2");
    assert_eq!(ran_one_by_one(&world, &plan, second), "node sources two");
}

#[test]
fn a_copy_that_comes_out_otherwise_gives_new_keys_to_what_stands_on_it() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    world.output("make", "bundle 1");
    ran(&world, &plan, last);
    // All is pruned but the links; the builder makes something else this time.
    for word in ["make", "prepare", "/out", "finish"] {
        world.evict(word);
    }
    world.output("make", "bundle 2");
    assert_eq!(ran_one_by_one(&world, &plan, last), "node sources make prepare copy finish");
    // A builder that makes the first output again must not find what stood on the second.
    let mut plan = Plan::default();
    let (base, context) = (plan.image("node"), plan.local("context"));
    let sources = plan.copy(base, context, "sources");
    let built = plan.run(sources, "make2");
    world.output("make2", "bundle 1");
    let prepared = plan.run(base, "prepare");
    let copied = plan.copy(prepared, built, "copy");
    let last = plan.run(copied, "finish");
    assert_eq!(ran_one_by_one(&world, &plan, last), "make2 copy finish");
}

#[test]
fn exclusions_tell_two_copies_apart() {
    let world = World::new();
    let plan_with = |exclude: &[&str]| {
        let mut plan = Plan::default();
        let base = plan.image("node");
        let built = plan.run(base, "make");
        let copied = plan.copy_without(base, built, "copy", exclude);
        (plan, copied)
    };
    let (plan, copied) = plan_with(&[]);
    assert_eq!(ran(&world, &plan, copied), "node make copy");
    let (plan, copied) = plan_with(&["*.map"]);
    assert_eq!(ran(&world, &plan, copied), "node copy");
    assert_eq!(ran(&world, &plan, copied), "");
}

#[test]
fn no_cache_runs_everything_once_and_keeps_it() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    ran(&world, &plan, last);
    let (mut again, _) = Plan::two_stages();
    for id in plan.0.ids() {
        again.fresh(id);
    }
    world.output("make", "bundle 2");
    assert_eq!(ran_one_by_one(&world, &again, last), "node sources prepare make copy finish");
    assert_eq!(ran(&world, &plan, last), "");
}

#[test]
fn a_builder_that_must_run_runs_and_its_output_decides() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    world.output("make", "bundle 1");
    ran(&world, &plan, last);
    let (mut fresh, _) = Plan::two_stages();
    let make = plan.0.ids().find(|id| plan.0.node(*id).about.slot == "make").unwrap();
    fresh.fresh(make);
    assert_eq!(ran_one_by_one(&world, &fresh, last), "make");
    world.output("make", "bundle 2");
    assert_eq!(ran_one_by_one(&world, &fresh, last), "make copy finish");
    assert_eq!(ran(&world, &plan, last), "");
}

#[test]
fn what_is_in_a_graph_twice_runs_once() {
    for fresh in [false, true] {
        let world = World::new();
        *world.pause.lock().unwrap() = std::time::Duration::from_millis(5);
        let mut plan = Plan::default();
        let base = plan.image("node");
        let a = plan.run_in("a", base, "install");
        let b = plan.run_in("b", base, "install");
        let (x, y) = (plan.run(a, "x"), plan.run(b, "y"));
        if fresh {
            for id in [a, b, x, y] {
                plan.fresh(id);
            }
        }
        let solved = build_with(&world, &plan, &[x, y], 4, &Cancel::new()).result.unwrap();
        assert_eq!(world.take_ran().matches("install").count(), 1);
        assert_eq!(solved.targets[0].stack[..2], solved.targets[1].stack[..2]);
        assert_eq!(solved.ran, 3);
    }
}

#[test]
fn the_stores_mode_is_part_of_runs_and_of_nothing_else() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    ran(&world, &plan, last);
    let single = Options { parallel: Some(1), mode: Some("single-id".to_owned()) };
    build_in_mode(&world, &plan, &[last], single, &Cancel::new()).result.unwrap();
    let again = world.take_ran();
    assert!(again.contains("make") && again.contains("finish") && !again.contains("sources"), "{again}");
}

#[test]
fn mounts_are_known_by_what_they_show() {
    let world = World::new();
    let mut plan = Plan::default();
    let (base, context) = (plan.image("node"), plan.local("context"));
    let tools = plan.run(base, "tools");
    let bind = |input| MountKind::Bind { input, source: "/".to_owned(), writable: false };
    let mounted = plan.run_over(&[base, context, tools], "mounted", |run| {
        run.mounts = [1, 2].map(|input| graph::Mount { target: "/m".to_owned(), kind: bind(input) }).to_vec();
    });
    assert_eq!(ran_one_by_one(&world, &plan, mounted), "node tools mounted");
    assert_eq!(ran(&world, &plan, mounted), "");
    world.folder("context", "v2");
    assert_eq!(ran_one_by_one(&world, &plan, mounted), "node tools mounted".replace("tools ", ""));
}

#[test]
fn a_cache_may_begin_with_a_folder_of_this_machine() {
    let world = World::new();
    let mut plan = Plan::default();
    let (base, context) = (plan.image("node"), plan.local("context"));
    let run = plan.run_over(&[base, context], "seeded", |run| {
        let kind = MountKind::Cache {
            id: "c".to_owned(),
            sharing: graph::CacheSharing::Shared,
            from: Some((1, "/".to_owned())),
            mode: 0o755,
            uid: 0,
            gid: 0,
            readonly: false,
        };
        run.mounts = vec![graph::Mount { target: "/c".to_owned(), kind }];
    });
    assert_eq!(ran(&world, &plan, run), "node seeded");
    assert_eq!(ran(&world, &plan, run), "");
}

#[test]
fn linked_copies_do_not_ask_what_they_land_on() {
    let world = World::new();
    let plan_on = |command: &str| {
        let mut plan = Plan::default();
        let (base, context) = (plan.image("node"), plan.local("context"));
        let nothing = plan.0.add(graph::Op::Scratch, Vec::new(), graph::About::default());
        let below = plan.run_in("below", base, command);
        let files = plan.copy(nothing, context, "files");
        let merged = plan.merge(&[below, files], "merge");
        (plan, merged)
    };
    let (plan, merged) = plan_on("one");
    assert_eq!(ran_one_by_one(&world, &plan, merged).matches("files").count(), 1);
    let (plan, merged) = plan_on("two");
    let again = ran_one_by_one(&world, &plan, merged);
    assert_eq!(again, "node two merge");
}

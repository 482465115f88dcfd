//! Why steps run.

use crate::world::*;
use graph::{NodeId, RunOp};
use insta::assert_snapshot;
use solver::{Cancel, Options};

/// The reasons of a build of `second` after one of `first`.
fn why(first: (Plan, NodeId), second: (Plan, NodeId)) -> String {
    let world = World::new();
    build(&world, &first.0, first.1).result.unwrap();
    let built = build(&world, &second.0, second.1);
    built.result.as_ref().unwrap();
    built.reasons()
}

/// One step on an image.
fn step(image: &str, command: &str, change: impl Fn(&mut RunOp)) -> (Plan, NodeId) {
    let mut plan = Plan::default();
    let base = plan.image(image);
    let step = plan.run_with("step", base, command, change);
    (plan, step)
}

#[test]
fn the_first_of_each_chain_has_a_reason() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    let built = build_with(&world, &plan, &[last], 1, &Cancel::new());
    assert_snapshot!(built.events.join("\n"), @r"
    started sources: runs because it was not built before
    ended sources
    started prepare: runs because it was not built before
    ended prepare
    started make
    ended make
    started copy
    ended copy
    started finish
    ended finish
    ");
    world.folder("context", "v2");
    assert_snapshot!(build(&world, &plan, last).reasons(), @"sources: runs because 2 files changed: index.js, ...");
}

#[test]
fn commands_arguments_environment_and_settings() {
    let plain = || step("node", "npm ci", |_| {});
    assert_snapshot!(why(plain(), plain()), @"");
    assert_snapshot!(why(plain(), step("node", "npm i", |_| {})), @"step: runs because the instruction changed from `npm ci` to `npm i`");
    assert_snapshot!(why(plain(), step("node", "npm ci", |run| run.env.set(variable("V", "1", true)))), @"step: runs because build argument V changed from unset to `1`");
    assert_snapshot!(why(step("node", "npm ci", |run| run.env.set(variable("V", "1", false))), plain()), @"step: runs because environment variable V changed from `1` to unset");
    assert_snapshot!(why(plain(), step("node", "npm ci", |run| run.cwd.push_str("app"))), @"step: runs because its working directory changed from `/` to `/app`");
    assert_snapshot!(why(plain(), step("node", "npm ci", |run| run.user.push_str("node"))), @"step: runs because its user changed from unset to `node`");
    assert_snapshot!(why(plain(), step("node", "npm ci", |run| run.network = graph::Network::None)), @"step: runs because its network changed from `default` to `none`");
    assert_snapshot!(why(plain(), step("node", "npm ci", |run| run.shm_size = 5)), @"step: runs because its size of /dev/shm changed from `0` to `5`");
    assert_snapshot!(why(plain(), step("node", "npm ci", |run| {
        let kind = graph::MountKind::Tmpfs { size: 0, readonly: false };
        run.mounts = vec![graph::Mount { target: "/tmp".to_owned(), kind }];
    })), @"step: runs because its mounts changed from unset to `type=tmpfs,target=/tmp,size=0`");
    assert_snapshot!(why(plain(), step("deno", "npm ci", |_| {})), @"step: runs because what it stands on changed");
}

#[test]
fn an_instruction_of_another_kind() {
    let mut plan = Plan::default();
    let (base, context) = (plan.image("node"), plan.local("context"));
    let copy = plan.copy(base, context, "step");
    assert_snapshot!(why(step("node", "npm ci", |_| {}), (plan, copy)), @"step: runs because the instruction changed from `npm ci` to `/out /`");
}

#[test]
fn pruned_results_are_called_so() {
    let world = World::new();
    let (plan, last) = step("node", "npm ci", |_| {});
    build(&world, &plan, last).result.unwrap();
    world.evict("npm ci");
    assert_snapshot!(build(&world, &plan, last).reasons(), @"step: runs because its result was pruned");
}

#[test]
fn pruned_copies_are_called_so_even_after_builds_that_only_hit() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    build(&world, &plan, last).result.unwrap();
    build(&world, &plan, last).result.unwrap();
    world.evict("/out");
    world.evict("finish");
    assert_snapshot!(build(&world, &plan, last).reasons(), @"copy: runs because its result was pruned");
}

#[test]
fn no_cache_is_a_reason() {
    let world = World::new();
    let (mut plan, last) = Plan::two_stages();
    build(&world, &plan, last).result.unwrap();
    for id in plan.0.ids() {
        plan.fresh(id);
    }
    let built = build_with(&world, &plan, &[last], 1, &Cancel::new());
    assert_snapshot!(built.reasons(), @r"
    sources: runs because of --no-cache
    prepare: runs because of --no-cache
    ");
}

#[test]
fn a_step_that_failed_was_not_built() {
    let world = World::new();
    let (plan, last) = step("node", "npm ci", |_| {});
    world.fails.lock().unwrap().insert("npm ci".to_owned());
    for _ in 0..2 {
        let built = build(&world, &plan, last);
        assert!(built.result.is_err());
        assert_eq!(built.reasons(), "step: runs because it was not built before");
    }
}

#[test]
fn the_owners_mapping() {
    let world = World::new();
    let (plan, last) = step("node", "npm ci", |_| {});
    build(&world, &plan, last).result.unwrap();
    let single = Options { parallel: Some(1), mode: Some("single-id".to_owned()) };
    let built = build_in_mode(&world, &plan, &[last], single, &Cancel::new());
    assert_snapshot!(built.reasons(), @"step: runs because its mapping of owners changed from `all ids` to `single-id`");
}

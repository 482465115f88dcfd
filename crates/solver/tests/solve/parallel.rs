//! What happens at once: in one build, and in two that share a cache.

use crate::world::*;
use graph::NodeId;
use solver::Cancel;
use std::sync::Barrier;
use std::time::Duration;

/// Two stages between a first and a last one.
fn diamond() -> (Plan, NodeId) {
    let mut plan = Plan::default();
    let base = plan.image("node");
    let first = plan.run(base, "first");
    let (left, right) = (plan.run(first, "left"), plan.run(first, "right"));
    let one = plan.copy(left, right, "join");
    let last = plan.run(one, "last");
    (plan, last)
}

/// Many stages that stand on one image, and one that takes from all.
fn fan(width: usize) -> (Plan, NodeId) {
    let mut plan = Plan::default();
    let base = plan.image("node");
    let stages: Vec<NodeId> = (0..width).map(|at| plan.run(base, &format!("stage{at}"))).collect();
    let last =
        stages.iter().enumerate().fold(base, |on, (at, from)| plan.copy(on, *from, &format!("copy{at}")));
    (plan, last)
}

#[test]
fn a_diamonds_sides_run_together() {
    let world = World::new();
    let (plan, last) = diamond();
    // The first runs alone.
    let first = plan.0.ids().nth(1).unwrap();
    build(&world, &plan, first).result.unwrap();
    world.gather(2);
    build_with(&world, &plan, &[last], 2, &Cancel::new()).result.unwrap();
    let ran = world.take_ran();
    for command in ["first", "left", "right", "join", "last"] {
        assert_eq!(ran.split(' ').filter(|one| *one == command).count(), 1, "{command} in {ran}");
    }
    assert!(ran.ends_with("join last"), "{ran}");
    assert_eq!(world.most_at_once(), 2);
}

#[test]
fn forty_stages_on_as_many_threads_as_allowed() {
    for parallel in [1, 8] {
        let world = World::new();
        let (plan, last) = fan(40);
        world.gather(parallel);
        let solved = build_with(&world, &plan, &[last], parallel, &Cancel::new()).result.unwrap();
        assert_eq!(solved.ran, 80);
        assert_eq!(world.most_at_once(), parallel);
        world.take_ran();
        assert_eq!(ran(&world, &plan, last), "");
    }
}

#[test]
fn a_long_chain_is_no_trouble() {
    let world = World::new();
    let mut plan = Plan::default();
    let mut last = plan.image("node");
    for at in 0..300 {
        last = plan.run(last, &format!("step{at}"));
    }
    assert_eq!(build(&world, &plan, last).result.unwrap().ran, 300);
}

#[test]
fn of_two_builds_each_step_runs_in_one() {
    let world = World::new();
    *world.pause.lock().unwrap() = Duration::from_millis(10);
    let (plan, last) = fan(6);
    let start = Barrier::new(2);
    let both = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            build_with(&world, &plan, &[last], 3, &Cancel::new())
        };
        let threads = [scope.spawn(one), scope.spawn(one)];
        threads.map(|thread| thread.join().unwrap())
    });
    let ran = world.take_ran();
    for at in 0..6 {
        for command in [format!("stage{at}"), format!("copy{at}")] {
            assert_eq!(ran.split(' ').filter(|one| **one == command).count(), 1, "{command} in {ran}");
        }
    }
    let [one, two] = both.map(|built| built.result.unwrap());
    assert_eq!(one.targets, two.targets);
    assert_eq!(one.ran + two.ran, 12);
}

#[test]
fn the_loser_of_a_race_takes_the_winners_result() {
    let world = World::new();
    // The step of the winner ends only when the loser waits for its key.
    *world.pause.lock().unwrap() = Duration::from_millis(100);
    let mut plan = Plan::default();
    let base = plan.image("node");
    let step = plan.run(base, "step");
    let winner_started = || !world.ran.lock().unwrap().iter().all(|one| one != "step");
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| build(&world, &plan, step));
        while !winner_started() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let second = scope.spawn(|| build(&world, &plan, step));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(first.events.last().unwrap(), "ended step");
    assert_eq!(second.events.last().unwrap(), "cached step");
    assert_eq!(first.result.unwrap().targets, second.result.unwrap().targets);
}

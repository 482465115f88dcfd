//! Steps that fail, builds that are cancelled.

use crate::world::*;
use solver::{CacheBackend, Cancel, Error};
use std::time::{Duration, Instant};

fn message(error: &Error) -> String {
    match error {
        Error::Step { name, source, .. } => format!("{name}: {source}"),
        other => other.to_string(),
    }
}

#[test]
fn the_first_failure_is_the_builds_and_ends_the_others() {
    let world = World::new();
    let mut plan = Plan::default();
    let base = plan.image("node");
    let done = plan.run(base, "done");
    build(&world, &plan, done).result.unwrap();
    let (bad, slow) = (plan.run(done, "bad"), plan.run(done, "slow"));
    let after = plan.copy(bad, slow, "after");
    // Both have begun when the one fails; the other one ends because of it, with words of its own.
    world.gather(2);
    world.fails.lock().unwrap().insert("bad".to_owned());
    world.fails.lock().unwrap().insert("slow".to_owned());
    let cancel = Cancel::new();
    let built = build_with(&world, &plan, &[after], 2, &cancel);
    let said = message(&built.result.unwrap_err());
    assert!(["bad: bad does not work", "slow: slow does not work"].contains(&said.as_str()), "{said}");
    assert!(cancel.is_cancelled());
    assert!(!world.take_ran().contains("after"));
    // What was finished is still there.
    world.fails.lock().unwrap().clear();
    assert!(!ran(&world, &plan, after).contains("done"));
}

#[test]
fn a_running_step_is_stopped_when_another_fails() {
    let world = World::new();
    let mut plan = Plan::default();
    let base = plan.image("node");
    let (bad, slow) = (plan.run(base, "bad"), plan.run(base, "waits"));
    let after = plan.copy(bad, slow, "after");
    world.fails.lock().unwrap().insert("bad".to_owned());
    // `bad` ends at once; `waits` would go on for a minute.
    world.slow("waits", Duration::from_secs(60));
    let begun = Instant::now();
    let built = build_with(&world, &plan, &[after], 2, &Cancel::new());
    assert_eq!(message(&built.result.unwrap_err()), "bad: bad does not work");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_source_that_is_missing_fails_before_anything_runs() {
    let world = World::new();
    world.folder("context", "missing");
    let (plan, last) = Plan::two_stages();
    let built = build(&world, &plan, last);
    assert_eq!(message(&built.result.unwrap_err()), "sources: no such file");
    assert_eq!(world.take_ran(), "");
}

#[test]
fn a_missing_file_of_a_stage_is_the_copys_failure() {
    let world = World::new();
    world.output("make", "missing");
    let mut only = Plan::default();
    let nothing = only.0.add(graph::Op::Scratch, Vec::new(), graph::About::default());
    let made = only.run(nothing, "make");
    let base = only.image("node");
    let copied = only.copy(base, made, "copy");
    assert_eq!(message(&build(&world, &only, copied).result.unwrap_err()), "copy: no such file");
}

#[test]
fn cancelled_builds_say_so() {
    let world = World::new();
    let (plan, last) = Plan::two_stages();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(build_with(&world, &plan, &[last], 2, &cancel).result, Err(Error::Cancelled)));
    assert_eq!(world.take_ran(), "");

    // While a step runs: what the step says then is not told.
    let cancel = Cancel::new();
    world.slow("make", Duration::from_secs(60));
    let built = std::thread::scope(|scope| {
        let building = scope.spawn(|| build_with(&world, &plan, &[last], 2, &cancel));
        while !world.ran.lock().unwrap().iter().any(|one| one == "make") {
            std::thread::sleep(Duration::from_millis(1));
        }
        cancel.cancel();
        building.join().unwrap()
    });
    assert!(matches!(built.result, Err(Error::Cancelled)));

    // A build in which everything hits needs nobody to go on.
    world.slow("make", Duration::ZERO);
    build(&world, &plan, last).result.unwrap();
    assert!(build_with(&world, &plan, &[last], 2, &cancel).result.is_ok());
}

#[test]
fn who_waits_for_a_lock_can_be_cancelled() {
    let world = World::new();
    let mut plan = Plan::default();
    let base = plan.image("node");
    let step = plan.run(base, "step");
    let text = build(&world, &plan, step).result.unwrap().targets[0].key;
    world.evict("step");
    let held = world.lock(text, &Cancel::new()).unwrap();
    let cancel = Cancel::new();
    let built = std::thread::scope(|scope| {
        let building = scope.spawn(|| build_with(&world, &plan, &[step], 1, &cancel));
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel();
        building.join().unwrap()
    });
    assert!(matches!(built.result, Err(Error::Cancelled)));
    drop(held);
    build(&world, &plan, step).result.unwrap();
}

#[test]
fn a_panic_ends_the_build() {
    let world = World::new();
    let mut plan = Plan::default();
    let base = plan.image("node");
    let (bad, slow) = (plan.run(base, "panics"), plan.run(base, "waits"));
    let after = plan.copy(bad, slow, "after");
    world.fails.lock().unwrap().insert("panics".to_owned());
    world.slow("waits", Duration::from_secs(60));
    let begun = Instant::now();
    let build =
        std::panic::AssertUnwindSafe(|| build_with(&world, &plan, &[after], 2, &Cancel::new()).result);
    assert!(std::panic::catch_unwind(build).is_err());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

//! The health check: a process in the container now and then, whose exit code says how the container is.

use super::{Running, serve};
use crate::config::Config;
use crate::protocol::Exec;
use crate::state::{Check, Health};
use crate::time;
use std::time::{Duration, Instant};

/// How many checks are remembered.
const REMEMBERED: usize = 5;

/// Whether there is something to check.
pub(super) fn wanted(config: &Config) -> bool {
    command(config).is_some()
}

fn command(config: &Config) -> Option<Vec<String>> {
    let test = &config.healthcheck.as_ref()?.test;
    let (form, rest) = test.split_first()?;
    match form.as_str() {
        "CMD" if !rest.is_empty() => Some(rest.to_vec()),
        "CMD-SHELL" if !rest.is_empty() => Some(vec!["/bin/sh".into(), "-c".into(), rest.join(" ")]),
        _ => None,
    }
}

/// Docker's defaults where 0 is said.
fn or(nanoseconds: u64, default: Duration) -> Duration {
    if nanoseconds == 0 { default } else { Duration::from_nanos(nanoseconds) }
}

pub(super) fn watch(running: &Running) {
    let config = &running.start.config;
    let (Some(args), Some(check)) = (command(config), &config.healthcheck) else { return };
    let interval = or(check.interval, Duration::from_secs(30));
    let timeout = or(check.timeout, Duration::from_secs(30));
    let grace = Duration::from_nanos(check.start_period);
    let start_interval = or(check.start_interval, Duration::from_secs(5));
    let retries = if check.retries == 0 { 3 } else { check.retries };
    let exec = Exec { args, ..Exec::default() };
    let begun = Instant::now();
    let mut healthy = false;
    loop {
        let starting = !healthy && begun.elapsed() < grace;
        if running.wait_stopping(if starting { start_interval.min(interval) } else { interval }) {
            return;
        }
        let start = time::now();
        let (exit_code, output) = match serve::run_check(running, &exec, timeout) {
            Ok((Some(code), output)) => (code, output),
            Ok((None, _)) => (-1, format!("Health check exceeded timeout ({timeout:?})")),
            Err(error) => (error.exit_code(), crate::error::chain(&error)),
        };
        if running.wait_stopping(Duration::ZERO) {
            return;
        }
        let in_grace = !healthy && begun.elapsed() < grace;
        healthy |= exit_code == 0;
        let entry = Check { start, end: time::now(), exit_code, output };
        running.update(|state| {
            let mut health = state.health.take().unwrap_or_default();
            note(&mut health, entry, retries, in_grace);
            state.health = Some(health);
        });
    }
}

/// Takes one result into account.
fn note(health: &mut Health, check: Check, retries: u64, in_grace: bool) {
    if check.exit_code == 0 {
        health.failing = 0;
        health.status = "healthy".to_owned();
    } else if !in_grace {
        health.failing += 1;
        if health.failing >= retries {
            health.status = "unhealthy".to_owned();
        }
    }
    health.log.push(check);
    let surplus = health.log.len().saturating_sub(REMEMBERED);
    health.log.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_count_after_the_start() {
        let mut health = Health { status: "starting".into(), ..Health::default() };
        let check = |exit_code| Check { exit_code, ..Check::default() };
        note(&mut health, check(1), 2, true);
        assert_eq!((health.status.as_str(), health.failing), ("starting", 0));
        note(&mut health, check(0), 2, false);
        note(&mut health, check(1), 2, false);
        assert_eq!((health.status.as_str(), health.failing), ("healthy", 1));
        note(&mut health, check(1), 2, false);
        assert_eq!(health.status, "unhealthy");
        for _ in 0..9 {
            note(&mut health, check(0), 2, false);
        }
        assert_eq!((health.status.as_str(), health.log.len()), ("healthy", REMEMBERED));
    }

    #[test]
    fn forms_of_the_test() {
        let config = |test: &[&str]| Config {
            healthcheck: Some(oci::Healthcheck {
                test: test.iter().map(ToString::to_string).collect(),
                ..oci::Healthcheck::default()
            }),
            ..Config::default()
        };
        assert!(!wanted(&Config::default()) && !wanted(&config(&["NONE"])) && !wanted(&config(&["CMD"])));
        assert_eq!(command(&config(&["CMD-SHELL", "a b"])).unwrap(), ["/bin/sh", "-c", "a b"]);
        assert_eq!(command(&config(&["CMD", "a", "b"])).unwrap(), ["a", "b"]);
    }
}

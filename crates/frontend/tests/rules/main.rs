//! The rules of `--check`, outlines and targets against BuildKit: each case of the `.txt` files is a Dockerfile with
//! what a BuildKit of August 2026 was seen to answer for it.
//!
//! ```text
//! === name of the case
//! $ --target x --build-arg A=1        (optional)
//! FROM alpine AS Builder
//! --- .dockerignore                   (optional, other files)
//! *.env
//! --- found
//! 1 StageNameCasing: Stage name 'Builder' should be lowercase
//! ! 3 an error, with its line and BuildKit's words; ours are other words about the same line
//! ```
//!
//! A new case gets its answer from `buildctl build --frontend dockerfile.v0 --opt requestid=frontend.lint` (or
//! `frontend.outline`, `frontend.targets`) with the images of [`Images`] in a registry.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use frontend::Location;
use support::{Case, Images, cases};

/// `4`, `4-6`, or `-` for no place.
fn lines(location: &Location) -> String {
    match &location.ranges[..] {
        [] => "-".to_owned(),
        [only] => only.start.line.to_string(),
        [first, .., last] => format!("{}-{}", first.start.line, last.start.line),
    }
}

/// Findings with the lines that BuildKit gives, then errors with theirs.
fn found(case: &Case) -> (Vec<String>, Vec<usize>) {
    let dockerfile = match dockerfile::parse(&case.text, "Dockerfile") {
        Ok(dockerfile) => dockerfile,
        Err(failure) => {
            let checked = frontend::check_unread(&failure, &case.options);
            let place = |one: &dockerfile::Diagnostic| failure.dockerfile.source.line(one.span.start);
            let findings = checked.findings.iter().map(|one| support::finding(&failure.dockerfile, one));
            return (findings.collect(), checked.errors.iter().map(place).collect());
        }
    };
    let checked = frontend::check(&dockerfile, &case.options, &Images::new(case));
    let mut found: Vec<String> =
        checked.findings.iter().map(|one| support::finding(&dockerfile, one)).collect();
    found.sort_by_key(|one| {
        let (place, text) = one.split_once(' ').unwrap();
        (place.split('-').next().unwrap().parse::<usize>().unwrap(), text.to_owned())
    });
    let mut errors: Vec<usize> =
        checked.errors.iter().map(|error| dockerfile.source.line(error.span.start)).collect();
    if checked.strict && !found.is_empty() {
        errors.push(0);
    }
    (found, errors)
}

/// All cases of a file; what differs is shown at once.
fn check_all(file: &str, least: usize) {
    let mut wrong = String::new();
    let cases = cases(file);
    assert!(cases.len() >= least, "only {} cases were read", cases.len());
    for case in &cases {
        let (found, errors) = found(case);
        let (expected_errors, expected): (Vec<_>, Vec<_>) =
            case.expected.iter().partition(|line| line.starts_with("! "));
        // BuildKit stops at its first error, and tells nothing of what comes after.
        let after_error = !expected_errors.is_empty() && !case.is_strict_only();
        let missing: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
        let surplus: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
        let mut same_count = true;
        for line in &found {
            let count = |list: &[&String]| list.iter().filter(|one| **one == line).count();
            same_count &= count(&expected) == count(&found.iter().collect::<Vec<_>>()) || after_error;
        }
        let errors_fit = match expected_errors.first() {
            None => errors.is_empty(),
            Some(error) => match error[2..].split(['-', ' ']).next().unwrap().parse::<usize>() {
                Ok(line) => errors.contains(&line),
                Err(_) => !errors.is_empty(),
            },
        };
        if !missing.is_empty() || (!surplus.is_empty() && !after_error) || !errors_fit || !same_count {
            wrong.push_str(&format!(
                "=== {}\n{}missing: {missing:#?}\nsurplus: {surplus:#?}\nerrors at {errors:?}, expected {expected_errors:?}\n\n",
                case.name, case.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn rules_about_stages() {
    check_all(include_str!("stages.txt"), 70);
}

#[test]
fn rules_about_instructions() {
    check_all(include_str!("instructions.txt"), 115);
}

#[test]
fn rules_about_files_and_descriptions() {
    check_all(include_str!("files.txt"), 30);
}

#[test]
fn what_counts() {
    check_all(include_str!("config.txt"), 40);
}

#[test]
fn every_rule_has_cases() {
    let all = [
        include_str!("stages.txt"),
        include_str!("instructions.txt"),
        include_str!("files.txt"),
        include_str!("config.txt"),
    ]
    .concat();
    for rule in dockerfile::lint::Rule::ALL {
        let mark = format!(" {}: ", rule.name());
        let count =
            cases(&all).iter().filter(|case| case.expected.iter().any(|line| line.contains(&mark))).count();
        assert!(count >= 3, "{} is found by {count} cases", rule.name());
    }
}

/// An answer in the words of the cases: a line each, places as lines.
fn shown(key: &str, value: &impl serde::Serialize) -> String {
    let mut value = serde_json::to_value(value).unwrap();
    if let Some(location) = value.get_mut("location") {
        let ranges = location["ranges"].as_array().unwrap();
        let line = |at: usize| ranges[at]["start"]["line"].to_string();
        let (first, last) = (line(0), line(ranges.len() - 1));
        *location = if first == last { first.into() } else { format!("{first}-{last}").into() };
    }
    format!("{key} {value}")
}

fn outline(case: &Case) -> Vec<String> {
    let Ok(dockerfile) = dockerfile::parse(&case.text, "Dockerfile") else { return vec!["!".to_owned()] };
    let Ok(outline) = frontend::outline(&dockerfile, &case.options, &Images::new(case)) else {
        return vec!["!".to_owned()];
    };
    let mut lines = Vec::new();
    for (key, text) in [("name", &outline.name), ("description", &outline.description)] {
        lines.extend((!text.is_empty()).then(|| shown(key, text)));
    }
    lines.extend(outline.args.iter().map(|arg| shown("args", arg)));
    lines.extend(outline.secrets.iter().map(|secret| shown("secrets", secret)));
    lines.extend(outline.ssh.iter().map(|ssh| shown("ssh", ssh)));
    lines
}

fn targets(case: &Case) -> Vec<String> {
    match dockerfile::parse(&case.text, "Dockerfile") {
        Ok(dockerfile) => frontend::targets(&dockerfile).iter().map(|one| shown("targets", one)).collect(),
        Err(_) => vec!["!".to_owned()],
    }
}

fn compare(file: &str, least: usize, answer: fn(&Case) -> Vec<String>) {
    let mut wrong = String::new();
    let cases = cases(file);
    assert!(cases.len() >= least, "only {} cases were read", cases.len());
    for case in &cases {
        let error = |line: &String| if line.starts_with('!') { "!".to_owned() } else { line.clone() };
        let expected: Vec<String> = case.expected.iter().map(error).collect();
        let answer = answer(case);
        if answer != expected {
            wrong.push_str(&format!(
                "=== {}\n{}expected {expected:#?}\nanswer {answer:#?}\n\n",
                case.name, case.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn outlines() {
    compare(include_str!("outline.txt"), 28, outline);
}

#[test]
fn lists_of_targets() {
    compare(include_str!("targets.txt"), 20, targets);
}

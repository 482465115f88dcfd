//! `--call subrequests.describe`: which calls there are, in BuildKit's words. A check is not among them there either.

use serde_json::{Value, json};

/// A call: its name, what it does, and what it takes; `None` where BuildKit has no list at all.
type Described = (&'static str, &'static str, Option<&'static [(&'static str, &'static str)]>);

const CALLS: [Described; 3] = [
    (
        "outline",
        "List all parameters current build target supports",
        Some(&[("target", "Target build stage")]),
    ),
    ("targets", "List all targets current build supports", Some(&[])),
    ("subrequests.describe", "List available subrequest types", None),
];

const VERSION: &str = "1.0.0";

/// For people.
pub(super) fn text() -> String {
    let mut rows = vec![vec!["NAME", "VERSION", "DESCRIPTION"]];
    rows.extend(CALLS.iter().map(|(name, description, _)| vec![*name, VERSION, *description]));
    super::text::table(&rows, 1)
}

/// For programs.
pub(super) fn json() -> String {
    let named = |name: &str, description: &str| json!({ "name": name, "description": description });
    let calls: Vec<Value> = CALLS
        .iter()
        .map(|(name, description, takes)| {
            let takes: Option<Vec<Value>> =
                takes.map(|takes| takes.iter().map(|(name, description)| named(name, description)).collect());
            json!({
                "name": format!("frontend.{name}"),
                "version": VERSION,
                "type": "rpc",
                "description": description,
                "opts": takes,
                "inputs": null,
                "metadata": [named("result.json", ""), named("result.txt", "")],
                "refs": null,
            })
        })
        .collect();
    format!("{:#}\n", Value::from(calls))
}

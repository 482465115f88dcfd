//! Prints the instructions of the Dockerfiles on standard input, which a U+001E separates, as a line of JSON each, in
//! the shape of PyPI's `dockerfile` package (Docker's own Go parser), so that the two can be compared on any input.

#[path = "../tests/shape/mod.rs"]
mod shape;

use serde_json::{Value, json};
use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let mut out = std::io::stdout().lock();
    for text in text.split(|byte| *byte == 0x1e) {
        let shown = match dockerfile::parse(text, "Dockerfile") {
            Ok(dockerfile) => Value::Array(shape::shapes(&dockerfile)),
            Err(failure) => {
                let errors: Vec<String> = failure.errors.iter().map(ToString::to_string).collect();
                json!({ "errors": errors })
            }
        };
        writeln!(out, "{shown}")?;
    }
    Ok(())
}

//! Compares with Docker's own parser: `corpus/answers.json` holds what it made of each Dockerfile of the corpus
//! (`corpus/record.py` asks it anew).

mod shape;

use serde_json::Value;
use std::path::Path;

#[test]
fn reads_the_corpus_as_docker_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let answers = std::fs::read_to_string(folder.join("answers.json")).unwrap();
    let answers: serde_json::Map<String, Value> = serde_json::from_str(&answers).unwrap();
    assert!(answers.len() >= 60);
    let mut differences = Vec::new();
    for (name, wanted) in &answers {
        let text = std::fs::read(folder.join(name)).unwrap();
        let dockerfile = match dockerfile::parse(&text, name) {
            Ok(dockerfile) => dockerfile,
            Err(failure) => {
                differences.push(format!("{name}: {failure}"));
                continue;
            }
        };
        let ours: Vec<Value> =
            dockerfile.instructions.iter().map(|one| shape::shape(&dockerfile, one)).collect();
        let wanted = wanted.as_array().unwrap();
        if ours.len() != wanted.len() {
            differences.push(format!("{name}: {} instructions, Docker reads {}", ours.len(), wanted.len()));
        }
        for (ours, wanted) in ours.iter().zip(wanted) {
            let wanted = normal(wanted);
            if *ours != wanted {
                differences.push(format!("{name}:\n  ours   {ours}\n  Docker {wanted}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Words that we keep in one case only.
fn normal(wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    if let Some(sub_cmd) = wanted["sub_cmd"].as_str() {
        wanted["sub_cmd"] = sub_cmd.to_uppercase().into();
    }
    if wanted["cmd"].as_str().is_some_and(|cmd| cmd.eq_ignore_ascii_case("healthcheck"))
        && let Some(kind) = wanted["value"][0].as_str()
    {
        wanted["value"][0] = kind.to_uppercase().into();
    }
    wanted
}

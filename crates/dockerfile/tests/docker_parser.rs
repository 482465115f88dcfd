//! Compares with Docker's own parsers: `corpus/answers.json` holds what they made of each Dockerfile of the corpus
//! (`corpus/record.py` asks them anew). `docker` is the parser of 2024 that PyPI's `dockerfile` brings, `buildkit` the
//! newest. Where those two disagree, ours follows the newest, and the table below says so.

mod shape;

use serde_json::Value;
use std::path::Path;

/// Whose answer a known difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// PyPI's `dockerfile` 3.4.0: the parser of BuildKit 0.12.
    Docker,
    /// The parser of BuildKit's newest source.
    BuildKit,
}
use Peer::*;

/// The files that we read otherwise, and why. A row whose file no longer differs fails the test.
const DIFFERENT: &[(Peer, &str, &str)] = &[
    (Docker, "error-onbuild-unknown.Dockerfile", UNKNOWN),
    (BuildKit, "error-onbuild-unknown.Dockerfile", UNKNOWN),
    (Docker, "error-only-arg.Dockerfile", NO_STAGE),
    (BuildKit, "error-only-arg.Dockerfile", NO_STAGE),
    (Docker, "flags-unicode-value.Dockerfile", BYTES),
    (BuildKit, "flags-unicode-value.Dockerfile", BYTES),
    (BuildKit, "heredoc-variable-default-word.Dockerfile", NESTED),
    (Docker, "heredoc-same-word-twice.Dockerfile", TWICE),
    (BuildKit, "heredoc-same-word-twice.Dockerfile", TWICE),
    (Docker, "heredoc-shift-operator.Dockerfile", SPACE),
    (Docker, "heredoc-space-before-word.Dockerfile", SPACE),
    (Docker, "json-surrogates.Dockerfile", "the package ends a text at its first NUL"),
    (Docker, "json-trailing-text.Dockerfile", "BuildKit 0.12 ignored what follows a JSON array"),
];

const UNKNOWN: &str = "an unknown instruction in ONBUILD has one empty argument there, none here";
const NO_STAGE: &str = "BuildKit finds a file without a stage one step later, when it plans the build";
const BYTES: &str = "BuildKit takes the bytes of a flag for Latin-1 characters (`ü` becomes `Ã¼`)";
const NESTED: &str = "BuildKit forgets the part of a word before `${x:-y}`, here the `<<`; see `expand`";
const TWICE: &str = "the same heredoc twice among the sources of COPY is one file twice; we keep the last";
const SPACE: &str = "BuildKit 0.12 knew no space between `<<` and the word";

#[test]
fn reads_the_corpus_as_docker_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let answers = std::fs::read_to_string(folder.join("answers.json")).unwrap();
    let answers: serde_json::Map<String, Value> = serde_json::from_str(&answers).unwrap();
    assert!(answers.len() >= 390);
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".Dockerfile"))
        .collect();
    files.sort();
    assert!(
        files.iter().eq(answers.keys()),
        "the corpus and answers.json name different files; run record.py"
    );

    let mut faults = Vec::new();
    for (name, answer) in &answers {
        let text = std::fs::read(folder.join(name)).unwrap();
        let ours = dockerfile::parse(&text, name)
            .map(|dockerfile| shape::shapes(&dockerfile))
            .map_err(|failure| failure.to_string());
        let newest = answer.get("buildkit").unwrap_or(&answer["docker"]);
        let refused = answer.get("refused").is_some();
        for (peer, wanted) in [(Docker, &answer["docker"]), (BuildKit, newest)] {
            let difference = compare(&ours, wanted, refused, peer);
            let known = DIFFERENT.iter().find(|(of, file, _)| (*of, *file) == (peer, name.as_str()));
            match (difference, known) {
                (Some(difference), None) => faults.push(format!("{name}, {peer:?}: {difference}")),
                (None, Some((_, _, reason))) => {
                    faults.push(format!("{name}, {peer:?}: no difference any more, though {reason}"));
                }
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn known_differences_are_of_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for (_, name, _) in DIFFERENT {
        assert!(folder.join(name).exists(), "{name}");
    }
}

/// What differs. `refused`: BuildKit's instructions refuse the file though its syntax is fine.
fn compare(ours: &Result<Vec<Value>, String>, wanted: &Value, refused: bool, peer: Peer) -> Option<String> {
    let (ours, wanted) = match (ours, wanted.as_array()) {
        (Err(_), None) => return None,
        (Err(error), Some(_)) => return (!refused).then(|| format!("only we refuse it: {error}")),
        (Ok(_), None) => return Some(format!("only the peer refuses it: {}", wanted["error"])),
        (Ok(_), Some(_)) if refused && peer == BuildKit => {
            return Some("BuildKit's instructions refuse it, and we do not".into());
        }
        (Ok(ours), Some(wanted)) => (ours, wanted),
    };
    if ours.len() != wanted.len() {
        return Some(format!("{} instructions, the peer reads {}", ours.len(), wanted.len()));
    }
    ours.iter().zip(wanted).find_map(|(ours, wanted)| {
        let (mut ours, mut wanted) = (ours.clone(), shape::normal(wanted));
        if peer == Docker && ours["sub_cmd"].is_string() {
            // The package shows the heredocs of outer instructions only.
            (ours["heredocs"], wanted["heredocs"]) = (Value::Null, Value::Null);
        }
        (ours != wanted).then(|| format!("\n  ours   {ours}\n  theirs {wanted}"))
    })
}

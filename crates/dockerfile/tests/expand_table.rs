//! Compares expansion with BuildKit's shell lexer: `tables/expand.jsonl` holds words and what the lexer of BuildKit's
//! newest source made of them. The first line is the environment.
//!
//! ```text
//! {"word": "${a:-x}", "escape": "`", "heredoc": true, "text": "old", "words": ["old"], "used": ["a"], "unset": []}
//! {"word": "${a", "error": "..."}
//! ```
//!
//! `escape` is the backslash when missing; `heredoc` is [`Lex::heredoc`].

use dockerfile::expand::Lex;
use serde_json::Value;
use std::collections::HashMap;

/// The words that we read otherwise, and why. A row whose word no longer differs fails the test.
const DIFFERENT: &[(&str, &str)] = &[
    ("é${none:-é}é", NESTED),
    ("pre${none:-mid}post", NESTED),
    ("/opt/$a/bin:${path%/*}:$none", NESTED),
    ("--flag=${a:-x},${v%%.*}", NESTED),
    ("${v%.*}-${v##*.}", NESTED),
    ("\"${none:-x}\"", NESTED),
    ("'${none:-}'", NESTED),
    ("${path%/\\}", REVERSED),
    ("${path%*\\}", REVERSED),
    ("\u{feff}$a", "Go's scanner drops a byte order mark at the beginning of any text"),
];

const REVERSED: &str =
    "BuildKit reverses the pattern of a suffix, so that a backslash at its end escapes what stands before";
const NESTED: &str =
    "BuildKit's split words lack what stands before a `${x:-y}`, since it clears their buffer";

#[test]
fn expands_as_buildkit_does() {
    let table = include_str!("tables/expand.jsonl");
    let mut rows = table.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let env: HashMap<String, String> = serde_json::from_value(rows.next().unwrap()["env"].take()).unwrap();
    let mut count = 0;
    let mut faults = Vec::new();
    for row in rows {
        count += 1;
        let word = row["word"].as_str().unwrap();
        let difference = compare(&row, word, &env);
        let known = DIFFERENT.iter().find(|(known, _)| *known == word);
        match (difference, known) {
            (Some(difference), None) => faults.push(format!("{row}\n    {difference}")),
            (None, Some((_, reason))) => {
                faults.push(format!("{word}: no difference any more, though {reason}"));
            }
            _ => {}
        }
    }
    assert!(count >= 500, "{count}");
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
    for (word, _) in DIFFERENT {
        assert!(table.contains(&format!("{{\"word\": {}", serde_json::to_string(word).unwrap())), "{word}");
    }
}

fn compare(row: &Value, word: &str, env: &HashMap<String, String>) -> Option<String> {
    let escape =
        row["escape"].as_str().map_or('\\', |escape| escape.chars().next().expect("an escape character"));
    let lex = if row["heredoc"] == true { Lex::heredoc() } else { Lex::new(escape) };
    let lookup = |name: &str| env.get(name).cloned();
    let ours = match (lex.expand(word, &lookup), row.get("error")) {
        (Err(_), Some(_)) => return None,
        (Err(error), None) => return Some(format!("only we refuse it: {error}")),
        (Ok(ours), Some(_)) => return Some(format!("only BuildKit refuses it: {ours:?}")),
        (Ok(ours), None) => ours,
    };
    // The short way must give the same.
    assert_eq!(lex.expand_word(word, &lookup).as_ref(), Ok(&ours.text), "{word}");
    let names = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        serde_json::json!(names)
    };
    let same = row["text"] == ours.text
        && row["words"] == serde_json::json!(ours.words)
        && row["used"] == names(&ours.used)
        && row["unset"] == names(&ours.unset);
    (!same).then(|| format!("ours {ours:?}"))
}

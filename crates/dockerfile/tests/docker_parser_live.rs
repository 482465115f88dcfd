//! Compares with Docker's own parser, live: PyPI's `dockerfile`, which `cargo xtask setup` puts into the target folder,
//! reads the corpus and files made from the grammar (`grammar/mod.rs`), all in one process.
//!
//! | variable | what it is |
//! |---|---|
//! | `JETTISON_PARSER_CASES` | how many files are made; 500 |
//! | `JETTISON_PARSER_SEED` | a number; another makes other files |
//! | `JETTISON_DOCKER_PARSER` | a Python that has the package, instead of the one of setup |
//! | `JETTISON_BUILDKIT_PARSER` | a program that reads `{"kind":"parse","text":...}`: the same files are compared with that parser too (`corpus/record.py` has its answers) |

// The bans are for the engine; this is a test that is told how much to do.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

#[allow(dead_code, reason = "of the three only the parser's is called here")]
mod entries;
mod grammar;
mod shape;

use dockerfile::{ErrorKind, ParseFailure};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A parser in another process.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    newest: bool,
}

impl Peer {
    fn start(mut command: Command, newest: bool) -> Peer {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| {
            panic!("{command:?} does not start ({error}); `cargo xtask setup` installs Docker's parser")
        });
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Peer { child, input, output, newest }
    }

    fn docker() -> Peer {
        // The target folder, whatever it is called: cargo's folder for tests is in it.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
        let python = std::env::var_os("JETTISON_DOCKER_PARSER")
            .map_or_else(|| target.join("docker-parser/bin/python"), PathBuf::from);
        let mut command = Command::new(python);
        command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/peer.py"));
        Peer::start(command, false)
    }

    fn ask(&mut self, text: &str) -> Value {
        let question = if self.newest { json!({ "kind": "parse", "text": text }) } else { json!(text) };
        writeln!(self.input, "{question}").expect("the parser reads; see its message above");
        self.input.flush().expect("the parser reads; see its message above");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the parser answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("no answer from Docker's parser ({error}); `cargo xtask setup` installs it")
        });
        answer.get("commands").unwrap_or(&answer).clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a comparison ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The same instructions, apart from those that we refuse by what Docker checks after the syntax.
    Same,
    /// Neither reads it, or there is nothing good in it.
    Refused,
    /// A known difference.
    Known,
}

/// Whether Docker's parser finds the fault too. The others are found when instructions are made of what it read.
fn is_syntax(failure: &ParseFailure) -> bool {
    failure.errors.iter().any(|error| {
        matches!(
            error.kind,
            ErrorKind::NoInstructions
                | ErrorKind::DuplicateDirective { .. }
                | ErrorKind::InvalidEscape { .. }
                | ErrorKind::UnterminatedHeredoc { .. }
                | ErrorKind::NotStringArray
                | ErrorKind::NeedsNameAndValue { .. }
                | ErrorKind::NoEquals { .. }
        )
    })
}

/// Why the peer may read a file otherwise. Those of BuildKit 0.12 are for the older parser only.
fn excuse(text: &str, newest: bool) -> Option<&'static str> {
    let lines = || text.split('\n');
    let after = |line: &str, wanted: fn(char) -> bool| {
        line.match_indices("<<").any(|(at, _)| line[at + 2..].trim_start_matches('-').starts_with(wanted))
    };
    if !newest && lines().any(|line| after(line, |c| c.is_whitespace() || c == '\\' || c == '`')) {
        return Some("BuildKit 0.12 knew no space between `<<` and the word");
    }
    if !newest
        && text.contains('[')
        && text.contains(']')
        && text.matches(']').count() > 0
        && json_with_tail(text)
    {
        return Some("BuildKit 0.12 ignored what follows a JSON array");
    }
    let behind_check = text.split_once("check=").map_or("", |(_, behind)| behind);
    if !newest && ["escape", "syntax"].iter().any(|key| behind_check.to_lowercase().contains(key)) {
        return Some("BuildKit 0.12 knew no `check` directive, so it ended the directives");
    }
    if !newest && text.to_lowercase().contains("escape") && text.contains('`') && text.contains("--") {
        return Some("in flags BuildKit 0.12 escaped by the backslash, whatever the directive said");
    }
    if text.contains("${") && text.contains("<<") {
        return Some("BuildKit forgets the part of a word before `${x:-y}`, be it a `<<`");
    }
    None
}

/// Whether text follows the `]` of something that begins like a JSON array, on the same joined line.
fn json_with_tail(text: &str) -> bool {
    let joined = text.replace("\r\n", "\n").replace("\\\n", "").replace("`\n", "");
    joined.lines().any(|line| {
        let Some(open) = line.find('[') else { return false };
        line[open..].find(']').is_some_and(|end| !line[open + end + 1..].trim().is_empty())
    })
}

fn compare(text: &str, peer: &mut Peer) -> Result<Outcome, String> {
    let theirs = peer.ask(text);
    let (ours, theirs) = match (dockerfile::parse(text, "Dockerfile"), theirs.as_array()) {
        (Err(_), None) => return Ok(Outcome::Refused),
        // What could be read of a file with other faults can be compared.
        (Err(failure), Some(theirs)) if !is_syntax(&failure) => {
            let ours = shape::shapes(&failure.dockerfile);
            let good = |one: &&Value| ours.iter().any(|ours| ours["lines"] == one["lines"]);
            (ours.clone(), theirs.iter().filter(good).cloned().collect())
        }
        (Err(failure), Some(_)) => {
            return excused(text, peer, format!("only we refuse it: {failure}"));
        }
        (Ok(_), None) if theirs["error"] == "split inside of a character" => return Ok(Outcome::Known),
        (Ok(_), None) => return excused(text, peer, format!("only Docker refuses it: {}", theirs["error"])),
        (Ok(ours), Some(theirs)) => (shape::shapes(&ours), theirs.clone()),
    };
    if ours.len() != theirs.len() {
        return excused(text, peer, format!("{} instructions, Docker reads {}", ours.len(), theirs.len()));
    }
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let (mut ours, mut theirs) = (ours.clone(), shape::normal(theirs));
        if !peer.newest && ours["sub_cmd"].is_string() {
            // The package shows the heredocs of outer instructions only.
            (ours["heredocs"], theirs["heredocs"]) = (Value::Null, Value::Null);
        }
        let opens = |word: &Value| {
            word.as_str()
                .is_some_and(|word| word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with("<<"))
        };
        let count = |one: &Value| {
            one["value"].as_array().map_or(0, |words| words.iter().filter(|word| opens(word)).count())
        };
        if count(&ours) != count(&theirs) && count(&ours) > 0 {
            // The same heredoc twice among the sources of COPY is one file twice; we keep the last.
            for one in [&mut ours, &mut theirs] {
                one["value"].as_array_mut().expect("they were counted").retain(|word| !opens(word));
            }
        }
        let flags = |one: &Value| one["flags"].to_string();
        if !flags(&ours).is_ascii() {
            // BuildKit takes the bytes of a flag for Latin-1 characters.
            (ours["flags"], theirs["flags"]) = (Value::Null, Value::Null);
        }
        if ours["sub_cmd"].is_string() && ours["value"] == json!([]) {
            // A trigger with a fault, which we know no words of. It is refused when it is triggered.
            for key in ["value", "json"] {
                (ours[key], theirs[key]) = (Value::Null, Value::Null);
            }
        }
        if ours != theirs {
            return excused(text, peer, format!("\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    Ok(if ours.is_empty() { Outcome::Refused } else { Outcome::Same })
}

fn excused(text: &str, peer: &Peer, difference: String) -> Result<Outcome, String> {
    excuse(text, peer.newest).map(|_| Outcome::Known).ok_or(difference)
}

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn files_are_read_as(mut peer: Peer) {
    let cases = number("JETTISON_PARSER_CASES", 500) as u32;
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number("JETTISON_PARSER_SEED", 0).to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let counts = Cell::new([0_u32; 3]);
    let newest = peer.newest;
    let peer = RefCell::new(&mut peer);
    let result = runner.run(&grammar::dockerfile(), |text| {
        entries::parse(text.as_bytes());
        let outcome = compare(&text, &mut peer.borrow_mut()).map_err(TestCaseError::fail)?;
        let mut so_far = counts.get();
        so_far[outcome as usize] += 1;
        counts.set(so_far);
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, text)) => panic!("{reason}\n{text:?}\n{text}"),
        Err(other) => panic!("{other}"),
    }
    let [same, refused, known] = counts.get();
    println!("newest {newest}: {same} files the same, {refused} refused, {known} known differences");
    // What the grammar makes is mostly good, and excuses are rare; else nothing would be compared.
    assert!(same * 2 >= cases && known * 10 <= cases, "{same} the same, {refused} refused, {known} known");
}

#[test]
fn files_of_the_grammar_are_read_as_docker_reads_them() {
    files_are_read_as(Peer::docker());
    if let Some(program) = std::env::var_os("JETTISON_BUILDKIT_PARSER") {
        files_are_read_as(Peer::start(Command::new(program), true));
    }
}

#[test]
fn the_recorded_answers_are_those_of_the_installed_parser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let answers = std::fs::read_to_string(folder.join("answers.json")).unwrap();
    let answers: serde_json::Map<String, Value> = serde_json::from_str(&answers).unwrap();
    let mut peer = Peer::docker();
    for (name, answer) in &answers {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(peer.ask(&text), answer["docker"], "{name}");
    }
}

//! A short run of the fuzz targets' functions without a fuzzer: the corpus, the tables, mutations of both with a fixed
//! seed, and the inputs that a fuzzer once found. `CONTRIBUTING.md` says how to run the real fuzzers.

mod entries;

use serde_json::Value;
use std::path::Path;

/// Mutations of each seed.
const MUTATIONS: usize = 6;

/// A small generator of numbers (xorshift), so that every run is the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Changes a few places of `seed`: bytes removed, words of the language put in, pieces of `other` or of itself copied.
fn mutated(seed: &[u8], other: &[u8], words: &[&str], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 + numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + 1 + numbers.below(12)).min(bytes.len());
        match numbers.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, numbers.below(256) as u8),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            3 => {
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(60)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let word = words[numbers.below(words.len())];
                bytes.splice(at..at, word.bytes());
            }
        }
    }
    bytes
}

fn run(seeds: &[Vec<u8>], words: &[&str], check: fn(&[u8])) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for (index, seed) in seeds.iter().enumerate() {
        check(seed);
        for _ in 0..MUTATIONS {
            let other = &seeds[numbers.below(seeds.len())];
            let bytes = mutated(seed, other, words, &mut numbers);
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            if std::panic::catch_unwind(|| check(&bytes)).is_err() {
                panic!("seed {index} fails when it is changed to {shown:?}");
            }
        }
    }
}

fn table(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(name);
    let text = std::fs::read_to_string(path).expect("the table is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of a table is JSON")).collect()
}

#[test]
fn parse_holds_for_the_corpus_and_its_mutations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "Dockerfile"));
    files.sort();
    assert!(files.len() >= 390);
    let seeds: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let words = [
        "FROM a\n",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "ONBUILD ",
        "HEALTHCHECK CMD ",
        "EXPOSE ",
        "VOLUME ",
        "<<EOF",
        "EOF\n",
        "<<-'E'\n",
        "\tE\n",
        "\\\n",
        "`\n",
        " \\ \t\r\n",
        "# escape=`\n",
        "# c\n",
        "--from=",
        "--mount=type=",
        "--",
        "\"",
        "'",
        "[\"",
        "\"]",
        ",",
        "=",
        "$",
        "${",
        "}",
        "\u{a0}",
        "é",
        "\u{feff}",
        "\r",
        "\n\n",
        " ",
        "\t",
        "\0",
    ];
    run(&seeds, &words, entries::parse);
}

#[test]
fn expand_holds_for_the_table_and_its_mutations() {
    let seeds: Vec<Vec<u8>> = table("expand.jsonl")
        .iter()
        .filter_map(|row| row["word"].as_str())
        .zip((0..8).cycle())
        .map(|(word, choice)| [&[choice], "a/b.c-d\0".as_bytes(), word.as_bytes()].concat())
        .collect();
    assert!(seeds.len() >= 500);
    let words = [
        "$v", "${v", "${v#", "${v##", "${v%", "${v%%", "${v/", "${v//", "/", "}", ":-", "-", ":+", ":?", "?",
        "*", "\\", "`", "'", "\"", "$", "<<", " ", "\n", "é", "\u{a0}", "$w", "$e", "$none", "\0",
    ];
    run(&seeds, &words, entries::expand);
}

#[test]
fn ignore_holds_for_the_table_and_its_mutations() {
    let mut seeds = Vec::new();
    for row in table("ignore.jsonl") {
        let paths: Vec<&str> = ["yes", "no", "paths"]
            .iter()
            .flat_map(|key| row[*key].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        seeds.push(format!("{}\0{}", row["text"].as_str().unwrap(), paths.join("\n")).into_bytes());
    }
    assert!(seeds.len() >= 350);
    let words = [
        "*", "**", "?", "/", "**/", "/**", "!", "\n!", "\n", "[a-z]", "[", "]", "^", "\\", "#", " ", ".",
        "..", "./", "a", "b", "é", "\0",
    ];
    run(&seeds, &words, entries::ignore);
}

/// What a fuzzer or a property test found once, as small as it gets.
#[test]
fn what_was_found_once_holds() {
    // Spans counted by the text without quotes ended inside of a character.
    for text in ["FROM --\"éé", "FROM a\nRUN <<\"é\"é\n", "FROM --\"a\"=é b"] {
        entries::parse(text.as_bytes());
    }
    // Each of many equal words of COPY held the whole body.
    let words = "<<f ".repeat(2000);
    let bodies = "f\n".repeat(1999);
    let body = "x".repeat(200_000);
    entries::parse(format!("FROM a\nCOPY {words}/d/\n{bodies}{body}\nf\n").as_bytes());
    // A pattern that finds nothing was tried from each character on.
    let value = "a".repeat(30_000);
    entries::expand(format!("\u{0}{value}\0${{v//a*b/}}").as_bytes());
    // Texts that replacing nothing by much made grow were patterns of the next, of any length.
    let inner = "${v//{${v///yyyy$ d-d//zzzzzzzzzz${v///yyyy$ d-d/{${v///yyy$ d-d///yy*{${v///y$yyy#]y}#}v}";
    entries::expand(format!("\u{0}some/value.tar.gz\0{{${{v///xxxx$ d-d/{inner}/yy*{inner}").as_bytes());
}

/// 64 KiB of nearly anything take a moment: nothing grows with the square of the file. (The clock is in `entries`.)
#[test]
fn long_files_of_one_thing_take_a_moment() {
    for unit in [
        "RUN a \\\n",
        "\\\n",
        "# c\n",
        "#\n",
        "\n",
        " ",
        "COPY a b\n",
        "COPY a ",
        "ENV a=b ",
        "ENV a=b \\\n",
        "\"a\" ",
        "' ",
        "a=\"",
        "<<A ",
        "RUN <<A\n",
        "RUN <<A\nA\n",
        "--x ",
        "--x=\"",
        "[\"a\",",
        "\"a\",",
        "[",
        "{\"a\":",
        "${a:-",
        "${a//",
        "$a",
        "\\",
        "`",
        "é",
        "\u{a0}",
        "\r",
        "ONBUILD ",
        "ONBUILD RUN x\n",
        "RUNN x\n",
        "x",
        "FROM a AS b\n",
        "ARG a=$a\n",
        "LABEL a=b\n",
        "HEALTHCHECK CMD a\n",
        "VOLUME /a /b\n",
        "EXPOSE 80 81\n",
        "RUN --mount=type=cache,target=/a x\n",
        "--mount=type=cache,target=/a ",
        "a,",
        "COPY --from=x a b\n",
    ] {
        let body = unit.repeat((1 << 16) / unit.len());
        // What ends lines is no longer behind the start.
        let starts: &[&str] = if unit.contains('\n') {
            &["FROM a\n"]
        } else {
            &[
                "",
                "FROM a\nRUN ",
                "FROM a\nCOPY ",
                "FROM a\nENV ",
                "FROM a\nRUN --mount=",
                "FROM a\nCMD [\"a\", ",
            ]
        };
        for start in starts {
            let text = format!("{start}{body}");
            let result = std::panic::catch_unwind(|| entries::parse(text.as_bytes()));
            assert!(result.is_ok(), "many {unit:?} after {start:?}");
        }
        if !unit.contains('\n') {
            let value = "a".repeat(1000);
            let text = format!("\u{0}{value}\0{body}");
            let result = std::panic::catch_unwind(|| entries::expand(text.as_bytes()));
            assert!(result.is_ok(), "a word of many {unit:?}");
        }
    }
    for unit in ["*", "**/", "a/", "?", "[a]", "!", "\\a", "a*", "*a", "!a\n", "**/a\n", "a/**/b\n"] {
        let body = unit.repeat((1 << 14) / unit.len());
        for path in ["a/".repeat(2000) + "a", "a".repeat(4000), "a/b/c".to_owned()] {
            let text = format!("{body}\0{path}");
            let result = std::panic::catch_unwind(|| entries::ignore(text.as_bytes()));
            assert!(result.is_ok(), "many {unit:?}");
        }
    }
}

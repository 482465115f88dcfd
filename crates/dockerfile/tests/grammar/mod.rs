//! Dockerfiles made from the grammar: every instruction, flags, lists, quotes, heredocs, continuations, comments,
//! directives, both line endings, and now and then a line that is only nearly right.

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

/// A whole file.
pub(crate) fn dockerfile() -> impl Strategy<Value = String> {
    (select(vec!['\\', '\\', '\\', '`']), prop::bool::weighted(0.2)).prop_flat_map(|(escape, crlf)| {
        (directives(escape), vec(between(), 0..2), vec((instruction(escape), vec(between(), 0..3)), 1..9))
            .prop_map(move |(head, start, instructions)| {
                let mut text = head + &start.concat() + "FROM base AS first\n";
                for (instruction, after) in instructions {
                    text.push_str(&instruction);
                    text.push('\n');
                    text.push_str(&after.concat());
                }
                if crlf { text.replace('\n', "\r\n") } else { text }
            })
    })
}

fn texts(list: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(list.to_vec()).prop_map(str::to_owned)
}

/// What stands above the first instruction. Without the directive the backtick is a character like any other.
fn directives(escape: char) -> BoxedStrategy<String> {
    let syntax =
        weighted(0.2, texts(&["# syntax=docker/dockerfile:1\n", "#syntax = x:2 --opt\n", "# SYNTAX=a\n"]));
    let check = weighted(0.2, texts(&["# check=skip=all\n", "#check=error=true;skip=A,B\n"]));
    let mark = weighted(0.05, Just("\u{feff}".to_owned()));
    let given = if escape == '`' {
        weighted(0.95, texts(&["# escape=`\n", "#escape = ` \n", " # Escape=`\n"])).boxed()
    } else {
        weighted(0.2, texts(&["# escape=\\\n"])).boxed()
    };
    (mark, syntax, given, check)
        .prop_map(|(mark, syntax, given, check)| [mark, syntax, given, check].into_iter().flatten().collect())
        .boxed()
}

/// Comments and empty lines between instructions.
fn between() -> impl Strategy<Value = String> {
    texts(&[
        "\n",
        "# a comment\n",
        "#\n",
        "  # indented \\\n",
        "\t\n",
        "# escape=`\n",
        "# first is the base\n",
        "#RUN x\n",
    ])
}

/// White space between words, now and then with the end of a line in it.
fn gap(escape: char) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => Just(" ".to_owned()),
        2 => texts(&["  ", "\t", " \t "]),
        3 => texts(&["@\n", "@\n  ", "@ \t\n\t", "@\n# a comment @\n  ", "@\n  # one\n# two\n", "@\n\n ", "@\n \n# c\n\n"])
            .prop_map(move |gap| format!(" {}", gap.replace('@', &escape.to_string()))),
    ]
}

/// A word as it may stand anywhere: plain, quoted, escaped, with variables.
fn word(escape: char) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => texts(&["a", "b.txt", "/usr/bin", "x-y", "src/", ".", "80/tcp", "k=v", "http://h/p?q#f", "*.[ch]", "#no", "naïve", "日本", "-x", "&&", "|", "a:b@c"]),
        2 => texts(&["$A", "${B}", "x$A-y", "$$", "${C:-d}", "\"$A b\"", "'$A b'", "${D:+\"e f\"}"]),
        2 => texts(&["\"q r\"", "'s t'", "\"u\"'v'w", "\"\"", "''", "x=\"y z\"", "x='y z'"]),
        1 => texts(&["@ ", "a@ b", "@\"", "@@", "\"a@\"b\"", "@$A", "a@b", "C:@dir"])
            .prop_map(move |text| text.replace('@', &escape.to_string())),
    ]
}

fn words(escape: char, count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec((gap(escape), word(escape)), count)
        .prop_map(|words| words.into_iter().map(|(gap, word)| gap + &word).collect())
}

/// A JSON array of strings, or something near to it.
fn json(escape: char) -> impl Strategy<Value = String> {
    let element = texts(&[
        "\"a\"",
        "\"b c\"",
        "\"\"",
        "\"/x\"",
        "\"\\n\\t\\\"\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"$A\"",
        "\"é\"",
        "\"#x\"",
        "\"a,b\"",
        "\"[]\"",
    ]);
    (
        gap(escape),
        vec((element, texts(&["", " ", "  ", "\t"])), 1..4),
        texts(&[",", " , ", ", "]),
        texts(&["", " ", "\t"]),
    )
        .prop_map(|(gap, elements, comma, end)| {
            let elements: Vec<String> =
                elements.into_iter().map(|(element, space)| element + &space).collect();
            format!("{gap}[{end}{}]{end}", elements.join(&comma))
        })
}

fn near_json() -> impl Strategy<Value = String> {
    texts(&[
        " []",
        " ['a']",
        " [\"a\",]",
        " [\"a\"",
        " [a]",
        " [ -f x ]",
        " [\"a\\x\"]",
        " [\"a\" \"b\"]",
        " [\"a\tb\"]",
    ])
}

/// Flags of an instruction, mostly good ones; `@` is the escape character. Each of `good` is given once at most.
fn flags(good: &'static [&'static str], escape: char) -> impl Strategy<Value = String> {
    let good = (0..good.len().min(2) + 1)
        .prop_flat_map(move |count| prop::sample::subsequence(good.to_vec(), count))
        .prop_shuffle();
    let odd = texts(&[
        "x",
        "from=",
        "from",
        "link=maybe",
        "mount=\"a b\"",
        "chown=x@ y",
        "a=@\"",
        "b='c d'",
        "network=x",
        "-",
        "",
    ]);
    (vec(gap(escape), 3), good, weighted(0.05, odd), weighted(0.05, Just(" --"))).prop_map(
        move |(gaps, good, odd, end)| {
            let flags = good.into_iter().map(str::to_owned).chain(odd);
            let shown: String = gaps.iter().zip(flags).map(|(gap, flag)| format!("{gap}--{flag}")).collect();
            (shown + end.unwrap_or_default()).replace('@', &escape.to_string())
        },
    )
}

/// A name in one of its cases.
fn name(names: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    (select(names.to_vec()), 0..8).prop_map(|(name, case)| match case {
        0 => name.to_lowercase(),
        1 => name
            .chars()
            .enumerate()
            .map(|(at, c)| if at % 2 == 0 { c } else { c.to_ascii_lowercase() })
            .collect(),
        _ => name.to_owned(),
    })
}

/// The line of a heredoc instruction, then its bodies.
fn heredocs(escape: char) -> impl Strategy<Value = String> {
    let opening = (
        texts(&["", "", "", "3", "-"]),
        texts(&["", "-"]),
        0..5,
        select(vec!["EOF", "END", "f.txt", "ÉND", "a b"]),
    );
    let line = texts(&[
        "text", "  # kept", "", "\ttab", "$A ${B}", "x \\", "y `", "EOF ", " END", "RUN x", "<<EOF", "'",
        "\"", "#", "\t\tEOFX", "FROM x",
    ]);
    (
        name(&["RUN", "RUN", "COPY", "ADD", "ONBUILD RUN", "ONBUILD COPY"]),
        vec((opening, vec(line, 0..4), gap(escape)), 1..3),
        texts(&["", " | sh", " > /x", " /d/", " && y"]),
    )
        .prop_map(|(name, docs, end)| {
            let (mut line, mut bodies) = (name, String::new());
            for ((before, dash, quote, word), body, gap) in docs {
                let word = if quote == 0 { word.split(' ').next().unwrap_or(word) } else { word };
                let shown = match quote {
                    1 => format!("\"{word}\""),
                    2 => format!("'{word}'"),
                    3 => {
                        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
                        format!("\"{first}\"'{rest}'")
                    }
                    _ => word.split(' ').next().unwrap_or(word).to_owned(),
                };
                let closing =
                    if matches!(quote, 1..=3) { word } else { word.split(' ').next().unwrap_or(word) };
                // A dash in front makes it no heredoc, so it has no body.
                line.push_str(&format!("{gap}{before}<<{dash}{shown}"));
                if before == "-" {
                    continue;
                }
                for text in body.iter().filter(|text| text.trim_start_matches('\t') != closing) {
                    bodies.push_str(text);
                    bodies.push('\n');
                }
                bodies.push_str(if dash.is_empty() { "" } else { "\t" });
                bodies.push_str(closing);
                bodies.push('\n');
            }
            format!("{line}{end}\n{}", bodies.trim_end_matches('\n'))
        })
}

fn instruction(escape: char) -> BoxedStrategy<String> {
    const COPY: &[&str] = &[
        "from=b",
        "chown=\"1\":2",
        "chmod=u=rwX,g=",
        "link",
        "parents=true",
        "exclude=*.c",
        "exclude=\"d e\"",
        "chown=f@,g",
    ];
    const ADD: &[&str] = &[
        "chown='a b'",
        "chmod=0755",
        "link=false",
        "keep-git-dir=TRUE",
        "checksum=sha256:0",
        "unpack",
        "exclude=a@ b",
    ];
    const RUN: &[&str] = &[
        "mount=type=cache,target=/c",
        "mount=\"type=bind,target=/b c\"",
        "network=none",
        "security=insecure",
        "mount=target=/a,rw",
        "device=v.com/g=1",
    ];
    const HEALTH: &[&str] =
        &["interval=1m30s", "timeout=5s", "retries=3", "start-period=\"2s\"", "start-interval=500ms"];
    let pair = texts(&[
        "a=b",
        "c=",
        "d=\"e f\"",
        "'g'=h",
        "i=j@ k",
        "l=$A",
        "m=\"n@\"o\"",
        "p.q-r=s=t",
        "u=${V:-w x}",
        "é=ü",
    ])
    .prop_map(move |text| text.replace('@', &escape.to_string()));
    let pairs = vec((gap(escape), pair), 1..4)
        .prop_map(|pairs| pairs.into_iter().map(|(gap, pair)| gap + &pair).collect::<String>());
    let args = vec((gap(escape), texts(&["A", "B=c", "D=", "E=\"f g\"", "H='i'", "J=$A"])), 1..3)
        .prop_map(|args| args.into_iter().map(|(gap, arg)| gap + &arg).collect::<String>());
    let form =
        prop_oneof![4 => words(escape, 1..5), 3 => json(escape), 1 => near_json(), 1 => Just(String::new())];
    let paths = prop_oneof![6 => words(escape, 2..5), 1 => json(escape), 1 => near_json()];
    let together = |(name, flags, rest): (String, String, String)| name + &flags + &rest;
    let none = || Just(String::new());
    let plain = prop_oneof![
        2 => (name(&["FROM"]), flags(&["platform=linux/amd64"], escape), (gap(escape), texts(&["a", "a:1", "$A", "a@sha256:0"]), of(texts(&[" AS b", " as B", "  As\tc-1"])))
                .prop_map(|(gap, base, name)| gap + &base + &name.unwrap_or_default())).prop_map(together),
        5 => (name(&["RUN"]), flags(RUN, escape), form.clone()).prop_map(together),
        2 => (name(&["COPY"]), flags(COPY, escape), paths.clone()).prop_map(together),
        2 => (name(&["ADD"]), flags(ADD, escape), paths).prop_map(together),
        2 => (name(&["CMD", "ENTRYPOINT"]), none(), form.clone()).prop_map(together),
        1 => (name(&["SHELL"]), none(), json(escape)).prop_map(together),
        3 => (name(&["ENV", "LABEL"]), none(), prop_oneof![4 => pairs, 1 => words(escape, 2..4)]).prop_map(together),
        2 => (name(&["ARG"]), none(), args).prop_map(together),
        3 => (name(&["WORKDIR", "USER", "STOPSIGNAL", "MAINTAINER", "EXPOSE", "VOLUME"]), none(), prop_oneof![4 => words(escape, 1..4), 1 => json(escape)])
                .prop_map(together),
        1 => (name(&["HEALTHCHECK"]), flags(HEALTH, escape), (gap(escape), texts(&["CMD", "cmd", "NONE"]), form).prop_map(|(gap, kind, rest)| gap + &kind + &rest))
                .prop_map(together),
    ]
    .boxed();
    let indent = texts(&["", "", "", "  ", "\t"]);
    let nearly = vec(
        texts(&[
            "FROM",
            "RUN",
            "COPY",
            "ENV",
            "ONBUILD",
            "HEALTHCHECK",
            " ",
            " ",
            "  ",
            "\t",
            "--a",
            "--",
            "=",
            "\"",
            "'",
            "[",
            "]",
            "\"a\"",
            ",",
            "\\",
            "`",
            "\\\n",
            "`\n",
            "$A",
            "#",
            "a",
            "b",
            "é",
            "\u{a0}",
            "\r",
            "<<E",
            "\nE\n",
            "\n",
        ]),
        1..10,
    )
    .prop_map(|pieces| pieces.concat());
    prop_oneof![
        14 => (indent, plain.clone(), texts(&["", "", " ", "\t "])).prop_map(|(indent, text, end)| indent + &text + &end),
        1 => plain.prop_map(|text| format!("ONBUILD {text}")),
        3 => heredocs(escape),
        1 => nearly,
    ]
    .boxed()
}

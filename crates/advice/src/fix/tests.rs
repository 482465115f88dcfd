use super::*;
use crate::facts::Context;
use std::collections::BTreeMap;

fn fixed(text: &str) -> String {
    fixed_with(text, &Facts::default())
}

fn fixed_with(text: &str, facts: &Facts) -> String {
    let once = fix("Dockerfile", text, facts, None).unwrap();
    let twice = fix("Dockerfile", &once.text, facts, None).unwrap();
    assert_eq!(once.text, twice.text, "a second fix changes nothing");
    assert!(twice.changes.is_empty());
    once.text
}

#[test]
fn casing() {
    assert_eq!(
        fixed("from a as Base\nrun x\ncopy --from=Base a b\nRUN --mount=from=Base,target=/x y\n"),
        "from a as base\nrun x\ncopy --from=base a b\nrun --mount=from=base,target=/x y\n"
    );
    assert_eq!(fixed("FROM a aS b\nCoPy x y\nRUN z\n"), "FROM a AS b\nCOPY x y\nRUN z\n");
    assert_eq!(fixed("# check=skip=FromAsCasing\nFROM a as b\n"), "# check=skip=FromAsCasing\nFROM a as b\n");
}

#[test]
fn pairs_in_the_old_form() {
    for (before, after) in [
        ("ENV a b", "ENV a=b"),
        ("ENV c  d e  f", "ENV c=\"d e  f\""),
        ("ENV g \"h i\"", "ENV g=\"h i\""),
        ("ENV j k=l", "ENV j=k=l"),
        ("ENV m 'n", "ENV m 'n"),
        ("ENV n a 'b'", "ENV n a 'b'"),
        ("ENV o $p q", "ENV o=\"$p q\""),
        ("ENV o a\\ b", "ENV o=a\\ b"),
        ("LABEL k l m", "LABEL k=\"l m\""),
        ("ENV a \\\n  b c", "ENV a=\"b c\""),
    ] {
        let text = |line: &str| format!("FROM scratch\n{line}\n");
        assert_eq!(fixed(&text(before)), text(after), "{before}");
    }
}

#[test]
fn other_rules_of_buildkit() {
    for (before, after) in [
        (
            "FROM a\nMAINTAINER A $B <c@d>\n",
            "FROM a\nLABEL org.opencontainers.image.authors=\"A \\$B <c@d>\"\n",
        ),
        ("from a\nmaintainer \"d\"\n", "from a\nlabel org.opencontainers.image.authors=\"d\"\n"),
        ("FROM a\nRUN a \\\n\n  b \\\n # c\n   \n  d\n", "FROM a\nRUN a \\\n  b \\\n # c\n  d\n"),
        ("FROM --platform=$TARGETPLATFORM  a AS b\n", "FROM a AS b\n"),
        ("FROM --platform=$BUILDPLATFORM a AS b\n", "FROM --platform=$BUILDPLATFORM a AS b\n"),
        (
            "ARG TARGETPLATFORM=x\nFROM --platform=$TARGETPLATFORM a\n",
            "ARG TARGETPLATFORM=x\nFROM --platform=$TARGETPLATFORM a\n",
        ),
        ("FROM a\nEXPOSE 80/TCP 53/Udp 90\n", "FROM a\nEXPOSE 80/tcp 53/udp 90\n"),
        ("FROM scratch\nWORKDIR a/b\n", "FROM scratch\nWORKDIR /a/b\n"),
        ("FROM a\nWORKDIR a/b\n", "FROM a\nWORKDIR a/b\n"),
        ("FROM a\nCMD npm  start\n", "FROM a\nCMD [\"npm\", \"start\"]\n"),
        (
            "FROM a\nENTRYPOINT python3 -m http.server --bind=0.0.0.0\n",
            "FROM a\nENTRYPOINT [\"python3\", \"-m\", \"http.server\", \"--bind=0.0.0.0\"]\n",
        ),
        ("FROM a AS b\nCMD x\nFROM b\nCMD y z\n", "FROM a AS b\nCMD [\"x\"]\nFROM b\nCMD [\"y\", \"z\"]\n"),
    ] {
        assert_eq!(fixed(before), after, "{before}");
    }
    for text in [
        "CMD npm start && x",
        "CMD echo $HOME",
        "CMD A=b npm start",
        "CMD ./run",
        "CMD run.sh",
        "CMD cd",
        "CMD a \"b c\"",
        "CMD a *",
        "CMD a > b",
        "ENTRYPOINT a\nCMD b",
        "CMD a \\\n  b",
        "ENTRYPOINT [\"x\"]\nCMD b",
    ] {
        let text = format!("FROM a\n{text}\n");
        assert_eq!(fixed(&text), text);
    }
    assert_eq!(
        fixed("# escape=`\r\nFROM a\r\nMAINTAINER x`\"y\r\n"),
        "# escape=`\r\nFROM a\r\nLABEL org.opencontainers.image.authors=\"x```\"y\"\r\n"
    );
}

#[test]
fn rules_of_our_own() {
    for (before, after) in [
        ("FROM a\nADD . /app\nadd a.json b/ ./\n", "FROM a\nCOPY . /app\nCOPY a.json b/ ./\n"),
        (
            "FROM a\nADD x.tar.gz /app\nADD https://x/y.json /\n",
            "FROM a\nADD x.tar.gz /app\nADD https://x/y.json /\n",
        ),
        ("FROM alpine\nRUN apk add curl\n", "FROM alpine\nRUN apk add --no-cache curl\n"),
        (
            "FROM python\nRUN pip install \\\n  flask\n",
            "FROM python\nRUN pip install --no-cache-dir \\\n  flask\n",
        ),
        (
            "FROM debian\nRUN apt-get update \\\n # more\n && apt-get install -y curl\n",
            "FROM debian\nRUN apt-get update \\\n # more\n && apt-get install -y curl && rm -rf /var/lib/apt/lists/*\n",
        ),
        (
            "FROM debian\nRUN apt-get update\nRUN apt-get install -y a\n",
            "FROM debian\nRUN apt-get update\nRUN apt-get install -y a\n",
        ),
        (
            "FROM debian AS a\nRUN apt-get update\nFROM a AS b\nRUN apt-get install x\nFROM a\n",
            "FROM debian AS a\nRUN apt-get update\nFROM a AS b\nRUN apt-get install x\nFROM a\n",
        ),
        ("FROM debian\nRUN apt-get update; x\n", "FROM debian\nRUN apt-get update; x\n"),
        ("FROM debian\nRUN apt-get update # x\n", "FROM debian\nRUN apt-get update # x\n"),
    ] {
        assert_eq!(fixed(before), after, "{before}");
    }
}

fn context(names: &[&str], texts: &[(&str, &str)]) -> Facts {
    let mut context = Context::default();
    for name in names {
        context.names.insert(name.trim_end_matches('/').to_owned(), name.ends_with('/'));
    }
    for (name, text) in texts {
        context.names.insert((*name).to_owned(), false);
        context.texts.insert((*name).to_owned(), (*text).to_owned());
    }
    Facts { context: Some(context), bases: BTreeMap::new(), ..Facts::default() }
}

#[test]
fn a_copy_before_an_install_is_parted() {
    let package = r#"{"dependencies": {"express": "^4.17.3"}, "scripts": {"start": "node x"}}"#;
    let facts = context(&["package-lock.json", "src/"], &[("package.json", package), (".npmrc", "")]);
    assert_eq!(
        fixed_with(
            "FROM node AS x\nWORKDIR /app\n# all\nCOPY --chown=a:b . .\nEXPOSE 80\nRUN npm ci --omit=dev && npm cache clean --force\nRUN x\n",
            &facts
        ),
        "FROM node AS x\nWORKDIR /app\n# all\nCOPY --chown=a:b package.json package-lock.json .npmrc ./\nEXPOSE 80\nRUN npm ci --omit=dev && npm cache clean --force\nCOPY --chown=a:b . .\nRUN x\n"
    );
    let unchanged = |text: &str, facts: &Facts| {
        assert_eq!(fix("D", text, facts, None).unwrap().changes, Vec::new(), "{text}");
    };
    let plain = "FROM node AS builder\nCOPY . .\nRUN npm ci\n";
    unchanged("FROM node AS builder\nCOPY . .\nRUN npm ci && npm run build\n", &facts);
    unchanged("FROM node AS builder\nCOPY . .\nENV a=b\nRUN npm ci\n", &facts);
    unchanged(plain, &Facts::default());
    for package in [
        r#"{"dependencies": {"a": "file:vendor/a"}}"#,
        r#"{"dependencies": {"a": "workspace:*"}}"#,
        r#"{"scripts": {"prepare": "x"}}"#,
        r#"{"workspaces": ["a"]}"#,
        "{",
        r#"{"dependencies": {"a": "../b"}}"#,
    ] {
        unchanged(plain, &context(&[], &[("package.json", package)]));
    }
    unchanged(plain, &context(&["node_modules/"], &[("package.json", package)]));
    let pip = context(&[], &[("requirements.txt", "flask==3 # x\n\n# y\n")]);
    assert_eq!(
        fixed_with("FROM python AS build\r\nCOPY . /app\r\nWORKDIR /app\r\nRUN true\r\n", &pip),
        "FROM python AS build\r\nCOPY . /app\r\nWORKDIR /app\r\nRUN true\r\n"
    );
    assert_eq!(
        fixed_with(
            "FROM python AS build\r\nWORKDIR /app\r\nCOPY . /app\r\nRUN pip install -r requirements.txt",
            &pip
        ),
        "FROM python AS build\r\nWORKDIR /app\r\nCOPY requirements.txt /app/\r\nRUN pip install -r requirements.txt\r\nCOPY . /app"
    );
    unchanged(
        "FROM python AS build\nCOPY . .\nRUN pip install -r requirements.txt\n",
        &context(&[], &[("requirements.txt", "-e .\n")]),
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    assert!(fix("D", "FROM\n", &Facts::default(), None).is_err());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            "[a-z$\"' .]{1,6}",
            Just(". .".to_owned()),
            Just("a  b".to_owned()),
            Just("${x:-y}".to_owned())
        ];
        let name = prop_oneof![
            Just("ENV"),
            Just("env"),
            Just("LABEL"),
            Just("MAINTAINER"),
            Just("CMD"),
            Just("ENTRYPOINT"),
            Just("EXPOSE"),
            Just("WORKDIR"),
            Just("ADD"),
            Just("COPY"),
            Just("RUN apk add"),
            Just("RUN apt-get update &&"),
            Just("RUN npm ci &&"),
            Just("FROM --platform=$TARGETPLATFORM x as Y\nRUN"),
            Just("RUN a \\\n\n  b"),
            Just("# c\nRun"),
        ];
        (name, word, "[a-z]{0,3}").prop_map(|(name, word, more)| format!("{name} {word} {more}\n"))
    }

    proptest! {
        #[test]
        fn a_fix_can_be_read_and_is_done_once(lines in proptest::collection::vec(line(), 1..8)) {
            let text = format!("FROM a as B\n{}", lines.concat());
            let facts = context(&["package-lock.json"], &[("package.json", "{}")]);
            if let Ok(once) = fix("D", &text, &facts, None) {
                let twice = fix("D", &once.text, &facts, None).unwrap();
                prop_assert_eq!(&once.text, &twice.text);
                prop_assert_eq!(once.changes.is_empty(), once.text == text);
            }
        }
    }
}

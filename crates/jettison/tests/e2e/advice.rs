//! Rules of our own in `build --check`, and `--fix`.

use crate::harness::{Context, Out, own, own_with_busybox};
use insta::assert_snapshot;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const FAULTY: &str = "\
# what is built from
FROM node:22-alpine AS Builder
WORKDIR /app
COPY . .
# all packages
RUN npm ci

FROM node:22-alpine
WORKDIR /app
ENV PORT 3000
ADD src ./src
COPY --from=Builder /app/node_modules ./node_modules
CMD node src/server.js
";

/// With what lies beside the Dockerfile of most projects.
fn faulty() -> Context {
    let context = Context::dockerfile(FAULTY);
    context
        .write("package.json", r#"{"dependencies": {"express": "^4"}, "devDependencies": {"jest": "^29"}}"#);
    context.write("package-lock.json", "{}");
    context.write("src/server.js", "");
    context
}

fn check(context: &Context, args: &[&str]) -> Out {
    let mut all = vec!["build"];
    all.extend(args);
    all.push(context.text());
    own().run(&all)
}

fn rules(out: &Out) -> Vec<String> {
    let answer: Value = serde_json::from_str(&out.stdout).unwrap();
    let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
    warnings.iter().map(|one| one["ruleName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn advice_is_told_beside_buildkits_rules() {
    let out = check(&faulty(), &["--check", "--format", "json"]);
    assert_eq!(
        rules(&out),
        [
            "StageNameCasing",
            "Jettison/CopyBeforeInstall",
            "Jettison/NoUserInFinalStage",
            "LegacyKeyValueFormat",
            "Jettison/AddInsteadOfCopy",
            "Jettison/DevDependenciesInFinalStage",
            "JSONArgsRecommended",
        ]
    );
    assert_eq!(out.code, Some(1));
    let answer: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(answer["warnings"][4]["fix"][0]["text"], "COPY");
    assert_eq!(answer["warnings"][3]["fix"][0]["text"], "=");
    let sarif: Value =
        serde_json::from_str(&check(&faulty(), &["--check", "--format=sarif"]).stdout).unwrap();
    let run = &sarif["runs"][0];
    let result = &run["results"][4];
    assert_eq!(result["ruleId"], "Jettison/AddInsteadOfCopy");
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "Jettison/AddInsteadOfCopy");
    assert_eq!(
        result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"],
        "COPY"
    );
}

#[test]
fn advice_looks_into_the_context() {
    let text = "FROM node AS build\nCOPY package.json .\nRUN npm ci\nCOPY . .\n";
    let context = Context::dockerfile(text);
    context.write("package.json", "{}");
    context.write("node_modules/a/index.js", "");
    context.write(".env", "");
    let told = || check(&context, &["--check", "--format=json"]);
    assert_eq!(rules(&told()), ["Jettison/MissingIgnoreEntry"]);
    context.write(".dockerignore", "node_modules\n");
    let out = check(&context, &["--check"]);
    assert!(
        out.stdout.contains("takes `.env` from the context: the ignore file does not leave it out"),
        "{out:?}"
    );
    context.write("Dockerfile.dockerignore", "node_modules\n.env\n");
    assert_eq!(rules(&told()), [""; 0]);
}

#[test]
fn advice_alone_is_no_failure() {
    let advised = "FROM node\nADD . /app\nUSER node\nCMD [\"node\", \"/app/x.js\"]\n";
    let with = |check: &str| Context::dockerfile(&format!("{check}{advised}"));
    let out = check(&with(""), &["--check"]);
    assert_eq!(out.code, Some(0));
    assert!(out.stdout.contains("Jettison/AddInsteadOfCopy"), "{out:?}");
    for skipping in ["skip=Jettison/AddInsteadOfCopy", "skip=Jettison/*", "skip=all"] {
        let out = check(&with(&format!("# check={skipping}\n")), &["--check"]);
        assert_eq!(
            (out.code, out.stdout.as_str()),
            (Some(0), "Check complete, no warnings found.\n"),
            "{skipping}"
        );
    }
    let out = check(&with("# check=error=true\n"), &["--check"]);
    assert_eq!(out.code, Some(1));
    out.says("lint violation found for rules: Jettison/AddInsteadOfCopy");
    let out = check(&with(""), &["--check", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"]);
    assert_eq!(out.code, Some(1));
}

#[test]
fn a_build_neither_tells_advice_nor_fails_by_it() {
    let context = Context::dockerfile("# check=error=true\nFROM scratch\nADD a.txt /\nCOPY .env /\n");
    context.write("a.txt", "a");
    context.write(".env", "A=b");
    let out = check(&context, &["--progress=plain", "--output", "type=cacheonly"]);
    assert_eq!(out.code, Some(0), "{out:?}");
    assert!(!out.stderr.contains("Jettison/"), "{out:?}");
    assert_eq!(check(&context, &["--check"]).code, Some(1));
}

#[test]
fn a_fix_shows_a_diff_and_keeps_all_else() {
    let context = faulty();
    context.mode("Dockerfile", 0o640);
    let shown = check(&context, &["--check", "--fix=diff"]);
    assert_eq!((shown.code, context.read("Dockerfile").as_str()), (Some(1), FAULTY));
    let out = check(&context, &["--check", "--fix"]);
    assert_eq!(out.stdout, shown.stdout);
    assert_snapshot!(context.read("Dockerfile"), @r#"
    # what is built from
    FROM node:22-alpine AS builder
    WORKDIR /app
    COPY package.json package-lock.json ./
    # all packages
    RUN npm ci
    COPY . .

    FROM node:22-alpine
    WORKDIR /app
    ENV PORT=3000
    COPY src ./src
    COPY --from=builder /app/node_modules ./node_modules
    CMD ["node", "src/server.js"]
    "#);
    // BuildKit's rules find nothing any more; two pieces of advice are for people.
    assert_eq!(out.code, Some(0));
    out.says("5 findings in ").says("were mended; 2 are left");
    let mode = fs::metadata(context.at("Dockerfile")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let again = check(&context, &["--check", "--fix"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""));
    again.says("nothing in ").says("can be rewritten safely; 2 are left");
    assert_eq!(rules(&check(&context, &["--check", "--format=json"])).len(), 2);
    let names: Vec<_> =
        fs::read_dir(context.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn a_diff_can_be_applied() {
    let context = Context::dockerfile("from a as b\nENV c d\n");
    let out = check(&context, &["--check", "--fix=diff"]);
    assert!(out.stdout.contains("\n-from a as b\n-ENV c d\n+"), "{out:?}");
}

#[test]
fn a_fix_of_standard_input_is_written_to_standard_output() {
    let run = |context: &str, args: &[&str]| own().build_from(context, args, Some(FAULTY.as_bytes())).out;
    let context = faulty();
    let out = run(context.text(), &["--check", "--fix", "-f", "-"]);
    assert!(out.stdout.starts_with("# what is built from\nFROM node:22-alpine AS builder\n"), "{out:?}");
    assert!(out.stdout.contains("\nCOPY package.json package-lock.json ./\n"), "{out:?}");
    assert_eq!(context.read("Dockerfile"), FAULTY);
    let alone = run("-", &["--check", "--fix"]);
    assert!(alone.stdout.contains("\nCOPY . .\n# all packages\nRUN npm ci\n\n"), "{alone:?}");
}

#[test]
fn a_fix_follows_a_link() {
    let context = faulty();
    fs::create_dir(context.at("docker")).unwrap();
    fs::rename(context.at("Dockerfile"), context.at("docker/Real")).unwrap();
    std::os::unix::fs::symlink("docker/Real", context.at("Dockerfile")).unwrap();
    assert_eq!(check(&context, &["--check", "--fix"]).code, Some(0));
    assert!(fs::symlink_metadata(context.at("Dockerfile")).unwrap().is_symlink());
    assert!(context.read("docker/Real").contains("ENV PORT=3000"));
}

#[test]
fn what_a_fix_refuses() {
    let context = faulty();
    for args in [
        &["--fix"][..],
        &["--fix=diff", "--call", "outline"],
        &["--check", "--fix", "--format=json"],
        &["--check", "--fix=all"],
    ] {
        let out = check(&context, args);
        assert_eq!(out.code, Some(125), "{args:?} {out:?}");
    }
    assert_eq!(context.read("Dockerfile"), FAULTY);
    let broken = Context::dockerfile("FROM a\nCOPPY a b\nENV c d\n");
    let out = check(&broken, &["--check", "--fix"]);
    assert_eq!(out.code, Some(1));
    out.says("unknown instruction");
    assert_eq!(broken.read("Dockerfile"), "FROM a\nCOPPY a b\nENV c d\n");
}

#[test]
fn advice_knows_the_images_of_the_store() {
    let house = own_with_busybox();
    let build = |name: &str, user: &str| {
        let context = Context::dockerfile(&format!("FROM busybox\n{user}"));
        assert_eq!(house.run(&["build", "-q", "-t", name, context.text()]).code, Some(0));
    };
    build("with-user", "USER 1000\n");
    build("without-user", "LABEL a=b\n");
    let told = |base: &str| {
        let context = Context::dockerfile(&format!("FROM {base}\nCMD [\"x\"]\n"));
        rules(&house.run(&["build", "--check", "--format=json", context.text()]))
    };
    assert_eq!(told("with-user"), [""; 0]);
    assert_eq!(told("without-user"), ["Jettison/NoUserInFinalStage"]);
    // Of what is not there nobody can be sure.
    assert_eq!(told("example.com/unknown"), [""; 0]);
}

//! `build --check` and `build --call`: answers about a Dockerfile, without a build.

use crate::harness::{Context, House, Out, folder, own, own_with_busybox, shared};
use insta::assert_snapshot;
use serde_json::Value;

const FAULTY: &str = "\
# the tool that makes it
FROM busybox AS builder
ARG VERSION=3
RUN --mount=type=secret,id=token,required echo $VERSION

# runner what ships
FROM scratch as runner
COPY --from=builder /$TYOP /
CMD run
";

/// Answers without a store, and makes none.
#[track_caller]
fn call(context: &Context, args: &[&str]) -> Out {
    let house = own();
    let out = asked(&house, context, args);
    assert!(!house.root().exists(), "a call made a store");
    out
}

fn asked(house: &House, context: &Context, args: &[&str]) -> Out {
    let mut all = vec!["build"];
    all.extend(args);
    all.push(context.text());
    house.run(&all)
}

#[track_caller]
fn json(out: &Out) -> Value {
    serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out:?}"))
}

#[test]
fn a_check_shows_what_where_and_what_helps() {
    let out = call(&Context::dockerfile(FAULTY), &["--check"]);
    assert_eq!((out.code, out.stderr.as_str()), (Some(1), ""));
    assert_snapshot!(out.stdout, @r"
    Check complete, 3 warnings have been found!

    WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/
    'as' and 'FROM' keywords' casing do not match
     --> Dockerfile:7:14
      |
    7 | FROM scratch as runner
      |              ^^
      |
      = hint: write it as `AS`

    WARNING: UndefinedVar - https://docs.docker.com/go/dockerfile/rule/undefined-var/
    Usage of undefined variable '$TYOP'
     --> Dockerfile:8:21
      |
    8 | COPY --from=builder /$TYOP /
      |                     ^^^^^^

    WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
    JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
     --> Dockerfile:9:1
      |
    9 | CMD run
      | ^^^^^^^
    ");
}

#[test]
fn a_check_of_a_clean_file() {
    let clean = Context::dockerfile("FROM scratch\nCOPY . /\nCMD [\"/run\"]\n");
    for args in
        [&["--check"][..], &["--call", "check"], &["--call=lint"], &["--call", "lint,ignorestatus=true"]]
    {
        let out = call(&clean, args);
        assert_eq!((out.code, out.stdout.as_str()), (Some(0), "Check complete, no warnings found.\n"));
    }
}

#[test]
fn a_check_can_leave_the_exit_code_alone() {
    let context = Context::dockerfile(FAULTY);
    assert_eq!(call(&context, &["--call", "check,ignorestatus=true"]).code, Some(0));
    // What would end a build is no finding.
    let broken = Context::dockerfile("FROM scratch\nCOPPY a b\n");
    assert_eq!(call(&broken, &["--call", "check,ignorestatus=true"]).code, Some(1));
}

#[test]
fn a_check_as_json_has_the_fields_of_buildkit() {
    let out = call(&Context::dockerfile(FAULTY), &["--call", "check,format=json"]);
    assert_eq!(out.code, Some(1));
    let answer = json(&out);
    let last = &answer["warnings"][2];
    assert_eq!(last["ruleName"], "JSONArgsRecommended");
    assert_eq!(last["url"], "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
    assert_eq!(last["location"]["ranges"][0]["start"]["line"], 9);
    assert_eq!(last["region"]["end"]["column"], 8);
    assert_eq!(answer["sources"][0]["filename"], "Dockerfile");
    assert_eq!(answer["sources"][0]["language"], "Dockerfile");
    assert!(answer.get("buildError").is_none());
    let same = call(&Context::dockerfile(FAULTY), &["--check", "--format", "json"]);
    assert_eq!(json(&same), answer);
    let clean = call(&Context::dockerfile("FROM scratch\n"), &["--call", "check,format=json"]);
    assert_eq!((clean.code, json(&clean)["warnings"].clone()), (Some(0), Value::Null));
}

#[test]
fn a_check_tells_all_errors() {
    let text = "FROM scratch AS a\nCOPY --from=2 x /\nSTOPSIGNAL nonsense\nFROM alpine\nCOPY --chmod=9 x /\nWORKDIR x\n";
    let out = call(&Context::dockerfile(text), &["--check"]);
    assert_eq!(out.code, Some(1));
    out.says("Dockerfile:2:")
        .says("Dockerfile:3:")
        .says("Dockerfile:5:")
        .says("error: Dockerfile has errors");
    assert!(out.stdout.contains("WorkdirRelativePath"), "{}", out.stdout);
    let out = call(&Context::dockerfile(text), &["--check", "--format=json"]);
    let answer = json(&out);
    assert_eq!(answer["buildErrors"].as_array().unwrap().len(), 3);
    assert_eq!(answer["buildError"]["message"], answer["buildErrors"][0]["message"]);
}

#[test]
fn a_check_can_be_strict() {
    let text = format!("# check=error=true\n{FAULTY}");
    let out = call(&Context::dockerfile(&text), &["--check"]);
    assert_eq!(out.code, Some(1));
    assert_eq!(
        out.stderr,
        "error: lint violation found for rules: FromAsCasing, JSONArgsRecommended, UndefinedVar\n"
    );
    let argument = ["--check", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=all"];
    assert_eq!(call(&Context::dockerfile(&text), &argument).code, Some(0));
}

#[test]
fn a_check_looks_at_the_target_or_at_all() {
    let context = Context::dockerfile("FROM scratch AS a\nUSER $X\nFROM scratch AS b\nCMD x\n");
    assert!(call(&context, &["--check"]).stdout.contains("2 warnings have been found"));
    let one = call(&context, &["--check", "--target", "A"]).stdout;
    assert!(one.contains("1 warning has") && one.contains("UndefinedVar"), "{one}");
    let out = call(&context, &["--check", "--target", "elsewhere"]);
    assert_eq!(out.code, Some(1));
    assert_snapshot!(out.stderr, @r"
    error: the target stage `elsewhere` is not in the Dockerfile
    hint: the stages are a, b
    ");
}

#[test]
fn a_check_asks_the_store_about_variables_of_a_base() {
    let text = "FROM busybox\nWORKDIR $NEWROOM\n";
    let unknown = call(&Context::dockerfile(text), &["--check"]);
    assert!(unknown.stdout.contains("no image is fetched"), "{}", unknown.stdout);
    let house = own_with_busybox();
    let known = asked(&house, &Context::dockerfile(text), &["--check"]);
    assert!(known.stdout.contains("UndefinedVar") && !known.stdout.contains("no image"), "{}", known.stdout);
    let base = Context::dockerfile("FROM busybox\nENV NEWROOM=/room\n");
    house.build(&base, &["-t", "roomy"]);
    let set = asked(&house, &Context::dockerfile(&text.replace("busybox", "roomy")), &["--check"]);
    assert_eq!(set.stdout, "Check complete, no warnings found.\n");
}

#[test]
fn a_check_knows_what_is_ignored() {
    let context = Context::dockerfile("FROM scratch\nCOPY secret.env /\n");
    context.write(".dockerignore", "*.env\n");
    assert!(call(&context, &["--check"]).stdout.contains("CopyIgnoredFile"));
    context.write("Dockerfile.dockerignore", "*.md\n");
    assert_eq!(call(&context, &["--check"]).code, Some(0));
}

#[test]
fn a_check_as_sarif() {
    let out = call(&Context::dockerfile(FAULTY), &["--check", "--format", "sarif"]);
    assert_eq!(out.code, Some(1));
    let answer = json(&out);
    assert_eq!(answer["version"], "2.1.0");
    let run = &answer["runs"][0];
    let result = &run["results"][1];
    assert_eq!(result["ruleId"], "UndefinedVar");
    let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
    assert_eq!(rule["id"], "UndefinedVar");
    assert_eq!(rule["helpUri"], "https://docs.docker.com/go/dockerfile/rule/undefined-var/");
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!((region["startLine"].clone(), region["startColumn"].clone()), (8.into(), 21.into()));
    assert_eq!(region["snippet"]["text"], "/$TYOP");
}

#[test]
fn an_outline() {
    let context = Context::dockerfile(FAULTY);
    let out = call(&context, &["--call", "outline"]);
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(out.stdout, @r"
    TARGET:      runner
    DESCRIPTION: what ships

    BUILD ARG   VALUE   DESCRIPTION
    VERSION     3       

    SECRET   REQUIRED
    token    true
    ");
    let answer = json(&call(&context, &["--call", "outline,format=json", "--target", "builder"]));
    assert_eq!(answer["name"], "builder");
    assert_eq!(answer["args"][0]["name"], "VERSION");
    assert_eq!(answer["secrets"][0]["location"]["ranges"][0]["start"]["line"], 4);
    assert!(answer["sources"][0].is_string());
}

#[test]
fn the_targets() {
    let context = Context::dockerfile(FAULTY);
    assert_snapshot!(call(&context, &["--call", "targets"]).ok().stdout, @r"
    TARGET           DESCRIPTION
    builder          
    runner (default) what ships
    ");
    let answer = json(&call(&context, &["--call", "targets", "--format", "json"]));
    let last = &answer["targets"][1];
    assert_eq!((last["name"].clone(), last["default"].clone()), ("runner".into(), true.into()));
    assert_eq!(last["base"], "scratch");
}

#[test]
fn the_calls() {
    let context = Context::dockerfile("FROM scratch\n");
    assert_snapshot!(call(&context, &["--call", "subrequests.describe"]).ok().stdout, @r"
    NAME                 VERSION DESCRIPTION
    outline              1.0.0   List all parameters current build target supports
    targets              1.0.0   List all targets current build supports
    subrequests.describe 1.0.0   List available subrequest types
    ");
    let answer = json(&call(&context, &["--call", "subrequests.describe,format=json"]));
    assert_eq!(answer[0]["opts"][0]["name"], "target");
    assert_eq!(answer[2]["name"], "frontend.subrequests.describe");
}

#[test]
fn warnings_that_are_no_rules_are_in_every_format() {
    let context = Context::dockerfile("FROM scratch AS builder\nFROM scratch\nCOPY --from=bilder /a /b\n");
    let text = call(&context, &["--check"]);
    assert_eq!(text.code, Some(0));
    assert!(text.stdout.contains("did you mean `--from=builder`?"), "{text:?}");
    let answer = json(&call(&context, &["--check", "--format=json"]));
    assert_eq!(answer["otherWarnings"][0]["region"]["start"]["column"], 13);
    assert_eq!(answer["warnings"], Value::Null);
    let answer = json(&call(&context, &["--check", "--format=sarif"]));
    assert_eq!(answer["runs"][0]["results"][0]["ruleId"], "Jettison/Warning");
}

#[test]
fn calls_that_cannot_be_read() {
    let context = Context::dockerfile("FROM scratch\n");
    for (args, says) in [
        (&["--call", "chek"][..], "`chek` is not known; build, check, outline and targets are"),
        (&["--call", "check,format=yaml"], "`yaml` is not known"),
        (&["--call", "outline,format=sarif"], "`sarif` is for --check alone"),
        (&["--call", "check,ignorestatus=maybe"], "neither `true` nor `false`"),
        (&["--call", "check,outline"], "only one method"),
        (&["--format", "json"], "there is no answer to write"),
        (&["--check", "--call", "outline"], "cannot be used with"),
    ] {
        let out = call(&context, args);
        assert_eq!(out.code, Some(125), "{args:?}");
        out.says(says);
    }
}

#[test]
fn a_call_of_build_builds() {
    let context = Context::dockerfile("FROM scratch\nCOPY Dockerfile /\n");
    let dest = folder();
    let output = dest.path().to_str().unwrap();
    assert_eq!(asked(shared(), &context, &["--call", "build", "-o", output]).code, Some(0));
    assert!(dest.path().join("Dockerfile").exists());
}

#[test]
fn a_check_takes_a_file_on_standard_input() {
    let house = own();
    let out = crate::harness::run_with_input(
        house.command(&["build", "--check", "--format=sarif", "-"]),
        Some(b"FROM scratch\nCMD x\n"),
        crate::harness::LIMIT,
    );
    assert_eq!(out.code, Some(1));
    let place = &json(&out)["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "stdin");
}

#[test]
fn warnings_of_a_build_are_events_for_programs() {
    let context = Context::dockerfile("FROM scratch\nCOPY Dockerfile /\nCMD x \\\n  y\n");
    let out = shared().run(&["build", "--progress", "rawjson", "-o", "type=cacheonly", context.text()]);
    assert_eq!(out.code, Some(0), "{out:?}");
    let lines: Vec<Value> = out
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let found: Vec<&Value> = lines.iter().filter_map(|line| line["warnings"].as_array()).flatten().collect();
    assert_eq!(found.len(), 1, "{}", out.stderr);
    let warning = found[0];
    assert_eq!(warning["url"], "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
    assert_eq!(warning["level"], 1);
    assert_eq!(warning["sourceInfo"]["filename"], "Dockerfile");
    let ranges: Vec<u64> = warning["range"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| range["start"]["line"].as_u64().unwrap())
        .collect();
    assert_eq!(ranges, [3, 4]);
    let vertex = warning["vertex"].as_str().unwrap();
    let is_shown = |line: &Value| {
        line["vertexes"].as_array().is_some_and(|all| {
            all.iter().any(|one| {
                one["digest"] == vertex && one["name"] == "[internal] load build definition from Dockerfile"
            })
        })
    };
    assert!(lines.iter().any(is_shown), "{}", out.stderr);
    let plain = shared().build(&context, &["-o", "type=cacheonly"]);
    plain.out.says("1 warning about Dockerfile:\n - JSONArgsRecommended: ");
}

use super::*;
use crate::command::*;
use crate::diagnostic;
use proptest::prelude::*;

fn good(text: &str) -> Dockerfile {
    match parse(text, "Dockerfile") {
        Ok(dockerfile) => dockerfile,
        Err(failure) => {
            panic!("{}", diagnostic::render(&failure.dockerfile.source, &failure.diagnostics(), false))
        }
    }
}

/// The one instruction after a FROM.
fn one(text: &str) -> Instruction {
    let mut dockerfile = good(&format!("FROM a\n{text}\n"));
    assert_eq!(dockerfile.instructions.len(), 2);
    dockerfile.instructions.remove(1)
}

/// Errors as `line:text under the span: message`.
fn errors(text: &str) -> Vec<String> {
    let failure = parse(text, "Dockerfile").unwrap_err();
    let source = &failure.dockerfile.source;
    let show = |error: &Error| {
        format!("{}:{}: {}", source.position(error.span.start).line, source.slice(error.span), error)
    };
    failure.errors.iter().map(show).collect()
}

fn texts(list: &[Spanned<String>]) -> Vec<&str> {
    list.iter().map(|text| text.value.as_str()).collect()
}

#[test]
fn stages_and_meta_args() {
    let dockerfile = good(
        "# syntax=docker/dockerfile:1\n# escape=\\\nARG V=1 W\nFROM --platform=$BUILDPLATFORM a:$V as Base\nRUN x\nFROM base\n\nCMD y\n",
    );
    assert_eq!(dockerfile.directives.frontend(), Some("docker/dockerfile:1"));
    assert_eq!(dockerfile.meta_args().count(), 1);
    let stages = dockerfile.stages();
    assert_eq!(stages.len(), 2);
    assert_eq!(
        (stages[0].name(), stages[0].base(), stages[0].platform()),
        (Some("base"), "a:$V", Some("$BUILDPLATFORM"))
    );
    assert_eq!(stages[0].from.typed_name.as_deref(), Some("Base"));
    assert_eq!((stages[1].name(), stages[1].index, stages[1].instructions.len()), (None, 1, 1));
    assert_eq!(dockerfile.source.slice(stages[1].span()), "FROM base\n\nCMD y");
}

#[test]
fn joined_lines() {
    let dockerfile = good("\u{FEFF}FROM a\r\n  run  echo \\  \r\n# no\r\n\r\n   'x  y' \\\n\t&& z\r\n");
    let run = &dockerfile.instructions[1];
    assert_eq!(run.original, "run  echo    'x  y' \t&& z");
    assert_eq!(run.lines, crate::source::LineRange { first: 2, last: 6 });
    assert_eq!(run.name.value, "run");
    let Command::Run(run) = &run.command else { panic!() };
    assert_eq!(run.form, Form::Shell("echo    'x  y' \t&& z".into()));
    assert_eq!(dockerfile.warnings.len(), 1);
    assert_eq!(dockerfile.warnings[0].rule, Some("NoEmptyContinuation"));
}

#[test]
fn directives_end_at_the_first_other_line() {
    let text = "# escape=`\nFROM a\nRUN x `\n  y\n";
    assert_eq!(good(text).instructions.len(), 2);
    assert_eq!(good("# note\n# escape=`\nFROM a\nRUN x \\\n  y\n").instructions.len(), 2);
    let late = good("\n# escape=`\nFROM a\n");
    assert_eq!(late.directives.escape, '\\');
    assert_eq!(late.warnings[0].message, "this `escape` is a comment, not a directive");
    let shebang = good("#!/bin/x\n# check=skip=all\n# escape=`\nFROM a\nRUN x \\\n  y\n");
    assert_eq!(
        (shebang.directives.check.unwrap().value.as_str(), shebang.directives.escape),
        ("skip=all", '\\')
    );
    assert_eq!(
        errors("# escape=x\nFROM a\n"),
        ["1:x: `x` cannot be the escape character; only `\\` and the backtick can"]
    );
    assert_eq!(
        errors("# escape=`\n# ESCAPE=`\nFROM a\n"),
        ["2:# ESCAPE=`: the directive `escape` is given twice"]
    );
}

#[test]
fn heredocs_of_run() {
    let dockerfile = good("FROM a\nRUN <<EOF\nset -e\n  # kept\n\nx \\\nEOF\nRUN y\n");
    assert_eq!(dockerfile.instructions.len(), 3);
    let instruction = &dockerfile.instructions[1];
    assert_eq!(instruction.original, "RUN <<EOF");
    assert_eq!(dockerfile.source.slice(instruction.span), "RUN <<EOF\nset -e\n  # kept\n\nx \\\nEOF");
    assert_eq!(dockerfile.source.slice(instruction.line_span), "RUN <<EOF");
    assert_eq!((instruction.lines.first, instruction.lines.last), (2, 7));
    let Command::Run(run) = &instruction.command else { panic!() };
    assert_eq!(run.program(), Program::Shell("set -e\n  # kept\n\nx \\\n".into()));
    assert_eq!(dockerfile.source.slice(run.heredocs[0].span), "set -e\n  # kept\n\nx \\\n");

    let program = |text: &str| match one(text).command {
        Command::Run(run) => run.program(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        program("RUN <<-'A'\n\t#!/bin/x\n\t\ty\n\tA"),
        Program::Script { name: "A".into(), content: "#!/bin/x\ny\n".into() }
    );
    assert_eq!(program("RUN cat <<A 3<<B\na\nA\nb\nB"), Program::Shell("cat <<A 3<<B\na\nA\nb\nB".into()));
    assert_eq!(program("RUN <<A\nA"), Program::Shell(String::new()));
    assert_eq!(program("RUN [\"x\", \"<<A\"]"), Program::Exec(vec!["x".into(), "<<A".into()]));
    assert_eq!(program("RUN"), Program::Shell(String::new()));
    assert_eq!(errors("FROM a\nRUN x <<EOF\ny\n"), ["2:EOF: the heredoc `EOF` is never closed"]);
}

#[test]
fn heredocs_of_copy() {
    let Command::Copy(copy) = one("COPY --chmod=755 <<a <<-\"b\" c /d/\nA$x\na\n\tB\n\tb").command else {
        panic!()
    };
    assert_eq!(texts(&copy.paths.sources), ["c"]);
    assert_eq!(copy.paths.destination.value, "/d/");
    let inline: Vec<_> = copy
        .paths
        .inline
        .iter()
        .map(|file| (file.name.value.as_str(), file.content.as_str(), file.expand))
        .collect();
    assert_eq!(inline, [("a", "A$x\n", true), ("b", "B\n", false)]);
    let Command::Copy(copy) = one("COPY <<a <<-a <<a /d/\n1\na\n2\na\n\t3\na").command else { panic!() };
    let inline: Vec<_> = copy.paths.inline.iter().map(|file| file.content.as_str()).collect();
    assert_eq!(inline, ["3\n", "\t3\n"]);
    assert_eq!(errors("FROM a\nCOPY b <<c\nc\n"), ["2:<<c: a heredoc cannot be the destination of COPY"]);
}

#[test]
fn copy_and_add() {
    let Command::Copy(copy) = one(
        "COPY --from=b --chown=1:2 --link --parents=False --exclude=*.a --exclude=\"b c\" [\"x y\", \"z\"]",
    )
    .command
    else {
        panic!()
    };
    assert_eq!(copy.from.unwrap().value, "b");
    assert_eq!(copy.chown.unwrap().value, "1:2");
    assert_eq!((copy.link, copy.parents), (true, false));
    assert_eq!(texts(&copy.exclude), ["*.a", "b c"]);
    assert_eq!(texts(&copy.paths.sources), ["x y"]);
    let Command::Add(add) = one("ADD --checksum=$SUM --unpack=true --keep-git-dir https://x /y").command
    else {
        panic!()
    };
    assert_eq!((add.unpack, add.keep_git_dir, add.link), (Some(true), Some(true), false));
    assert_eq!(add.checksum.unwrap().value, "$SUM");
    let Command::Copy(copy) = one("COPY --from= a b").command else { panic!() };
    assert_eq!(copy.from, None);
    assert_eq!(
        errors("FROM a\nCOPY --from=$b --chwon=x --link=no --chmod --chmod=1 --chmod=2 c d\nCOPY a\nADD\n"),
        [
            "2:$b: `--from` of COPY does not expand variables",
            "2:--chwon: COPY knows no flag `--chwon`",
            "2:--link=no: the flag `--link` is `true` or `false`, not `no`",
            "2:--chmod: the flag `--chmod` needs a value",
            "2:--chmod=2: the flag `--chmod` is given twice",
            "3:a: COPY needs a source and a destination",
            "4:ADD: ADD needs a source and a destination",
        ]
    );
}

#[test]
fn a_comment_after_copy_is_no_comment() {
    let dockerfile = good("FROM a\nCOPY --from=builder dist /usr/share/nginx/html   # use the number\n");
    let Command::Copy(copy) = &dockerfile.instructions[1].command else { panic!() };
    assert_eq!(texts(&copy.paths.sources), ["dist", "/usr/share/nginx/html", "#", "use", "the"]);
    assert_eq!(copy.paths.destination.value, "number");
    insta::assert_snapshot!(diagnostic::render(&dockerfile.source, &dockerfile.warnings, false), @r"
    warning: this is no comment: COPY takes `number` as the destination and the words before it as sources
     --> Dockerfile:2:50
      |
    2 | COPY --from=builder dist /usr/share/nginx/html   # use the number
      |                                                  ^^^^^^^^^^^^^^^^
      |
      = hint: a comment stands on a line of its own; the destination was probably meant to be `/usr/share/nginx/html`
    ");
}

#[test]
fn run_flags() {
    let Command::Run(run) = one(
        "RUN --mount=type=cache,target=/c,id=$ID --mount=type=secret,id=s --network=none --security=insecure --device=v.com/g=1,required make -- all",
    )
    .command
    else {
        panic!()
    };
    assert_eq!(run.mounts.len(), 2);
    assert_eq!(run.mounts[0].fields[2].value.as_deref(), Some("$ID"));
    assert_eq!((run.network, run.security), (Some(NetworkMode::None), Some(SecurityMode::Insecure)));
    assert!(run.devices[0].required);
    assert_eq!(run.form, Form::Shell("make -- all".into()));
    let Command::Run(run) = one("RUN -- --x").command else { panic!() };
    assert_eq!(run.form, Form::Shell("--x".into()));
    assert_eq!(
        errors("FROM a\nRUN --network=net --mount=from=$x,target=/y --mont=1 z\nRUN --security=x\n"),
        [
            "2:net: `--network` is `default`, `none` or `host`, not `net`",
            "2:from=$x,target=/y: in `--mount`: `from` does not expand variables (`$x`)",
            "2:--mont: RUN knows no flag `--mont`",
            "3:x: `--security` is `sandbox` or `insecure`, not `x`",
        ]
    );
}

#[test]
fn pairs() {
    let pairs = |text: &str| match one(text).command {
        Command::Env(EnvCommand { pairs }) | Command::Label(LabelCommand { pairs }) => {
            pairs.into_iter().map(|pair| (pair.key.value, pair.value.value, pair.legacy)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let pair = |key: &str, value: &str, legacy| (key.to_owned(), value.to_owned(), legacy);
    assert_eq!(
        pairs("ENV a=1 b=\"x y\" \\\n c=d\\ e"),
        [pair("a", "1", false), pair("b", "\"x y\"", false), pair("c", "d\\ e", false)]
    );
    assert_eq!(pairs("ENV a  b=c  \"d"), [pair("a", "b=c  \"d", true)]);
    assert_eq!(pairs("LABEL \"a b\"=c d="), [pair("\"a b\"", "c", false), pair("d", "", false)]);
    assert_eq!(
        errors("FROM a\nENV a\nENV a=1 b\nLABEL\nENV =x\nENV --x a=b\n"),
        [
            "2:a: ENV needs a name and a value",
            "3:b: `b` has no `=`; ENV takes name=value",
            "4:LABEL: LABEL needs at least one argument",
            "5:=x: a name of ENV is empty",
            "6:--x: ENV knows no flag `--x`",
        ]
    );
}

#[test]
fn args_and_their_descriptions() {
    let dockerfile = good("# V is the version\n# other\nARG V=\"1 2\" W X=\nFROM a\n");
    let (instruction, arg) = dockerfile.meta_args().next().unwrap();
    assert_eq!(instruction.comments, ["V is the version", "other"]);
    assert_eq!(arg.args[0].description.as_deref(), Some("is the version"));
    assert_eq!(arg.args[0].default.as_ref().unwrap().value, "\"1 2\"");
    assert_eq!(arg.args[1].default, None);
    assert_eq!(arg.args[2].default.as_ref().unwrap().value, "");
    assert_eq!(
        errors("ARG =x\nFROM a\nARG"),
        ["1:=x: a name of ARG is empty", "3:ARG: ARG needs at least one argument"]
    );
}

#[test]
fn forms() {
    let form = |text: &str| match one(text).command {
        Command::Cmd(CmdCommand { form }) | Command::Entrypoint(EntrypointCommand { form }) => form,
        other => panic!("{other:?}"),
    };
    assert_eq!(form("CMD [ \"a\" , \"b\" ]"), Form::Exec(vec!["a".into(), "b".into()]));
    assert_eq!(form("ENTRYPOINT []"), Form::Exec(vec![]));
    assert_eq!(form("CMD"), Form::Shell(String::new()));
    assert_eq!(form("CMD ['a']"), Form::Shell("['a']".into()));
    assert_eq!(errors("FROM a\nCMD [\"a\", 1]\n"), ["2:1: every element of a JSON array must be a string"]);
    let warned = good("FROM a\nCMD ['a']\nRUN [ -f x ]\n");
    assert_eq!(warned.warnings.len(), 1);
}

#[test]
fn the_small_instructions() {
    let Command::Workdir(workdir) = one("WORKDIR  /a b ").command else { panic!() };
    assert_eq!(workdir.path.value, "/a b");
    let Command::Expose(expose) = one("EXPOSE 80 $P/udp").command else { panic!() };
    assert_eq!(texts(&expose.ports), ["80", "$P/udp"]);
    let Command::Volume(volume) = one("VOLUME [\"/a b\", \"/c\"]").command else { panic!() };
    assert_eq!(texts(&volume.paths), ["/a b", "/c"]);
    let Command::Shell(shell) = one("SHELL [\"x\", \"-c\"]").command else { panic!() };
    assert_eq!(shell.shell, ["x", "-c"]);
    let Command::StopSignal(signal) = one("STOPSIGNAL SIGQUIT").command else { panic!() };
    assert_eq!(signal.signal.value, "SIGQUIT");
    let Command::Maintainer(maintainer) = one("MAINTAINER a <b@c>").command else { panic!() };
    assert_eq!(maintainer.author.value, "a <b@c>");
    assert_eq!(
        errors(
            "FROM a\nWORKDIR\nEXPOSE\nVOLUME\nVOLUME [\"\"]\nSHELL\nSHELL x -c\nUSER\nSTOPSIGNAL\nSHELL []\n"
        ),
        [
            "2:WORKDIR: WORKDIR takes exactly one argument",
            "3:EXPOSE: EXPOSE needs at least one argument",
            "4:VOLUME: VOLUME needs at least one argument",
            "5:\"\": a VOLUME cannot be an empty string",
            "6:SHELL: SHELL needs at least one argument",
            "7:x -c: SHELL takes a JSON array of strings",
            "8:USER: USER takes exactly one argument",
            "9:STOPSIGNAL: STOPSIGNAL takes exactly one argument",
            "10:[]: SHELL needs at least one argument",
        ]
    );
}

#[test]
fn health_checks() {
    let Command::HealthCheck(HealthCheckCommand::Check(check)) =
        one("HEALTHCHECK --interval=1m30s --timeout=0s --retries=3 \\\n  CMD curl x || exit 1").command
    else {
        panic!()
    };
    assert_eq!(check.interval, Some(std::time::Duration::from_secs(90)));
    assert_eq!((check.timeout, check.retries), (None, 3));
    assert_eq!(check.form, Form::Shell("curl x || exit 1".into()));
    assert_eq!(one("HEALTHCHECK none").command, Command::HealthCheck(HealthCheckCommand::None));
    assert_eq!(
        errors(
            "FROM a\nHEALTHCHECK\nHEALTHCHECK NONE x\nHEALTHCHECK CMD\nHEALTHCHECK RUN x\nHEALTHCHECK --interval=5 --retries=-1 --timeout=1us CMD x\n"
        ),
        [
            "2:HEALTHCHECK: HEALTHCHECK needs at least one argument",
            "3:x: HEALTHCHECK NONE takes no arguments",
            "4:CMD: HEALTHCHECK CMD needs a command",
            "5:RUN: HEALTHCHECK is CMD or NONE, not `RUN`",
            "6:5: `--interval=5` is not a duration: it is written like `30s`, `1m30s` or `500ms`",
            "6:-1: `--retries=-1` is not a number from 0 to 2147483647",
            "6:1us: `--timeout=1us` is not a duration: it must be at least 1ms",
        ]
    );
}

#[test]
fn triggers() {
    let Command::OnBuild(on_build) = one("ONBUILD  copy <<A /b\nx\nA").command else { panic!() };
    assert_eq!(on_build.trigger, "COPY");
    assert_eq!(on_build.expression, "copy <<A /b\nx\nA");
    let Command::Copy(copy) = parse_trigger(&on_build.expression).unwrap().command else { panic!() };
    assert_eq!(copy.paths.inline[0].content, "x\n");
    assert!(parse_trigger("RUN a\nRUN b").is_err());
    assert!(parse_trigger("").is_err());
    let unknown = good("FROM a\nONBUILD SING x\n");
    assert_eq!(unknown.warnings[0].message, "unknown instruction `SING`");
    assert_eq!(
        errors("FROM a\nONBUILD\nONBUILD FROM x\nONBUILD onbuild RUN x\nONBUILD maintainer x\n"),
        [
            "2:ONBUILD: ONBUILD needs at least one argument",
            "3:FROM: FROM is not allowed as an ONBUILD trigger",
            "4:onbuild: ONBUILD of ONBUILD is not allowed",
            "5:maintainer: MAINTAINER is not allowed as an ONBUILD trigger",
        ]
    );
}

#[test]
fn from() {
    assert_eq!(
        errors("FROM\nFROM a b\nFROM a AS 1x\nFROM a # c\nFROM --platfrom=x a\n"),
        [
            "1:FROM: FROM takes one argument, or three: `FROM image AS name`",
            "2:a b: FROM takes one argument, or three: `FROM image AS name`",
            "3:1x: `1x` cannot name a build stage",
            "4:a # c: FROM takes one argument, or three: `FROM image AS name`",
            "5:--platfrom: FROM knows no flag `--platfrom`",
        ]
    );
    assert_eq!(errors("RUN x\nFROM a\n"), ["1:RUN: `RUN` stands before the first FROM; only ARG may"]);
    assert_eq!(errors("# nothing\n"), ["2:: the Dockerfile has no instructions"]);
    assert_eq!(errors("ARG x\n"), ["2:: the Dockerfile has no build stage"]);
}

#[test]
fn all_faults_are_shown_with_their_lines() {
    let failure =
        parse("FROM node\nRUNN npm ci\nCOPY --form=x a b\nENTRYPONT [\"x\"]\n", "Dockerfile").unwrap_err();
    assert_eq!(failure.to_string(), "unknown instruction `RUNN` (and 2 more)");
    let text = diagnostic::render(&failure.dockerfile.source, &failure.diagnostics(), false);
    insta::assert_snapshot!(text, @r#"
    error: unknown instruction `RUNN`
     --> Dockerfile:2:1
      |
    2 | RUNN npm ci
      | ^^^^ no instruction of the Dockerfile language
      |
      = hint: did you mean `RUN`?

    error: COPY knows no flag `--form`
     --> Dockerfile:3:6
      |
    3 | COPY --form=x a b
      |      ^^^^^^ unknown flag
      |
      = hint: did you mean `--from`?

    error: unknown instruction `ENTRYPONT`
     --> Dockerfile:4:1
      |
    4 | ENTRYPONT ["x"]
      | ^^^^^^^^^ no instruction of the Dockerfile language
      |
      = hint: did you mean `ENTRYPOINT`?
    "#);
}

#[test]
fn spans_of_quoted_words_are_whole_characters() {
    assert_eq!(errors("FROM --\"éé=\"é a\n"), ["1:--\"éé: FROM knows no flag `--éé`"]);
    assert_eq!(
        errors("FROM a\nRUN --\"net\"work=\"é\" x\n"),
        ["2:\"é\": `--network` is `default`, `none` or `host`, not `é`"]
    );
    assert_eq!(errors("FROM a\nRUN <<\"é\"é\n"), ["2:<<\"é\"é: the heredoc `éé` is never closed"]);
}

#[test]
fn the_errors_of_one_line_are_bounded() {
    let text = format!("FROM a\nRUN {}x\n", "--y ".repeat(10_000));
    assert_eq!(errors(&text).len(), MOST_ERRORS);
}

#[test]
fn odd_spaces_are_told() {
    let failure = parse("FROM a\nRUN\u{a0}x\n", "D").unwrap_err();
    assert_eq!(failure.errors[0].hint.as_deref(), Some("U+00A0 looks like a space but is none here"));
}

#[test]
fn bytes_that_are_no_text() {
    let dockerfile = parse(b"FROM a\nRUN \xff\n", "D").unwrap();
    assert_eq!(dockerfile.warnings[0].message, "the Dockerfile is not UTF-8");
}

#[test]
fn ten_thousand_lines_take_a_moment() {
    let mut text = String::from("FROM a\n");
    for at in 0..2_500 {
        text.push_str(&format!("RUN --mount=type=cache,target=/c{at} echo {at} \\\n  && true\nENV a{at}=\"b c\" d=e\nCOPY --from=x a b c/\n"));
    }
    let now = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let begun = now();
    assert_eq!(good(&text).instructions.len(), 7_501);
    // 20 ms is the aim of a release build (`benches/parse.rs`); tests run unoptimised.
    let took = now() - begun;
    assert!(took.tv_sec < 2, "{took:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn never_panics(text in "(FROM|RUN|COPY|ENV|ONBUILD|#|escape=`|<<E|--|=|\"|'|\\[|\\]|,|\\\\|`|é| |\t|\r\n|\n|E|[a-z]){0,40}") {
        match parse(&text, "D") {
            Ok(dockerfile) => {
                for one in &dockerfile.instructions {
                    prop_assert!(text.get(one.span.range()).is_some());
                    prop_assert!(text[one.span.range()].starts_with(&one.name.value));
                }
                let _ = crate::lint::check(&dockerfile, &crate::lint::Config::default(), &|_| true);
            }
            Err(failure) => {
                prop_assert!(!failure.errors.is_empty());
                for error in &failure.errors {
                    prop_assert!(text.get(error.span.range()).is_some(), "{:?}", error);
                }
                diagnostic::render(&failure.dockerfile.source, &failure.diagnostics(), false);
            }
        }
    }

    /// What is written without quotes stands in the source as it is.
    #[test]
    fn spans_point_at_the_words(
        words in proptest::collection::vec("[a-zé/.$*]{1,6}", 2..6),
        gaps in proptest::collection::vec("( {1,2}|\\t| \\\\\n ?|\\\\\r\n# c\r\n )", 6),
        name in "(COPY|expose|Volume|ADD)",
    ) {
        let mut text = format!("FROM a\n\n{name}");
        for (word, gap) in words.iter().zip(&gaps) {
            // A continuation does not separate of itself.
            text.push_str(&format!(" {gap}{word}"));
        }
        let dockerfile = good(&text);
        let found: Vec<Spanned<String>> = match &dockerfile.instructions[1].command {
            Command::Copy(CopyCommand { paths, .. }) | Command::Add(AddCommand { paths, .. }) => {
                paths.sources.iter().chain([&paths.destination]).cloned().collect()
            }
            Command::Expose(expose) => expose.ports.clone(),
            Command::Volume(volume) => volume.paths.clone(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(texts(&found), words.iter().map(String::as_str).collect::<Vec<_>>());
        for word in &found {
            prop_assert_eq!(dockerfile.source.slice(word.span), word.value.as_str());
        }
    }

    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, "D");
    }
}

//! The rules of `--check` that need the frontend.

use crate::support::*;
use insta::assert_snapshot;

fn findings(text: &str) -> String {
    findings_with(text, &images())
}

fn findings_with(text: &str, images: &Images) -> String {
    let dockerfile = dockerfile::parse(text, "Dockerfile").unwrap();
    let lowered = frontend::lower(&dockerfile, &options(), images).unwrap();
    let shown = lowered.warnings.iter().map(|one| {
        let line = dockerfile.source.position(one.span.start).line;
        format!(
            "{line} {} `{}` {}\n",
            one.rule.unwrap_or("warning"),
            dockerfile.source.slice(one.span),
            one.message
        )
    });
    shown.collect()
}

#[test]
fn undefined_variables() {
    let text = "FROM alpine\nARG DECLARED\nENV NAME=1\nCOPY $NAM $NAM ${DECLARED}x /a\nWORKDIR /$PTH\nARG A=$NAMES\nRUN $IN_SHELL\n\
                RUN --mount=target=/m,source=$SRC x\nCOPY <<E /e\n$BODY\nE\nEXPOSE ${PORT:-80}\nLABEL l=${X:-y}\n";
    assert_snapshot!(findings(text), @r"
    4 warning `$NAM` this source is empty once its variables are filled in: all files are taken
    4 UndefinedVar `$NAM` Usage of undefined variable '$NAM' (did you mean $NAME?)
    4 warning `$NAM` this source is empty once its variables are filled in: all files are taken
    4 UndefinedVar `$NAM` Usage of undefined variable '$NAM' (did you mean $NAME?)
    5 UndefinedVar `/$PTH` Usage of undefined variable '$PTH' (did you mean $PATH?)
    6 UndefinedVar `$NAMES` Usage of undefined variable '$NAMES' (did you mean $NAME?)
    8 UndefinedVar `target=/m,source=$SRC` Usage of undefined variable '$SRC'
    9 UndefinedVar `<<E` Usage of undefined variable '$BODY'
    13 UndefinedVar `${X:-y}` Usage of undefined variable '$X' (did you mean $A?)
    ");
}

#[test]
fn undefined_arguments_in_from() {
    let text = "ARG VERSION=3 EMPTY\nFROM alpine AS unreached\nFROM ${VERSIN}alpine$EMPTY AS a\nFROM --platform=${TARGETPLATFORMS:-linux/amd64} alpine\n";
    assert_snapshot!(findings(text), @r"
    3 UndefinedArgInFrom `${VERSIN}alpine$EMPTY` FROM argument 'VERSIN' is not declared (did you mean VERSION?)
    4 UndefinedArgInFrom `${TARGETPLATFORMS:-linux/amd64}` FROM argument 'TARGETPLATFORMS' is not declared (did you mean TARGETPLATFORM?)
    ");
}

#[test]
fn defaults_that_name_no_image() {
    let text = "ARG TAG\nARG OK=3\nFROM alpine:$TAG AS unreached\nFROM alpine\n";
    assert_snapshot!(findings(text), @"3 InvalidDefaultArgInFrom `alpine:$TAG` Default value for ARG alpine:$TAG results in empty or invalid base image name");
}

#[test]
fn platforms() {
    let text = "FROM --platform=$TARGETPLATFORM alpine AS a\nFROM --platform=linux/$TARGETARCH alpine AS b\nFROM --platform=$BUILDPLATFORM a\n";
    assert_snapshot!(findings(text), @"1 RedundantTargetPlatform `$TARGETPLATFORM` Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior");
    let arm = r#"{"architecture":"arm64","variant":"v8","os":"linux"}"#;
    assert_snapshot!(findings_with("FROM arm\n", &images().with("arm", arm)), @r#"1 InvalidBaseImagePlatform `arm` Base image arm was pulled with platform "linux/arm64", expected "linux/amd64" for current build"#);
}

#[test]
fn ignored_files() {
    let text = "FROM alpine AS a\nCOPY secret.txt docs/x.md src /\nADD /docs /\nCOPY . .\nFROM alpine\nCOPY --from=a docs /\n";
    assert_snapshot!(findings_with(text, &images().ignoring("*.txt\ndocs\n")), @r#"
    2 CopyIgnoredFile `secret.txt` Attempting to Copy file "secret.txt" that is excluded by .dockerignore
    2 CopyIgnoredFile `docs/x.md` Attempting to Copy file "docs/x.md" that is excluded by .dockerignore
    "#);
    assert_snapshot!(findings_with(text, &images().ignoring("*.txt\n!keep\n")), @"");
    assert_snapshot!(findings_with("FROM alpine\nCOPY . .\n", &images().ignoring("**\n")), @r#"2 CopyIgnoredFile `.` Attempting to Copy file "." that is excluded by .dockerignore"#);
}

#[test]
fn what_variables_bring() {
    let text = "FROM alpine\nARG D=rel P=80/TCP H=1:80\nWORKDIR $D\nWORKDIR $D\nEXPOSE $P $H\n";
    assert_snapshot!(findings(text), @r#"
    3 WorkdirRelativePath `$D` Relative workdir "rel" can have unexpected results if the base image changes
    5 ExposeProtoCasing `$P` Defined protocol '80/TCP' in EXPOSE instruction should be lowercase
    5 ExposeInvalidFormat `$H` EXPOSE instruction should not define an IP address or host-port mapping, found '1:80'
    "#);
    let text = "FROM alpine AS a\nWORKDIR /a\nFROM a\nARG D=rel\nWORKDIR $D\n";
    assert_snapshot!(findings(text), @"");
}

#[test]
fn rules_can_be_skipped() {
    let text = "FROM alpine\nWORKDIR /$X\nCMD x\n";
    assert_snapshot!(findings(text), @r"
    2 UndefinedVar `/$X` Usage of undefined variable '$X'
    3 JSONArgsRecommended `CMD x` JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
    ");
    assert_snapshot!(findings(&format!("# check=skip=UndefinedVar,JSONArgsRecommended\n{text}")), @"");
    assert_snapshot!(findings(&text.replace("WORKDIR", "# check=skip=UndefinedVar\nWORKDIR")), @"4 JSONArgsRecommended `CMD x` JSON arguments recommended for CMD to prevent unintended behavior related to OS signals");
    assert_snapshot!(findings(&format!("# check=skip=all\n{text}")), @"");
    let args = with_args(&[("BUILDKIT_DOCKERFILE_CHECK", "skip=all")]);
    assert_snapshot!(warnings_with(text, &args, &images()), @"");
}

#[test]
fn findings_can_fail_a_build() {
    assert_snapshot!(error("# check=error=true\nFROM alpine\nWORKDIR /$X\nCMD x\n"), @r"
    error: the checks of the Dockerfile fail: UndefinedVar: Usage of undefined variable '$X'; JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
     --> Dockerfile:3:9
      |
    3 | WORKDIR /$X
      |         ^^^
    ");
    assert_snapshot!(error("# check=eror=true\nFROM alpine\n"), @r"
    error: `eror=true` is no option of `check`; it takes `skip=`, `experimental=` and `error=`; did you mean `error`?
     --> Dockerfile:1:9
      |
    1 | # check=eror=true
      |         ^^^^^^^^^
    ");
    lowered("# check=skip=all;error=true\nFROM alpine\nCMD x\n", &options(), &images());
}

#[test]
fn rules_are_asked_of_stages_that_are_reached() {
    let text = "FROM alpine AS unreached\nWORKDIR /$X\nCMD x\nFROM alpine\n";
    assert_snapshot!(findings(text), @"");
}

use super::*;
use crate::parse;

fn findings(text: &str) -> Vec<String> {
    let dockerfile = parse(text, "Dockerfile").unwrap();
    let config = Config::of(&dockerfile).unwrap();
    check(&dockerfile, &config, &|_| true)
        .into_iter()
        .map(|one| {
            let line = dockerfile.source.position(one.span.start).line;
            format!("{line} {} `{}`: {}", one.rule.unwrap(), dockerfile.source.slice(one.span), one.message)
        })
        .collect()
}

/// The names of rules with their lines.
fn names(text: &str) -> Vec<String> {
    findings(text).into_iter().map(|one| one.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_rule_of_the_text() {
    insta::assert_debug_snapshot!(findings(
        "from a as Base\n\
         FROM --platform=linux/amd64 b AS scratch\n\
         FROM b As scratch\n\
         MAINTAINER me\n\
         ENV a b\n\
         LABEL c d\n\
         ENV MY_TOKEN=x TOKEN_FILE=y\n\
         ARG password\n\
         WORKDIR rel\n\
         WORKDIR rel2\n\
         EXPOSE 80/TCP 127.0.0.1:8080:80 $X\n\
         RUN a \\\n\n  b\n\
         CMD x\n\
         CMD [\"y\"]\n\
         ENTRYPOINT z\n\
         HEALTHCHECK NONE\n\
         HEALTHCHECK NONE\n"
    ), @r#"
    [
        "1 ConsistentInstructionCasing `from`: Command 'from' should match the case of the command majority (uppercase)",
        "1 StageNameCasing `Base`: Stage name 'Base' should be lowercase",
        "2 FromPlatformFlagConstDisallowed `linux/amd64`: FROM --platform flag should not use constant value \"linux/amd64\"",
        "2 ReservedStageName `scratch`: Stage name should not use the same name as reserved stage \"scratch\"",
        "3 FromAsCasing `As`: 'As' and 'FROM' keywords' casing do not match",
        "3 ReservedStageName `scratch`: Stage name should not use the same name as reserved stage \"scratch\"",
        "3 DuplicateStageName `scratch`: Duplicate stage name \"scratch\", stage names should be unique",
        "4 MaintainerDeprecated `MAINTAINER`: Maintainer instruction is deprecated in favor of using label",
        "5 LegacyKeyValueFormat `a b`: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
        "6 LegacyKeyValueFormat `c d`: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format",
        "7 SecretsUsedInArgOrEnv `MY_TOKEN`: Do not use ARG or ENV instructions for sensitive data (ENV \"MY_TOKEN\")",
        "8 SecretsUsedInArgOrEnv `password`: Do not use ARG or ENV instructions for sensitive data (ARG \"password\")",
        "9 WorkdirRelativePath `rel`: Relative workdir \"rel\" can have unexpected results if the base image changes",
        "11 ExposeProtoCasing `80/TCP`: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
        "11 ExposeInvalidFormat `127.0.0.1:8080:80`: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:8080:80'",
        "13 NoEmptyContinuation ``: Empty continuation line",
        "15 JSONArgsRecommended `CMD x`: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        "15 MultipleInstructionsDisallowed `CMD x`: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        "17 JSONArgsRecommended `ENTRYPOINT z`: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
        "18 MultipleInstructionsDisallowed `HEALTHCHECK NONE`: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used",
    ]
    "#);
}

#[test]
fn skipping() {
    assert_eq!(names("# check=skip=StageNameCasing\nFROM a AS B\nCMD x\n"), ["3 JSONArgsRecommended"]);
    assert_eq!(names("# check=skip=all\nFROM a AS B\nCMD x\n"), [""; 0]);
    assert_eq!(names("FROM a\n# check=skip=JSONArgsRecommended\nCMD x\n"), [""; 0]);
    assert_eq!(names("FROM a AS b\n#\n# hello\nARG c\n"), [""; 0]);
    assert_eq!(
        names("# check=experimental=all\n# hello\nFROM a AS b\n# c is good\nARG c\n"),
        ["3 InvalidDefinitionDescription"]
    );
}

#[test]
fn stages_go_on_where_their_parents_were() {
    let text = "FROM a AS b\nSHELL [\"x\"]\nWORKDIR /w\nFROM b\nWORKDIR y\nCMD z\n";
    assert_eq!(names(text), [""; 0]);
    let dockerfile = parse("FROM a\nCMD x\nFROM b\nCMD y\n", "D").unwrap();
    assert_eq!(check(&dockerfile, &Config::default(), &|stage| stage == 1).len(), 1);
}

#[test]
fn rules_of_others_are_skipped_by_name() {
    let allows = |text: &str| Config::parse(text).unwrap().allows_name("Room/Name");
    for text in ["", "skip=Name", "skip=Room", "skip=Other/*", "skip=*", "experimental=all"] {
        assert!(allows(text), "{text}");
    }
    for text in ["skip=Room/Name", "skip=A,Room/*", "skip=all"] {
        assert!(!allows(text), "{text}");
    }
}

#[test]
fn configurations() {
    let config = Config::parse("skip=A, B;error=true").unwrap();
    assert_eq!((config.skip, config.error), (vec!["A".to_owned(), "B".to_owned()], true));
    for text in ["skip", "skip=a;what=b", "error=perhaps"] {
        assert!(Config::parse(text).is_err(), "{text}");
    }
    for rule in Rule::ALL {
        assert_eq!(Rule::parse(rule.name()), Some(rule));
    }
}

#[test]
fn rules_are_described() {
    for rule in Rule::ALL {
        let info = rule.info();
        assert_eq!(Rule::parse(info.name), Some(rule));
        assert!(!info.description.is_empty() && info.help.ends_with('.'), "{info:?}");
        // BuildKit has no page about this one.
        let expected = if rule == Rule::InvalidBaseImagePlatform { "" } else { "https://docs.docker.com/" };
        assert!(info.url.starts_with(expected) && info.url.is_empty() == expected.is_empty(), "{info:?}");
    }
}

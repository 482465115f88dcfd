//! Reads cases, and knows the images that they stand on.

use dockerfile::ignore::Patterns;
use dockerfile::lint::Rule;
use dockerfile::{Diagnostic, Dockerfile};
use frontend::{BaseImage, BoxError, MetaResolver, Options};
use oci::{Digest, ImageConfig, Platform};

/// A Dockerfile and what BuildKit said about it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) options: Options,
    pub(crate) expected: Vec<String>,
    ignored: Option<Patterns>,
}

impl Case {
    /// Whether the only error is that findings are errors.
    pub(crate) fn is_strict_only(&self) -> bool {
        self.expected.iter().any(|line| line.starts_with("! - lint violation"))
    }
}

/// Reads a file of cases.
pub(crate) fn cases(file: &str) -> Vec<Case> {
    file.split("=== ").skip(1).map(case).collect()
}

fn case(text: &str) -> Case {
    let (name, rest) = text.split_once('\n').unwrap();
    let platform: Platform = "linux/amd64".parse().unwrap();
    let mut options = Options { platform: platform.clone(), build_platform: platform, ..Options::default() };
    let rest = match rest.strip_prefix("$ ") {
        None => rest,
        Some(rest) => {
            let (flags, rest) = rest.split_once('\n').unwrap();
            let words: Vec<&str> = flags.split(' ').collect();
            for pair in words.chunks(2) {
                match pair {
                    ["--target", target] => options.target = Some((*target).to_owned()),
                    ["--build-arg", arg] => {
                        let (name, value) = arg.split_once('=').unwrap();
                        options.build_args.push((name.to_owned(), value.to_owned()));
                    }
                    _ => panic!("{flags}"),
                }
            }
            rest
        }
    };
    let (mut text, mut expected, mut ignored, mut own) = (String::new(), Vec::new(), None, None);
    let mut at = "Dockerfile";
    for line in rest.lines() {
        if let Some(file) = line.strip_prefix("--- ") {
            at = file;
            continue;
        }
        match at {
            "Dockerfile" => text.push_str(&format!("{line}\n")),
            "found" => expected.push(line.to_owned()),
            "Dockerfile.dockerignore" => own.get_or_insert_with(String::new).push_str(&format!("{line}\n")),
            ".dockerignore" => ignored.get_or_insert_with(String::new).push_str(&format!("{line}\n")),
            _ => panic!("{at}"),
        }
    }
    assert_eq!(at, "found", "{name} has no answer");
    if name == "crlf" {
        text = text.replace('\n', "\r\n");
    }
    let ignored = own.or(ignored).map(|text| Patterns::parse(text.as_bytes()).unwrap());
    Case { name: name.to_owned(), text, options, expected, ignored }
}

/// A finding with the lines that BuildKit gives: those of the instruction.
pub(crate) fn finding(dockerfile: &Dockerfile, finding: &Diagnostic) -> String {
    let lines = frontend::finding_lines(dockerfile, finding);
    let rule = finding.rule.unwrap();
    assert!(Rule::parse(rule).is_some(), "{rule}");
    format!("{} {rule}: {}", super::lines(&lines.into()), finding.message)
}

/// The images of the cases.
pub(crate) struct Images<'a>(&'a Case);

impl<'a> Images<'a> {
    /// With what the case's context leaves out.
    pub(crate) fn new(case: &'a Case) -> Self {
        Self(case)
    }
}

impl MetaResolver for Images<'_> {
    fn image(&self, reference: &str, _platform: &Platform) -> Result<BaseImage, BoxError> {
        Err(format!("`{reference}` was resolved, which a check never does").into())
    }

    fn at_hand(&self, reference: &str, _platform: &Platform) -> Option<BaseImage> {
        let (architecture, config) = match reference.trim_end_matches(":latest") {
            "alpine" => ("amd64", r#"{"Env":["PATH=/usr/bin:/bin"],"Cmd":["/bin/sh"]}"#),
            "withenv" => {
                ("amd64", r#"{"Env":["PATH=/bin","FOO=bar","BASE_HOME=/base"],"WorkingDir":"/base"}"#)
            }
            "withshell" => ("amd64", r#"{"Shell":["/bin/bash","-c"]}"#),
            "withtriggers" => {
                ("amd64", r#"{"OnBuild":["ARG TOKEN","COPY $UNDEF/x /x","ENV a b","WORKDIR rel","CMD run"]}"#)
            }
            "foreign" => ("arm64", "{}"),
            _ => return None,
        };
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        Some(BaseImage {
            reference: reference.to_owned(),
            resolved: None,
            manifest: None,
            id: Digest::of(config.as_bytes()),
            config: ImageConfig::parse(config.as_bytes()).unwrap(),
        })
    }

    fn ignored(&self) -> Option<&Patterns> {
        self.0.ignored.as_ref()
    }
}

//! The page `docs/rules.md`, made out of the rules and their examples. A test compares it with the file.

use crate::rule::Rule;
use std::fmt::Write as _;

const HEAD: &str = "\
# Rules of our own

`jettison build --check` asks BuildKit's 22 rules, by BuildKit's names, and these besides. They are the advice of good
guides about Dockerfiles as far as a program can be sure of it: a rule speaks only where it knows, and looks into the build
context, the ignore file and the configurations of base images that are already in the store. Nothing is fetched for it.

They are advice, and never stand in the way of a build:

- They are told by `--check` (and `--call check`) alone, not after an ordinary build.
- `# check=error=true` fails an ordinary build because of BuildKit's rules, as it does with `docker build`, never because of
  these. `build --check` of such a file fails on these too.
- Without `error=true` the exit code of `build --check` is BuildKit's: 1 where one of BuildKit's rules found something. Advice
  alone leaves it 0.
- `# check=skip=Jettison/NoUserInFinalStage` at the top of the file skips one, `skip=Jettison/*` skips all of them,
  `skip=all` these and BuildKit's. The same comment right above an instruction counts for that instruction. To Docker these
  names mean nothing, so the file stays good for both.

`jettison build --check --fix` rewrites the file where that is safe, shows what it changed as a diff, and leaves every other
byte alone; `--fix=diff` only shows. Rewriting twice changes nothing more.

";

/// BuildKit's rules that `--fix` rewrites, and how.
const REWRITTEN: [(&str, &str); 10] = [
    ("ConsistentInstructionCasing", "the instruction takes the case of the majority"),
    ("ExposeProtoCasing", "the protocol in lower case"),
    ("FromAsCasing", "`AS` takes the case of its `FROM`"),
    (
        "JSONArgsRecommended",
        "`CMD npm start` becomes `CMD [\"npm\", \"start\"]`: plain words only, a program of the PATH that is no shell builtin, and no second instruction of CMD and ENTRYPOINT",
    ),
    ("LegacyKeyValueFormat", "`ENV a b c` becomes `ENV a=\"b c\"`, where both mean the same"),
    ("MaintainerDeprecated", "becomes the label `org.opencontainers.image.authors`"),
    ("NoEmptyContinuation", "the empty lines go"),
    ("RedundantTargetPlatform", "`--platform=$TARGETPLATFORM` goes"),
    ("StageNameCasing", "the name in lower case, in FROM and in each `--from` and `from=` that says it"),
    ("WorkdirRelativePath", "the absolute path, where the base's own folder is known"),
];

/// The whole page, Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| rule | asks for | `--fix` |\n|---|---|---|\n");
    for rule in Rule::ALL {
        let fix = if rule.is_fixable() { "where it is safe" } else { "no" };
        let _ = writeln!(page, "| [`{}`](#{}) | {} | {fix} |", rule.name(), rule.anchor(), rule.summary());
    }
    for rule in Rule::ALL {
        let example = rule.example();
        let _ = write!(page, "\n## {}\n\n{} {}\n\n", rule.name(), rule.summary(), example.why);
        if !example.context.is_empty() {
            let _ = write!(page, "With `{}` in the context:\n\n", example.context.join("`, `"));
        }
        let _ = write!(
            page,
            "```dockerfile\n{}```\n\nBetter:\n\n```dockerfile\n{}```\n\n",
            example.bad, example.good
        );
        let _ = writeln!(page, "`--fix`: {}", example.fix);
    }
    page.push_str("\n## BuildKit's rules that `--fix` rewrites\n\n| rule | what is written |\n|---|---|\n");
    for (rule, what) in REWRITTEN {
        let _ = writeln!(page, "| `{rule}` | {what} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Context, Facts};
    use dockerfile::lint::Config;

    fn facts(names: &[&str]) -> Facts {
        let mut context = Context::default();
        for name in names {
            let text = if *name == "package.json" { "{\"devDependencies\": {\"a\": \"1\"}}" } else { "" };
            context.names.insert(name.trim_end_matches('/').to_owned(), name.ends_with('/'));
            context.texts.insert((*name).to_owned(), text.to_owned());
        }
        Facts { context: (!names.is_empty()).then_some(context), ..Facts::default() }
    }

    #[test]
    fn bad_examples_are_told_and_good_ones_are_not() {
        for rule in Rule::ALL {
            let example = rule.example();
            let facts = facts(example.context);
            let found = |text: &str| {
                let parsed = dockerfile::parse(text.as_bytes(), "Dockerfile").unwrap();
                crate::check(&parsed, &facts, &Config::default())
                    .iter()
                    .map(|one| one.rule.unwrap())
                    .collect::<Vec<_>>()
            };
            assert_eq!(found(example.bad), [rule.name()]);
            assert_eq!(found(example.good), [""; 0], "{}", rule.name());
            let fixed = crate::fix("Dockerfile", example.bad, &facts, None).unwrap();
            if rule.is_fixable() {
                assert_eq!(found(&fixed.text), [""; 0]);
                assert_eq!(fixed.text, example.good);
            } else {
                assert_eq!(fixed.text, example.bad);
            }
        }
    }

    #[test]
    fn the_rewritten_rules_are_buildkits() {
        for (rule, _) in REWRITTEN {
            assert!(dockerfile::lint::Rule::parse(rule).is_some(), "{rule}");
        }
    }

    #[test]
    fn the_page_is_the_file() {
        let file = include_str!("../../../docs/rules.md");
        assert!(
            file == reference(),
            "docs/rules.md is stale: `cargo run -p advice --example rules > docs/rules.md`"
        );
    }
}

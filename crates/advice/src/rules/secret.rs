//! Secrets in the file or in its layers. BuildKit's SecretsUsedInArgOrEnv goes by the names of variables; these rules
//! go by values that have the shape of a key, and by files that hold secrets. What BuildKit's rule tells is not told
//! again. Messages never show the value.

use crate::finding::Finding;
use crate::model::{Model, from_context, whole_context};
use crate::rule::Rule;
use dockerfile::{Command, Instruction, Span};

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    for (instruction, _) in model.dockerfile.meta_args() {
        values(instruction, found);
    }
    for (stage, _) in model.stages.iter().zip(&model.reached).filter(|(_, reached)| **reached) {
        for step in &stage.steps {
            values(step.instruction, found);
            copied(model, step.instruction, found);
        }
    }
}

/// SecretValue: in ARG, ENV, LABEL and RUN.
fn values<'a>(instruction: &'a Instruction, found: &mut Vec<Finding<'a>>) {
    let hint =
        "`RUN --mount=type=secret` leaves nothing in the image; take the value back where it was given out";
    let mut tell = |what: &str, name: Option<&str>, span: Span| {
        let place = match name {
            Some(name) => format!("the value of {} `{name}`", instruction.keyword.name()),
            None => format!("a text in {}", instruction.keyword.name()),
        };
        let message =
            format!("{place} looks like {what}: everyone who has the image or this file can read it");
        found.push(Finding::new(Rule::SecretValue, instruction, span, message, hint));
    };
    match &instruction.command {
        Command::Arg(arg) => {
            for one in &arg.args {
                if let Some(what) = one.default.as_ref().and_then(|value| secret(value))
                    && !dockerfile::lint::is_secret_name(&one.name)
                {
                    tell(what, Some(&one.name), one.name.span);
                }
            }
        }
        Command::Env(env) => {
            for pair in env.pairs.iter().filter(|pair| !dockerfile::lint::is_secret_name(&pair.key)) {
                if let Some(what) = secret(&pair.value) {
                    tell(what, Some(&pair.key), pair.key.span);
                }
            }
        }
        Command::Label(label) => {
            for pair in &label.pairs {
                if let Some(what) = secret(&pair.value) {
                    tell(what, Some(&pair.key), pair.key.span);
                }
            }
        }
        Command::Run(run) => {
            let body = run.heredocs.iter().map(|heredoc| heredoc.content.as_str());
            if let Some(what) = std::iter::once(instruction.original.as_str()).chain(body).find_map(secret) {
                tell(what, None, instruction.name.span);
            }
        }
        _ => {}
    }
}

/// Beginnings of keys that services give out, with the fewest characters that follow, and what they are.
const KEYS: [(&str, usize, &str); 22] = [
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("ghu_", 36, "a GitHub token"),
    ("ghr_", 36, "a GitHub token"),
    ("github_pat_", 40, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("npm_", 36, "an npm token"),
    ("pypi-", 60, "a PyPI token"),
    ("AKIA", 16, "an AWS access key"),
    ("ASIA", 16, "an AWS access key"),
    ("AIza", 35, "a Google API key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("xoxa-", 20, "a Slack token"),
    ("sk_live_", 20, "a Stripe key"),
    ("rk_live_", 20, "a Stripe key"),
    ("sk-ant-", 40, "an API key"),
    ("sk-proj-", 40, "an API key"),
    ("SG.", 60, "a SendGrid key"),
    ("dckr_pat_", 20, "a Docker Hub token"),
    ("hf_", 34, "a Hugging Face token"),
];

/// What secret a text has in it, by its shape.
fn secret(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    for (begin, least, what) in KEYS {
        for (at, _) in text.match_indices(begin) {
            // Inside a longer word it is no beginning.
            if text[..at].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                continue;
            }
            let rest: Vec<char> = text[at + begin.len()..].chars().take_while(|c| is_part(*c)).collect();
            let upper_only = !matches!(begin, "AKIA" | "ASIA")
                || rest.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
            // `xxxx...` and the like are placeholders.
            let mut kinds = rest.clone();
            kinds.sort_unstable();
            kinds.dedup();
            if rest.len() >= least
                && kinds.len() > 7
                && upper_only
                && !placeholder(&rest.iter().collect::<String>())
            {
                return Some(what);
            }
        }
    }
    address_with_password(text)
}

/// `scheme://user:password@host`, the password written out.
fn address_with_password(text: &str) -> Option<&'static str> {
    for (at, _) in text.match_indices("://") {
        let authority: &str =
            text[at + 3..].split(['/', ' ', '"', '\'', '?', '#', '\n']).next().unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@') else { continue };
        let Some((_, password)) = user.split_once(':') else { continue };
        let written_out = password.len() >= 4 && !password.contains(['$', '{', '<', '*', '`', '(', '%']);
        if written_out && !placeholder(password) {
            return Some("an address with a password");
        }
    }
    None
}

/// Words that stand for a value that somebody is to fill in, or for none that is worth keeping.
fn placeholder(value: &str) -> bool {
    let value = value.to_lowercase();
    [
        "example",
        "changeme",
        "change-me",
        "change_me",
        "password",
        "passwd",
        "secret",
        "dummy",
        "fake",
        "placeholder",
        "your",
        "test",
        "xxxx",
        "1234",
        "postgres",
        "root",
        "guest",
        "admin",
        "user",
        "token",
    ]
    .iter()
    .any(|word| value.contains(word))
}

/// SecretCopied: files that hold secrets, by their names, or by what they hold where that is known.
fn copied<'a>(model: &Model<'a>, instruction: &'a Instruction, found: &mut Vec<Finding<'a>>) {
    let Some(paths) = from_context(instruction) else { return };
    for source in &paths.sources {
        let path = dockerfile::ignore::clean(&source.value);
        let path = path.trim_start_matches('/');
        let Some(what) = file_with_secret(model, path) else { continue };
        let id = crate::shell::base_name(path).trim_start_matches('.');
        let message = format!("`{}` is copied into a layer: {what}", source.value);
        let hint = format!(
            "lend it to the step that needs it: `RUN --mount=type=secret,id={id} ...`, and build with `--secret id={id},src={path}`"
        );
        found.push(Finding::new(Rule::SecretCopied, instruction, source.span, message, hint));
    }
    let (Some(whole), Some(context)) = (whole_context(instruction), &model.facts.context) else { return };
    for name in context.names.keys().filter(|name| context.has(name)) {
        // What MissingIgnoreEntry tells is not told again.
        let Some(what) = file_with_secret(model, name).filter(|_| name != ".env") else { continue };
        let span = whole.sources.first().map_or(instruction.line_span, |source| source.span);
        let message = format!("`{}` takes `{name}` into a layer: {what}", whole.sources[0].value);
        let hint = format!(
            "leave it out with a line `{name}` in .dockerignore, and lend it to a step with `RUN --mount=type=secret`"
        );
        found.push(Finding::new(Rule::SecretCopied, instruction, span, message, hint));
    }
}

/// Why a file of the context is a secret, if it is for certain.
fn file_with_secret(model: &Model<'_>, path: &str) -> Option<&'static str> {
    let name = crate::shell::base_name(path);
    match name {
        ".env" => return Some("it holds the settings and passwords of a machine"),
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" | "id_ed25519_sk" | "id_ecdsa_sk" => {
            return Some("it is a private key");
        }
        ".netrc" | ".git-credentials" | ".pypirc" | ".pgpass" | ".my.cnf" | ".htpasswd" => {
            return Some("it holds passwords");
        }
        "credentials" if path.ends_with(".aws/credentials") => return Some("it holds access keys"),
        "config.json" if path.ends_with(".docker/config.json") => {
            return Some("it holds the passwords of registries");
        }
        ".aws" | ".ssh" | ".gnupg" if !path.contains('/') => return Some("it is a folder of keys"),
        _ => {}
    }
    let text = model.facts.context.as_ref()?.text(path)?;
    (name == ".npmrc" && has_token(text)).then_some("it holds a token")
}

/// Whether a `.npmrc` has a token written out; `${TOKEN}` is none.
fn has_token(text: &str) -> bool {
    text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).any(|line| {
        line.split_once('=').is_some_and(|(key, value)| {
            let key = key.trim();
            let value = value.trim().trim_matches('"');
            let secret = ["_authToken", "_auth", "_password"]
                .iter()
                .any(|one| key == *one || key.ends_with(&format!(":{one}")));
            secret && !value.is_empty() && !value.contains("${")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_secrets() {
        let token = "aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kPmNoL";
        assert_eq!(secret(&format!("ghp_{token}")), Some("a GitHub token"));
        assert_eq!(secret(&format!("//r/:_authToken=npm_{token}")), Some("an npm token"));
        assert_eq!(secret("AKIAQ4XZ7W2M9K5B3C6D"), Some("an AWS access key"));
        assert_eq!(secret("postgres://app:hunter22@db/x"), Some("an address with a password"));
        assert_eq!(secret("-----BEGIN RSA PRIVATE KEY-----\nx"), Some("a private key"));
        for harmless in [
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "https://user:$PASS@host/x",
            "https://user:${PASS}@host",
            "http://host:8080/x@y",
            "postgres://user:password@localhost/db",
            "npm_config_cache",
            "foo_ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "git@github.com:a/b.git",
            "ssh://git@host/x",
        ] {
            assert_eq!(secret(harmless), None, "{harmless}");
        }
    }

    #[test]
    fn tokens_in_npmrc() {
        assert!(has_token("//registry.example.com/:_authToken=abc"));
        assert!(!has_token("//registry.example.com/:_authToken=${NPM_TOKEN}\ninstall-links=true\n#_auth=x"));
    }
}

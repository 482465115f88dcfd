//! An image that runs as root though nobody said so.

use crate::finding::Finding;
use crate::model::Model;
use crate::rule::Rule;
use dockerfile::command::Form;
use dockerfile::{Command, Instruction};

/// Images of servers that begin as root and give it up by themselves.
const STEP_DOWN: [&str; 28] = [
    "caddy",
    "cassandra",
    "couchdb",
    "elasticsearch",
    "ghost",
    "haproxy",
    "httpd",
    "influxdb",
    "kibana",
    "logstash",
    "mariadb",
    "memcached",
    "mongo",
    "mysql",
    "neo4j",
    "nextcloud",
    "nginx",
    "percona",
    "php-apache",
    "postgis",
    "postgres",
    "rabbitmq",
    "redis",
    "redmine",
    "sonarqube",
    "traefik",
    "valkey",
    "wordpress",
];

/// Official images that run as root.
const ROOT: [&str; 42] = [
    "alpine",
    "almalinux",
    "amazoncorretto",
    "amazonlinux",
    "archlinux",
    "buildpack-deps",
    "busybox",
    "bun",
    "centos",
    "clojure",
    "composer",
    "debian",
    "deno",
    "eclipse-temurin",
    "elixir",
    "erlang",
    "fedora",
    "gcc",
    "golang",
    "gradle",
    "groovy",
    "haskell",
    "ibmjava",
    "julia",
    "maven",
    "node",
    "openjdk",
    "oraclelinux",
    "perl",
    "php",
    "pypy",
    "python",
    "r-base",
    "rockylinux",
    "ruby",
    "rust",
    "sapmachine",
    "swift",
    "tomcat",
    "ubuntu",
    "alt",
    "mono",
];

/// Programs that give root up.
const DROPPERS: [&str; 8] = ["gosu", "su-exec", "setpriv", "runuser", "su", "sudo", "chpst", "s6-setuidgid"];

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    if !model.runs_something() || super::development::is_for_development(model) {
        return;
    }
    let user = model.steps(model.target).filter_map(|step| match &step.instruction.command {
        Command::User(user) => Some((step.instruction, user)),
        _ => None,
    });
    // USER root at the end was somebody's decision.
    if user.last().is_some() || drops_root(model) {
        return;
    }
    let Some(root) = model.root(model.target) else { return };
    if steps_down(root) {
        return;
    }
    let is_root = match model.root_base(model.target) {
        Some(base) => is_root(&base.user),
        None => runs_as_root(root),
    };
    if !is_root {
        return;
    }
    let Some(last) = command(model) else { return };
    let message = format!("the image runs as root: no USER stands in its stage, and `{root}` has none");
    let hint = match official(root) {
        Some("node") => {
            "the base has a user for that: `USER node`, with `--chown=node:node` where it must write"
                .to_owned()
        }
        _ if root.starts_with("gcr.io/distroless/") => {
            format!(
                "take the tag `nonroot` of `{}`, or say `USER nonroot`",
                root.split(['@', ':']).next().unwrap_or(root)
            )
        }
        _ => "make a user and name it: `RUN useradd --system app`, then `USER app`".to_owned(),
    };
    let stage = &model.stages[model.target].stage;
    let span = stage.from.base.span;
    found.push(
        Finding::new(Rule::NoUserInFinalStage, stage.instruction, span, message, hint)
            .label(format!("line {} runs as root", last.lines.first)),
    );
}

/// The instruction that says what runs.
fn command<'a>(model: &Model<'a>) -> Option<&'a Instruction> {
    let says =
        |instruction: &Instruction| matches!(instruction.command, Command::Cmd(_) | Command::Entrypoint(_));
    model.steps(model.target).map(|step| step.instruction).filter(|one| says(one)).last()
}

/// Whether a user's name or number is root's.
fn is_root(user: &str) -> bool {
    matches!(user.split(':').next().unwrap_or_default(), "" | "root" | "0")
}

/// An official image's name without tag and digest.
fn official(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or_default();
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let name = name.split(':').next().unwrap_or_default();
    (!name.contains('/')).then_some(name)
}

fn steps_down(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let last = crate::shell::base_name(name);
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    STEP_DOWN.contains(&name) || (name == "php" && tag.contains("apache"))
}

/// Whether an image that nobody looked into runs as root, for certain. A program alone on nothing is left alone.
fn runs_as_root(image: &str) -> bool {
    if let Some(rest) = image.strip_prefix("gcr.io/distroless/") {
        return !rest.contains("nonroot");
    }
    official(image).is_some_and(|name| ROOT.contains(&name))
}

/// Whether something in the stage is there to give root up, or to be told by whom it is run.
fn drops_root(model: &Model<'_>) -> bool {
    let dropper = |word: &str| DROPPERS.contains(&crate::shell::base_name(word));
    model.steps(model.target).any(|step| match &step.instruction.command {
        Command::Cmd(cmd) => words(&cmd.form).any(dropper) || runs_a_server(&cmd.form),
        Command::Entrypoint(entrypoint) => {
            words(&entrypoint.form).any(|word| dropper(word) || word.ends_with(".sh"))
                || runs_a_server(&entrypoint.form)
        }
        // Installed, or taken from another image: an entrypoint's script will use it.
        Command::Run(_) => step.calls.iter().any(|call| {
            call.invocation.words.iter().any(|word| {
                let name = crate::shell::base_name(&word.text).split('=').next().unwrap_or_default();
                matches!(name, "gosu" | "su-exec" | "setpriv" | "s6-overlay")
            })
        }),
        Command::Copy(copy) => copy.paths.sources.iter().any(|one| dropper(one)),
        _ => false,
    })
}

/// Whether the program is a server that gives root up by itself.
fn runs_a_server(form: &Form) -> bool {
    let program = words(form).next().map(crate::shell::base_name).unwrap_or_default();
    matches!(
        program,
        "nginx"
            | "httpd"
            | "apache2"
            | "apache2ctl"
            | "apache2-foreground"
            | "apachectl"
            | "httpd-foreground"
            | "supervisord"
            | "sshd"
            | "php-fpm"
            | "haproxy"
            | "init"
            | "systemd"
            | "s6-svscan"
            | "crond"
            | "cron"
            | "dockerd"
    )
}

fn words(form: &Form) -> Box<dyn Iterator<Item = &str> + '_> {
    match form {
        Form::Exec(words) => Box::new(words.iter().map(String::as_str)),
        Form::Shell(text) => Box::new(text.split_whitespace()),
    }
}

//! Who we are to a registry: passwords, tokens, identity tokens, helpers, and which of them goes first.

use crate::harness::{Context, House, LIMIT, Out, Registry, TokenServer, own, run, run_with_input};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small image without a base.
fn image(house: &House, name: &str) {
    let context = Context::dockerfile("FROM scratch\nCOPY f /\nCMD [\"/none\"]\n");
    context.write("f", name);
    house.build(&context, &["--tag", name]);
}

fn login(house: &House, registry: &str, user: &str, password: &str) -> Out {
    let command = house.command(&["login", "-u", user, "--password-stdin", registry]);
    run_with_input(command, Some(password.as_bytes()), LIMIT)
}

/// `mate` may do anything with `team/...` and `open/...` and read `shared/...`; everyone may read `open/...`.
fn rights(user: Option<&str>, repository: &str) -> &'static [&'static str] {
    let (folder, _) = repository.split_once('/').unwrap_or((repository, ""));
    match (user, folder) {
        (Some("mate"), "team" | "open") => &["pull", "push"],
        (Some("mate"), "shared") | (None, "open") => &["pull"],
        _ => &[],
    }
}

fn guarded() -> (TokenServer, Registry) {
    let tokens = TokenServer::start("mate", "aye", rights);
    let registry = Registry::guarded(&tokens);
    (tokens, registry)
}

#[test]
fn tokens_allow_what_their_scopes_say() {
    let (tokens, registry) = guarded();
    let (house, stranger) = (own(), own());
    let name = |rest: &str| format!("{}/{rest}", registry.address);
    for rest in ["team/one", "open/one", "other/one"] {
        image(&house, &name(rest));
    }
    // Nobody may write, and whoever says nothing is told to log in.
    house.fails(1, &["push", &name("team/one")]).says(&registry.address).says("jettison login");
    login(&house, &registry.address, "mate", "wrong").fails(1).says(&registry.address).says("mate");
    login(&house, &registry.address, "mate", "aye").ok();
    tokens.asked();
    house.ok(&["push", &name("team/one")]);
    let scope = "repository:team/one:pull,push";
    let asked = tokens.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.scopes == [scope]), "{asked:?}");
    // One token serves for everything of one push.
    assert!(asked.len() <= 2, "{asked:?}");
    house.ok(&["push", &name("open/one")]);
    house.fails(1, &["push", &name("other/one")]).says(&name("other/one"));
    // Reading asks for no more than that.
    tokens.asked();
    stranger.ok(&["pull", &name("open/one")]);
    let asked = tokens.asked();
    assert!(asked.iter().all(|asked| asked.scopes == ["repository:open/one:pull"]), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.by == "nobody"), "{asked:?}");
    stranger.fails(1, &["pull", &name("team/one")]).says(&registry.address);
    stranger.ok(&["pull", "--creds", "mate:aye", &name("team/one")]);
}

#[test]
fn a_mount_asks_for_both_repositories() {
    let (tokens, registry) = guarded();
    let house = own();
    let name = |rest: &str| format!("{}/{rest}", registry.address);
    image(&house, &name("team/one"));
    login(&house, &registry.address, "mate", "aye").ok();
    house.ok(&["push", &name("team/one")]);
    tokens.asked();
    let pushed = house.ok(&["push", &name("team/one"), &name("open/two")]);
    assert!(pushed.stdout.contains("Mounted from another repository"), "{}", pushed.stdout);
    let both = ["repository:open/two:pull,push", "repository:team/one:pull"];
    let asked = tokens.asked();
    assert!(asked.iter().any(|asked| asked.scopes == both), "{asked:?}");
}

#[test]
fn an_identity_token_takes_the_passwords_place() {
    let (tokens, registry) = guarded();
    let house = own();
    let name = format!("{}/team/one", registry.address);
    image(&house, &name);
    login(&house, &registry.address, "mate", "aye").ok();
    let kept = fs::read_to_string(house.home().join(".docker/config.json")).unwrap();
    assert!(kept.contains("\"identitytoken\": \"identity-of-mate\""), "{kept}");
    assert!(!kept.contains(&BASE64_STANDARD.encode("mate:aye")), "{kept}");
    tokens.asked();
    house.ok(&["push", &name]);
    let asked = tokens.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.by == "identity"), "{asked:?}");
    house.ok(&["logout", &registry.address]);
    house.fails(1, &["pull", &name]);
}

/// A credential helper that keeps each secret in a file, and writes down what it was asked.
fn helper(folder: &Path, name: &str) -> PathBuf {
    let (program, kept) =
        (folder.join(format!("docker-credential-{name}")), folder.join(format!("kept-{name}")));
    fs::create_dir(&kept).unwrap();
    let text = r#"#!/bin/sh
cd "KEPT" && echo "$1" >> asked && input=$(cat)
case "$1" in
store) url=${input#*\"ServerURL\":\"}; printf %s "$input" > "$(printf %s "${url%%\"*}" | tr / _)" ;;
get) file=$(printf %s "$input" | tr / _); [ -f "$file" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$file" ;;
erase) rm -f "$(printf %s "$input" | tr / _)" ;;
esac
"#;
    fs::write(&program, text.replace("KEPT", kept.to_str().unwrap())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    kept
}

/// A command that finds the programs of a folder.
fn with_programs(mut command: Command, folder: &Path) -> Command {
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
    command
}

#[test]
fn credential_helpers_keep_give_and_forget() {
    let registry = Registry::locked("mate", "correct horse");
    let (house, programs) = (own(), crate::harness::folder());
    let name = format!("{}/secret", registry.address);
    image(&house, &name);
    let (store, single) = (helper(programs.path(), "all"), helper(programs.path(), "one"));
    let config = house.home().join(".docker/config.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let run_with = |args: &[&str], input: Option<&[u8]>| {
        run_with_input(with_programs(house.command(args), programs.path()), input, LIMIT)
    };
    let secret: &[u8] = b"correct horse";
    let settings = [
        (r#"{"credsStore": "all", "HttpHeaders": {"X": "y"}}"#.to_owned(), &store),
        (format!(r#"{{"credsStore": "all", "credHelpers": {{"{}": "one"}}}}"#, registry.address), &single),
    ];
    for (text, kept) in settings {
        fs::write(&config, &text).unwrap();
        let done =
            run_with(&["login", "-u", "mate", "--password-stdin", &registry.address], Some(secret)).ok();
        done.says("docker-credential-");
        let file = fs::read_to_string(kept.join(&registry.address)).unwrap();
        assert!(file.contains("mate") && file.contains("correct horse"), "{file}");
        let written = fs::read_to_string(&config).unwrap();
        assert!(!written.contains(&BASE64_STANDARD.encode("mate:correct horse")), "{written}");
        assert!(written.contains("credsStore"), "what else is in the file stays: {written}");
        run_with(&["push", &name], None).ok();
        let asked = fs::read_to_string(kept.join("asked")).unwrap();
        assert_eq!(asked.lines().collect::<Vec<_>>(), ["store", "get"], "asked once for the whole push");
        run_with(&["logout", &registry.address], None).ok();
        assert!(!kept.join(&registry.address).exists());
        run_with(&["pull", &name], None).fails(1).says(&registry.address);
    }
    // A helper that is not there is named.
    fs::write(&config, r#"{"credsStore": "gone"}"#).unwrap();
    run_with(&["pull", &name], None).fails(1).says("docker-credential-gone").says(&registry.address);
}

#[test]
fn helpers_may_keep_identity_tokens() {
    let (tokens, registry) = guarded();
    let (house, programs) = (own(), crate::harness::folder());
    let name = format!("{}/team/one", registry.address);
    image(&house, &name);
    let kept = helper(programs.path(), "all");
    fs::create_dir_all(house.home().join(".docker")).unwrap();
    fs::write(house.home().join(".docker/config.json"), r#"{"credsStore": "all"}"#).unwrap();
    let command = house.command(&["login", "-u", "mate", "--password-stdin", &registry.address]);
    run_with_input(with_programs(command, programs.path()), Some(b"aye"), LIMIT).ok();
    let file = fs::read_to_string(kept.join(&registry.address)).unwrap();
    assert!(file.contains("<token>") && file.contains("identity-of-mate"), "{file}");
    tokens.asked();
    run(with_programs(house.command(&["push", &name]), programs.path()), LIMIT).ok();
    assert!(tokens.asked().iter().all(|asked| asked.by == "identity"));
}

/// The places of credentials, the first that knows the registry counts: what is written where, and how it is named.
const PLACES: [&str; 5] =
    ["--authfile", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"];

#[test]
fn credentials_go_in_order() {
    let registry = Registry::locked("mate", "aye");
    let house = own();
    let name = format!("{}/secret", registry.address);
    image(&house, &name);
    // Every place has credentials: right from `from` on, wrong before; the first place there is decides.
    let pushed = |first: usize, right: bool, more: &[&str]| {
        let folder = crate::harness::folder();
        let mut args = vec!["push".to_owned(), name.clone()];
        let mut environment = Vec::new();
        for (at, place) in PLACES.iter().enumerate().skip(first) {
            let own = folder.path().join(place);
            let file = match *place {
                "XDG_RUNTIME_DIR" | "XDG_CONFIG_HOME" => own.join("containers/auth.json"),
                "DOCKER_CONFIG" => own.join("config.json"),
                _ => own.join("file.json"),
            };
            let password = if (at == first) == right { "aye" } else { "wrong" };
            let auth = BASE64_STANDARD.encode(format!("mate:{password}"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.address))
                .unwrap();
            match *place {
                "--authfile" => args.extend([(*place).to_owned(), file.display().to_string()]),
                "REGISTRY_AUTH_FILE" => environment.push((*place, file)),
                _ => environment.push((*place, own)),
            }
        }
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let mut command = house.command(&args);
        command.envs(environment);
        run(command, LIMIT).code == Some(0)
    };
    for (first, place) in PLACES.iter().enumerate() {
        assert!(pushed(first, true, &[]), "{place} goes before what comes after it");
        assert!(!pushed(first, false, &[]), "{place} is not passed over");
    }
    assert!(pushed(0, false, &["--creds", "mate:aye"]) && !pushed(0, true, &["--creds", "mate:wrong"]));
}

#[test]
fn the_most_specific_entry_counts() {
    let registry = Registry::locked("mate", "aye");
    let house = own();
    let name = format!("{}/team/app", registry.address);
    image(&house, &name);
    let entry = |path: &str, password: &str| {
        format!(
            r#""{}{path}":{{"auth":"{}"}}"#,
            registry.address,
            BASE64_STANDARD.encode(format!("mate:{password}"))
        )
    };
    let file = house.home().join("auth.json");
    let push = |entries: &[String]| {
        fs::write(&file, format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))).unwrap();
        house.run(&["push", "--authfile", file.to_str().unwrap(), &name]).code == Some(0)
    };
    assert!(push(&[entry("", "wrong"), entry("/team", "wrong"), entry("/team/app", "aye")]));
    assert!(push(&[entry("", "wrong"), entry("/team", "aye"), entry("/team/other", "wrong")]));
    assert!(!push(&[entry("", "aye"), entry("/team", "wrong")]));
}

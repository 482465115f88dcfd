//! `login` and `logout`.

use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use clap::Args;
use registry::Credential;
use registry::credentials::{self, DOCKER_HUB_KEY, Stored};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

/// The longest password that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// Log in to a registry.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry; without it Docker Hub
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// The user
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// The password; others on this machine can read it while the command runs
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Keep the credentials in this file
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// With `false`, accept any certificate and plain HTTP
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    tls_verify: bool,
}

/// Runs `login`.
pub(crate) fn login(args: LoginArgs, environment: Environment) -> Outcome {
    let host = host(args.server.as_deref());
    if args.password_stdin && args.username.is_none() {
        return Err(CommandError::usage("--password-stdin needs --username").with_code(1));
    }
    if args.password.is_some() {
        screen::say("warning: a password on the command line can be read by others; use --password-stdin");
    }
    let user = match args.username {
        Some(user) => user,
        None => prompt("Username: ", true)?,
    };
    let password = match (args.password, args.password_stdin) {
        (Some(password), _) => password,
        (None, true) => {
            let mut text = String::new();
            std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, false) => prompt("Password: ", false)?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(CommandError::new("a login needs a user and a password"));
    }
    let flags = RegistryFlags {
        insecure: !args.tls_verify,
        auth_file: args.authfile.clone(),
        ..RegistryFlags::default()
    };
    let engine = Engine::new(environment, flags);
    let credential = engine.client(&host)?.login(&host, &Credential::Basic { user, password })?;
    let file = file(args.authfile, &engine.environment);
    let helpers = engine.environment.program_folders();
    match credentials::store(&file, &helpers, &key(&host), &credential)? {
        Stored::File(path) => {
            screen::say(&format!(
                "note: the password is kept in {}, not encrypted; a credential helper does better",
                path.display()
            ));
        }
        Stored::Helper(program) => screen::say(&format!("note: the password is kept by {program}")),
    }
    screen::line("Login Succeeded");
    Ok(0)
}

/// Log out from a registry.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry; without it Docker Hub
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// The file with the credentials
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

/// Runs `logout`.
pub(crate) fn logout(args: &LogoutArgs, environment: Environment) -> Outcome {
    let host = host(args.server.as_deref());
    let helpers = environment.program_folders();
    let file = file(args.authfile.clone(), &environment);
    if credentials::erase(&file, &helpers, &key(&host))? {
        screen::line(&format!("Removing login credentials for {}", key(&host)));
    } else {
        screen::line(&format!("Not logged in to {}", key(&host)));
    }
    Ok(0)
}

/// The host of what people write: `https://host/v2/` is `host`; the Hub has several names.
fn host(server: Option<&str>) -> String {
    let text = server.unwrap_or("docker.io");
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = text.split('/').next().unwrap_or_default();
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

/// What Docker's files call the host.
fn key(host: &str) -> String {
    if host == "docker.io" { DOCKER_HUB_KEY.to_owned() } else { host.to_owned() }
}

/// The file that credentials are kept in.
fn file(flag: Option<PathBuf>, environment: &Environment) -> PathBuf {
    flag.or_else(|| environment.get("REGISTRY_AUTH_FILE").map(PathBuf::from))
        .unwrap_or_else(|| environment.docker_config())
}

/// Asks on the terminal. Without `echo` what is typed is not shown.
fn prompt(question: &str, echo: bool) -> Outcome<String> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(CommandError::new("standard input is no terminal, and nobody can be asked")
            .hint("give `--username` and `--password-stdin`"));
    }
    screen::ask(question);
    let before = tcgetattr(&input)?;
    if !echo {
        echo_on_interrupt(before.clone())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &silent)?;
    }
    let mut line = String::new();
    let read = input.lock().take(LONGEST).read_line(&mut line);
    if !echo {
        tcsetattr(&input, OptionalActions::Flush, &before)?;
        screen::say("");
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Whoever gives up at the prompt gets the terminal back as it was.
fn echo_on_interrupt(before: Termios) -> Outcome<()> {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    let watch = sandbox::signals::watch(&[SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Ok(signal) = watch.wait() {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &before);
            screen::say("");
            std::process::exit(128 + signal);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_has_one_host() {
        for (server, expected) in [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("http://localhost:5000/v2/"), "localhost:5000"),
            (Some("ghcr.io"), "ghcr.io"),
        ] {
            assert_eq!(host(server), expected);
        }
        assert_eq!(key("docker.io"), DOCKER_HUB_KEY);
    }
}

//! `cargo xtask demo`: an Express app built three ways, measured, run and asked.
//!
//! Everything is done through the commands that a user types, and each is shown before it runs. The
//! demo has a store of its own, so that the stand-in images never answer for the real ones elsewhere.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shell::{self, cargo, repository, target};
use crate::trouble::{Doing, Result, Trouble};
use crate::{bases, http, setup};

/// The ways, as tag, Dockerfile, base of the final stage.
const WAYS: [(&str, &str, &str); 3] = [
    ("express:single", "Dockerfile.single", NODE),
    ("express:multistage", "Dockerfile", NODE),
    ("express:distroless", "Dockerfile.distroless", DISTROLESS),
];
const NODE: &str = "node:22-alpine";
const DISTROLESS: &str = "gcr.io/distroless/nodejs22-debian12";
const CONTAINER: &str = "jettison-demo";

/// Prints the size of all files below its argument.
const COUNT: &str = "const fs = require('fs'); \
    const count = (path) => { \
      const data = fs.lstatSync(path); \
      if (!data.isDirectory()) return data.size; \
      return fs.readdirSync(path).reduce((sum, name) => sum + count(path + '/' + name), 0); \
    }; \
    console.log(fs.existsSync(process.argv[1]) ? count(process.argv[1]) : 0);";

/// How long a pull may take before the stand-ins are used instead.
const PULL: Duration = Duration::from_secs(45);

/// Runs the whole demo, from compiling to the answer over HTTP.
pub(crate) fn run() -> Result<()> {
    step("building the release binary");
    shell::run(cargo().args(["build", "--release", "--package", "jettison"]))?;
    let begun = Instant::now();
    let demo = Demo::new()?;
    say(&format!("{} ({})", demo.program.display(), megabytes(file_size(&demo.program)?)));
    say(&format!("its store for this demo: {}", demo.store.display()));

    step("getting the base images");
    demo.bases()?;

    step("building an Express app three ways");
    for (tag, file, _) in WAYS {
        demo.build(tag, file)?;
    }

    step("what came of it");
    demo.table()?;

    step("running the multi-stage image");
    let answered = demo.serve();
    if answered.is_err() {
        // Whatever was started is ended, and the first error is the one to show.
        let _ = shell::whole(&mut demo.jettison(&["rm", "--force", CONTAINER]));
    }
    answered?;
    step(&format!("done, {:.0} s after compiling", begun.elapsed().as_secs_f64()));
    say(&format!("to look around: export JETTISON_ROOT={}", demo.store.display()));
    Ok(())
}

struct Demo {
    program: PathBuf,
    store: PathBuf,
}

impl Demo {
    fn new() -> Result<Self> {
        let store = match (
            std::env::var_os("JETTISON_ROOT"),
            std::env::var_os("XDG_DATA_HOME"),
            std::env::var_os("HOME"),
        ) {
            (Some(store), ..) => PathBuf::from(store),
            _ if setup::is_root() => PathBuf::from("/var/lib/jettison-demo"),
            (None, Some(data), _) => Path::new(&data).join("jettison-demo"),
            (None, None, Some(home)) => Path::new(&home).join(".local/share/jettison-demo"),
            (None, None, None) => {
                return Err(Trouble::Said("neither XDG_DATA_HOME nor HOME is set".to_owned()));
            }
        };
        Ok(Self { program: target().join("release/jettison"), store })
    }

    fn jettison(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env("JETTISON_ROOT", &self.store).current_dir(repository());
        command
    }

    /// Shows a command, then runs it with its output on the screen.
    fn shown(&self, words: &[&str]) -> Result<()> {
        say(&format!("$ jettison {}", words.join(" ")));
        shell::run(self.jettison(words).stdin(Stdio::null()))
    }

    /// Runs a command quietly; its standard output, trimmed.
    fn asked(&self, words: &[&str]) -> Result<String> {
        let output = shell::output(&mut self.jettison(words))?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Sees to it that the bases are in the store: they are there from the last time, or a registry has
    /// them, or stand-ins are made.
    fn bases(&self) -> Result<()> {
        for image in [NODE, DISTROLESS] {
            if self.asked(&["image", "inspect", image, "--format", "{{.Id}}"]).is_ok() {
                say(&format!("{image} is in the store from an earlier run"));
            } else if !self.pull(image)? {
                say("no registry gives it, so stand-ins are made of Debian's and npm's packages");
                return self.stand_ins();
            }
        }
        Ok(())
    }

    fn pull(&self, image: &str) -> Result<bool> {
        say(&format!("$ jettison pull {image}   (for {} s at most)", PULL.as_secs()));
        let mut child = self
            .jettison(&["pull", image])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .doing(|| format!("start `{}`", self.program.display()))?;
        let end = Instant::now() + PULL;
        loop {
            if let Some(status) = child.try_wait().doing(|| format!("wait for the pull of {image}"))? {
                return Ok(status.success());
            }
            if Instant::now() >= end {
                // It may have ended just now; both are the end of it.
                let _ = child.kill();
                child.wait().doing(|| format!("wait for the pull of {image}"))?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stand_ins(&self) -> Result<()> {
        let layout = bases::ready()?;
        say(&format!("$ tar --create --directory {} . | jettison load", layout.display()));
        let mut tar = Command::new("tar")
            .arg("--create")
            .arg("--directory")
            .arg(&layout)
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .doing(|| "start `tar`".to_owned())?;
        let archive = tar.stdout.take().expect("because tar was started with a pipe for its output");
        let loaded = shell::run(self.jettison(&["load"]).stdin(archive).stdout(Stdio::null()));
        let packed = tar.wait().doing(|| "wait for `tar`".to_owned())?;
        loaded?;
        if !packed.success() {
            return Err(Trouble::Said(format!("tar of `{}` failed with {packed}", layout.display())));
        }
        for name in bases::names(&layout)? {
            say(&format!("loaded {name}"));
        }
        Ok(())
    }

    fn build(&self, tag: &str, file: &str) -> Result<()> {
        let file = format!("fixtures/express/{file}");
        let mut words = vec!["build", "--tag", tag, "--file", &file];
        if own_authority() {
            words.push("--trust-host-ca");
        }
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"] {
            if std::env::var_os(variable).is_some() {
                words.extend(["--build-arg", variable]);
            }
        }
        words.push("fixtures/express");
        let begun = Instant::now();
        self.shown(&words)?;
        say(&format!("{tag}: {:.1} s\n", begun.elapsed().as_secs_f64()));
        Ok(())
    }

    fn table(&self) -> Result<()> {
        let mut columns = Vec::new();
        for (tag, _, base) in WAYS {
            columns.push(self.parts(tag, base)?);
        }
        println!("  {:<34}{:>14}{:>14}{:>14}", "", "single stage", "multi-stage", "distroless");
        let row = |name: &str, part: fn(&Parts) -> u64| {
            print!("  {name:<34}");
            for column in &columns {
                let size = part(column);
                print!("{:>14}", if size == 0 { "-".to_owned() } else { megabytes(size) });
            }
            println!();
        };
        row("base image", |parts| parts.base);
        row("packages that run", |parts| parts.packages);
        row("packages for development", |parts| parts.development);
        row("npm's cache", |parts| parts.cache);
        row("the program and the rest", Parts::rest);
        row("total", |parts| parts.total);
        let [single, multi, distroless] = &columns[..] else { return Ok(()) };
        let saved = |parts: &Parts| {
            let part = 100.0 - 100.0 * parts.total as f64 / single.total.max(1) as f64;
            format!("{} less ({part:.0} %)", megabytes(single.total.saturating_sub(parts.total)))
        };
        println!("\n  multi-stage: {}; distroless: {}", saved(multi), saved(distroless));
        for (tag, ..) in WAYS {
            println!("\n  what each line added to {tag}, from `jettison history`:");
            for (line, size) in self.history(tag)?.iter().rev().filter(|(_, size)| *size > 0) {
                println!("  {:>12}  {}", megabytes(*size), line.chars().take(90).collect::<String>());
            }
        }
        Ok(())
    }

    fn parts(&self, tag: &str, base: &str) -> Result<Parts> {
        let mut parts = Parts { base: self.size(base)?, total: self.size(tag)?, ..Parts::default() };
        for (line, size) in self.history(tag)? {
            if line.contains("COPY") && line.contains("node_modules") {
                parts.packages += size;
            }
        }
        if parts.packages == 0 {
            // The single stage: one layer holds everything that npm wrote, so the image is asked itself.
            parts.cache = self.du(tag, "/root/.npm")?;
            let all = self.du(tag, "/app/node_modules")?;
            parts.packages = self.du(WAYS[1].0, "/app/node_modules")?;
            parts.development = all.saturating_sub(parts.packages);
        }
        Ok(parts)
    }

    fn size(&self, image: &str) -> Result<u64> {
        let size = self.asked(&["image", "inspect", image, "--format", "{{.Size}}"])?;
        size.parse()
            .map_err(|_| Trouble::Said(format!("`jettison image inspect` gives {image} the size `{size}`")))
    }

    /// The bytes of all files below `folder`, counted by the image's own node: a layer's size counts
    /// no folders, while `du` does.
    fn du(&self, image: &str, folder: &str) -> Result<u64> {
        let words = ["run", "--rm", "--network", "none", image, "node", "--eval", COUNT, folder];
        let text = self.asked(&words)?;
        text.parse().map_err(|_| Trouble::Said(format!("counting {folder} in {image} gave `{text}`")))
    }

    /// The lines of an image's history with their sizes in bytes, the newest first.
    fn history(&self, image: &str) -> Result<Vec<(String, u64)>> {
        let text = self.asked(&["history", "--no-trunc", "--human=false", "--format", "json", image])?;
        let mut lines = Vec::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line)
                .map_err(|source| Trouble::Json { what: format!("the history of {image}"), source })?;
            let size = match &line["Size"] {
                Value::String(size) => size.parse().unwrap_or(0),
                size => size.as_u64().unwrap_or(0),
            };
            lines.push((line["CreatedBy"].as_str().unwrap_or_default().to_owned(), size));
        }
        Ok(lines)
    }

    fn serve(&self) -> Result<()> {
        // A run of this demo that was ended by force may have left its container.
        let _ = shell::whole(&mut self.jettison(&["rm", "--force", CONTAINER]));
        self.shown(&[
            "run",
            "--detach",
            "--rm",
            "--name",
            CONTAINER,
            "--publish",
            "127.0.0.1::3000",
            WAYS[1].0,
        ])?;
        let port = self.asked(&["port", CONTAINER, "3000"])?;
        say(&format!("$ jettison port {CONTAINER} 3000\n{port}"));
        let address: SocketAddr = port
            .lines()
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(|_| Trouble::Said(format!("`jettison port` said `{port}`, which is no address")))?;
        say(&format!("GET http://{address}/"));
        let answer = http::get(address, Duration::from_secs(20))?;
        for line in answer.lines() {
            println!("  < {line}");
        }
        if !answer.starts_with("HTTP/1.1 200") || !answer.contains("Hello from Express") {
            return Err(Trouble::Said("that is not the answer of the app".to_owned()));
        }
        self.shown(&["stop", CONTAINER])
    }
}

/// What an image is made of, in bytes.
#[derive(Default)]
struct Parts {
    base: u64,
    packages: u64,
    development: u64,
    cache: u64,
    total: u64,
}

impl Parts {
    fn rest(&self) -> u64 {
        self.total.saturating_sub(self.base + self.packages + self.development + self.cache)
    }
}

/// Whether this machine trusts an authority of its own, so that steps need its bundle too: a variable
/// points programs to a bundle, or an administrator has added certificates.
fn own_authority() -> bool {
    let told = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"].iter().any(|name| std::env::var_os(name).is_some());
    let added = fs::read_dir("/usr/local/share/ca-certificates").is_ok_and(|mut list| list.next().is_some());
    told || added
}

fn file_size(path: &Path) -> Result<u64> {
    fs::metadata(path).map(|data| data.len()).doing(|| format!("look at `{}`", path.display()))
}

fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        format!("{:.1} kB", bytes as f64 / 1e3)
    } else {
        format!("{:.1} MB", bytes as f64 / 1e6)
    }
}

fn step(text: &str) {
    println!("\n=== {text}");
}

fn say(text: &str) {
    println!("{text}");
}

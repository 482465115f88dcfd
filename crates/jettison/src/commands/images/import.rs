//! `import`: the files of a tar as an image of one layer.

use crate::commands::{build, rootless};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use crate::showing::{ProgressArgs, Showing};
use clap::Args;
use oci::{History, Platform, Reference, timestamp};
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, Write};
use std::time::SystemTime;

/// The most bytes that are fetched from a URL, 64 GiB.
const LARGEST: u64 = 64 << 30;

/// Make an image of a tar with a file system.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The tar, plain or packed: a file, a URL, or `-` for standard input
    #[arg(value_name = "FILE|URL|-")]
    source: String,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// An instruction that changes the image's configuration, such as `CMD ["sh"]`
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// What the image's history says
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// The platform of the files
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Runs `import`.
pub(crate) fn import(args: &ImportArgs, environment: Environment) -> Outcome {
    if args.source == "-" && std::io::stdin().is_terminal() {
        return Err(CommandError::usage("standard input is a terminal, and no archive comes from there")
            .with_code(1)
            .hint("name the tar, or write `jettison import - NAME < FILE`"));
    }
    let names: Vec<Reference> =
        args.name.iter().map(|name| name.parse()).collect::<Result<_, oci::Error>>()?;
    if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
        return Err(CommandError::usage(format!("`{name}` has a digest; an import makes its own")));
    }
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let mut config = build::changed(&args.change, &platform)?;
    let made = timestamp::rfc3339(SystemTime::now());
    let from = if is_url(&args.source) { &args.source } else { "-" };
    let comment = args.message.clone().unwrap_or_else(|| format!("Imported from {}", web::redacted(from)));
    config.created = Some(made.clone());
    config.history = vec![History { created: Some(made), comment: Some(comment), ..History::default() }];
    rootless::enter()?;
    let engine = super::local(environment);
    let showing = Showing::new(&ProgressArgs::default(), args.quiet, "Importing", &engine.environment);
    let _interrupts = showing.interruptible("the import was interrupted; nothing of it is kept")?;
    let vertex = showing.start(&format!("importing {}", web::redacted(&args.source)));
    let name = if args.source == "-" { "standard input" } else { &args.source };
    let imported = input(&args.source, &engine).and_then(|input| {
        let (store, forms) = (engine.store()?, engine.forms()?);
        Ok(export::load::import(store, &forms, input, name, config, names, &vertex)?)
    });
    let imported = Showing::end(&vertex, imported);
    showing.finish();
    let imported = imported?;
    engine.store()?.finish()?;
    screen::line(&imported.id.to_string());
    Ok(0)
}

fn is_url(source: &str) -> bool {
    dockerfile::remote::is_http(source)
}

/// The tar's bytes.
fn input(source: &str, engine: &crate::engine::Engine) -> Outcome<Box<dyn Read + Send>> {
    if source == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    if !is_url(source) {
        let file = File::open(source)
            .map_err(|error| CommandError::new(format!("cannot open {source}: {error}")))?;
        return Ok(Box::new(file));
    }
    let request =
        web::Get { url: source, authorization: None, etag: None, modified_since: None, limit: LARGEST };
    let mut spool = Spool::new()?;
    web::Client::new(engine.web()?)?.get(&request, &mut spool, &|_, _| {}, &|| true)?;
    spool.0.rewind()?;
    Ok(Box::new(spool.0))
}

/// A file without a name, for what is fetched.
struct Spool(File);

impl Spool {
    fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("jettison-import-{}", std::process::id()));
        let fail =
            |error: std::io::Error| CommandError::new(format!("cannot make {}: {error}", path.display()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(fail)?;
        std::fs::remove_file(&path).map_err(fail)?;
        Ok(Self(file))
    }
}

impl web::Sink for Spool {
    fn restart(&mut self) -> std::io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }
}

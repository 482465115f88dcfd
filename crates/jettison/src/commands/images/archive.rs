//! `load` and `save`.

use crate::commands::rootless;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::{pulling, screen};
use clap::{Args, ValueEnum};
use export::archive::{self, Saved};
use export::load::Loaded;
use export::{Bundle, Packing, layout};
use oci::Reference;
use snapshot::Forms;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use store::Store;

/// Load images from an archive.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The archive, plain or packed, or the folder of an OCI layout; standard input without this
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Runs `load`.
pub(crate) fn load(args: &LoadArgs, environment: Environment) -> Outcome {
    if args.input.is_none() && std::io::stdin().is_terminal() {
        return Err(CommandError::usage("standard input is a terminal, and no archive comes from there")
            .with_code(1)
            .hint("name the archive with `--input FILE`, or write `jettison load < FILE`"));
    }
    rootless::enter()?;
    let engine = super::local(environment);
    let forms = engine.forms()?;
    let store = engine.store()?;
    let progress = crate::commands::registry::progress(args.quiet, &engine.environment);
    let name =
        args.input.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let vertex = progress.start(&format!("loading {name}"));
    let loaded = match &args.input {
        Some(path) if path.is_dir() => export::load::load_layout(store, &forms, path, &vertex),
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| CommandError::new(format!("cannot open {name}: {error}")))?;
            export::load::load(store, &forms, file, &name, &vertex)
        }
        None => export::load::load(store, &forms, std::io::stdin(), &name, &vertex),
    };
    match &loaded {
        Ok(_) => vertex.done(),
        Err(_) => vertex.cancel(),
    }
    progress.finish();
    let loaded = loaded.map_err(|error| {
        let damaged = matches!(error, export::Error::Archive { .. });
        let error = CommandError::from(error);
        if !damaged {
            return error;
        }
        error.hint("nothing of it was kept; an archive is what `docker save`, `podman save` or `jettison save` wrote, or an OCI layout")
    })?;
    store.finish()?;
    for Loaded { id, names } in loaded {
        if names.is_empty() {
            screen::line(&format!("Loaded image ID: {id}"));
        }
        for name in names {
            screen::line(&format!("Loaded image: {}", name.familiar()));
        }
    }
    Ok(0)
}

/// What an archive is.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// What `docker save` writes
    #[default]
    DockerArchive,
    /// An OCI layout as a tar
    OciArchive,
    /// An OCI layout as a folder
    OciDir,
}

/// Save images to an archive.
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// Names or ids; `oci-layout://FOLDER[:TAG]` is an image of a layout
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// The file, or the folder for oci-dir; standard output without this
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs `save`.
pub(crate) fn save(args: &SaveArgs, environment: Environment) -> Outcome {
    if args.output.is_none() && screen::out_is_terminal() {
        return Err(CommandError::usage("an archive is not written to a terminal")
            .with_code(1)
            .hint("name a file with `--output FILE`, or redirect the output"));
    }
    rootless::enter()?;
    let engine = super::local(environment);
    let images = args.images.iter().try_fold(Vec::new(), |mut all, name| {
        add(&engine, name, &mut all)?;
        Ok::<_, CommandError>(all)
    })?;
    let (store, forms) = (engine.store()?, engine.forms()?);
    let write = |out: &mut dyn Write| -> export::Result<()> {
        match args.format {
            Format::DockerArchive => archive::save(store, &forms, &images, out),
            Format::OciArchive | Format::OciDir => {
                layout::write(&forms, &bundles(store, &forms, &images)?, out)
            }
        }
    };
    if let Format::OciDir = args.format {
        let folder = args
            .output
            .as_ref()
            .ok_or_else(|| CommandError::usage("the format oci-dir needs `--output FOLDER`"))?;
        layout::write_folder(&forms, &bundles(store, &forms, &images)?, folder)?;
        store.finish()?;
        return Ok(0);
    }
    match &args.output {
        None => {
            let mut pipe = Pipe { out: std::io::stdout().lock(), gone: false };
            let mut out = BufWriter::with_capacity(1 << 20, &mut pipe);
            let saved = write(&mut out).map_err(CommandError::from).and_then(|()| Ok(out.flush()?));
            drop(out.into_parts());
            match saved {
                // A reader that has read enough is no error.
                Err(_) if pipe.gone => {}
                saved => saved?,
            }
        }
        Some(path) => whole(path, |out| Ok(write(out)?))?,
    }
    store.finish()?;
    Ok(0)
}

/// What an OCI layout has of the images, each as it is.
fn bundles(store: &Store, forms: &Forms, images: &[Saved]) -> export::Result<Vec<(Bundle, Vec<Reference>)>> {
    let bundle = |saved: &Saved| {
        let image = archive::find(store, saved)?;
        Ok((Bundle::new(store, forms, &[image], &Packing::default())?, saved.names.clone()))
    };
    images.iter().map(bundle).collect()
}

/// Standard output that remembers that its reader has gone away.
struct Pipe<W> {
    out: W,
    gone: bool,
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes);
        self.gone |= written.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.out.flush();
        self.gone |= flushed.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        flushed
    }
}

/// An image by name goes with this name, by id without one; by a repository alone with all its tags.
fn add(engine: &Engine, name: &str, all: &mut Vec<Saved>) -> Outcome<()> {
    let parsed = name.parse::<Reference>().ok();
    let mut found: Vec<Saved> = Vec::new();
    if let Some(reference) = &parsed
        && !name.contains('@')
        && reference.familiar() == format!("{}:latest", reference.familiar_name())
        && !name.ends_with(":latest")
    {
        for image in engine.store()?.images()? {
            let references = image.names.iter().filter_map(|known| known.reference.parse::<Reference>().ok());
            let names: Vec<Reference> = references
                .filter(|known| known.name() == reference.name() && known.tag().is_some())
                .collect();
            if !names.is_empty() {
                found.push(Saved { image: image.id, names });
            }
        }
    }
    if found.is_empty() {
        let image = engine.image(name)?;
        // An image of a layout is called what the layout calls it.
        let called = pulling::layout(name)?.map(|layout| layout.image_name()).transpose()?.flatten();
        let full = parsed.map(|reference| reference.to_string());
        let named = image.names.iter().filter(|known| Some(&known.reference) == full.as_ref());
        let names = named
            .filter_map(|known| known.reference.parse().ok())
            .chain(called)
            .filter(|r: &Reference| r.tag().is_some())
            .collect();
        found.push(Saved { image: image.id, names });
    }
    for saved in found {
        match all.iter_mut().find(|known| known.image == saved.image) {
            Some(known) => {
                for name in saved.names {
                    if !known.names.contains(&name) {
                        known.names.push(name);
                    }
                }
            }
            None => all.push(saved),
        }
    }
    Ok(())
}

/// Writes a file that appears under its name only when it is whole. What is no regular file (a pipe, /dev/null) is
/// written as it is.
pub(crate) fn whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Outcome<()>) -> Outcome<()> {
    let fail = |error: std::io::Error| CommandError::new(format!("cannot write {}: {error}", path.display()));
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        let file = File::options().write(true).open(path).map_err(fail)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write(&mut out)?;
        return out.flush().map_err(fail);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let file = File::create(&part).map_err(fail)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = write(&mut out).and_then(|()| out.flush().map_err(fail));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, path).map_err(fail)
}

//! `load` and `save`.

use crate::commands::rootless;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::showing::{ProgressArgs, Showing};
use crate::{interrupts, pulling, screen};
use clap::{Args, ValueEnum};
use export::archive::{self, Saved};
use export::indexes::{self, Leaving};
use export::load::Loaded;
use export::{Out, layout, target};
use oci::{Digest, Platform, Reference};
use progress::Progress;
use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use store::Store;

/// Load images from an archive.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The archive, plain or packed, or the folder of an OCI layout; standard input without this
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Load the image for this platform alone
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
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
    let showing = Showing::new(&ProgressArgs::default(), args.quiet, "Loading", &engine.environment);
    let name =
        args.input.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let _interrupts = showing.interruptible("the load was interrupted; nothing of it is named")?;
    let vertex = showing.start(&format!("loading {name}"));
    let platform = args.platform.as_ref();
    let loaded = match &args.input {
        Some(path) if path.is_dir() => export::load::load_layout(store, &forms, path, platform, &vertex),
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| CommandError::new(format!("cannot open {name}: {error}")))?;
            export::load::load(store, &forms, file, &name, platform, &vertex)
        }
        None => export::load::load(store, &forms, std::io::stdin(), &name, platform, &vertex),
    };
    let loaded = loaded.map_err(|error| {
        let damaged = matches!(error, export::Error::Archive { .. });
        let error = CommandError::from(error);
        if !damaged {
            return error;
        }
        error.hint("nothing of it was kept; an archive is what `docker save`, `podman save` or `jettison save` wrote, or an OCI layout")
    });
    let loaded = Showing::end(&vertex, loaded);
    showing.finish();
    let loaded = loaded?;
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
    /// The image for this platform alone, where a name stands for several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

/// What is saved, each thing once.
#[derive(Default)]
struct Items {
    images: Vec<Saved>,
    /// Indexes that are here whole: what the store knows each by, its digest, its names.
    indexes: Vec<(String, Digest, Vec<Reference>)>,
}

impl Items {
    /// What an OCI layout has of the images and indexes, each as it is and with its names.
    fn leaving(&self, store: &Store) -> export::Result<Vec<(Leaving, &Vec<Reference>)>> {
        let images = self.images.iter().map(|saved| (saved.image.to_string(), &saved.names));
        let whole = self.indexes.iter().map(|(name, _, names)| (name.clone(), names));
        images.chain(whole).map(|(name, names)| Ok((indexes::leaving(store, &name, None)?, names))).collect()
    }
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
    let _interrupts =
        interrupts::watch("the save was interrupted; nothing of it is kept", &Progress::none())?;
    let mut items = Items::default();
    for name in &args.images {
        add(&engine, name, args.platform.as_ref(), &mut items)?;
    }
    let (store, forms) = (engine.store()?, engine.forms()?);
    if let Format::OciDir = args.format {
        let folder = args
            .output
            .as_ref()
            .ok_or_else(|| CommandError::usage("the format oci-dir needs `--output FOLDER`"))?;
        let bundles = items.leaving(store)?.into_iter().map(|(leaving, names)| {
            let bundle = leaving.bundle(store, &forms)?;
            Ok((bundle, names.clone()))
        });
        layout::write_folder(&forms, &bundles.collect::<export::Result<Vec<_>>>()?, folder)?;
        store.finish()?;
        return Ok(0);
    }
    let write = |out: Out<'_>| -> export::Result<()> {
        let mut archive = match args.format {
            Format::DockerArchive if items.indexes.is_empty() => {
                return archive::save(store, &forms, &items.images, out);
            }
            // As Docker's own: a layout, and beside it what older readers look for.
            Format::DockerArchive => layout::Archive::for_docker(out, Platform::host()),
            Format::OciArchive | Format::OciDir => layout::Archive::new(out),
        };
        for (leaving, names) in items.leaving(store)? {
            let bundle =
                archive.follow(&forms, |follower| leaving.bundle_telling(store, &forms, follower))?;
            archive.add(&forms, &bundle, names)?;
        }
        archive.finish()
    };
    match &args.output {
        None => {
            let out = std::io::stdout().lock();
            target::stream(screen::STANDARD_OUTPUT.as_ref(), out, |out| write(Out::Stream(out)))?;
        }
        Some(path) => target::file(path, write)?,
    }
    store.finish()?;
    Ok(0)
}

/// An image by name goes with this name, by id without one; by a repository alone with all its tags.
fn add(engine: &Engine, name: &str, platform: Option<&Platform>, items: &mut Items) -> Outcome<()> {
    let store = engine.store()?;
    let parsed = name.parse::<Reference>().ok();
    let mut names: Vec<Reference> = Vec::new();
    if let Some(reference) = &parsed
        && pulling::is_bare(reference, name)
    {
        for image in store.images()? {
            let known = image.names.iter().filter_map(|known| known.reference.parse::<Reference>().ok());
            names.extend(known.filter(|known| known.name() == reference.name() && known.tag().is_some()));
        }
    }
    if !names.is_empty() {
        for known in names {
            one(engine, &known.to_string(), Some(known), platform, items)?;
        }
        return Ok(());
    }
    let called = match pulling::layout(name)? {
        // An image of a layout is called what the layout calls it.
        Some(layout) => layout.image_name()?,
        None => match parsed.filter(|reference| reference.tag().is_some()) {
            Some(reference) => store.image_id(&reference.to_string())?.map(|_| reference),
            None => None,
        },
    };
    one(engine, name, called, platform, items)
}

/// Adds one image or index under one name, or none.
fn one(
    engine: &Engine,
    text: &str,
    name: Option<Reference>,
    platform: Option<&Platform>,
    items: &mut Items,
) -> Outcome<()> {
    let store = engine.store()?;
    let index = if platform.is_none() { store.index(text)? } else { None };
    let names = match index {
        Some(index) if indexes::is_whole(store, &index)? => {
            let root = index.root.digest;
            match items.indexes.iter().position(|(_, known, _)| *known == root) {
                Some(at) => &mut items.indexes[at].2,
                None => {
                    items.indexes.push((text.to_owned(), root, Vec::new()));
                    &mut items.indexes.last_mut().expect("because it was just put there").2
                }
            }
        }
        _ => {
            let image = engine.image(text, platform)?.id;
            match items.images.iter().position(|known| known.image == image) {
                Some(at) => &mut items.images[at].names,
                None => {
                    items.images.push(Saved { image, names: Vec::new() });
                    &mut items.images.last_mut().expect("because it was just put there").names
                }
            }
        }
    };
    names.extend(name.filter(|name| !names.contains(name)));
    Ok(())
}

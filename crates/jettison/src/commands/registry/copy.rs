//! `copy`: images between registries and OCI layouts, without the store; and from the store into a layout.

use crate::cli::RegistryArgs;
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use crate::showing::{ProgressArgs, Showing};
use clap::Args;
use export::copy::Copier;
use export::place::{LayoutName, Place};
use export::{indexes, layout};
use oci::{Digest, Platform, Reference};
use registry::Pushed;

/// Copy an image between registries and OCI layouts, without the store.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The image: a name, or `oci-layout://FOLDER[:TAG]`
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where it goes
    #[arg(value_name = "TARGET")]
    target: String,
    /// Copy this platform alone; everything without this
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show nothing but the digest at the end
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs `copy`.
pub(crate) fn copy(args: &CopyArgs, environment: Environment) -> Outcome {
    let engine = Engine::new(environment, RegistryFlags::from_args(&args.registry)?);
    let (from, to) = (engine.place(&args.source)?, engine.place(&args.target)?);
    let showing = Showing::new(&args.progress, args.quiet, "Copying", &engine.environment);
    let digest = between(&showing, &from, &to, args.platform.as_ref())?;
    screen::line(&digest.to_string());
    Ok(0)
}

/// Copies what a place's name stands for, whole or for one platform. Gives its digest.
pub(crate) fn between(
    showing: &Showing,
    from: &Place<'_>,
    to: &Place<'_>,
    platform: Option<&Platform>,
) -> Outcome<Digest> {
    let _interrupts =
        showing.interruptible("the copy was interrupted; the next one sends what is missing")?;
    let vertex = showing.start(&format!("copying {from} to {to}"));
    let tell = |layer: &export::push::Layer| {
        if !showing.quiet {
            let what = match layer.pushed {
                Pushed::Existed => "Already exists",
                Pushed::Mounted => "Mounted from another repository",
                Pushed::Uploaded => "Copied",
            };
            screen::line(&format!("{}: {what}", layer.descriptor.digest.short()));
        }
    };
    let copied = Copier { from, to, vertex: &vertex, tell: &tell }.copy(platform);
    let copied = Showing::end(&vertex, copied.map_err(CommandError::from));
    showing.sum_up();
    Ok(copied?.digest)
}

/// Writes what a name of the store stands for, or its image for a platform, into a layout: under the tag that is given,
/// else under its own name. Gives its digest.
fn to_layout(
    engine: &Engine,
    image: &str,
    platform: Option<&Platform>,
    to: &LayoutName,
    showing: &Showing,
) -> Outcome<Digest> {
    if to.digest.is_some() {
        return Err(CommandError::new(format!("`{to}` has a digest; an image is written under a tag")));
    }
    let (store, forms) = (engine.store()?, engine.forms()?);
    // An id is no name.
    let name = image.parse::<Reference>().ok().filter(|name| name.tag().is_some());
    let name = name.filter(|name| store.image_id(&name.to_string()).is_ok_and(|known| known.is_some()));
    let _interrupts = showing.interruptible("the image was not written: interrupted")?;
    let vertex = showing.start(&format!("writing {image} to {to}"));
    let forms = forms.packing_at(&vertex);
    let bundle = indexes::leaving(store, image, platform)?.bundle(store, &forms)?;
    let digest = bundle.root.digest;
    let written = match to.tag {
        Some(_) => layout::write_tagged(&forms, &bundle, to),
        None => layout::write_folder(&forms, &[(bundle, name.into_iter().collect())], &to.folder),
    };
    let written = Showing::end(&vertex, written.map_err(CommandError::from));
    showing.sum_up();
    store.finish()?;
    written?;
    Ok(digest)
}

/// Writes an image, of the store or of another layout, into a layout.
pub(crate) fn into_layout(
    engine: &Engine,
    source: &str,
    platform: Option<&Platform>,
    to: LayoutName,
    showing: &Showing,
) -> Outcome<Digest> {
    match crate::pulling::layout(source)? {
        Some(from) => between(showing, &Place::Layout(from), &Place::Layout(to), platform),
        None => to_layout(engine, source, platform, &to, showing),
    }
}

//! `rmi` and `tag`.

use crate::commands::registry::into_layout;
use crate::commands::rootless;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::showing::{ProgressArgs, Showing};
use crate::{pulling, screen};
use clap::Args;
use oci::{Platform, Reference};
use store::Removed;

/// Give an image another name.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// The image's name or id, or `oci-layout://FOLDER[:TAG]`
    #[arg(value_name = "SOURCE[:TAG]")]
    source: String,
    /// Its new name, or `oci-layout://FOLDER:TAG`
    #[arg(value_name = "TARGET[:TAG]")]
    target: String,
}

/// Runs `tag`.
pub(crate) fn tag(args: &TagArgs, environment: Environment) -> Outcome {
    if let Some(target) = pulling::layout(&args.target)? {
        rootless::enter()?;
        let engine = super::local(environment);
        let showing = Showing::new(&ProgressArgs::default(), true, "Copying", &engine.environment);
        into_layout(&engine, &args.source, None, target, &showing)?;
        return Ok(0);
    }
    if pulling::layout(&args.source)?.is_some() {
        rootless::enter()?;
    }
    let engine = super::local(environment);
    let target: Reference = args.target.parse()?;
    if target.digest().is_some() {
        return Err(CommandError::new(format!(
            "`{}` has a digest; an image is named with a tag",
            args.target
        )));
    }
    let image = engine.image(&args.source, None)?;
    let store = engine.store()?;
    // A name that stands for several platforms gives all of them another name.
    let named = store.index(&args.source)?.is_some();
    let id = image.id.to_string();
    store.tag(if named { &args.source } else { &id }, &target)?;
    store.finish()?;
    Ok(0)
}

/// Remove images.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Remove also what has several names or is used by a container; one that is not there is no failure
    #[arg(short, long)]
    force: bool,
    /// Remove the image for this platform alone, where a name stands for several; can be given several times
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Keep parents; there are no parent images here, so this changes nothing
    #[arg(long)]
    no_prune: bool,
}

/// Runs `rmi`.
pub(crate) fn remove(args: &RemoveArgs, environment: Environment) -> Outcome {
    rootless::enter()?;
    let engine = Engine::to_remove(environment);
    let store = engine.store()?;
    let mut code = 0;
    let mut deleted = false;
    for name in &args.images {
        if let Some(layout) = pulling::layout(name)? {
            return Err(CommandError::new(format!(
                "{layout} is not in the store, and nothing is removed from layouts"
            )));
        }
        let wanted: Vec<Option<&Platform>> = match &args.platform[..] {
            [] => vec![None],
            platforms => platforms.iter().map(Some).collect(),
        };
        for platform in wanted {
            let removed = match platform {
                Some(platform) => store.remove_platform(name, platform, &Platform::host(), args.force),
                None => store.remove_image(name, args.force),
            };
            match removed {
                Ok(removed) => {
                    for one in removed {
                        deleted |= matches!(one, Removed::Deleted(_));
                        tell(one);
                    }
                }
                Err(error) => {
                    let missing = error.is_not_found();
                    in_use(store, name, error).show();
                    if !(missing && args.force) {
                        code = 1;
                    }
                }
            }
        }
    }
    if deleted {
        store.end_lease();
        store.sweep()?;
    }
    store.finish()?;
    Ok(code)
}

/// Says what went.
fn tell(removed: Removed) {
    match removed {
        Removed::Untagged(name) => {
            let familiar = name.parse().map(|reference: Reference| reference.familiar()).unwrap_or(name);
            screen::line(&format!("Untagged: {familiar}"));
        }
        Removed::Deleted(id) => screen::line(&format!("Deleted: {id}")),
    }
}

/// The store's error; where a container is in the way, with its id.
fn in_use(store: &store::Store, name: &str, error: store::Error) -> CommandError {
    if !matches!(error, store::Error::InUse { .. }) {
        return error.into();
    }
    let users = store.image_id(name).ok().flatten().zip(store.containers().ok());
    let users: Vec<String> = users.map_or_else(Vec::new, |(id, containers)| {
        let users = containers.iter().filter(|container| container.image == Some(id));
        users.map(|container| format!("{} ({:.12})", container.name, container.id)).collect()
    });
    let error = match users.is_empty() {
        true => CommandError::from(error),
        false => CommandError::new(format!("image `{name}` is in use by container {}", users.join(", "))),
    };
    error.hint("`--force` takes its names all the same")
}

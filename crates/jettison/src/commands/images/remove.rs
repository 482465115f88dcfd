//! `rmi` and `tag`.

use crate::commands::rootless;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use clap::Args;
use oci::Reference;
use store::Removed;

/// Give an image another name.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// The image's name or id
    #[arg(value_name = "SOURCE[:TAG]")]
    source: String,
    /// Its new name
    #[arg(value_name = "TARGET[:TAG]")]
    target: String,
}

/// Runs `tag`.
pub(crate) fn tag(args: &TagArgs, environment: Environment) -> Outcome {
    let engine = super::local(environment);
    let target: Reference = args.target.parse()?;
    if target.digest().is_some() {
        return Err(CommandError::new(format!(
            "`{}` has a digest; an image is named with a tag",
            args.target
        )));
    }
    let image = engine.image(&args.source)?;
    let store = engine.store()?;
    store.tag(&image.id.to_string(), &target)?;
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
    /// Keep parents; there are no parent images here, so this changes nothing
    #[arg(long)]
    no_prune: bool,
}

/// Runs `rmi`.
pub(crate) fn remove(args: &RemoveArgs, environment: Environment) -> Outcome {
    rootless::enter()?;
    let engine = super::local(environment);
    let store = engine.store()?;
    let mut code = 0;
    let mut deleted = false;
    for name in &args.images {
        match store.remove_image(name, args.force) {
            Ok(removed) => {
                for one in removed {
                    match one {
                        Removed::Untagged(name) => {
                            let familiar =
                                name.parse().map(|reference: Reference| reference.familiar()).unwrap_or(name);
                            screen::line(&format!("Untagged: {familiar}"));
                        }
                        Removed::Deleted(id) => {
                            deleted = true;
                            screen::line(&format!("Deleted: {id}"));
                        }
                    }
                }
            }
            Err(error) => {
                let missing = error.is_not_found();
                let in_use = matches!(error, store::Error::InUse { .. });
                let mut error = CommandError::from(error);
                if in_use && !args.force {
                    error = error.hint("`--force` removes it all the same");
                }
                error.show();
                if !(missing && args.force) {
                    code = 1;
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

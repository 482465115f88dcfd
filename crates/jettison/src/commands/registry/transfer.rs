//! `pull` and `push`.

use super::copy::{between, into_layout};
use crate::cli::RegistryArgs;
use crate::commands::rootless;
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::pulling::{self, Wanted};
use crate::screen;
use crate::showing::{ProgressArgs, Showing};
use clap::Args;
use export::place::Place;
use export::push::{self, Pusher};
use oci::{Digest, Platform, Reference};
use registry::Pushed;

/// Fetch images from a registry or an OCI layout.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Their names; `oci-layout://FOLDER[:TAG][@DIGEST]` is an image of a layout
    #[arg(value_name = "NAME[:TAG|@DIGEST]", required = true)]
    names: Vec<String>,
    /// Fetch all tags of the repositories
    #[arg(short, long)]
    all_tags: bool,
    /// Show nothing but the names at the end
    #[arg(short, long)]
    quiet: bool,
    /// The platform, or several with commas between them, or `all`
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Fetch the images for all platforms, and the attestations
    #[arg(long, conflicts_with = "platform")]
    all_platforms: bool,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs `pull`.
pub(crate) fn pull(args: &PullArgs, environment: Environment) -> Outcome {
    rootless::enter()?;
    let asked = args.platform.as_deref().or(environment.get("DOCKER_DEFAULT_PLATFORM"));
    let wanted = if args.all_platforms { Wanted::All } else { Wanted::parse(asked)? };
    let engine = Engine::new(environment, RegistryFlags::from_args(&args.registry)?);
    let mut places = Vec::new();
    for name in &args.names {
        match args.all_tags {
            true => places.extend(all_tags(&engine, name)?),
            false => places.push((engine.place(name)?, name.clone())),
        }
    }
    let showing = Showing::new(&args.progress, args.quiet, "Pulling", &engine.environment);
    let _interrupts = showing.interruptible(pulling::INTERRUPTED)?;
    let mut pulled = Vec::new();
    for (place, text) in &places {
        // An image of a layout is called what the layout calls it; it may have no name.
        let name = match place {
            Place::Registry { reference, .. } => Some(reference.clone()),
            Place::Layout(layout) => layout.image_name()?,
        };
        if takes_latest(place, text) {
            showing.say("Using default tag: latest");
        }
        let vertex = showing.start(&format!("pulling {}", pulling::shown(place)));
        let before = name
            .as_ref()
            .map(|name| Ok::<_, CommandError>(engine.store()?.image_id(&name.to_string())?))
            .transpose()?;
        let done = engine.pull(place, name.iter().cloned().collect(), &wanted, &vertex);
        match Showing::end(&vertex, done) {
            Ok(id) => pulled.push((id, name, before.flatten() == Some(id))),
            Err(error) => {
                showing.finish();
                engine.store()?.finish()?;
                return Err(error);
            }
        }
    }
    showing.sum_up();
    let store = engine.store()?;
    store.finish()?;
    for (id, name, same) in pulled {
        let Some(name) = name else {
            screen::line(&id.to_string());
            continue;
        };
        if !args.quiet {
            let image = store.image(&name.to_string())?;
            let full = name.to_string();
            let known = image.iter().flat_map(|image| &image.names).find(|known| known.reference == full);
            if let Some(manifest) = known.and_then(|known| known.manifest.as_ref()) {
                showing.say(&format!("Digest: {}", manifest.digest));
            }
            let status = if same { "Image is up to date for" } else { "Downloaded newer image for" };
            showing.say(&format!("Status: {status} {}", name.familiar()));
        }
        screen::line(&name.to_string());
    }
    Ok(0)
}

/// Whether the tag `latest` is meant without being written.
fn takes_latest(place: &Place<'_>, text: &str) -> bool {
    matches!(place, Place::Registry { reference, .. } if pulling::is_bare(reference, text))
}

/// All images of a repository, each with its whole name.
fn all_tags<'a>(engine: &'a Engine, name: &str) -> Outcome<Vec<(Place<'a>, String)>> {
    let Place::Registry { client, reference } = engine.place(name)? else {
        return Err(CommandError::usage(format!("--all-tags: `{name}` is no repository of a registry")));
    };
    check_bare(&reference, name)?;
    let tags = client.tags(&reference)?;
    if tags.is_empty() {
        return Err(CommandError::new(format!("the repository `{}` has no tags", reference.familiar_name())));
    }
    let tagged = |tag: &String| {
        let reference = reference.with_tag(tag)?;
        let text = reference.to_string();
        Ok((Place::Registry { client, reference }, text))
    };
    tags.iter().map(tagged).collect()
}

/// What goes for all tags names none.
fn check_bare(reference: &Reference, text: &str) -> Outcome<()> {
    if pulling::is_bare(reference, text) {
        return Ok(());
    }
    Err(CommandError::usage(format!(
        "--all-tags is about all tags of a repository, and `{text}` names one image of it"
    ))
    .with_code(1)
    .hint(format!("leave out the tag: `{}`", reference.familiar_name())))
}

/// Send an image to a registry or into an OCI layout.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The image's name, which says where it goes; `oci-layout://FOLDER[:TAG]` is an image of a layout
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// Another name to send it to, or `oci-layout://FOLDER[:TAG]`
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
    /// Show nothing but the name at the end
    #[arg(short, long)]
    quiet: bool,
    /// Send all tags of the repository
    #[arg(short, long, conflicts_with = "destination")]
    all_tags: bool,
    /// Send the image for this platform alone, where the name stands for several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs `push`.
pub(crate) fn push(args: &PushArgs, environment: Environment) -> Outcome {
    rootless::enter()?;
    let engine = Engine::new(environment, RegistryFlags::from_args(&args.registry)?);
    if let Some(digest) = with_layouts(args, &engine)? {
        screen::line(&digest.to_string());
        return Ok(0);
    }
    let targets = targets(args, &engine)?;
    let (store, forms) = (engine.store()?, engine.forms()?);
    let showing = Showing::new(&args.progress, args.quiet, "Pushing", &engine.environment);
    let _interrupts =
        showing.interruptible("the push was interrupted; the next one sends what is missing")?;
    for (image, target) in targets {
        if !args.quiet {
            screen::line(&format!("The push refers to repository [{}]", target.name()));
        }
        let vertex = showing.start(&format!("pushing {}", target.familiar()));
        let tell = |layer: &push::Layer| {
            if !args.quiet {
                let what = match layer.pushed {
                    Pushed::Existed => "Layer already exists",
                    Pushed::Mounted => "Mounted from another repository",
                    Pushed::Uploaded => "Pushed",
                };
                screen::line(&format!("{}: {what}", layer.descriptor.digest.short()));
            }
        };
        let client = engine.client(target.host())?;
        let pusher = Pusher { store, forms: &forms, client, vertex: &vertex, tell: &tell };
        let pushed = pusher.image(&image, args.platform.as_ref(), &target).map_err(CommandError::from);
        let (manifest, missing) = match Showing::end(&vertex, pushed) {
            Ok(pushed) => pushed,
            Err(error) => {
                showing.finish();
                store.finish()?;
                return Err(error);
            }
        };
        if args.quiet {
            screen::line(&target.to_string());
        } else {
            let tag = target.tag().map_or_else(|| target.familiar(), str::to_owned);
            screen::line(&format!("{tag}: digest: {} size: {}", manifest.digest, manifest.size));
        }
        if !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            showing.say(&format!(
                "note: not all of the index is here (there is nothing for {}), so one image alone was pushed",
                missing.join(", ")
            ));
        }
    }
    showing.sum_up();
    store.finish()?;
    Ok(0)
}

/// Sends an image from a layout or into one, if that is what is asked for. Gives its digest.
fn with_layouts(args: &PushArgs, engine: &Engine) -> Outcome<Option<Digest>> {
    let showing = || Showing::new(&args.progress, args.quiet, "Copying", &engine.environment);
    let source = pulling::layout(&args.name)?;
    let target = args.destination.as_deref().map(pulling::layout).transpose()?.flatten();
    match (source, target, &args.destination) {
        (_, Some(target), _) => {
            into_layout(engine, &args.name, args.platform.as_ref(), target, &showing()).map(Some)
        }
        (Some(source), None, Some(destination)) => {
            let to = engine.place(destination)?;
            between(&showing(), &Place::Layout(source), &to, args.platform.as_ref()).map(Some)
        }
        (Some(source), None, None) => Err(CommandError::usage(format!("{source} says not where it goes"))
            .hint("name the target too: `jettison push oci-layout://FOLDER:TAG REGISTRY/NAME:TAG`")),
        (None, None, _) => Ok(None),
    }
}

/// Which images go where.
fn targets(args: &PushArgs, engine: &Engine) -> Outcome<Vec<(String, Reference)>> {
    if let Some(destination) = &args.destination {
        // As podman: `docker://` may stand before the name.
        let target = destination.strip_prefix("docker://").unwrap_or(destination).parse()?;
        return Ok(vec![(args.name.clone(), target)]);
    }
    let target: Reference = args.name.parse()?;
    if args.all_tags {
        check_bare(&target, &args.name)?;
    } else if target.digest().is_some() {
        return Err(CommandError::new(format!(
            "`{}` has a digest; an image is pushed under a tag",
            args.name
        )));
    } else {
        return match engine.store()?.image_id(&target.to_string())? {
            Some(_) => Ok(vec![(target.to_string(), target)]),
            None => Err(CommandError::new(format!("no image `{}` is in the store", target.familiar()))
                .hint("`jettison tag IMAGE NAME` names an image for its registry")),
        };
    }
    let mut targets = Vec::new();
    for image in engine.store()?.images()? {
        let names = image.names.iter().filter_map(|known| known.reference.parse::<Reference>().ok());
        let same = names.filter(|known| known.name() == target.name() && known.digest().is_none());
        targets.extend(same.map(|known| (known.to_string(), known)));
    }
    if targets.is_empty() {
        return Err(CommandError::new(format!(
            "no image of the repository `{}` is in the store",
            target.familiar_name()
        )));
    }
    Ok(targets)
}

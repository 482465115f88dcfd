//! `imagetools inspect` and `imagetools create` (also as `buildx imagetools`): images in registries and OCI layouts,
//! without the store.

use super::attested;
use crate::cli::RegistryArgs;
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use crate::showing::{ProgressArgs, Showing};
use crate::template::Template;
use attest::storage;
use clap::{Args, Subcommand};
use export::Annotations;
use export::copy::Copier;
use export::place::{Fetched, LayoutName, Place};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, media_type};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Look at images in registries, and make indexes there.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum ImagetoolsCommand {
    /// Show what a name stands for in its registry
    Inspect(InspectArgs),
    /// Make an index of images that are in registries
    Create(CreateArgs),
}

/// Show what a name stands for in its registry.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The name, or `oci-layout://FOLDER[:TAG]`
    #[arg(value_name = "NAME")]
    name: String,
    /// Show the document as it is, byte for byte
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    /// Show it with a Go template, or as JSON with `json`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Make an index of images that are in registries.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What the index is made of: names of images and indexes
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// What it is called; may be given several times
    #[arg(short, long = "tag", value_name = "NAME")]
    tag: Vec<String>,
    /// Add to what the name stands for already
    #[arg(long)]
    append: bool,
    /// Show the index and push nothing
    #[arg(long)]
    dry_run: bool,
    /// A file with a source's descriptor as JSON
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Only these platforms of the sources
    #[arg(short, long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<String>,
    /// Free text in the index: `[LEVEL:]KEY=VALUE`
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Make an index even of one image alone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    prefer_index: bool,
    /// Write facts about the result to a file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs `imagetools`.
pub(crate) fn imagetools(command: &ImagetoolsCommand, environment: Environment) -> Outcome {
    match command {
        ImagetoolsCommand::Inspect(args) => inspect(args, environment),
        ImagetoolsCommand::Create(args) => create(args, environment),
    }
}

fn inspect(args: &InspectArgs, environment: Environment) -> Outcome {
    let engine = Engine::new(environment, RegistryFlags::from_args(&args.registry)?);
    let place = engine.place(&args.name)?;
    let root = place.resolve()?;
    if args.raw {
        screen::raw(&root.bytes);
        return Ok(0);
    }
    match args.format.as_deref() {
        // As buildx: the whole manifest is shown for people.
        None => {}
        Some(format) if format.split_whitespace().collect::<String>() == "{{.Manifest}}" => {}
        Some("json") => {
            screen::line(&format!("{:#}", facts(&place, &root, "")?));
            return Ok(0);
        }
        Some(format) => {
            let template = Template::parse(format)?;
            screen::line(&template.render_wide(&facts(&place, &root, format)?)?);
            return Ok(0);
        }
    }
    let mut text = head("", &place.to_string(), &root.descriptor);
    if media_type::is_index(&root.descriptor.media_type) {
        text.push_str("\nManifests:\n");
        for entry in Index::parse(&root.bytes)?.manifests {
            let name = match &place {
                Place::Registry { reference, .. } => format!("{}@{}", reference.name(), entry.digest),
                Place::Layout(_) => entry.digest.to_string(),
            };
            text.push_str(&format!("  Name:        {name}\n  MediaType:   {}\n", entry.media_type));
            if let Some(platform) = &entry.platform {
                text.push_str(&format!("  Platform:    {platform}\n"));
            }
            if !entry.annotations.is_empty() {
                text.push_str("  Annotations:\n");
                for (key, value) in &entry.annotations {
                    text.push_str(&format!("    {key}: {value}\n"));
                }
            }
            text.push('\n');
        }
    }
    screen::out(&text);
    Ok(0)
}

fn head(indent: &str, name: &str, descriptor: &Descriptor) -> String {
    format!(
        "{indent}Name:      {name}\n{indent}MediaType: {}\n{indent}Digest:    {}\n",
        descriptor.media_type, descriptor.digest
    )
}

/// What templates see: `.Name`, `.Manifest`, and `.Image`: the configuration, or those of an index by platform; of
/// attestations those that `format` names.
fn facts(place: &Place<'_>, root: &Fetched, format: &str) -> Outcome<Value> {
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes)
            .map_err(|error| CommandError::new(format!("{place} has a document that is no JSON: {error}")))
    };
    let mut manifest = parse(&root.bytes)?;
    manifest["mediaType"] = json!(root.descriptor.media_type);
    manifest["digest"] = json!(root.descriptor.digest);
    manifest["size"] = json!(root.descriptor.size);
    let mut index = Index::oci(Vec::new());
    let mut digests = Vec::new();
    let image = if media_type::is_index(&root.descriptor.media_type) {
        let mut images = Map::new();
        index = Index::parse(&root.bytes)?;
        for entry in &mut index.manifests {
            if entry.platform.is_none() && media_type::is_manifest(&entry.media_type) {
                entry.platform = own_platform(place, entry)?;
            }
        }
        digests = attested::images(&index, None);
        for (name, digest) in &digests {
            let entry = index.manifests.iter().find(|entry| entry.digest == *digest);
            let inner = place.document(entry.expect("because the digest is one of theirs"))?;
            images.insert(name.clone(), parse(&config(place, &inner)?)?);
        }
        match &digests[..] {
            [(only, _)] => images.remove(only).unwrap_or_default(),
            _ => Value::Object(images),
        }
    } else {
        parse(&config(place, root)?)?
    };
    let mut facts = json!({ "name": place.to_string(), "manifest": manifest, "image": image });
    if digests.is_empty() {
        digests.push((String::new(), root.descriptor.digest));
    }
    attested::tell(&mut facts, format, place, &index, &digests)?;
    Ok(facts)
}

/// The platform of an image that its index says nothing of, as its configuration says it; nothing of what is no image.
fn own_platform(place: &Place<'_>, entry: &Descriptor) -> Outcome<Option<Platform>> {
    let manifest = place.document(entry)?;
    let config = Manifest::parse(&manifest.bytes)?.config;
    let is_image = matches!(config.media_type.as_str(), media_type::OCI_CONFIG | media_type::DOCKER_CONFIG);
    if storage::subject_of(entry).is_some() || !is_image {
        return Ok(None);
    }
    let config = ImageConfig::parse(&self::config(place, &manifest)?)?;
    Ok(Some(Platform {
        os: config.os,
        architecture: config.architecture,
        variant: config.variant,
        ..Platform::default()
    }))
}

/// The configuration of a manifest's image.
fn config(place: &Place<'_>, manifest: &Fetched) -> Outcome<Vec<u8>> {
    let descriptor = Manifest::parse(&manifest.bytes)?.config;
    if descriptor.size > oci::MAX_DOCUMENT {
        return Err(CommandError::new(format!("the configuration of {place} is too large")));
    }
    let mut bytes = Vec::new();
    place.blob(&descriptor, &mut bytes, &|_| {})?;
    Ok(bytes)
}

fn create(args: &CreateArgs, environment: Environment) -> Outcome {
    let engine = Engine::new(environment, RegistryFlags::from_args(&args.registry)?);
    let targets = args.tag.iter().map(|name| engine.place(name)).collect::<Outcome<Vec<_>>>()?;
    if targets.is_empty() && !args.dry_run {
        return Err(CommandError::usage("imagetools create: name what is made with --tag"));
    }
    let mut sources = Vec::new();
    if args.append {
        let first =
            args.tag.first().ok_or_else(|| CommandError::usage("--append adds to what --tag names"))?;
        sources.push(engine.place(first)?);
    }
    for name in &args.sources {
        sources.push(engine.place(name)?);
    }
    for file in &args.file {
        sources.push(described(&engine, file, args.tag.first())?);
    }
    if sources.is_empty() {
        return Err(CommandError::usage("imagetools create: there is nothing to make an index of"));
    }
    let mut annotations = Annotations::new();
    for text in &args.annotation {
        // In an index an annotation without a level is the index's own.
        let text = if text.split('=').next().is_some_and(|key| key.contains(':')) {
            text.clone()
        } else {
            format!("index:{text}")
        };
        annotations.flag(&text).map_err(|error| CommandError::usage(format!("--annotation: {error}")))?;
    }
    let platforms = args
        .platform
        .iter()
        .map(|text| text.parse::<Platform>().map(|platform| platform.normalised()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CommandError::usage(format!("--platform: {error}")))?;
    let roots = sources.iter().map(Place::resolve).collect::<export::Result<Vec<_>>>()?;
    let carbon = match &roots[..] {
        [only] if platforms.is_empty() && annotations == Annotations::new() => {
            media_type::is_index(&only.descriptor.media_type) || !args.prefer_index
        }
        _ => false,
    };
    let root = if carbon { roots[0].clone() } else { index(&sources, &roots, &platforms, &annotations)? };
    if args.dry_run {
        screen::raw(&root.bytes);
        screen::line("");
        return Ok(0);
    }
    let showing = Showing::new(&args.progress, false, "Pushing", &engine.environment);
    for (target, name) in targets.iter().zip(&args.tag) {
        let vertex = showing.start(&format!("pushing {name}"));
        let push = || -> export::Result<()> {
            for (source, document) in sources.iter().zip(&roots) {
                Copier { from: source, to: target, vertex: &vertex, tell: &|_| {} }.tree(document)?;
            }
            target.put(&root)?;
            target.name(&root)
        };
        let pushed = Showing::end(&vertex, push().map_err(CommandError::from));
        if pushed.is_err() {
            showing.finish();
        }
        pushed?;
    }
    showing.sum_up();
    if let Some(path) = &args.metadata_file {
        let facts = json!({
            "containerimage.descriptor": root.descriptor,
            "image.name": args.tag.join(","),
        });
        std::fs::write(path, format!("{facts:#}\n"))
            .map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))?;
    }
    screen::line(&root.descriptor.digest.to_string());
    Ok(0)
}

/// A source that a file describes: its digest, in the repository of the target.
fn described<'a>(engine: &'a Engine, file: &PathBuf, target: Option<&String>) -> Outcome<Place<'a>> {
    #[derive(serde::Deserialize)]
    struct Described {
        digest: Digest,
    }
    let fail = |error: &dyn std::fmt::Display| {
        CommandError::new(format!("cannot read the descriptor {}: {error}", file.display()))
    };
    let bytes = std::fs::read(file).map_err(|error| fail(&error))?;
    let described: Described = serde_json::from_slice(&bytes).map_err(|error| fail(&error))?;
    let target =
        target.ok_or_else(|| CommandError::usage("--file needs a --tag: it says in which repository"))?;
    match engine.place(target)? {
        Place::Registry { client, reference } => {
            Ok(Place::Registry { client, reference: reference.with_digest(described.digest) })
        }
        Place::Layout(name) => Ok(Place::Layout(LayoutName { digest: Some(described.digest), ..name })),
    }
}

/// An index of everything that the sources have, each manifest once; of one platform the last source's counts.
fn index(
    sources: &[Place<'_>],
    roots: &[Fetched],
    platforms: &[Platform],
    annotations: &Annotations,
) -> Outcome<Fetched> {
    let mut entries: Vec<Descriptor> = Vec::new();
    let mut docker = true;
    for (source, root) in sources.iter().zip(roots) {
        docker &= matches!(
            root.descriptor.media_type.as_str(),
            media_type::DOCKER_MANIFEST | media_type::DOCKER_INDEX
        );
        let found = if media_type::is_index(&root.descriptor.media_type) {
            Index::parse(&root.bytes)?.manifests
        } else {
            let config = ImageConfig::parse(&config(source, root)?)?;
            let mut entry = root.descriptor.clone();
            entry.platform = Some(config.platform());
            vec![entry]
        };
        for entry in found {
            let wanted = match &entry.platform {
                Some(platform) if platform.os != "unknown" => {
                    platforms.is_empty() || platforms.contains(&platform.normalised())
                }
                _ => true,
            };
            if wanted {
                entries.retain(|known| known.digest != entry.digest);
                entries.push(entry);
            }
        }
    }
    // An attestation goes with the image that it is about.
    let kept: Vec<String> = entries.iter().map(|entry| entry.digest.to_string()).collect();
    entries
        .retain(|entry| storage::subject_of(entry).is_none_or(|about| kept.iter().any(|one| one == about)));
    if entries.iter().all(|entry| storage::subject_of(entry).is_some()) {
        return Err(CommandError::new("the sources have no image of the platforms that are asked for"));
    }
    for entry in &mut entries {
        if let Some(platform) = &entry.platform {
            entry.annotations.extend(annotations.manifest_descriptor(platform));
        }
    }
    let mut index = Index::oci(entries);
    index.annotations = annotations.index();
    if docker && index.annotations.is_empty() {
        index.media_type = Some(media_type::DOCKER_INDEX.to_owned());
    }
    let bytes = index.to_bytes();
    let kind = index.media_type.as_deref().unwrap_or(media_type::OCI_INDEX);
    Ok(Fetched { descriptor: Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64), bytes })
}

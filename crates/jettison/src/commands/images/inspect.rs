//! `inspect`: images and containers in Docker's JSON.

use crate::commands::registry::attested::{self, InStore};
use crate::commands::{containers, system};
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::template::Template;
use crate::{pulling, screen, time};
use clap::Args;
use export::place::Place;
use oci::{ImageConfig, Index, Platform, Reference, media_type};
use serde_json::{Map, Value, json};
use store::NamedIndex;

/// Show everything about images and containers as JSON.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Names or ids; `oci-layout://FOLDER[:TAG]` is an image of a layout
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// `json` or a template, as `{{.Config.Env}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// What to look for: container, image or volume
    #[arg(long = "type", value_name = "KIND", value_parser = ["container", "image", "volume"])]
    kind: Option<String>,
    /// The image for this platform, where the name stands for several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show total file sizes; they are shown anyway
    #[arg(short, long)]
    size: bool,
}

/// Runs `inspect`. `any` is the command for all kinds, else only images are meant.
pub(crate) fn inspect(args: &InspectArgs, environment: Environment, any: bool) -> Outcome {
    let engine = super::local(environment);
    let kind = if any { args.kind.as_deref() } else { Some("image") };
    let platform = args.platform.as_ref();
    let kind = if platform.is_some() { Some("image") } else { kind };
    let format = args.format.as_deref();
    show(&args.names, format, |name| find(&engine, name, kind, platform, format.unwrap_or_default()))
}

/// Shows several things, and an error for each that is not there.
pub(crate) fn show(
    names: &[String],
    format: Option<&str>,
    find: impl Fn(&str) -> Outcome<Option<Value>>,
) -> Outcome {
    let template = format.filter(|format| *format != "json").map(Template::parse).transpose()?;
    let mut found = Vec::new();
    let mut code = 0;
    let mut errors = Vec::new();
    for name in names {
        match find(name) {
            Ok(Some(value)) => match &template {
                Some(template) => screen::line(&template.render(&value)?),
                None => found.push(value),
            },
            Ok(None) => errors.push(CommandError::new(format!("no such object: {name}"))),
            Err(error) => errors.push(error),
        }
    }
    if template.is_none() {
        let list = Value::Array(found);
        let text = if format == Some("json") { list.to_string() } else { pretty(&list) };
        screen::line(&text);
    }
    screen::flush();
    for error in errors {
        error.show();
        code = 1;
    }
    Ok(code)
}

/// JSON as `docker inspect` writes it, four spaces deep.
fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(value, &mut writer).expect("because memory takes what a value holds");
    String::from_utf8(bytes).expect("because JSON is UTF-8")
}

/// Containers come before images, as with Docker. Attestations are read only where `format` names them.
fn find(
    engine: &Engine,
    name: &str,
    kind: Option<&str>,
    platform: Option<&Platform>,
    format: &str,
) -> Outcome<Option<Value>> {
    if matches!(kind, None | Some("image"))
        && let Some(layout) = pulling::layout(name)?
    {
        let mut value = image_value(engine, &engine.shown(name, platform)?.image)?;
        let place = Place::Layout(layout);
        let root = place.resolve()?;
        let index = match media_type::is_index(&root.descriptor.media_type) {
            true => Index::parse(&root.bytes)?,
            false => Index::oci(vec![root.descriptor]),
        };
        attested::tell(&mut value, format, &place, &index, &attested::images(&index, platform))?;
        return Ok(Some(value));
    }
    if matches!(kind, None | Some("container"))
        && let Some(container) = containers::inspect_value(engine, name)?
    {
        return Ok(Some(container));
    }
    if matches!(kind, None | Some("image"))
        && let Some(image) = engine.store()?.image(name)?
    {
        let image = if platform.is_some() { engine.image(name, platform)? } else { image };
        let mut value = image_value(engine, &image)?;
        let mut document = Index::oci(Vec::new());
        if let Some(index) = engine.store()?.index(name)? {
            document = Index::parse(&engine.store()?.read_blob(&index.root.digest, oci::MAX_DOCUMENT)?)?;
            value["Manifests"] = manifests(engine, &index, &document)?;
        }
        let home = InStore { store: engine.store()?, name };
        attested::tell(&mut value, format, &home, &document, &attested::images(&document, platform))?;
        return Ok(Some(value));
    }
    if matches!(kind, None | Some("volume"))
        && let Some(volume) = engine.store()?.volume(name)?
    {
        return Ok(Some(system::volume_value(&volume)));
    }
    Ok(None)
}

/// An image in Docker's JSON.
fn image_value(engine: &Engine, image: &store::Image) -> Outcome<Value> {
    let config = ImageConfig::parse(&image.config)?;
    let raw: Value = serde_json::from_slice(&image.config)?;
    let references: Vec<Reference> =
        image.names.iter().filter_map(|name| name.reference.parse().ok()).collect();
    let tags: Vec<String> =
        references.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect();
    let mut digests: Vec<String> = Vec::new();
    for (name, reference) in image.names.iter().zip(&references) {
        let digest = name.manifest.as_ref().map(|manifest| manifest.digest).or(reference.digest());
        let shown = digest.map(|digest| format!("{}@{digest}", reference.familiar_name()));
        digests.extend(shown.filter(|shown| !digests.contains(shown)));
    }
    let layers: Vec<String> = config.rootfs.diff_ids.iter().map(ToString::to_string).collect();
    let comment = config.history.last().and_then(|entry| entry.comment.clone()).unwrap_or_default();
    let top = image
        .stack
        .last()
        .map(|id| engine.store().map(|store| store.layer_dir(*id).join("fs")))
        .transpose()?;
    let mut value = json!({
        "Id": image.id.to_string(),
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": "",
        "Comment": comment,
        "Created": config.created.clone().unwrap_or_default(),
        "DockerVersion": "",
        "Author": config.author.clone().unwrap_or_default(),
        "Config": container_config(raw.get("config")),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": { "Data": { "UpperDir": top }, "Name": "overlay2" },
        "RootFS": { "Type": config.rootfs.kind, "Layers": layers },
        "Metadata": { "LastTagTime": time::rfc3339(image.created) },
        "History": raw.get("history").cloned().unwrap_or(Value::Null),
    });
    if let Some(fields) = value.as_object_mut() {
        if let Some(variant) = config.variant {
            fields.insert("Variant".to_owned(), variant.into());
        }
        if let Some(version) = config.os_version {
            fields.insert("OsVersion".to_owned(), version.into());
        }
        if let Some(manifest) = &image.manifest {
            let descriptor = json!({"mediaType": manifest.media_type, "digest": manifest.digest.to_string(), "size": manifest.size});
            fields.insert("Descriptor".to_owned(), descriptor);
        }
    }
    Ok(value)
}

/// What an index has, in the words of Docker's API, and what of it is here.
fn manifests(engine: &Engine, index: &NamedIndex, document: &Index) -> Outcome<Value> {
    let images = engine.store()?.images_of(index)?;
    let mut all = Vec::new();
    for entry in &document.manifests {
        let image = images.iter().find(|(manifest, _)| *manifest == entry.digest).map(|(_, image)| image);
        let about = entry.annotations.get("vnd.docker.reference.digest");
        let mut value = json!({
            "ID": entry.digest.to_string(),
            "Descriptor": entry,
            "Available": image.is_some() || index.others.contains(&entry.digest),
            "Kind": match (image, about, &entry.platform) {
                (_, Some(_), _) => "attestation",
                (None, None, None) => "unknown",
                _ => "image",
            },
        });
        match about {
            Some(about) => value["AttestationData"] = json!({ "For": about }),
            None => {
                value["ImageData"] = json!({
                    "Platform": entry.platform,
                    "Id": image.map(|image| image.id.to_string()),
                    "Size": { "Unpacked": image.map_or(0, |image| image.size) },
                });
            }
        }
        all.push(value);
    }
    Ok(Value::Array(all))
}

/// The `Config` of an image with the fields that Docker always shows.
fn container_config(config: Option<&Value>) -> Value {
    let mut fields = Map::new();
    for (name, default) in [
        ("Hostname", json!("")),
        ("Domainname", json!("")),
        ("User", json!("")),
        ("AttachStdin", json!(false)),
        ("AttachStdout", json!(false)),
        ("AttachStderr", json!(false)),
        ("Tty", json!(false)),
        ("OpenStdin", json!(false)),
        ("StdinOnce", json!(false)),
        ("Env", Value::Null),
        ("Cmd", Value::Null),
        ("Image", json!("")),
        ("Volumes", Value::Null),
        ("WorkingDir", json!("")),
        ("Entrypoint", Value::Null),
        ("OnBuild", Value::Null),
        ("Labels", Value::Null),
    ] {
        fields.insert(name.to_owned(), default);
    }
    for (name, value) in config.and_then(Value::as_object).into_iter().flatten() {
        fields.insert(name.clone(), value.clone());
    }
    Value::Object(fields)
}

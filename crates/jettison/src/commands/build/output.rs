//! The outputs of a build: an image in the store, archives, a folder, a registry.

use super::BuildArgs;
use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use crate::{screen, time};
use export::archive::{self, Kind};
use frontend::Lowered;
use layer::LayerId;
use oci::{Digest, Reference};
use progress::Progress;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

/// One `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// An image in the store.
    Image,
    /// The image's files in a folder.
    Local(PathBuf),
    /// The image's files as a tar.
    Tar(Destination),
    /// An archive of the image: an OCI layout or what `docker save` writes.
    Archive(Kind, Destination),
    /// An OCI layout as a folder.
    Layout(PathBuf),
    /// The image in its registry.
    Registry,
    /// Nothing but the cache.
    CacheOnly,
}

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    StandardOutput,
    /// A file.
    File(PathBuf),
}

/// The outputs that the flags ask for; an image in the store where there are none.
pub(crate) fn outputs(args: &BuildArgs) -> Outcome<Vec<Output>> {
    let mut outputs = args.output.iter().map(|text| parse(text, args)).collect::<Outcome<Vec<_>>>()?;
    if outputs.is_empty() || args.load {
        outputs.push(Output::Image);
    }
    if args.push {
        outputs.push(Output::Registry);
    }
    Ok(outputs)
}

fn parse(text: &str, args: &BuildArgs) -> Outcome<Output> {
    if text == "-" {
        return Ok(Output::Tar(stream("-")?));
    }
    if !text.contains('=') {
        return Ok(Output::Local(text.into()));
    }
    let (mut kind, mut destination, mut as_tar, mut push) = (None, None, true, false);
    for field in text.split(',') {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| CommandError::usage(format!("--output: `{field}` is not KEY=VALUE")))?;
        match key {
            "type" => kind = Some(value),
            "dest" => destination = Some(value),
            "tar" => as_tar = value != "false",
            "push" => push = value != "false",
            "name" if args.tag.iter().any(|tag| tag == value) => {}
            _ => {
                return Err(CommandError::usage(format!(
                    "--output: the attribute `{key}` is not supported yet"
                )));
            }
        }
    }
    let need = || destination.ok_or_else(|| CommandError::usage(format!("--output: `{text}` needs a dest")));
    Ok(match kind {
        Some("image") if push => Output::Registry,
        Some("image") => Output::Image,
        Some("registry") => Output::Registry,
        Some("cacheonly") => Output::CacheOnly,
        Some("local") => Output::Local(need()?.into()),
        Some("tar") => Output::Tar(stream(destination.unwrap_or("-"))?),
        Some("docker") if destination.is_none() => Output::Image,
        Some("docker") => Output::Archive(Kind::Docker, stream(need()?)?),
        Some("oci") if !as_tar => Output::Layout(need()?.into()),
        Some("oci") => Output::Archive(Kind::Oci, stream(destination.unwrap_or("-"))?),
        Some(other) => return Err(CommandError::usage(format!("--output: the type `{other}` is not known"))),
        None => return Err(CommandError::usage(format!("--output: `{text}` has no type"))),
    })
}

fn stream(destination: &str) -> Outcome<Destination> {
    if destination != "-" {
        return Ok(Destination::File(destination.into()));
    }
    if screen::out_is_terminal() {
        return Err(CommandError::usage(
            "--output: an archive is not written to a terminal; name a file with dest=FILE",
        ));
    }
    Ok(Destination::StandardOutput)
}

/// Writes all outputs. Gives the image's id, where an image was made.
pub(crate) fn write(
    engine: &Engine,
    args: &BuildArgs,
    lowered: &Lowered,
    stack: &[LayerId],
    names: &[Reference],
    outputs: &[Output],
    progress: &Progress,
) -> Outcome<Option<Digest>> {
    let forms = engine.forms()?;
    let needs_image = args.iidfile.is_some()
        || outputs
            .iter()
            .any(|output| !matches!(output, Output::Local(_) | Output::Tar(_) | Output::CacheOnly));
    let mut id = None;
    if needs_image {
        let vertex = progress.start("exporting to image");
        let named = outputs.contains(&Output::Image);
        let new = export::NewImage {
            config: lowered.config.clone(),
            base_history: lowered.base.as_ref().map_or(0, |base| base.config.history.len()),
            stack: stack.to_vec(),
            names: if named { names.to_vec() } else { Vec::new() },
            epoch: epoch(engine)?,
        };
        let made = export::finish(engine.store()?, &forms, new, &time::rfc3339)?;
        vertex.done();
        id = Some(made);
    }
    for output in outputs {
        match output {
            Output::Image | Output::CacheOnly => {}
            Output::Local(folder) => {
                let vertex = progress.start(&format!("exporting to {}", folder.display()));
                export::local::write(&forms, stack, folder)?;
                vertex.done();
            }
            Output::Tar(destination) => {
                let vertex = progress.start("exporting to a tar");
                to(destination, |out| Ok(export::local::write_tar(&forms, stack, out)?))?;
                vertex.done();
            }
            Output::Archive(kind, destination) => {
                let vertex = progress.start(&format!("exporting to {}", kind.name()));
                let image = image_id(id);
                to(destination, |out| {
                    let images = [archive::Saved { image, names: names.to_vec() }];
                    Ok(archive::save(engine.store()?, &forms, &images, *kind, out)?)
                })?;
                vertex.done();
            }
            Output::Layout(folder) => {
                let vertex = progress.start(&format!("exporting to {}", folder.display()));
                let images = [archive::Saved { image: image_id(id), names: names.to_vec() }];
                archive::save_layout(engine.store()?, &forms, &images, folder)?;
                vertex.done();
            }
            Output::Registry => {
                if names.is_empty() {
                    return Err(CommandError::usage(
                        "the image needs a name to be pushed: give one with --tag",
                    ));
                }
                let image = image_id(id).to_string();
                for name in names {
                    let vertex = progress.start(&format!("pushing {name}"));
                    export::push::push(
                        engine.store()?,
                        &forms,
                        engine.client(name.host())?,
                        &image,
                        name,
                        &vertex,
                    )?;
                    vertex.done();
                }
            }
        }
    }
    Ok(id)
}

fn image_id(id: Option<Digest>) -> Digest {
    id.expect("because this output is one of those that need an image")
}

/// SOURCE_DATE_EPOCH as the formats write it.
fn epoch(engine: &Engine) -> Outcome<Option<String>> {
    let Some(text) = engine.environment.get("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds: u64 = text.parse().map_err(|_| {
        CommandError::usage(format!(
            "SOURCE_DATE_EPOCH is `{text}`, which is no number of seconds since 1970"
        ))
    })?;
    Ok(Some(time::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds))))
}

/// Writes a stream; a file appears under its name only when it is whole.
fn to(destination: &Destination, write: impl FnOnce(&mut dyn Write) -> Outcome<()>) -> Outcome<()> {
    let Destination::File(path) = destination else {
        let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        write(&mut out)?;
        return Ok(out.flush()?);
    };
    let fail = |error: std::io::Error| CommandError::new(format!("cannot write {}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let file = File::create(&part).map_err(fail)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    let written = write(&mut out).and_then(|()| out.flush().map_err(fail));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, path).map_err(fail)
}

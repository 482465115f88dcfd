//! Writing the outputs.

use super::{Destination, Kind, Output};
use crate::commands::build::attest::{ImageAttester, Recorder};
use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use crate::showing::Showing;
use crate::{screen, time};
use export::place::LayoutName;
use export::push::Pusher;
use export::{Attester, Bundle, Follower, LayerBlob, Out, Packing, archive, indexes, layout, local, target};
use frontend::Lowered;
use layer::{LayerId, Time};
use oci::{Descriptor, Digest, Platform, Reference};
use progress::{Progress, VertexHandle};
use snapshot::Forms;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What was built for one platform.
pub(crate) struct Built {
    /// The platform that was asked for.
    pub(crate) platform: Platform,
    /// Configuration, base, warnings.
    pub(crate) lowered: Lowered,
    /// The layers, lowest first.
    pub(crate) stack: Vec<LayerId>,
}

/// What the outputs are made of and with.
pub(crate) struct Outputs<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) outputs: &'a [Output],
    pub(crate) progress: &'a Progress,
    /// What is stated about images that leave.
    pub(crate) recorder: &'a Recorder<'a>,
    /// One for each platform, in the order they were asked for.
    pub(crate) built: &'a [Built],
    /// SOURCE_DATE_EPOCH.
    pub(crate) epoch: Option<u64>,
    /// Whether an image's id is wanted even where no output has one.
    pub(crate) wants_id: bool,
    /// Whether one platform is given as if it were several.
    pub(crate) several: bool,
    /// The steps of an inline cache; none is no such cache.
    pub(crate) inline: &'a [export::cache::Step],
}

/// What is known of the result afterwards.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The image's id: the digest of its configuration, or of the index where there are several platforms.
    pub(crate) id: Option<Digest>,
    /// The configuration, where there is one platform.
    pub(crate) config: Option<Digest>,
    /// What a name stands for in a registry or a layout, where the image went there.
    pub(crate) root: Option<Descriptor>,
    /// All names.
    pub(crate) names: Vec<Reference>,
}

impl Outputs<'_> {
    /// Writes all of them.
    pub(crate) fn write(&self) -> Outcome<Written> {
        self.recorder.check()?;
        let forms = self.engine.forms()?.with_progress(self.progress.clone());
        let mut written = Written::default();
        self.warn_of_lost_attestations();
        if self.outputs.iter().any(Output::carries_attestations) {
            let platforms: Vec<&Platform> = self.built.iter().map(|built| &built.platform).collect();
            self.recorder.scan(&forms, self.progress, &platforms)?;
        }
        for output in self.outputs {
            for name in &output.names {
                if output.has_image() && !written.names.contains(name) {
                    written.names.push(name.clone());
                }
            }
            self.one(&forms, output, &mut written)?;
        }
        if self.wants_id && written.id.is_none() {
            let images = self.images(&forms, None)?;
            self.identify(&forms, &images, None, &mut written)?;
        }
        Ok(written)
    }

    fn one(&self, forms: &Forms, output: &Output, written: &mut Written) -> Outcome<()> {
        let title = match &output.kind {
            Kind::CacheOnly => return Ok(()),
            Kind::Local { folder, .. } => &format!("exporting to {}", folder.display()),
            Kind::Tar { .. } => "exporting to a tar",
            Kind::Image { .. } => "exporting to image",
            Kind::Docker(_) => "exporting to docker image format",
            Kind::Oci(_) => "exporting to oci image format",
        };
        let vertex = self.progress.start(title);
        let packing = forms.clone().packing_at(&vertex);
        let images = Showing::end(&vertex, self.export(&packing, output, written))?;
        if let Kind::Image { store: named, push } = output.kind {
            if push {
                written.root = self.push(forms, &images, output)?.or(written.root.take());
            }
            if named && output.name_canonical {
                self.name_by_digest(forms, &images, output)?;
            }
        }
        Ok(())
    }

    /// Writes what is written on this machine. Gives the images, where the output has any.
    fn export(&self, forms: &Forms, output: &Output, written: &mut Written) -> Outcome<Vec<store::Image>> {
        let store = self.engine.store()?;
        match &output.kind {
            Kind::CacheOnly => Ok(Vec::new()),
            Kind::Local { folder, split, delete } => {
                local::write(forms, &self.files(*split, output), folder, *delete)?;
                Ok(Vec::new())
            }
            Kind::Tar { to, split } => {
                let files = self.files(*split, output);
                archive_to(to, |out| match out {
                    Out::Stream(out) => Ok(local::write_tar(forms, &files, out)?),
                    Out::File(file) => Ok(local::write_tar(forms, &files, &mut file.writer())?),
                })?;
                Ok(Vec::new())
            }
            Kind::Image { store: named, .. } => {
                let images = self.images(forms, Some((output, *named)))?;
                self.identify(forms, &images, Some(output), written)?;
                if *named && (images.len() > 1 || self.states(output)) {
                    indexes::keep(store, &self.bundle(forms, &images, output)?, &images, &output.names)?;
                }
                Ok(images)
            }
            Kind::Docker(to) => {
                if self.built.len() > 1 {
                    return Err(CommandError::usage(
                        "--output: a docker archive holds an image of one platform alone",
                    )
                    .hint("use type=oci for several"));
                }
                let images = self.images(forms, Some((output, false)))?;
                self.identify(forms, &images, Some(output), written)?;
                let saved: Vec<_> = images
                    .iter()
                    .map(|image| archive::Saved { image: image.id, names: output.names.clone() })
                    .collect();
                match to {
                    // As BuildKit: a folder is a layout, and what is asked of the documents makes an archive that is
                    // a layout, too.
                    Destination::Folder(folder) => {
                        let bundle = dated(Bundle::new(store, forms, &images, &output.packing)?, &images);
                        write_layout(forms, bundle, &output.names, folder)?;
                    }
                    to if output.packing == Packing::default() => {
                        archive_to(to, |out| Ok(archive::save(store, forms, &saved, out)?))?;
                    }
                    to => {
                        archive_to(to, |out| {
                            let archive = layout::Archive::for_docker(out, Platform::host());
                            self.layout(forms, &images, output, archive)
                        })?;
                    }
                }
                Ok(images)
            }
            Kind::Oci(to) => {
                let images = self.images(forms, Some((output, false)))?;
                written.root = Some(match to {
                    Destination::Folder(folder) => {
                        let bundle = dated(self.bundle(forms, &images, output)?, &images);
                        let root = bundle.root.clone();
                        write_layout(forms, bundle, &output.names, folder)?;
                        root
                    }
                    to => {
                        archive_to(to, |out| self.layout(forms, &images, output, layout::Archive::new(out)))?
                    }
                });
                self.identify(forms, &images, Some(output), written)?;
                Ok(images)
            }
        }
    }

    /// Pushes images under all names of an output. Gives what they stand for there.
    fn push(&self, forms: &Forms, images: &[store::Image], output: &Output) -> Outcome<Option<Descriptor>> {
        let mut root = None;
        for name in &output.names {
            let vertex = self.progress.start(&format!("pushing {name}"));
            root = Some(Showing::end(&vertex, self.push_to(name, forms, images, output, &vertex))?);
        }
        Ok(root)
    }

    fn push_to(
        &self,
        name: &Reference,
        forms: &Forms,
        images: &[store::Image],
        output: &Output,
        vertex: &VertexHandle,
    ) -> Outcome<Descriptor> {
        let store = self.engine.store()?;
        let by_digest = output.push_by_digest;
        let plain = output.packing == Packing::default() && !by_digest && !self.states(output);
        let client = self.engine.client(name.host())?;
        let pusher = Pusher { store, forms, client, vertex, tell: &|_| {} };
        if let ([image], true) = (images, plain) {
            return Ok(pusher.image(&image.id.to_string(), None, name)?.0);
        }
        let attester = self.attester(output);
        let attester = attester.as_ref().map(|attester| attester as &dyn Attester);
        let bundle = pusher.images(images, &output.packing, attester, name, by_digest)?;
        // A name of several says already what it stands for.
        if let ([image], false) = (images, self.states(output)) {
            store.set_pulled(name, &image.id, &bundle.root_document().descriptor)?;
        }
        Ok(bundle.root)
    }

    /// Names what an output named in the store by its digest, too.
    fn name_by_digest(&self, forms: &Forms, images: &[store::Image], output: &Output) -> Outcome<()> {
        let store = self.engine.store()?;
        let root = self.bundle(forms, images, output)?.root_document().descriptor.clone();
        for name in &output.names {
            let canonical = name.with_digest(root.digest);
            store.tag(&name.to_string(), &canonical)?;
            if let [image] = images {
                store.set_pulled(&canonical, &image.id, &root)?;
            }
        }
        Ok(())
    }

    /// The images of all platforms, in the store. `output` names them there, if it says so.
    fn images(&self, forms: &Forms, output: Option<(&Output, bool)>) -> Outcome<Vec<store::Image>> {
        let store = self.engine.store()?;
        let mut images = Vec::with_capacity(self.built.len());
        for built in self.built {
            let mut stack = built.stack.clone();
            let base = &built.lowered.base;
            if let (Some((output, _)), Some(epoch)) = (output, self.epoch)
                && output.rewrite_timestamp
            {
                let latest = Time { seconds: i64::try_from(epoch).unwrap_or(i64::MAX), nanoseconds: 0 };
                let below = base.as_ref().map_or(0, |base| base.config.rootfs.diff_ids.len());
                for id in stack.iter_mut().skip(below) {
                    *id = forms.rewritten(*id, latest)?;
                }
            }
            let names = match output {
                // Of several the index is named.
                Some((output, true)) if self.built.len() == 1 => output.names.clone(),
                _ => Vec::new(),
            };
            let new = export::NewImage {
                config: built.lowered.config.clone(),
                base_history: base.as_ref().map_or(0, |base| base.config.history.len()),
                stack,
                names,
                inline: self.inline.to_vec(),
                epoch: self.epoch.map(|seconds| time::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds))),
            };
            images.push(export::finish(store, forms, new)?);
        }
        Ok(images)
    }

    /// What leaves for an output, with what is stated about it.
    fn bundle(&self, forms: &Forms, images: &[store::Image], output: &Output) -> Outcome<Bundle> {
        self.bundle_telling(forms, images, output, &mut |_: &LayerBlob| Ok(()))
    }

    fn bundle_telling(
        &self,
        forms: &Forms,
        images: &[store::Image],
        output: &Output,
        follower: &mut dyn Follower,
    ) -> Outcome<Bundle> {
        let store = self.engine.store()?;
        let attester = self.attester(output);
        let attester = attester.as_ref().map(|attester| attester as &dyn Attester);
        Ok(Bundle::telling(store, forms, images, &output.packing, attester, follower)?)
    }

    /// Writes what leaves for an output as a layout, layers while they are compressed. Gives what its name stands for.
    fn layout(
        &self,
        forms: &Forms,
        images: &[store::Image],
        output: &Output,
        mut archive: layout::Archive<'_>,
    ) -> Outcome<Descriptor> {
        let make = |follower: &mut dyn Follower| self.bundle_telling(forms, images, output, follower);
        let bundle = dated(archive.follow(forms, make)?, images);
        archive.add(forms, &bundle, &output.names)?;
        archive.finish()?;
        Ok(bundle.root)
    }

    /// Whether something is stated about an output's images. What only images carry makes no index of one image in an
    /// archive, as with BuildKit.
    fn states(&self, output: &Output) -> bool {
        let is_index = self.built.len() > 1 || self.several;
        self.recorder.attests() && (is_index || output.inline_only || !self.recorder.is_inline_only())
    }

    fn attester<'b>(&'b self, output: &'b Output) -> Option<ImageAttester<'b>> {
        let states = output.carries_attestations() && self.states(output);
        states.then(|| self.recorder.attester(&output.names))
    }

    /// Outputs that have no place for attestations lose them.
    fn warn_of_lost_attestations(&self) {
        let loses = |output: &Output| !output.carries_attestations() && output.kind != Kind::CacheOnly;
        if self.recorder.attests() && !self.recorder.is_inline_only() && self.outputs.iter().any(loses) {
            screen::say(
                "warning: an image in a docker archive carries no attestations; those in the store, in registries and \
                 in OCI layouts do",
            );
        }
    }

    fn identify(
        &self,
        forms: &Forms,
        images: &[store::Image],
        output: Option<&Output>,
        written: &mut Written,
    ) -> Outcome<()> {
        if let [image] = images {
            written.config = Some(image.id);
            written.id = written.id.or(Some(image.id));
        } else if written.id.is_none() {
            let bundle = match output {
                Some(output) => self.bundle(forms, images, output)?,
                None => Bundle::new(self.engine.store()?, forms, images, &Packing::default())?,
            };
            written.id = Some(bundle.root.digest);
        }
        Ok(())
    }

    /// The results as folders and tars have them.
    fn files(&self, split: Option<bool>, output: &Output) -> Vec<(&[LayerId], local::Options)> {
        let split = split.unwrap_or(self.built.len() > 1 || self.several);
        let now = time_of(SystemTime::now());
        self.built
            .iter()
            .enumerate()
            .map(|(at, built)| {
                let platform = built.platform.to_string().replace('/', "_");
                let shares = !split && self.built.len() > 1;
                let epoch = self.epoch.map(|seconds| Time {
                    seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
                    nanoseconds: 0,
                });
                let created = self.epoch.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
                let options = local::Options {
                    folder: if split { platform.clone() } else { String::new() },
                    epoch,
                    attestations: self.recorder.attestations(at, &[], created),
                    prefix: output.attestation_prefix.clone(),
                    platform: if shares { platform } else { String::new() },
                    now,
                };
                (&built.stack[..], options)
            })
            .collect()
    }
}

/// A point in time as files have it.
fn time_of(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}

/// Writes an archive; a file appears under its name only when it is whole, and what is no regular file stays one.
fn archive_to<T>(destination: &Destination, write: impl FnOnce(Out<'_>) -> Outcome<T>) -> Outcome<T> {
    match destination {
        Destination::File(path) | Destination::Folder(path) => target::file(path, write),
        Destination::StandardOutput => {
            let out = std::io::stdout().lock();
            target::stream(screen::STANDARD_OUTPUT.as_ref(), out, |out| write(Out::Stream(out)))
        }
    }
}

/// What a layout says of when the images were made.
fn dated(mut bundle: Bundle, images: &[store::Image]) -> Bundle {
    layout::date(&mut bundle, images);
    bundle
}

/// Writes a layout into a folder; what has no name is `latest`, as with BuildKit.
fn write_layout(forms: &Forms, bundle: Bundle, names: &[Reference], folder: &Path) -> Outcome<()> {
    if names.is_empty() {
        let name = LayoutName { folder: folder.to_owned(), tag: Some("latest".to_owned()), digest: None };
        return Ok(layout::write_tagged(forms, &bundle, &name)?);
    }
    Ok(layout::write_folder(forms, &[(bundle, names.to_vec())], folder)?)
}

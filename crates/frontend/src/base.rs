//! What a stage stands on: an image, a folder given as a named context, or nothing; and what `--from` names.

use crate::lower::{Lowering, Purpose};
use crate::names::{Mention, Named, as_named, image};
use crate::options::BaseImage;
use crate::stage::StageState;
use crate::{Error, Result, history};
use dockerfile::lint::{Rule, messages};
use dockerfile::{Span, Spanned};
use graph::{About, Copy, FileAction, FileOp, ImageOp, Location, NodeId, Op};
use oci::{Digest, ImageConfig, Platform};

impl Lowering<'_> {
    /// A stage that stands on no other stage.
    pub(crate) fn on_base(&mut self, index: usize) -> Result<StageState> {
        let from = self.stages[index].from;
        let base = self.expanded_base(index)?;
        let platform = match &from.platform {
            Some(text) => self.parse_platform(text)?,
            None => self.options.platform.clone(),
        };
        let named = match self.context(&base) {
            Some((given, context)) => as_named(given, context),
            None => image(&base, from.base.span)?,
        };
        self.on_named(named, index, platform)
    }

    /// InvalidBaseImagePlatform. What the comment above an instruction skips does not count here, as in BuildKit.
    fn check_platform(&mut self, reference: &str, platform: &Platform, image: &BaseImage, span: Span) {
        let expected = platform.normalised();
        let actual = image.config.platform().normalised();
        if (&expected.os, &expected.architecture) != (&actual.os, &actual.architecture) {
            let message =
                messages::invalid_base_image_platform(reference, &expected.to_string(), &actual.to_string());
            self.findings.report_for_file(Rule::InvalidBaseImagePlatform, message, span);
        }
    }

    fn parse_platform(&self, text: &Spanned<String>) -> Result<Platform> {
        let value = self.global_expand(text)?;
        if value.is_empty() {
            let message = format!("the platform `{}` is empty once its arguments are filled in", text.value);
            let error = Error::at(text.span, message);
            return Err(match self.empty_argument(text, self.stages.len()) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        // `local` is a word of the command line alone.
        if value == "local" {
            return Err(Error::at(text.span, "`local` is no platform")
                .hint("the platform of this machine is `$BUILDPLATFORM`"));
        }
        value.parse().map_err(|error: oci::Error| Error::at(text.span, error.to_string()))
    }

    pub(crate) fn on_named(&mut self, named: Named, index: usize, platform: Platform) -> Result<StageState> {
        let stage = self.stages[index];
        let span = stage.from.base.span;
        match named {
            Named::Stage(_) => unreachable!("a stage's base is asked for before its image"),
            // Of nothing there is one for every platform.
            Named::Image(name) if name == "scratch" => {
                Ok(StageState::on_scratch(self.scratch(), self.options.platform.clone()))
            }
            Named::Image(reference) => {
                let image = self
                    .resolve(&reference, &platform, span)
                    .map_err(|error| self.no_such_base(error, &stage.from.base, index))?;
                self.check_platform(&reference, &platform, &image, span);
                self.doubt(&reference, &platform, span, "FROM ", index);
                let location =
                    Some(self.location(stage.instruction.lines.first, stage.instruction.lines.last));
                let node = self.image_node(&reference, &image, &platform, location);
                let unknown = self.unknown.get(&(reference, platform.clone())).cloned();
                Ok(StageState::on_image(node, image, platform).with_unknown(unknown))
            }
            Named::Remote(name, op) => {
                let node = self.named_remote(&name, *op);
                let mut state = StageState::on_scratch(node, platform);
                state.config.history.push(history::entry(format!("FROM {name} # buildkit"), true));
                Ok(state)
            }
            Named::Local(name) => {
                let inputs = vec![self.scratch(), self.local(&name)];
                let copy = Copy {
                    input: 1,
                    sources: vec!["/".to_owned()],
                    destination: "/".to_owned(),
                    ..Copy::default()
                };
                let op = Op::File(FileOp { actions: vec![FileAction::Copy(copy)] });
                let about = About {
                    name: format!("[context {name}] load as a stage"),
                    slot: format!("context {name}"),
                    no_cache: self.options.no_cache,
                    ..About::default()
                };
                let node = self.graph.add(op, inputs, about);
                let mut state = StageState::on_scratch(node, platform);
                state.config.history.push(history::entry(format!("FROM {name} # buildkit"), true));
                Ok(state)
            }
        }
    }

    /// Names the node of a stage's base as the first of its steps; the first stage of an image names it.
    pub(crate) fn show_base(&mut self, state: &mut StageState) {
        state.at = 0;
        if !state.base_is_image {
            return;
        }
        state.at = 1;
        let reference = state.base.as_ref().map(|base| base.reference.clone()).unwrap_or_default();
        let shown = state.step_name(&format!("FROM {reference}"));
        let about = self.graph.about_mut(state.node);
        if !about.name.starts_with('[') {
            about.name = shown;
        }
    }

    /// What is known of an image; each is resolved once.
    fn resolve(&mut self, reference: &str, platform: &Platform, span: Span) -> Result<BaseImage> {
        let key = (reference.to_owned(), platform.clone());
        if let Some(image) = self.resolved.get(&key) {
            return Ok(image.clone());
        }
        let fail = |source| Error::Image { reference: reference.to_owned(), span, source };
        let image = if self.purpose == Purpose::Build && !self.stranded {
            self.resolver.image(reference, platform).map_err(|error| {
                self.stranded = true;
                fail(error)
            })?
        } else {
            if !reference.starts_with("oci-layout://") {
                reference.parse::<oci::Reference>().map_err(|error| fail(error.into()))?;
            }
            self.resolver.at_hand(reference, platform).unwrap_or_else(|| {
                self.unknown.insert(key.clone());
                nobody_knows(reference, platform)
            })
        };
        self.resolved.insert(key, image.clone());
        Ok(image)
    }

    /// The node of an image that was asked for as `asked`; there is one of each. Its name is given later.
    fn image_node(
        &mut self,
        asked: &str,
        image: &BaseImage,
        platform: &Platform,
        location: Option<Location>,
    ) -> NodeId {
        let key = (image.reference.clone(), platform.clone());
        if let Some(node) = self.images.get(&key) {
            return *node;
        }
        let op = Op::Image(Box::new(ImageOp {
            reference: image.reference.clone(),
            context: self.context_of_layout(asked).map(str::to_owned),
            resolved: image.resolved,
            manifest: image.manifest,
            config: image.id,
            diff_ids: image.config.rootfs.diff_ids.clone(),
            platform: platform.clone(),
        }));
        let node = self.graph.add(op, Vec::new(), About { location, ..About::default() });
        self.images.insert(key, node);
        node
    }

    /// The files that `--from` or a mount's `from` names. Images are those of the target platform.
    pub(crate) fn source(&mut self, mention: &Mention<'_>, index: usize, flag: &str) -> Result<NodeId> {
        match self.named(mention, index)? {
            Named::Stage(stage) => {
                self.captures.takes_from(index, stage);
                Ok(self.stage(stage).node)
            }
            Named::Local(name) => Ok(self.local(&name)),
            Named::Remote(name, op) => Ok(self.named_remote(&name, *op)),
            Named::Image(name) if name == "scratch" => Ok(self.scratch()),
            Named::Image(reference) => {
                let platform = self.options.platform.clone();
                let image = self
                    .resolve(&reference, &platform, mention.span)
                    .map_err(|error| self.no_such_source(error, flag, index))?;
                self.check_platform(&reference, &platform, &image, mention.span);
                self.doubt(&reference, &platform, mention.span, &format!("{flag}="), index);
                let node = self.image_node(&reference, &image, &platform, None);
                let about = self.graph.about_mut(node);
                if about.name.is_empty() {
                    about.name = format!("FROM {}", image.reference);
                }
                Ok(node)
            }
        }
    }
}

/// What stands for an image that was not resolved.
fn nobody_knows(reference: &str, platform: &Platform) -> BaseImage {
    let config = ImageConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        ..ImageConfig::default()
    };
    BaseImage {
        reference: reference.to_owned(),
        resolved: None,
        manifest: None,
        id: Digest::of(reference.as_bytes()),
        config,
    }
}

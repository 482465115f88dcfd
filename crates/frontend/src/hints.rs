//! What helps against an error of lowering, from what stands around it.

use crate::Error;
use crate::lower::{Lowering, Purpose};
use dockerfile::{Diagnostic, MountError, Span, Spanned, Stage, expand::ExpandError, suggest};
use oci::Platform;

/// Images that people build on, for typos.
const IMAGES: [&str; 40] = [
    "almalinux",
    "alpine",
    "amazonlinux",
    "archlinux",
    "bash",
    "busybox",
    "caddy",
    "clojure",
    "composer",
    "debian",
    "docker",
    "eclipse-temurin",
    "elixir",
    "erlang",
    "fedora",
    "golang",
    "gradle",
    "haproxy",
    "haskell",
    "httpd",
    "julia",
    "mariadb",
    "maven",
    "memcached",
    "mongo",
    "mysql",
    "nginx",
    "node",
    "openjdk",
    "perl",
    "php",
    "postgres",
    "python",
    "rabbitmq",
    "redis",
    "rockylinux",
    "ruby",
    "rust",
    "tomcat",
    "ubuntu",
];

impl Lowering<'_> {
    /// An image that FROM names and that is not to be had: perhaps a stage was meant, or another image.
    pub(crate) fn no_such_base(&self, error: Error, written: &Spanned<String>, index: usize) -> Error {
        let Error::Image { reference, .. } = &error else { return error };
        match self.base_hint(reference, written, index) {
            Some(hint) => error.explained().hint(hint),
            None => error,
        }
    }

    /// A check resolves no image, so a stage with a typo in its name is an image to it: worth a word where a stage has
    /// nearly that name. `flag` is what stands before the name.
    pub(crate) fn doubt(
        &mut self,
        reference: &str,
        platform: &Platform,
        span: Span,
        flag: &str,
        index: usize,
    ) {
        let is_word = !reference.contains(['/', ':', '@', '.']) && !IMAGES.contains(&reference);
        if self.purpose == Purpose::Build
            || !is_word
            || !self.unknown.contains(&(reference.to_owned(), platform.clone()))
        {
            return;
        }
        let names: Vec<&str> = self.stages[..index].iter().filter_map(Stage::name).collect();
        if let Some(near) = near_of(reference, &names) {
            let message = format!("`{reference}` is no stage before this one, so it is taken for an image");
            let warning =
                Diagnostic::warning(message, span).with_hint(format!("did you mean `{flag}{near}`?"));
            self.warnings.push(warning);
        }
    }

    fn base_hint(&self, reference: &str, written: &str, index: usize) -> Option<String> {
        // FROM looks for a stage in just this case.
        let names: Vec<&str> = self.stages[..index].iter().filter_map(Stage::name).collect();
        if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(reference)) {
            return Some(format!("the stage is called `{name}`"));
        }
        if let Some(near) = near_of(reference, &names) {
            return Some(format!("did you mean the stage `{near}`?"));
        }
        if let Some(rest) = reference.strip_prefix("https://").or_else(|| reference.strip_prefix("http://")) {
            let name = rest.strip_prefix("hub.docker.com/").map_or(rest, |page| {
                page.strip_prefix("_/").or_else(|| page.strip_prefix("r/")).unwrap_or(page)
            });
            return Some(format!("an image is named without a scheme, as in `{name}`"));
        }
        if reference.ends_with([':', '@']) || reference.contains(":-") {
            let hint = self.empty_argument(written, index);
            return hint.or_else(|| Some("a tag follows the `:`, as in `:latest`".to_owned()));
        }
        let lower = reference.to_lowercase();
        let is_name = |text: &str| text.parse::<oci::Reference>().is_ok();
        if !is_name(reference) && is_name(&lower) {
            return Some(format!("did you mean `{lower}`?"));
        }
        let (repository, tag) = reference.split_at(reference.find([':', '@']).unwrap_or(reference.len()));
        let near = near_of(repository, &IMAGES).map(|near| format!("{near}{tag}"))?;
        is_name(&near).then(|| format!("did you mean `{near}`?"))
    }

    /// What to do about an argument of FROM that has no value there.
    pub(crate) fn empty_argument(&self, written: &str, index: usize) -> Option<String> {
        let expansion = self.lex.expand(written, &|name| self.globals.get(name).map(str::to_owned)).ok()?;
        let name = expansion.unset.first().or(expansion.used.first())?;
        let declares = |stage: &Stage<'_>| {
            stage.instructions.iter().find_map(|one| match &one.command {
                dockerfile::Command::Arg(arg) if arg.args.iter().any(|arg| arg.name.value == **name) => {
                    Some(one.lines.first)
                }
                _ => None,
            })
        };
        if self.globals.is_declared(name) {
            return Some(format!(
                "`{name}` has no value: give its ARG a default, or `--build-arg {name}=...`"
            ));
        }
        if let Some(line) = self.stages[..index].iter().find_map(declares) {
            return Some(format!(
                "FROM sees only the ARGs above the first FROM; move `ARG {name}` of line {line} there"
            ));
        }
        if let Some(near) = suggest::nearest(name, self.globals.names(), true) {
            return Some(format!("did you mean `${near}`?"));
        }
        Some(format!("nothing sets `{name}`: write `ARG {name}=...` above the first FROM"))
    }
}

/// The nearest of a few names, if it is near for its length.
pub(crate) fn near_of(word: &str, names: &[&str]) -> Option<String> {
    (word.len() > 2).then(|| suggest::nearest(word, names.iter().copied(), false)).flatten()
}

/// An error of a mount, at the field that it is about.
pub(crate) fn mount(error: &MountError, text: &str, span: Span) -> Error {
    let about = match error {
        MountError::UnknownKey { key, .. }
        | MountError::NeedsValue { key }
        | MountError::NotForType { key, .. } => key,
        MountError::UnknownType { value, .. }
        | MountError::UnknownSharing { value, .. }
        | MountError::InvalidValue { value, .. } => value,
        _ => "",
    };
    // Only where the flag stands in the file as it was read.
    let at = (span.end - span.start == text.len() && !about.is_empty()).then(|| field(text, about)).flatten();
    let place = at.map_or(span, |at| Span::new(span.start + at, span.start + at + about.len()));
    let hint = match error {
        MountError::UnknownKey { key, .. } if key.is_empty() => {
            Some("a blank ends the flag: write no blanks after the commas".to_owned())
        }
        MountError::UnknownKey { key, .. } if key.contains(':') => {
            Some("fields are written as `type=bind,source=/from,target=/to`".to_owned())
        }
        MountError::UnknownKey { nearest: None, .. } => Some(
            "a mount knows type, source, target, from, id, sharing, required, env, readonly, size, mode, uid and gid"
                .to_owned(),
        ),
        MountError::UnknownType { nearest: None, .. } => {
            Some("the types are bind, cache, tmpfs, secret and ssh".to_owned())
        }
        MountError::SecretWithoutName => Some("write it as `type=secret,id=NAME`".to_owned()),
        _ => None,
    };
    let error = Error::at(place, format!("in `--mount={text}`: {error}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Where a key or a value stands among the fields.
fn field(text: &str, about: &str) -> Option<usize> {
    let mut at = 0;
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        if key.eq_ignore_ascii_case(about) {
            return Some(at);
        }
        if value == about {
            return Some(at + key.len() + 1);
        }
        at += field.len() + 1;
    }
    None
}

/// An error of an expansion, with what helps.
pub(crate) fn expansion(error: &ExpandError, span: Span) -> Error {
    if let ExpandError::Required { name, message } = error {
        let said = if message == "must be set" { String::new() } else { format!(": {message}") };
        let error = Error::at(span, format!("`{name}` must be set{said}"));
        return error.hint(format!("`--build-arg {name}=...` gives an ARG its value"));
    }
    let hint = match error {
        ExpandError::SingleQuote { .. } => Some("close it, or write it as `\"'\"`"),
        ExpandError::DoubleQuote { .. } => Some("close it, or write it as `\\\"`"),
        ExpandError::UnsupportedModifier { .. } => {
            Some("the modifiers are `:-`, `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/` and `//`")
        }
        ExpandError::BadSubstitution { .. } => Some("a variable is written as `$name` or `${name}`"),
        _ => None,
    };
    let error = Error::at(span, error.to_string());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A STOPSIGNAL that is none.
pub(crate) fn signal(signal: &str, span: Span) -> Error {
    const USUAL: [&str; 9] =
        ["SIGTERM", "SIGKILL", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGSTOP"];
    let error = Error::at(span, format!("`{signal}` is no signal"));
    match near_of(signal, &USUAL) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("signals are numbers or names such as SIGTERM and SIGQUIT"),
    }
}

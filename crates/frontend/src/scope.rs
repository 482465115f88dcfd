//! Which names have which values: the global scope before the first FROM, and the scope of a stage.
//!
//! In a stage, ARG and ENV write into one list in the order of the file, so that of one name the later one wins; an
//! entry remembers whether it came from an ARG, because only ENV reaches the image.

use crate::{Error, Options, Result};
use dockerfile::expand::Lex;
use dockerfile::{Dockerfile, Span};
use graph::EnvVar;
use oci::Platform;

/// The predefined arguments of the proxy: usable without ARG, in no key and no history.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// The values of the global scope.
#[derive(Clone, Debug)]
pub(crate) struct Globals {
    values: Vec<(String, String)>,
}

impl Globals {
    /// The platform's arguments, then the ARGs before the first FROM.
    pub(crate) fn new(dockerfile: &Dockerfile, options: &Options) -> Result<Self> {
        let mut globals = Self { values: Vec::new() };
        globals.platform("BUILD", &options.build_platform);
        globals.platform("TARGET", &options.platform);
        globals.set("TARGETSTAGE", options.target.as_deref().unwrap_or("default"));
        let lex = Lex::new(dockerfile.directives.escape);
        for (_, arg) in dockerfile.meta_args() {
            for definition in &arg.args {
                let given = build_arg(options, &definition.name);
                let value = match (given, &definition.default) {
                    (Some(given), _) => Some(given.to_owned()),
                    (None, Some(default)) => Some(
                        lex.expand_word(default, &|name| globals.get(name).map(str::to_owned))
                            .map_err(|error| Error::at(default.span, error.to_string()))?,
                    ),
                    (None, None) => None,
                };
                if let Some(value) = value {
                    globals.set(&definition.name, &value);
                }
            }
        }
        Ok(globals)
    }

    fn platform(&mut self, prefix: &str, platform: &Platform) {
        self.set(&format!("{prefix}PLATFORM"), &platform.to_string());
        self.set(&format!("{prefix}OS"), &platform.os);
        self.set(&format!("{prefix}OSVERSION"), platform.os_version.as_deref().unwrap_or_default());
        self.set(&format!("{prefix}ARCH"), &platform.architecture);
        self.set(&format!("{prefix}VARIANT"), platform.variant.as_deref().unwrap_or_default());
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, place)) => value.clone_into(place),
            None => self.values.push((name.to_owned(), value.to_owned())),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The value of a `--build-arg`; the last of equal names counts.
pub(crate) fn build_arg<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
    options.build_args.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The proxy variables that were given as build arguments, each in both cases.
pub(crate) fn proxies(options: &Options) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, value) in &options.build_args {
        if PROXIES.contains(&name.to_lowercase().as_str()) {
            for name in [name.to_lowercase(), name.to_uppercase()] {
                found.retain(|(known, _): &(String, String)| *known != name);
                found.push((name, value.clone()));
            }
        }
    }
    found
}

/// Whether a name is one of the proxy's.
pub(crate) fn is_proxy(name: &str) -> bool {
    PROXIES.contains(&name.to_lowercase().as_str())
}

/// The scope of a stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    vars: Vec<EnvVar>,
    /// The declared arguments in order, with their values: history shows them.
    declared: Vec<(String, Option<String>)>,
}

impl Scope {
    pub(crate) fn set(&mut self, name: &str, value: &str, arg: bool) {
        let var = EnvVar { name: name.to_owned(), value: value.to_owned(), arg };
        match self.vars.iter_mut().find(|known| known.name == name) {
            Some(place) => *place = var,
            None => self.vars.push(var),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars.iter().find(|var| var.name == name).map(|var| var.value.as_str())
    }

    /// Declares an argument, with its value where it has one.
    pub(crate) fn declare(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = &value {
            self.set(name, value, true);
        }
        self.declared.push((name.to_owned(), value));
    }

    /// What a process sees.
    pub(crate) fn environment(&self) -> Vec<EnvVar> {
        self.vars.clone()
    }

    /// `|2 A=1 B=2 ` before a RUN in history, or nothing without arguments.
    pub(crate) fn history_prefix(&self) -> String {
        let mut shown: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.declared {
            let value = self.get(name).map(str::to_owned).or_else(|| value.clone()).unwrap_or_default();
            match shown.iter_mut().find(|(known, _)| known == name) {
                Some((_, place)) => *place = value,
                None => shown.push((name, value)),
            }
        }
        if shown.is_empty() {
            return String::new();
        }
        let pairs: Vec<String> = shown.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("|{} {} ", pairs.len(), pairs.join(" "))
    }

    /// Expands a word of an instruction.
    pub(crate) fn expand(&self, lex: &Lex, text: &str, span: Span) -> Result<String> {
        lex.expand_word(text, &|name| self.get(name).map(str::to_owned))
            .map_err(|error| Error::at(span, error.to_string()))
    }

    /// Expands a word that may become several.
    pub(crate) fn expand_words(&self, lex: &Lex, text: &str, span: Span) -> Result<Vec<String>> {
        lex.expand_words(text, &|name| self.get(name).map(str::to_owned))
            .map_err(|error| Error::at(span, error.to_string()))
    }
}

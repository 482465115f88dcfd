//! Which names have which values: the global scope before the first FROM, and the scope of a stage.
//!
//! In a stage, ARG and ENV write into one list in the order of the file, so that of one name the later one wins; an
//! entry remembers whether it came from an ARG, because only ENV reaches the image.

use crate::outline::{GlobalArgs, OutlineArg};
use crate::scans::is_switch;
use crate::{Options, Result, hints};
use dockerfile::expand::Lex;
use dockerfile::{Dockerfile, Stage};
use graph::{EnvVar, Environment};
use oci::Platform;
use std::collections::HashMap;

/// The predefined arguments of the proxy: usable without ARG, in no key and no history.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// The values of the global scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    values: Vec<(String, String)>,
    /// The arguments that ARG names before the first FROM, with a value or without.
    declared: Vec<String>,
}

impl Globals {
    /// The platform's arguments, then the ARGs before the first FROM; these also as the outline has them.
    pub(crate) fn new(
        dockerfile: &Dockerfile,
        stages: &[Stage<'_>],
        options: &Options,
    ) -> Result<(Self, GlobalArgs)> {
        Self::with(dockerfile, stages, options, true)
    }

    /// The same as if no build argument were given.
    pub(crate) fn defaults(dockerfile: &Dockerfile, stages: &[Stage<'_>], options: &Options) -> Result<Self> {
        Self::with(dockerfile, stages, options, false).map(|(globals, _)| globals)
    }

    fn with(
        dockerfile: &Dockerfile,
        stages: &[Stage<'_>],
        options: &Options,
        with_build_args: bool,
    ) -> Result<(Self, GlobalArgs)> {
        let (mut globals, mut outline) = (Self::default(), GlobalArgs::default());
        globals.platform("BUILD", &options.build_platform);
        globals.platform("TARGET", &options.platform);
        let last = || stages.last().and_then(Stage::name);
        globals.set("TARGETSTAGE", options.target.as_deref().or_else(last).unwrap_or("default"));
        for (name, value) in &mut globals.values {
            if let Some(given) = build_arg(options, name) {
                given.clone_into(value);
            }
        }
        let lex = Lex::new(dockerfile.directives.escape);
        for (instruction, arg) in dockerfile.meta_args() {
            for definition in &arg.args {
                let name = &definition.name.value;
                let given = if with_build_args { build_arg(options, name) } else { None };
                let mut needs = Vec::new();
                let value = match (given, &definition.default) {
                    (Some(given), _) => Some(given.to_owned()),
                    (None, Some(default)) => {
                        let expansion = lex
                            .expand(default, &|name| globals.get(name).map(str::to_owned))
                            .map_err(|error| hints::expansion(&error, default.span))?;
                        needs = expansion.used;
                        Some(expansion.text)
                    }
                    (None, None) => None,
                };
                let arg = OutlineArg {
                    name: name.clone(),
                    description: definition.description.clone().unwrap_or_default(),
                    value: value.clone().unwrap_or_default(),
                    location: instruction.lines.into(),
                };
                outline.add(arg, needs);
                if let Some(value) = value {
                    globals.set(name, &value);
                }
                globals.declared.push(name.clone());
            }
        }
        Ok((globals, outline))
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

    /// The names of all arguments, with a value or without.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name).chain(&self.declared).map(String::as_str)
    }

    /// Whether an argument of this name is predefined or declared.
    pub(crate) fn is_declared(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// The value of a `--build-arg`; the last of equal names counts.
pub(crate) fn build_arg<'a>(options: &'a Options, name: &str) -> Option<&'a str> {
    options.build_args.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The proxy variables that were given as build arguments, each in both cases. Of two spellings of one name that in
/// lower case counts; an empty value is none.
pub(crate) fn proxies(options: &Options) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in PROXIES {
        let spellings = options.build_args.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let best = spellings.max_by(|a, b| a.0.cmp(&b.0));
        if let Some((_, value)) = best.filter(|(_, value)| !value.is_empty()) {
            found.push((name.to_owned(), value.clone()));
            found.push((name.to_uppercase(), value.clone()));
        }
    }
    found
}

/// Whether a name is one of the proxy's.
pub(crate) fn is_proxy(name: &str) -> bool {
    PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
}

/// The scope of a stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    vars: Vec<EnvVar>,
    /// Where in `vars` a name is.
    places: HashMap<String, usize>,
    /// The same as runs get it.
    environment: Environment,
    /// The declared arguments in order, with their values: history shows them.
    declared: Vec<(String, Option<String>)>,
}

impl Scope {
    pub(crate) fn set(&mut self, name: &str, value: &str, arg: bool) {
        let known = self.places.get(name).map(|place| &self.vars[*place]);
        if known.is_some_and(|known| known.value == value && known.arg == arg) {
            // As all are with which a stage on another begins: its runs share them with those below.
            return;
        }
        let var = EnvVar { name: name.to_owned(), value: value.to_owned(), arg };
        self.environment.set(var.clone());
        match self.places.get(name) {
            Some(place) => self.vars[*place] = var,
            None => {
                self.places.insert(name.to_owned(), self.vars.len());
                self.vars.push(var);
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|place| self.vars[*place].value.as_str())
    }

    /// The names that have a value.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.vars.iter().map(|var| var.name.as_str())
    }

    /// Sets what an image's configuration says, over whatever an ARG said before: so a stage begins.
    pub(crate) fn set_environment(&mut self, env: &[String]) {
        for entry in env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            self.set(name, value, false);
        }
    }

    /// Declares an argument, with its value where it has one.
    pub(crate) fn declare(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value.as_ref().filter(|_| !is_switch(name)) {
            self.set(name, value, true);
        }
        self.declared.push((name.to_owned(), value));
    }

    /// Whether ARG named it, with a value or without.
    pub(crate) fn is_declared(&self, name: &str) -> bool {
        self.declared.iter().any(|(known, _)| known == name)
    }

    /// The value that the last ARG of this name with one gave.
    pub(crate) fn declared_value(&self, name: &str) -> Option<&str> {
        let given = self.declared.iter().rev().filter(|(known, _)| known == name);
        given.filter_map(|(_, value)| value.as_deref()).next()
    }

    /// What a process sees.
    pub(crate) fn environment(&self) -> Environment {
        self.environment.clone()
    }

    /// `|2 A=1 B=2 ` before a RUN in history, or nothing without arguments.
    pub(crate) fn history_prefix(&self) -> String {
        let mut shown: Vec<(&str, &str)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (name, value) in &self.declared {
            let value = self.get(name).or(value.as_deref()).unwrap_or_default();
            let place = *places.entry(name).or_insert(shown.len());
            match shown.get_mut(place) {
                Some(known) => known.1 = value,
                None => shown.push((name, value)),
            }
        }
        if shown.is_empty() {
            return String::new();
        }
        let pairs: Vec<String> = shown.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("|{} {} ", pairs.len(), pairs.join(" "))
    }
}

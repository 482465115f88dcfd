//! What is wrong with a file, found without images, store or network (`build --check`).
//!
//! The file is lowered as for a build, but no image is resolved: a stage stands on an image of which nothing is known.
//! Without a target all stages are looked at, as BuildKit does.
//!
//! | what only the image could tell | what is done |
//! |---|---|
//! | whether it sets a variable that the file does not | told, with a hint, unless [`MetaResolver::environment`] knows that it does, or the name is one that official images set |
//! | what follows from such a variable's value | not told |
//! | its platform, its triggers, its SHELL | taken as usual: the one that is asked for, none, none |

use crate::findings::Findings;
use crate::lower::{Lowering, Purpose};
use crate::{Error, MetaResolver, Options};
use dockerfile::{Diagnostic, Dockerfile, ParseFailure, lint};
use oci::Platform;
use std::collections::HashMap;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The findings of rules, in the order of the file.
    pub findings: Vec<Diagnostic>,
    /// What else is worth telling: warnings that are no rule's.
    pub warnings: Vec<Diagnostic>,
    /// What would end a build, in the order of the file.
    pub errors: Vec<Diagnostic>,
    /// A target that is not there, with the stages there are.
    pub target: Option<(String, Vec<String>)>,
    /// Whether the file wants findings to fail a build (`# check=error=true`).
    pub strict: bool,
}

/// Checks a file. Of `resolver` [`MetaResolver::image`] is not asked.
pub fn check(dockerfile: &Dockerfile, options: &Options, resolver: &dyn MetaResolver) -> Checked {
    // What a build is allowed to do says nothing about the file.
    let options = Options { allow_host_network: true, allow_insecure: true, ..options.clone() };
    let mut checked = Checked::default();
    let purpose = if options.target.is_some() { Purpose::Look } else { Purpose::LookAtAll };
    let mut lowering = match Lowering::new(dockerfile, &options, resolver, purpose) {
        Ok(lowering) => lowering,
        Err(error) => {
            checked.add(error);
            return checked;
        }
    };
    let error = lowering.lower_needed().err();
    lowering.settle();
    checked.strict = lowering.findings.config.error;
    let (findings, warnings) = lowering.all_warnings().into_iter().partition(|one| one.rule.is_some());
    (checked.findings, checked.warnings) = (findings, warnings);
    if let Some(error) = error {
        checked.add(error);
    }
    checked
}

/// Checks what could be read of a file that has faults: these, and what the rules about the file as a whole find.
pub fn check_unread(failure: &ParseFailure, options: &Options) -> Checked {
    let dockerfile = &*failure.dockerfile;
    let mut checked = Checked {
        errors: failure.errors.iter().map(dockerfile::Error::to_diagnostic).collect(),
        warnings: dockerfile.warnings.iter().filter(|one| one.rule.is_none()).cloned().collect(),
        ..Checked::default()
    };
    match Findings::new(dockerfile, options) {
        Ok(findings) => checked.findings = lint::check_file(dockerfile, &findings.config),
        Err(error) => checked.add(error),
    }
    checked
}

impl Checked {
    fn add(&mut self, error: Error) {
        if let Error::Target { target, stages } = error {
            self.target = Some((target, stages));
            return;
        }
        self.errors.extend(error.diagnostics());
    }
}

/// A finding that holds unless an image sets a variable.
#[derive(Debug)]
pub(crate) struct Guess {
    /// The variable.
    pub(crate) name: String,
    /// The image and its platform.
    pub(crate) image: (String, Platform),
    /// The finding.
    pub(crate) finding: Diagnostic,
}

impl Lowering<'_> {
    /// Makes findings of guesses that hold.
    fn settle(&mut self) {
        let mut environments: HashMap<(String, Platform), Option<Vec<String>>> = HashMap::new();
        for guess in std::mem::take(&mut self.findings.guesses) {
            let environment = environments.entry(guess.image.clone()).or_insert_with(|| {
                let (reference, platform) = &guess.image;
                self.resolver.environment(reference, platform)
            });
            let holds = match environment {
                Some(env) => !env.iter().any(|entry| entry.split('=').next() == Some(guess.name.as_str())),
                None => !is_usual(&guess.name),
            };
            if holds {
                let hint = format!(
                    "no image is fetched for a check, so whether `{}` sets `{}` is not known",
                    guess.image.0, guess.name
                );
                let finding = guess.finding;
                let finding = if environment.is_none() { finding.with_hint(hint) } else { finding };
                self.findings.add(finding);
            }
        }
    }
}

/// Whether a variable is one that official images set for those who build on them.
fn is_usual(name: &str) -> bool {
    const USUAL: [&str; 64] = [
        "AIRFLOW_HOME",
        "AIRFLOW_VERSION",
        "APACHE_CONFDIR",
        "APACHE_ENVVARS",
        "APP_UID",
        "ASPNETCORE_HTTP_PORTS",
        "ASPNET_VERSION",
        "BUNDLE_APP_CONFIG",
        "CARGO_HOME",
        "CATALINA_HOME",
        "COMPOSER_HOME",
        "CONDA_DIR",
        "CUDA_VERSION",
        "DENO_DIR",
        "DENO_VERSION",
        "DOTNET_SDK_VERSION",
        "DOTNET_VERSION",
        "ELIXIR_VERSION",
        "ES_HOME",
        "GEM_HOME",
        "GHOST_INSTALL",
        "GOLANG_VERSION",
        "GOPATH",
        "GOROOT",
        "GPG_KEY",
        "GRADLE_HOME",
        "GRADLE_VERSION",
        "HTTPD_PREFIX",
        "HTTPD_VERSION",
        "JAVA_HOME",
        "JAVA_VERSION",
        "JBOSS_HOME",
        "JENKINS_HOME",
        "JETTY_HOME",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "MAVEN_CONFIG",
        "MAVEN_HOME",
        "MYSQL_VERSION",
        "NGINX_VERSION",
        "NJS_VERSION",
        "NODE_VERSION",
        "OTP_VERSION",
        "PGDATA",
        "PG_MAJOR",
        "PG_VERSION",
        "PHPIZE_DEPS",
        "PHP_EXTRA_CONFIGURE_ARGS",
        "PHP_INI_DIR",
        "PHP_VERSION",
        "PYTHON_VERSION",
        "REDIS_VERSION",
        "RUBY_VERSION",
        "RUSTUP_HOME",
        "RUST_VERSION",
        "SCALA_VERSION",
        "SPARK_HOME",
        "TOMCAT_MAJOR",
        "TOMCAT_VERSION",
        "WILDFLY_VERSION",
        "WORDPRESS_VERSION",
        "YARN_VERSION",
    ];
    USUAL.contains(&name)
}

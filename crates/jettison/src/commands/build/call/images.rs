//! Images that the store knows, for a check: it is opened when the first doubt about an image comes up, and never made.

use crate::commands::rootless;
use crate::environment::Environment;
use dockerfile::ignore::Patterns;
use frontend::{BaseImage, BoxError, MetaResolver};
use oci::{ImageConfig, Platform, Reference};
use std::cell::OnceCell;
use store::Store;

/// What a check asks.
pub(super) struct Images {
    environment: Environment,
    patterns: Option<Patterns>,
    store: OnceCell<Option<Store>>,
}

impl Images {
    /// Nothing is opened yet.
    pub(super) fn new(environment: Environment, patterns: Option<Patterns>) -> Self {
        Self { environment, patterns, store: OnceCell::new() }
    }

    /// The store, if there is one that can be read. A check has no quarrel with one that cannot.
    fn store(&self) -> Option<&Store> {
        let open = || {
            let there = self.environment.store_root().join("store.json").exists();
            there.then(|| Store::open(rootless::store_options(&self.environment)).ok()).flatten()
        };
        self.store.get_or_init(open).as_ref()
    }

    /// The configuration of an image that the store knows.
    pub(super) fn config(&self, reference: &str, platform: &Platform) -> Option<ImageConfig> {
        let store = self.store()?;
        let config = match store.image(reference) {
            Ok(Some(image)) => image.config,
            _ => {
                let reference: Reference = reference.parse().ok()?;
                store.base(&reference, &platform.to_string()).ok()??.config
            }
        };
        ImageConfig::parse(&config).ok()
    }
}

impl MetaResolver for Images {
    fn image(&self, reference: &str, _platform: &Platform) -> Result<BaseImage, BoxError> {
        Err(format!("`{reference}` is not resolved for a call").into())
    }

    fn environment(&self, reference: &str, platform: &Platform) -> Option<Vec<String>> {
        Some(self.config(reference, platform)?.config.env)
    }

    fn ignored(&self) -> Option<&Patterns> {
        self.patterns.as_ref()
    }
}

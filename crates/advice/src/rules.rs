//! The rules, a file each.

mod add;
mod copy_before_install;
mod development;
mod ignore;
mod package_cache;
mod repeated;
mod secret;
mod user;
mod whole_builder;

use crate::finding::Finding;
use crate::model::Model;

/// All findings, in no order.
pub(crate) fn check<'a>(model: &Model<'a>) -> Vec<Finding<'a>> {
    let mut found = Vec::new();
    if model.stages.is_empty() {
        return found;
    }
    add::check(model, &mut found);
    copy_before_install::check(model, &mut found);
    development::check(model, &mut found);
    ignore::check(model, &mut found);
    package_cache::check(model, &mut found);
    repeated::check(model, &mut found);
    secret::check(model, &mut found);
    user::check(model, &mut found);
    whole_builder::check(model, &mut found);
    found
}

#[cfg(test)]
mod tests;

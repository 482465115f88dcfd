//! An install in the final stage that a build stage did before: the same manager, of the same packages, on the same
//! base, so that the result can be copied.

use crate::finding::Finding;
use crate::model::{Call, Model, Step};
use crate::packages::{Development, Install, Manager, Scope};
use crate::rule::Rule;

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    let own = &model.stages[model.target];
    if own.parent.is_some() {
        return;
    }
    for (step, call, install) in installs(model, model.target) {
        let earlier = (0..model.target).rev().filter(|stage| model.reached[*stage]).find_map(|stage| {
            let comparable = model.root(stage) == model.root(model.target)
                && model.root(stage).is_some()
                && model.stages[stage].stage.platform() == own.stage.platform();
            let same = |(_, _, other): &(&Step<'_>, &Call, &Install)| {
                other.manager == install.manager
                    && other.development == install.development
                    && other.requirements == install.requirements
            };
            comparable
                .then(|| installs(model, stage).find(same).map(|(_, other, _)| (stage, other)))
                .flatten()
        });
        let Some((stage, other)) = earlier else { continue };
        let name = model.stage_name(stage);
        let message = format!("`{}` installs again what stage {name} has installed", call.invocation.shown());
        let from = name.trim_matches('`');
        let hint = if install.manager.is_node() {
            let folder = other.directory.trim_start_matches('?');
            format!("take it from there: `COPY --from={from} {folder}/node_modules ./node_modules`")
        } else {
            format!("take what it installed from there, with `COPY --from={from}`")
        };
        found.push(Finding::new(
            Rule::InstallRepeatedInFinalStage,
            step.instruction,
            call.invocation.span(),
            message,
            hint,
        ));
        return;
    }
}

/// The installs of the project's packages in a stage, where their result can be copied and what they install is known.
fn installs<'m, 'a>(
    model: &'m Model<'a>,
    stage: usize,
) -> impl Iterator<Item = (&'m Step<'a>, &'m Call, &'m Install)> + use<'m, 'a> {
    let calls = model.steps(stage).flat_map(|step| step.calls.iter().map(move |call| (step, call)));
    calls.filter_map(|(step, call)| {
        let install = call.install.as_ref()?;
        let known = install.development != Development::Unknown
            || (matches!(install.manager, Manager::Pip | Manager::Uv) && !install.requirements.is_empty());
        let sure = call.invocation.certain && install.scope == Scope::Project && known;
        sure.then_some((step, call, install))
    })
}

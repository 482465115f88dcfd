//! The Dockerfile for each platform that is asked for, as one graph.

use super::failure;
use super::resolver::Resolver;
use crate::error::Outcome;
use graph::{About, Graph, NodeId};
use oci::Platform;

/// What the Dockerfile means for a platform.
pub(crate) type ForPlatform = (Platform, frontend::Lowered);

/// Lowers the Dockerfile for each platform, into one graph with a target for each.
pub(crate) fn lower(
    parsed: &dockerfile::Dockerfile,
    options: frontend::Options,
    platforms: Vec<Platform>,
    resolver: &Resolver<'_>,
) -> Outcome<(Graph, Vec<NodeId>, Vec<ForPlatform>)> {
    let several = platforms.len() > 1;
    let mut graph = Graph::new();
    let (mut targets, mut lowered) = (Vec::new(), Vec::new());
    for platform in platforms {
        let options =
            frontend::Options { platform: platform.clone(), show_platform: several, ..options.clone() };
        let mut one = frontend::lower(parsed, &options, resolver)
            .map_err(|error| failure::frontend(&parsed.source, &error))?;
        let own = std::mem::take(&mut one.graph);
        let moved = graph.append(own, &mut |about| match several {
            // What stood in this place before is asked for by it.
            true if !about.slot.is_empty() => About { slot: format!("{platform} {}", about.slot), ..about },
            _ => about,
        });
        targets.push(moved(one.target));
        for scan in &mut one.scans {
            scan.node = moved(scan.node);
        }
        lowered.push((platform, one));
    }
    Ok((graph, targets, lowered))
}

/// The warnings of all platforms, each once.
pub(crate) fn warnings(lowered: &[ForPlatform]) -> Vec<dockerfile::Diagnostic> {
    let mut all: Vec<dockerfile::Diagnostic> = Vec::new();
    for warning in lowered.iter().flat_map(|(_, lowered)| &lowered.warnings) {
        if !all.contains(warning) {
            all.push(warning.clone());
        }
    }
    all
}

//! What differs between two outcomes, without what is known to.

use crate::case::Case;
use crate::shape::Outcome;
use std::collections::BTreeSet;

/// One line for each fault; none if all is well.
pub(crate) fn judge(case: &Case, ours: &Outcome, peer: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known: BTreeSet<&str> = case.known.iter().map(|known| known.at.as_str()).collect();
    match (ours, peer) {
        (Err(ours), Err(peer)) => {
            let fault = match &case.error {
                Some(text) if ours.contains(text.as_str()) => return stale(known),
                Some(text) => format!("both refuse, but `{text}` is not in what we said"),
                None => "both refuse, and case.toml has no `error` for it".to_owned(),
            };
            faults.push(format!("{fault}:\n{ours}\nthe peer said:\n{peer}"));
        }
        (Err(_), Ok(_)) | (Ok(_), Err(_)) if known.remove("outcome") => {}
        (Err(ours), Ok(_)) => faults.push(format!("the peer builds it, we refuse:\n{ours}")),
        (Ok(_), Err(peer)) => faults.push(format!("we build it, the peer refuses:\n{peer}")),
        (Ok(_), Ok(_)) if case.error.is_some() => {
            faults.push("both build it, and case.toml says that it fails".to_owned());
        }
        (Ok(ours), Ok(peer)) => {
            let (ours, peer) = (ours.facts(), peer.facts());
            let places: BTreeSet<&String> = ours.keys().chain(peer.keys()).collect();
            for place in places {
                let (ours, peer) = (ours.get(place), peer.get(place));
                if ours == peer || known.remove(place.as_str()) {
                    continue;
                }
                let nothing = "(nothing)".to_owned();
                faults.push(format!(
                    "{place}\n    peer: {}\n    ours: {}",
                    peer.unwrap_or(&nothing),
                    ours.unwrap_or(&nothing)
                ));
            }
        }
    }
    faults.extend(stale(known));
    faults
}

/// Known differences that are none.
fn stale(known: BTreeSet<&str>) -> Vec<String> {
    known
        .into_iter()
        .map(|place| {
            format!("{place} is a known difference in case.toml, and does not differ: please remove it")
        })
        .collect()
}

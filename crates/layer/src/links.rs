//! Numbers of link groups.

use crate::{Entry, Kind};
use std::collections::HashMap;

/// Numbers link groups from 1 by their first entry; a group of one is none.
pub(crate) fn renumber(entries: &mut [Entry]) {
    let mut groups: HashMap<u32, (u32, u32)> = HashMap::new();
    for entry in entries.iter() {
        if let Kind::File { link, .. } = entry.kind
            && link != 0
        {
            groups.entry(link).or_default().0 += 1;
        }
    }
    if groups.is_empty() {
        return;
    }
    let mut last = 0;
    for entry in entries {
        if let Kind::File { link, .. } = &mut entry.kind
            && let Some((count, number)) = groups.get_mut(link)
        {
            if *count > 1 && *number == 0 {
                last += 1;
                *number = last;
            }
            *link = *number;
        }
    }
}

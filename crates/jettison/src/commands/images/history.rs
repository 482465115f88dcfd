//! `history`: the instructions of an image, newest first.

use crate::environment::Environment;
use crate::error::Outcome;
use crate::pulling::Shown;
use crate::{screen, table, template, time};
use clap::Args;
use oci::{ImageConfig, Platform};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Show the history of an image.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Its name or id, or `oci-layout://FOLDER[:TAG]`
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Write sizes and times for people; with `false` as bytes and dates
    #[arg(short = 'H', long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    human: bool,
    /// Show everything, however long
    #[arg(long)]
    no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    quiet: bool,
    /// The image for this platform, where the name stands for several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// `table`, `json`, `table TEMPLATE` or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// The longest command in a table.
const LONGEST: usize = 45;

/// Runs `history`.
pub(crate) fn history(args: &HistoryArgs, environment: Environment) -> Outcome {
    let engine = super::local(environment);
    let Shown { image, sizes } = engine.shown(&args.image, args.platform.as_ref())?;
    let config = ImageConfig::parse(&image.config)?;
    let mut layer = 0;
    let mut rows: Vec<Value> = Vec::with_capacity(config.history.len());
    let last = config.history.len().saturating_sub(1);
    for (at, entry) in config.history.iter().enumerate() {
        let size = if entry.empty_layer {
            0
        } else {
            layer += 1;
            sizes.get(layer - 1).copied().unwrap_or(0)
        };
        let id = match at == last {
            true if args.no_trunc => image.id.to_string(),
            true => image.id.short(),
            false => "<missing>".to_owned(),
        };
        let by = entry.created_by.as_deref().unwrap_or_default().replace('\t', " ");
        let made = entry.created.as_deref().and_then(time::parse);
        let date = made.map_or_else(|| "N/A".to_owned(), time::rfc3339);
        let since = made.map_or_else(|| "N/A".to_owned(), time::ago);
        rows.push(json!({
            "Comment": entry.comment.as_deref().unwrap_or_default(),
            "CreatedAt": date,
            "CreatedBy": if args.no_trunc { by } else { shortened(&by, LONGEST) },
            "CreatedSince": if args.human { since } else { date.clone() },
            "ID": id,
            "Size": if args.human { table::size(size) } else { size.to_string() },
        }));
    }
    rows.reverse();
    let format = match args.format.as_deref() {
        Some(format) if format != "table" => format,
        _ if args.quiet => "{{.ID}}",
        _ => "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    };
    let created = if args.human { "CREATED" } else { "CREATED AT" };
    let headings = [
        ("ID", "IMAGE"),
        ("CreatedSince", created),
        ("CreatedBy", "CREATED BY"),
        ("CreatedAt", "CREATED AT"),
    ];
    screen::out(&template::list(format, &rows, &headings)?);
    Ok(0)
}

/// The beginning of a text, with an ellipsis where something was left out.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

/// A point in time as Docker's lists show it: `2026-11-21 12:00:00 +0000 UTC`.
pub(crate) fn stamp(at: SystemTime) -> String {
    let text = time::rfc3339(at);
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    let clock = clock.trim_end_matches('Z').split('.').next().unwrap_or_default();
    format!("{date} {clock} +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_cut_by_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert_eq!(stamp(SystemTime::UNIX_EPOCH), "1970-01-01 00:00:00 +0000 UTC");
    }
}

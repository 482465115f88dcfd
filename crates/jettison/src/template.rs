//! Templates of `--format`: the part of Go's text/template that people use there, over JSON values.
//!
//! ```text
//! text {{pipeline}} text {{if p}}..{{else if p}}..{{else}}..{{end}} {{range $k, $v := p}}..{{else}}..{{end}}
//! {{with p}}..{{end}} {{$x := p}} {{/* remark */}} {{- trims -}}
//! pipeline: operand or function with arguments, handed on by |
//! operand: . .A.B $ $x.A "text" `text` 12 true nil (pipeline)
//! functions: json join lower upper title split len index slice print printf println eq ne lt le gt ge and or not
//!            trim truncate pad replace html urlquery
//! ```
//!
//! A field that an object has not is an error, as in Go; a key that a map has not prints `<no value>`. As JSON knows no
//! difference, objects whose keys are data (labels, ports) are named in [`MAPS`], and a name in lower case is a key.

mod eval;
mod parse;
mod value;

use crate::error::{CommandError, Outcome, USAGE};
use crate::table::Table;
use serde_json::Value;

/// A template that was read.
#[derive(Debug)]
pub(crate) struct Template {
    source: String,
    nodes: Vec<parse::Node>,
}

impl Template {
    /// Reads a template. `\t` and `\n` mean tab and line end, as in Docker's `--format`.
    pub(crate) fn parse(source: &str) -> Outcome<Self> {
        let unescaped = source.replace("\\t", "\t").replace("\\n", "\n");
        let nodes = parse::parse(&unescaped).map_err(|reason| wrong(source, &reason).with_code(USAGE))?;
        Ok(Self { source: source.to_owned(), nodes })
    }

    /// Fills it with a value.
    pub(crate) fn render(&self, value: &Value) -> Outcome<String> {
        eval::render(&self.nodes, value, false).map_err(|reason| wrong(&self.source, &reason))
    }

    /// The same where `json` writes several lines, as buildx's does.
    pub(crate) fn render_wide(&self, value: &Value) -> Outcome<String> {
        eval::render(&self.nodes, value, true).map_err(|reason| wrong(&self.source, &reason))
    }
}

fn wrong(source: &str, reason: &str) -> CommandError {
    CommandError::new(format!("the template `{source}` cannot be used: {reason}"))
}

/// Fills one template with one value.
pub(crate) fn render(template: &str, value: &Value) -> Outcome<String> {
    Template::parse(template)?.render(value)
}

/// A list as `--format` asks for it: `json` gives an object a line, `table T` a table whose headings are the fields'
/// names, any other template a line for each row. `headings` gives a field its heading; one that is not there gets its
/// name in capitals.
pub(crate) fn list(format: &str, rows: &[Value], headings: &[(&str, &str)]) -> Outcome<String> {
    if format == "json" {
        return Ok(rows.iter().map(|row| format!("{row}\n")).collect());
    }
    let Some(columns) = format.strip_prefix("table ") else {
        let template = Template::parse(format)?;
        let mut text = String::new();
        for row in rows {
            text.push_str(&template.render(row)?);
            text.push('\n');
        }
        return Ok(text);
    };
    let columns = columns.replace("\\t", "\t");
    let titles: Vec<String> = columns.split('\t').map(|column| heading(column, headings)).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let template = Template::parse(&columns)?;
    let mut table = Table::new(&titles);
    for row in rows {
        table.row(template.render(row)?.split('\t').map(str::to_owned).collect());
    }
    Ok(table.text())
}

/// The heading of a column: its text with each `{{.Field}}` replaced by the field's heading.
fn heading(column: &str, headings: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = column;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else { break };
        text.push_str(before);
        let field = inside.split('.').nth(1).unwrap_or(inside);
        let field: String = field.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match headings.iter().find(|(name, _)| *name == field) {
            Some((_, title)) => text.push_str(title),
            None => text.push_str(&field.to_uppercase()),
        }
        rest = behind;
    }
    text.push_str(rest);
    text
}

/// Objects under these names have keys that are data: one that is not there is no error.
const MAPS: &[&str] = &[
    "Labels",
    "ExposedPorts",
    "Volumes",
    "Ports",
    "PortBindings",
    "Networks",
    "Options",
    "Annotations",
    "Sysctls",
    "Tmpfs",
    "LogConfig",
    "Metadata",
    "Data",
];

/// Fields that Docker's types have and its JSON leaves out where they are empty; with what Go prints for them then.
const OPTIONAL: &[(&str, &str)] = &[
    ("StopSignal", ""),
    ("StopTimeout", "<nil>"),
    ("Healthcheck", "<nil>"),
    ("Health", "<nil>"),
    ("Shell", "[]"),
    ("ArgsEscaped", "false"),
    ("ExposedPorts", "map[]"),
    ("Variant", ""),
    ("OsVersion", ""),
    ("Error", ""),
    ("MacAddress", ""),
    ("DomainName", ""),
    ("SLSA", "<nil>"),
    ("SPDX", "<nil>"),
    ("AdditionalSPDXs", "[]"),
];

/// The same for the mounts of a container: fields that only volumes have.
const OF_MOUNTS: &[&str] = &["Name", "Driver"];

/// What Go prints for a field that is empty: it knows its type, and JSON only says `null`.
const EMPTY: &[(&str, &str)] = &[
    ("Cmd", "[]"),
    ("Entrypoint", "[]"),
    ("Env", "[]"),
    ("OnBuild", "[]"),
    ("Shell", "[]"),
    ("Args", "[]"),
    ("Binds", "[]"),
    ("Mounts", "[]"),
    ("CapAdd", "[]"),
    ("CapDrop", "[]"),
    ("Dns", "[]"),
    ("RepoTags", "[]"),
    ("RepoDigests", "[]"),
    ("Labels", "map[]"),
    ("Volumes", "map[]"),
    ("ExposedPorts", "map[]"),
    ("PortBindings", "map[]"),
    ("Ports", "map[]"),
    ("Options", "map[]"),
];

#[cfg(test)]
mod tests;

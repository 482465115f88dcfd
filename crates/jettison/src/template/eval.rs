//! Fills a template's nodes with a value.

use super::parse::{Command, Node, Operand};
use super::value::{equal, order, printf, show, truth};
use super::{EMPTY, MAPS, OF_MOUNTS, OPTIONAL};
use serde_json::{Map, Value};

/// The most that a template may print, in bytes.
const MOST: usize = 64 << 20;

/// Fills the nodes.
pub(super) fn render(nodes: &[Node], value: &Value, wide: bool) -> Result<String, String> {
    let mut scope = Scope { out: String::new(), variables: vec![(String::new(), value.clone())], wide };
    scope.nodes(nodes, value)?;
    Ok(scope.out)
}

struct Scope {
    out: String,
    variables: Vec<(String, Value)>,
    /// Whether `json` writes several lines.
    wide: bool,
}

impl Scope {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        let known = self.variables.len();
        for node in nodes {
            if self.out.len() > MOST {
                return Err("it prints too much".to_owned());
            }
            self.node(node, dot)?;
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), String> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                match (&value, field_of(pipeline)) {
                    (Value::Null, Some(field)) => self.out.push_str(empty(field)),
                    _ => self.out.push_str(&show(&value)),
                }
            }
            Node::Set(name, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.variables.push((name.clone(), value));
            }
            Node::If(condition, yes, no) => {
                let chosen = if truth(&self.pipeline(condition, dot)?) { yes } else { no };
                self.nodes(chosen, dot)?;
            }
            Node::With(name, pipeline, yes, no) => {
                let value = self.pipeline(pipeline, dot)?;
                if !truth(&value) {
                    return self.nodes(no, dot);
                }
                let known = self.variables.len();
                if let Some(name) = name {
                    self.variables.push((name.clone(), value.clone()));
                }
                self.nodes(yes, &value)?;
                self.variables.truncate(known);
            }
            Node::Range { key, value, over, body, empty } => {
                let entries: Vec<(Value, Value)> = match self.pipeline(over, dot)? {
                    Value::Null => Vec::new(),
                    Value::Array(items) => {
                        items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect()
                    }
                    Value::Object(fields) => {
                        let mut entries: Vec<_> = fields.into_iter().collect();
                        entries.sort_by(|a, b| a.0.cmp(&b.0));
                        entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
                    }
                    other => {
                        return Err(format!("`range` goes over lists and maps, not over `{}`", show(&other)));
                    }
                };
                if entries.is_empty() {
                    return self.nodes(empty, dot);
                }
                let known = self.variables.len();
                for (at, item) in entries {
                    self.variables.extend(key.iter().map(|name| (name.clone(), at.clone())));
                    self.variables.extend(value.iter().map(|name| (name.clone(), item.clone())));
                    self.nodes(body, &item)?;
                    self.variables.truncate(known);
                }
            }
        }
        Ok(())
    }

    fn pipeline(&self, commands: &[Command], dot: &Value) -> Result<Value, String> {
        let mut last: Option<Value> = None;
        for Command { function, arguments } in commands {
            let mut values = arguments.iter().map(|a| self.operand(a, dot)).collect::<Result<Vec<_>, _>>()?;
            values.extend(last.take());
            last = Some(match function.as_deref() {
                Some("json") if self.wide && values.len() == 1 => format!("{:#}", values[0]).into(),
                Some(name) => call(name, values)?,
                None if values.len() > 1 => {
                    return Err("a value takes no arguments; only functions do".to_owned());
                }
                None => values.pop().unwrap_or(Value::Null),
            });
        }
        Ok(last.unwrap_or(Value::Null))
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Field(names) => fields(dot, names),
            Operand::Variable(name, names) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = found.ok_or_else(|| format!("the variable `${name}` is not set"))?;
                fields(value, names)
            }
            Operand::Nested(pipeline, names) => fields(&self.pipeline(pipeline, dot)?, names),
        }
    }
}

/// The field that an action prints, where it prints nothing but a field.
fn field_of(pipeline: &[Command]) -> Option<&str> {
    let [Command { function: None, arguments }] = pipeline else { return None };
    match &arguments[..] {
        [Operand::Field(names) | Operand::Variable(_, names)] => names.last().map(String::as_str),
        _ => None,
    }
}

/// What is printed for a field that is `null`.
fn empty(field: &str) -> &'static str {
    let known = EMPTY.iter().chain(OPTIONAL).find(|(name, _)| *name == field);
    known.map_or("<no value>", |(_, shown)| shown)
}

/// Documents of images have their fields in lower case, and templates name them as Go's structs do: `.Manifest.Digest`,
/// `.Image.RootFS.DiffIDs` for `diff_ids`, `.Platform.OSVersion` for `os.version`.
fn in_lower_case<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let same = |key: &str| {
        let letters = key.bytes().filter(|byte| !matches!(byte, b'_' | b'.'));
        key.starts_with(|c: char| c.is_ascii_lowercase())
            && letters
                .map(|byte| byte.to_ascii_lowercase())
                .eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
    };
    fields.iter().find(|(key, _)| same(key)).map(|(_, value)| value)
}

/// Whether a field that is not there may be missing: a name in lower case is no field of a struct but a key of a map, as
/// documents are that have others in lower case, too.
fn is_key(fields: &Map<String, Value>, name: &str) -> bool {
    let in_lower_case = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
    in_lower_case(name) && (fields.is_empty() || fields.keys().any(|key| in_lower_case(key)))
}

/// `.A.B` of a value.
fn fields(value: &Value, names: &[String]) -> Result<Value, String> {
    let mut at = value;
    let mut below_map = false;
    for name in names {
        match at {
            Value::Object(fields) => match fields.get(name).or_else(|| in_lower_case(fields, name)) {
                Some(next) => {
                    below_map = MAPS.contains(&name.as_str());
                    at = next;
                }
                None if below_map
                    || is_key(fields, name)
                    || OPTIONAL.iter().any(|(optional, _)| optional == name) =>
                {
                    return Ok(Value::Null);
                }
                None if OF_MOUNTS.contains(&name.as_str()) && fields.contains_key("Destination") => {
                    return Ok(Value::String(String::new()));
                }
                None => {
                    let mut known: Vec<&str> = fields.keys().map(String::as_str).collect();
                    known.sort_unstable();
                    return Err(format!("there is no field `{name}`; there are {}", known.join(", ")));
                }
            },
            Value::Null => return Ok(Value::Null),
            other => return Err(format!("`{}` has no field `{name}`", show(other))),
        }
    }
    Ok(at.clone())
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("`{name}` takes a text, not `{}`", show(value)))
}

fn count(name: &str, value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("`{name}` takes a number, not `{}`", show(value)))
}

fn call(name: &str, mut values: Vec<Value>) -> Result<Value, String> {
    let arguments = |wanted: usize| match values.len() {
        given if given == wanted => Ok(()),
        given => Err(format!("`{name}` takes {wanted} values, not {given}")),
    };
    let string = |text: String| Ok(Value::String(text));
    match name {
        "json" => arguments(1).and_then(|()| string(values[0].to_string())),
        "upper" => arguments(1).and_then(|()| string(text(name, &values[0])?.to_uppercase())),
        "lower" => arguments(1).and_then(|()| string(text(name, &values[0])?.to_lowercase())),
        "trim" => arguments(1).and_then(|()| string(text(name, &values[0])?.trim().to_owned())),
        "title" => {
            arguments(1)?;
            let mut before = ' ';
            let title = text(name, &values[0])?.chars().map(|c| {
                let first = !before.is_alphanumeric();
                before = c;
                if first { c.to_uppercase().next().unwrap_or(c) } else { c }
            });
            string(title.collect())
        }
        "html" => {
            arguments(1)?;
            let text = show(&values[0]);
            string(
                text.replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
                    .replace('"', "&#34;")
                    .replace('\'', "&#39;"),
            )
        }
        "print" => string(values.iter().map(show).collect()),
        "println" => {
            let shown: Vec<String> = values.iter().map(show).collect();
            string(format!("{}\n", shown.join(" ")))
        }
        "printf" => match values.split_first() {
            Some((format, rest)) => string(printf(text(name, format)?, rest)?),
            None => Err("`printf` needs a format".to_owned()),
        },
        "join" => {
            arguments(2)?;
            let separator = text(name, &values[1])?;
            let Value::Array(items) = &values[0] else {
                if values[0].is_null() {
                    return string(String::new());
                }
                return Err(format!("`join` takes a list, not `{}`", show(&values[0])));
            };
            let shown: Vec<String> = items.iter().map(show).collect();
            string(shown.join(separator))
        }
        "split" => {
            arguments(2)?;
            let (whole, separator) = (text(name, &values[0])?, text(name, &values[1])?);
            Ok(whole.split(separator).map(Value::from).collect::<Vec<_>>().into())
        }
        "replace" => {
            arguments(3)?;
            string(text(name, &values[2])?.replace(text(name, &values[0])?, text(name, &values[1])?))
        }
        "truncate" => {
            arguments(2)?;
            let most = count(name, &values[1])?;
            string(text(name, &values[0])?.chars().take(most).collect())
        }
        "pad" => {
            arguments(3)?;
            let (before, after) =
                (count(name, &values[1])?.min(1 << 10), count(name, &values[2])?.min(1 << 10));
            string(format!("{}{}{}", " ".repeat(before), text(name, &values[0])?, " ".repeat(after)))
        }
        "len" => {
            arguments(1)?;
            Ok(match &values[0] {
                Value::Null => 0,
                Value::String(text) => text.len(),
                Value::Array(items) => items.len(),
                Value::Object(fields) => fields.len(),
                other => return Err(format!("`len` takes a text, list or map, not `{}`", show(other))),
            }
            .into())
        }
        "index" => {
            if values.is_empty() {
                return Err("`index` needs a value".to_owned());
            }
            let mut value = values.remove(0);
            for key in values {
                value = index(value, &key)?;
            }
            Ok(value)
        }
        "slice" => {
            if values.is_empty() {
                return Err("`slice` needs a value".to_owned());
            }
            let value = values.remove(0);
            let bounds = values.iter().map(|bound| count(name, bound)).collect::<Result<Vec<_>, _>>()?;
            slice(&value, &bounds)
        }
        "not" => arguments(1).map(|()| (!truth(&values[0])).into()),
        "and" | "or" => {
            let last = values.pop().ok_or_else(|| format!("`{name}` needs a value"))?;
            Ok(values.into_iter().find(|value| truth(value) == (name == "or")).unwrap_or(last))
        }
        "eq" => match values.split_first() {
            Some((first, rest)) if !rest.is_empty() => {
                Ok(rest.iter().any(|other| equal(first, other)).into())
            }
            _ => Err("`eq` takes at least 2 values".to_owned()),
        },
        "ne" => arguments(2).map(|()| (!equal(&values[0], &values[1])).into()),
        "lt" => arguments(2).and_then(|()| Ok(order(&values[0], &values[1])?.is_lt().into())),
        "le" => arguments(2).and_then(|()| Ok(order(&values[0], &values[1])?.is_le().into())),
        "gt" => arguments(2).and_then(|()| Ok(order(&values[0], &values[1])?.is_gt().into())),
        "ge" => arguments(2).and_then(|()| Ok(order(&values[0], &values[1])?.is_ge().into())),
        _ => Err(format!("the function `{name}` is not known")),
    }
}

fn index(value: Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Object(fields), Value::String(key)) => Ok(fields.get(key).cloned().unwrap_or(Value::Null)),
        (Value::Array(items), Value::Number(_)) => {
            let at = count("index", key)?;
            let length = items.len();
            items.get(at).cloned().ok_or_else(|| format!("`index` asks for item {at} of a list of {length}"))
        }
        (Value::String(text), Value::Number(_)) => {
            let at = count("index", key)?;
            let byte =
                text.as_bytes().get(at).ok_or_else(|| format!("`index` asks for byte {at} of `{text}`"))?;
            Ok((*byte).into())
        }
        (value, key) => Err(format!("`index` cannot look up `{}` in `{}`", show(key), show(&value))),
    }
}

fn slice(value: &Value, bounds: &[usize]) -> Result<Value, String> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("`slice` takes a text or list, not `{}`", show(other))),
    };
    let (start, end) = (bounds.first().copied().unwrap_or(0), bounds.get(1).copied().unwrap_or(length));
    let outside = || format!("`slice` asks for {start} to {end} of a length of {length}");
    match value {
        Value::Array(items) => Ok(items.get(start..end).ok_or_else(outside)?.to_vec().into()),
        _ => Ok(value.as_str().and_then(|text| text.get(start..end)).ok_or_else(outside)?.into()),
    }
}

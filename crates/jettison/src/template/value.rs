//! How values are printed and compared, as Go prints them.

use serde_json::Value;
use std::cmp::Ordering;
use std::fmt::Write as _;

/// `print`: texts as they are, lists as `[a b]`, objects as `map[k:v]` with sorted keys.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        other => inner(other),
    }
}

fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inner).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            let mut text = "map[".to_owned();
            for (at, (key, value)) in keys.into_iter().enumerate() {
                let gap = if at == 0 { "" } else { " " };
                let _ = write!(text, "{gap}{key}:{}", inner(value));
            }
            text.push(']');
            text
        }
    }
}

/// What `if` goes by.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Compares two texts or two numbers.
pub(super) fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    let pair = match (a, b) {
        (Value::String(a), Value::String(b)) => return Ok(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64().zip(b.as_f64()),
        _ => None,
    };
    pair.and_then(|(a, b)| a.partial_cmp(&b))
        .ok_or_else(|| format!("`{}` and `{}` cannot be compared", show(a), show(b)))
}

/// Whether two values are equal; numbers by value.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    a == b || matches!((a, b), (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64())
}

/// Go's `Printf` with the verbs %s %v %d %q %t %x %f %%, widths and `-`.
pub(super) fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut left = false;
        let mut zero = false;
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
            left |= flag == '-';
            zero |= flag == '0';
        }
        let mut number = || {
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse::<usize>().ok().map(|n| n.min(1 << 10))
        };
        let width = number();
        let precision = if chars.next_if_eq(&'.').is_some() {
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            Some(digits.parse::<usize>().unwrap_or(0).min(1 << 10))
        } else {
            None
        };
        let verb = chars.next().ok_or("a `%` at the end of printf's format")?;
        if verb == '%' {
            text.push('%');
            continue;
        }
        let argument = arguments.next().ok_or_else(|| format!("printf has no value for `%{verb}`"))?;
        let shown = match (verb, argument) {
            ('s' | 'v', value) => {
                let shown = show(value);
                precision.map_or(shown.clone(), |most| shown.chars().take(most).collect())
            }
            ('q', value) => Value::String(show(value)).to_string(),
            ('d', Value::Number(number)) => number.to_string(),
            ('t', Value::Bool(value)) => value.to_string(),
            ('x', Value::Number(number)) if number.is_i64() || number.is_u64() => {
                format!("{:x}", number.as_i64().unwrap_or_default())
            }
            ('x', Value::String(value)) => value.bytes().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }),
            ('f', Value::Number(number)) => {
                format!("{:.*}", precision.unwrap_or(6), number.as_f64().unwrap_or_default())
            }
            (verb, value) => return Err(format!("printf's `%{verb}` does not take `{}`", show(value))),
        };
        let missing = width.unwrap_or(0).saturating_sub(shown.chars().count());
        let fill = if zero && !left { "0" } else { " " }.repeat(missing);
        text.push_str(&if left { format!("{shown}{fill}") } else { format!("{fill}{shown}") });
    }
    match arguments.next() {
        Some(_) => Err("printf has more values than verbs".to_owned()),
        None => Ok(text),
    }
}

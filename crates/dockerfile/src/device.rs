//! `RUN --device`: a CDI device, `name[,required]`.

use crate::{csv, number, suggest};

/// A device that a step asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The CDI name, as in `vendor.com/class=name`.
    pub name: String,
    /// Whether the step fails without it.
    pub required: bool,
}

/// What is wrong with a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is described by its message, each field by its name in it")]
pub enum DeviceError {
    #[error("the fields of `{text}` cannot be told apart: a quote is misplaced")]
    Fields { text: String },
    #[error("`{field}` needs to be key=value")]
    NeedsValue { field: String },
    #[error("the name is given twice (`{first}` and `{second}`)")]
    NamedTwice { first: String, second: String },
    #[error("`{value}` is no value for `required`, which takes `true` or `false`")]
    InvalidRequired { value: String },
    #[error("unknown key `{key}`{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey { key: String, nearest: Option<String> },
}

impl Device {
    /// Reads the value of a `--device` flag. The first field that is no known key is the name.
    pub fn parse(text: &str) -> Result<Device, DeviceError> {
        let fields = csv::fields(text).ok_or_else(|| DeviceError::Fields { text: text.to_owned() })?;
        let mut device = Device::default();
        for field in fields {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
                None => (field.to_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("required", None) => device.required = true,
                ("required", Some(value)) => {
                    device.required =
                        number::boolean(&value).ok_or(DeviceError::InvalidRequired { value })?;
                }
                ("name", Some(second)) if !device.name.is_empty() => {
                    return Err(DeviceError::NamedTwice { first: device.name, second });
                }
                ("name", Some(value)) => device.name = value,
                _ if device.name.is_empty() => device.name = field,
                (_, None) => return Err(DeviceError::NeedsValue { field }),
                _ => {
                    let nearest = suggest::nearest(&key, ["name", "required"], true);
                    return Err(DeviceError::UnknownKey { key, nearest });
                }
            }
        }
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys() {
        let device = |text| Device::parse(text).unwrap();
        assert_eq!(
            device("vendor.com/gpu=0,required"),
            Device { name: "vendor.com/gpu=0".into(), required: true }
        );
        assert_eq!(
            device("name=vendor.com/gpu=0"),
            Device { name: "vendor.com/gpu=0".into(), required: false }
        );
        assert_eq!(Device::parse("a,b").unwrap_err().to_string(), "`b` needs to be key=value");
        assert_eq!(
            Device::parse("a,requird=1").unwrap_err().to_string(),
            "unknown key `requird`; did you mean `required`?"
        );
    }
}

//! Files of the Container Device Interface (CDI, version 1.0 of its specification), as JSON or YAML.
//!
//! ```text
//! cdiVersion: "0.6.0"
//! kind: vendor.com/class
//! devices:
//!   - name: "0"
//!     containerEdits:
//!       deviceNodes: [{path: /dev/x0, hostPath: /dev/x0}]
//! containerEdits:
//!   env: [X=1]
//! ```

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use yaml_rust2::{Yaml, YamlLoader};

/// The largest file that is read: 1 MiB.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Deeper nesting is no specification.
const MAX_DEPTH: usize = 16;

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) devices: Vec<Device>,
    /// What holds for all its devices.
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// One device.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// What a device does to a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Edits {
    pub(crate) env: Vec<String>,
    pub(crate) device_nodes: Vec<DeviceNode>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) hooks: Vec<Value>,
    #[serde(rename = "additionalGids")]
    pub(crate) additional_gids: Vec<u32>,
    #[serde(rename = "intelRdt")]
    pub(crate) intel_rdt: Option<Value>,
    pub(crate) net_devices: Vec<Value>,
}

/// A node of `/dev`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceNode {
    pub(crate) path: PathBuf,
    pub(crate) host_path: Option<PathBuf>,
}

/// A file or folder of the host.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) host_path: PathBuf,
    pub(crate) container_path: PathBuf,
    #[serde(default)]
    pub(crate) options: Vec<String>,
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
}

impl Spec {
    /// Reads a file, whose name says whether it is JSON.
    pub(super) fn parse(text: &str, is_json: bool) -> Result<Self, String> {
        let value = if is_json {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
            json(documents.first().ok_or("it is empty")?, 0)?
        };
        let spec: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        match spec.kind.split_once('/') {
            Some((vendor, class)) if !vendor.is_empty() && !class.is_empty() => Ok(spec),
            _ => Err(format!("its kind `{}` is not vendor/class", spec.kind)),
        }
    }
}

/// YAML as the JSON that it stands for.
fn json(yaml: &Yaml, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deeply".to_owned());
    }
    Ok(match yaml {
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Real(number) => number.parse::<f64>().map(Value::from).unwrap_or_default(),
        Yaml::Boolean(value) => Value::from(*value),
        Yaml::Array(values) => {
            values.iter().map(|value| json(value, depth + 1)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Yaml::Hash(pairs) => {
            let mut object = serde_json::Map::new();
            for (key, value) in pairs {
                let key = key.as_str().ok_or("a key is no text")?;
                object.insert(key.to_owned(), json(value, depth + 1)?);
            }
            object.into()
        }
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "---
cdiVersion: \"0.6.0\"
kind: test.com/dev
annotations:
  a: b
devices:
- name: \"0\"
  containerEdits:
    deviceNodes:
    - path: /dev/x
      hostPath: /dev/null
      fileMode: 438
    mounts:
    - {hostPath: /a, containerPath: /b, options: [ro, nosuid]}
containerEdits:
  env:
  - A=1
";
        let json = r#"{"cdiVersion":"0.6.0","kind":"test.com/dev","annotations":{"a":"b"},"devices":[{"name":"0",
            "containerEdits":{"deviceNodes":[{"path":"/dev/x","hostPath":"/dev/null","fileMode":438}],
            "mounts":[{"hostPath":"/a","containerPath":"/b","options":["ro","nosuid"]}]}}],
            "containerEdits":{"env":["A=1"]}}"#;
        let (yaml, json) = (Spec::parse(yaml, false).unwrap(), Spec::parse(json, true).unwrap());
        assert_eq!(format!("{yaml:?}"), format!("{json:?}"));
        assert_eq!(yaml.devices[0].container_edits.device_nodes[0].host_path, Some("/dev/null".into()));
    }

    #[test]
    fn what_is_no_specification() {
        for text in ["", "kind: x\n", "kind: a/b\ndevices: 5\n", "kind: [a\n", "{kind: a/b, devices: [{}]}"] {
            assert!(Spec::parse(text, false).is_err(), "{text}");
        }
        let deep = format!("kind: a/b\nannotations: {}{}\n", "[".repeat(40), "]".repeat(40));
        assert_eq!(Spec::parse(&deep, false).unwrap_err(), "it is nested too deeply");
    }
}

//! `--allow`: what steps may do besides.

use crate::error::{CommandError, Outcome};
use executor::DeviceOptions;

/// What is allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    /// `RUN --network=host`.
    pub(crate) network_host: bool,
    /// `RUN --security=insecure`.
    pub(crate) insecure: bool,
    /// `RUN --device`.
    pub(crate) devices: DeviceOptions,
}

impl Allowed {
    /// Reads `network.host`, `security.insecure`, `device`, `device=NAME` and `device=NAME,alias=NAME`. The first two may
    /// also stand in one flag.
    pub(crate) fn parse(flags: &[String]) -> Outcome<Self> {
        let mut allowed = Self::default();
        allowed.devices.folders = vec!["/etc/cdi".into(), "/var/run/cdi".into()];
        for flag in flags {
            if flag == "device" {
                allowed.devices.allow_all = true;
            } else if let Some(device) = flag.strip_prefix("device=") {
                allowed.devices.allowed.push(device_of(flag, device)?);
            } else {
                for entitlement in flag.split(',') {
                    match entitlement {
                        "network.host" => allowed.network_host = true,
                        "security.insecure" => allowed.insecure = true,
                        other => {
                            return Err(CommandError::usage(format!(
                                "--allow: `{other}` is not known; network.host, security.insecure and device are"
                            )));
                        }
                    }
                }
            }
        }
        Ok(allowed)
    }
}

fn device_of(flag: &str, text: &str) -> Outcome<(String, Option<String>)> {
    let wrong = || CommandError::usage(format!("--allow {flag}: it takes device=NAME[,alias=NAME]"));
    match text.split_once(',') {
        None if !text.is_empty() => Ok((text.to_owned(), None)),
        Some((name, rest)) => {
            let alias = rest.strip_prefix("alias=").filter(|alias| !alias.is_empty() && !alias.contains(','));
            Ok((alias.ok_or_else(wrong)?.to_owned(), Some(name.to_owned())))
        }
        None => Err(wrong()),
    }
}

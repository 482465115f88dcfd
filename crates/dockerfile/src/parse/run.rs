//! `RUN [flags] command`

use super::reader::{Head, Reader};
use crate::command::{NetworkMode, RunCommand, SecurityMode};
use crate::device::Device;
use crate::error::{Error, ErrorKind};
use crate::flags::Takes;
use crate::mount::{MountError, MountFlag};

const FLAGS: [(&str, Takes); 4] = [
    ("mount", Takes::Values),
    ("network", Takes::Value),
    ("security", Takes::Value),
    ("device", Takes::Values),
];

impl Reader<'_> {
    pub(super) fn run(&mut self, head: &Head) -> Option<RunCommand> {
        let flags = self.flags(head, "RUN", &FLAGS);
        let mut mounts = Vec::new();
        for value in flags.values("mount") {
            match MountFlag::parse(&value, value.span) {
                // What the fields mean is checked once variables are known, and only in stages that are built.
                Ok(mount) => mounts.push(mount),
                Err(error) => {
                    let hint = matches!(error, MountError::FromVariable { .. }).then(|| {
                        "give the image a stage of its own, `FROM $image AS name`, and take that".to_owned()
                    });
                    self.errors.push(Error::new(ErrorKind::Mount(error), value.span).hint(hint));
                }
            }
        }
        let network = flags.value("network").and_then(|value| match value.as_str() {
            "default" => Some(NetworkMode::Default),
            "none" => Some(NetworkMode::None),
            "host" => Some(NetworkMode::Host),
            _ => self.fail(ErrorKind::InvalidNetwork { value: value.value }, value.span),
        });
        let security = flags.value("security").and_then(|value| match value.as_str() {
            "sandbox" => Some(SecurityMode::Sandbox),
            "insecure" => Some(SecurityMode::Insecure),
            _ => self.fail(ErrorKind::InvalidSecurity { value: value.value }, value.span),
        });
        let mut devices = Vec::new();
        for value in flags.values("device") {
            match Device::parse(&value) {
                Ok(device) => devices.push(device),
                Err(error) => self.errors.push(Error::new(ErrorKind::Device(error), value.span)),
            }
        }
        let form = self.form(head.args.clone())?;
        let span = self.line.span(head.args.clone());
        Some(RunCommand { form, span, heredocs: self.heredocs.clone(), mounts, network, security, devices })
    }
}

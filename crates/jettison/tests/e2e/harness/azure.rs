//! Azure's blob storage on the loopback: npm's azurite, Azure's own emulator, which checks signatures.

use super::http;
use super::server::{Server, tool};
use std::process::Command;

/// The account that the emulator knows, and its key, which is the same everywhere and no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The emulator, without any container.
pub(crate) struct Azure(Server);

impl Azure {
    pub(crate) fn start() -> Self {
        let command = |port: u16| {
            let mut command = Command::new(tool("azurite/node_modules/.bin/azurite-blob"));
            command.args(["--inMemoryPersistence", "--disableTelemetry", "--blobHost", "127.0.0.1"]);
            command.args(["--blobPort", &port.to_string()]);
            command
        };
        Self(Server::start(command, |port| http(port, "/").is_ok()))
    }

    /// The attributes that lead here, with the key: `type=azblob,...`.
    pub(crate) fn attributes(&self) -> String {
        let url = format!("http://127.0.0.1:{}/{ACCOUNT}", self.0.port);
        format!("type=azblob,account_url={url},account_name={ACCOUNT},secret_access_key={KEY}")
    }

    /// The requests until now, as `METHOD /path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.0.log();
        let asked = log.lines().filter_map(|line| line.split('"').nth(1)?.strip_suffix(" HTTP/1.1"));
        asked.map(str::to_owned).collect()
    }
}

//! Measures how long connecting a namespace takes: `cargo run --release -p network --example connect -- 20`.
//! Run it in a network namespace of its own: `unshare --net`.

use std::io::Write as _;
use std::time::Instant;

use network::{Network, NetworkOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = std::env::args().nth(1).as_deref().unwrap_or("20").parse()?;
    let mut out = std::io::stdout();
    let start = Instant::now();
    let network = Network::open(NetworkOptions::default());
    let how = network.how()?;
    writeln!(out, "bridge ready ({how:?}): {:?}", start.elapsed())?;
    let start = Instant::now();
    let attachments = (0..count).map(|_| network.connect()).collect::<Result<Vec<_>, _>>()?;
    writeln!(
        out,
        "{} namespaces: {:?}, {:?} each",
        attachments.len(),
        start.elapsed(),
        start.elapsed() / count
    )?;
    let start = Instant::now();
    drop(attachments);
    writeln!(out, "given back: {:?}", start.elapsed())?;
    Ok(())
}

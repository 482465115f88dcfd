//! As much of HTTP as asking a demo server one question takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::trouble::{Doing, Result, Trouble};

/// Asks `http://{address}/`, again and again until it answers or `patience` is over, and returns the
/// whole answer: status line, headers, empty line, body. At most 1 MiB is read.
pub(crate) fn get(address: SocketAddr, patience: Duration) -> Result<String> {
    let end = Instant::now() + patience;
    loop {
        match once(address) {
            Ok(answer) if answer.starts_with("HTTP/1.") => return Ok(answer),
            Ok(_) if Instant::now() >= end => {
                return Err(Trouble::Said(format!("what answers on {address} does not speak HTTP")));
            }
            Err(error) if Instant::now() >= end => {
                return Err(error).doing(|| format!("get an answer from http://{address}/"));
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn once(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

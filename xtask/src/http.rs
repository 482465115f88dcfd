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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_whole_answer_is_returned() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        assert_eq!(get(address, Duration::from_secs(5)).unwrap(), "HTTP/1.1 200 OK\r\n\r\nhello");
        assert!(server.join().unwrap().starts_with("GET / HTTP/1.1\r\n"));
    }

    #[test]
    fn patience_ends() {
        // A port that was free a moment ago, and on which nothing listens now.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let trouble = get(address, Duration::from_millis(100)).unwrap_err();
        assert!(trouble.to_string().contains(&address.to_string()));
    }
}

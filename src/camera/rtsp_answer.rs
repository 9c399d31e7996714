//! Why an RTSP camera could not be opened, in words: FFmpeg tells OpenCV only that it failed.
//!
//! Asks the camera once, with a DESCRIBE without credentials (RFC 2326), and reads the first line of the answer.
//! Bounded in time; used after a failure only.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The reason, as a clause after "cannot open …:".
pub fn why_refused(url: &str, has_credentials: bool, timeout: Duration) -> String {
    let Some((host, port)) = host_and_port(url) else {
        return "the address cannot be understood; write `rtsp://HOST:PORT/PATH`".to_owned();
    };
    let address = match (host.as_str(), port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => address,
        _ => return format!("the name `{host}` cannot be resolved to an address"),
    };
    let stream = match TcpStream::connect_timeout(&address, timeout) {
        Ok(stream) => stream,
        Err(error) => return unreachable(error.kind(), &host, port, timeout),
    };
    if url.to_ascii_lowercase().starts_with("rtsps:") {
        return "the camera answers, but no picture came; check the stream's path and the `credentials_file`"
            .to_owned();
    }
    match status(stream, url, timeout) {
        Some(code) => meaning(code, has_credentials),
        None => format!("port {port} is open but gives no RTSP answer; is it the camera's RTSP port?"),
    }
}

fn unreachable(kind: ErrorKind, host: &str, port: u16, timeout: Duration) -> String {
    match kind {
        ErrorKind::ConnectionRefused => format!("`{host}` refuses connections on port {port}; is RTSP switched on?"),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("`{host}` does not answer within {:.1} s; is it on, and in this network?", timeout.as_secs_f32())
        }
        other => format!("`{host}` cannot be reached on port {port}: {other}"),
    }
}

fn meaning(code: u16, has_credentials: bool) -> String {
    match code {
        200 => "the camera answers, but no picture of its stream could be decoded".to_owned(),
        401 | 403 if has_credentials => {
            format!("the camera refuses the user or the password in `credentials_file` (RTSP {code})")
        }
        401 | 403 => {
            format!("the camera wants a user and a password (RTSP {code}); name a file with them in `credentials_file`")
        }
        404 => "the camera has no stream of that path (RTSP 404)".to_owned(),
        453 | 503 => format!("the camera is busy (RTSP {code}); it may serve too many readers"),
        other => format!("the camera refuses (RTSP {other})"),
    }
}

/// Sends DESCRIBE; the three digits of the answer.
fn status(mut stream: TcpStream, url: &str, timeout: Duration) -> Option<u16> {
    stream.set_read_timeout(Some(timeout)).ok()?;
    stream.set_write_timeout(Some(timeout)).ok()?;
    let question = format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n");
    stream.write_all(question.as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.strip_prefix("RTSP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

/// Host and port of a URL without credentials; IPv6 addresses stand in brackets.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let default = if scheme.eq_ignore_ascii_case("rtsps") { 322 } else { 554 };
    let place = rest.split(['/', '?']).next()?;
    if let Some((host, after)) = place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        let port = after.strip_prefix(':').map_or(Some(default), |port| port.parse().ok())?;
        return Some((host.to_owned(), port));
    }
    match place.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((place.to_owned(), default)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn host_and_port_come_out_of_the_url() {
        for (url, host, port) in [
            ("rtsp://cam/1", "cam", 554),
            ("rtsps://cam", "cam", 322),
            ("rtsp://10.0.0.5:8554?a=1", "10.0.0.5", 8554),
            ("rtsp://[fe80::1]:8554/x", "fe80::1", 8554),
        ] {
            assert_eq!(host_and_port(url), Some((host.to_owned(), port)), "{url}");
        }
        assert_eq!(host_and_port("rtsp://cam:port/1"), None);
    }

    /// A camera that gives one answer.
    fn answering(answer: &'static str, has_credentials: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("rtsp://{}/cam", listener.local_addr().unwrap());
        let camera = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(char::from(byte[0]));
            }
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        let words = why_refused(&url, has_credentials, SOON);
        assert!(camera.join().unwrap().starts_with(&format!("DESCRIBE {url} RTSP/1.0\r\n")));
        words
    }

    #[test]
    fn the_cameras_own_answer_is_told() {
        assert!(answering("RTSP/1.0 401 Unauthorized\r\n\r\n", false).contains("name a file"));
        assert!(answering("RTSP/1.0 401 Unauthorized\r\n\r\n", true).contains("refuses the user or the password"));
        assert!(answering("RTSP/1.0 404 Not Found\r\n\r\n", true).contains("no stream of that path"));
        assert!(answering("HTTP/1.1 400 Bad Request\r\n\r\n", true).contains("no RTSP answer"));
    }

    #[test]
    fn a_closed_port_is_told() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let words = why_refused(&format!("rtsp://127.0.0.1:{port}/cam"), false, SOON);
        assert!(words.contains("refuses connections"), "{words}");
    }
}

//! How far a broker can be reached, step by step, for an installer: name, way, encrypted line.
//!
//! Says nothing to the broker, so that a running service keeps its session.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde::Serialize;

use super::{address::Address, tls};
use crate::config;

/// Patience with each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// The steps to one broker; what comes after a failed one was not tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// As in the settings.
    pub url: String,
    /// Its IP address.
    pub name: Result<String, String>,
    /// The box's own address on the way there.
    pub own: Option<String>,
    /// Did the port answer?
    pub way: Option<Result<(), String>>,
    /// Was the encrypted line made, both sides known to each other? `None` also for a plain line.
    pub line: Option<Result<(), String>>,
}

/// Tries the brokers of the settings, in order.
pub fn brokers(settings: &config::Mqtt) -> Vec<Reach> {
    let urls = std::iter::once(&settings.url).chain(&settings.fallback_urls).filter(|url| !url.is_empty());
    urls.map(|url| one(url, settings)).collect()
}

fn one(url: &str, settings: &config::Mqtt) -> Reach {
    let mut reach = Reach { url: url.to_owned(), name: Ok(String::new()), own: None, way: None, line: None };
    let found = Address::parse(url).and_then(|address| resolve(&address).map(|ip| (address, ip)));
    let (address, ip) = match found {
        Ok(found) => found,
        Err(words) => return Reach { name: Err(words), ..reach },
    };
    reach.name = Ok(ip.ip().to_string());
    reach.own = own_address(ip);
    let stream = match TcpStream::connect_timeout(&ip, PATIENCE) {
        Ok(stream) => stream,
        Err(error) => return Reach { way: Some(Err(format!("{ip} does not answer: {error}"))), ..reach },
    };
    reach.way = Some(Ok(()));
    if address.encrypted {
        reach.line = Some(shake_hands(&address, stream, settings));
    }
    reach
}

fn resolve(address: &Address) -> Result<SocketAddr, String> {
    let host = address.host.as_str();
    let mut found =
        (host, address.port).to_socket_addrs().map_err(|error| format!("`{host}` has no address: {error}"))?;
    found.next().ok_or_else(|| format!("`{host}` has no address"))
}

/// The kernel chooses the address when a socket is given its peer; nothing is sent.
fn own_address(peer: SocketAddr) -> Option<String> {
    let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

fn shake_hands(address: &Address, mut stream: TcpStream, settings: &config::Mqtt) -> Result<(), String> {
    let config = tls::client(settings)?;
    let name = ServerName::try_from(address.host.clone()).map_err(|error| error.to_string())?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let words = |error: std::io::Error| error.to_string();
    stream.set_read_timeout(Some(PATIENCE)).map_err(words)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(words)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(words)?;
    }
    // In TLS 1.3 a broker that does not know this box says so only after the client's part: wait a moment for it.
    stream.set_read_timeout(Some(Duration::from_millis(500))).map_err(words)?;
    match connection.read_tls(&mut stream) {
        Ok(0) => Err("the broker hung up; does it know the certificate of this box?".to_owned()),
        Ok(_) => connection.process_new_packets().map(drop).map_err(|error| error.to_string()),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> config::Mqtt {
        config::Mqtt { url: url.to_owned(), ..config::Mqtt::default() }
    }

    #[test]
    fn each_step_is_told_and_the_first_that_fails_ends_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let reach = &brokers(&settings(&format!("mqtt://127.0.0.1:{port}")))[0];
        assert_eq!((reach.name.as_deref(), reach.own.as_deref()), (Ok("127.0.0.1"), Some("127.0.0.1")));
        assert_eq!((&reach.way, &reach.line), (&Some(Ok(())), &None));
        drop(listener);
        let reach = &brokers(&settings(&format!("mqtt://127.0.0.1:{port}")))[0];
        assert!(matches!(&reach.way, Some(Err(words)) if words.contains("does not answer")), "{reach:?}");
        let reach = &brokers(&settings("mqtt://no-such-host.invalid"))[0];
        assert!(reach.name.is_err() && reach.way.is_none());
        assert_eq!(brokers(&settings("")), []);
    }
}

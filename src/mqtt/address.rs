//! Where the broker is: `mqtt://HOST[:1883]` or `mqtts://HOST[:8883]`.

use std::fmt;

/// Host and port of a broker, and whether the line is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS.
    pub encrypted: bool,
}

impl Address {
    /// Reads `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`.
    ///
    /// # Errors
    /// In words that say what is expected; user name and password do not belong into an address.
    pub fn parse(url: &str) -> Result<Self, String> {
        let hint = "write mqtt://HOST:1883 or mqtts://HOST:8883";
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| format!("`{}` has no scheme; {hint}", redacted(url)))?;
        let encrypted = match scheme {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            other => return Err(format!("`{other}://` is not spoken here; {hint}")),
        };
        if rest.contains('@') {
            return Err(
                "user and password do not belong into mqtt.url; set mqtt.username and mqtt.password_file".into()
            );
        }
        let rest = rest.trim_end_matches('/');
        let default = if encrypted { 8883 } else { 1883 };
        let (host, port) = split_port(rest, default).ok_or_else(|| format!("`{url}` names no valid port; {hint}"))?;
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return Err(format!("`{url}` names no host; {hint}"));
        }
        Ok(Self { host: host.to_owned(), port, encrypted })
    }
}

/// What stands before an `@` may be a password.
fn redacted(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

fn split_port(rest: &str, default: u16) -> Option<(&str, u16)> {
    let number = |port: &str| port.parse().ok().filter(|port| *port > 0);
    if let Some(inside) = rest.strip_prefix('[') {
        let (host, after) = inside.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, number(port)?)),
            None => after.is_empty().then_some((host, default)),
        };
    }
    match rest.split_once(':') {
        Some((host, port)) => Some((host, number(port)?)),
        None => Some((rest, default)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "mqtts" } else { "mqtt" };
        match self.host.contains(':') {
            true => write!(out, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(out, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for (url, written) in [
            ("mqtt://10.0.0.9", "mqtt://10.0.0.9:1883"),
            ("mqtts://broker.example", "mqtts://broker.example:8883"),
            ("mqtt://broker.example:1999/", "mqtt://broker.example:1999"),
            ("mqtts://[::1]:8884", "mqtts://[::1]:8884"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_way_out_and_without_the_password() {
        for url in ["broker", "http://broker", "mqtt://", "mqtt://broker:99999", "mqtt://u:secret@broker", "u:secret@b"]
        {
            let words = Address::parse(url).unwrap_err();
            assert!(words.contains("mqtt"), "{words}");
            assert!(!words.contains("secret"), "{words}");
        }
    }
}

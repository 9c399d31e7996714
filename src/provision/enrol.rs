//! A certificate for the box's key, fetched with a one-time token: an HTTPS POST of the request, as EST does it
//! (RFC 7030, `simpleenroll`), with PEM instead of PKCS #7 and the token as bearer.
//!
//! The endpoint's authority comes on the stick and is the only one that is trusted. Plain HTTP is refused but to this
//! very machine, where a test server may listen.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Largest answer.
const MOST_BYTES: u64 = 64 * 1024;

/// What stands in `enrol.txt`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// Where to ask, `https://…`.
    pub url: String,
    /// Good for one certificate.
    pub token: String,
    /// File on the stick with the authority of the endpoint.
    pub ca_file: Option<String>,
}

// The token must not get into a log.
impl std::fmt::Debug for Ticket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ticket").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Ticket {
    /// From the text of `enrol.txt`: lines `url = "…"`, `token = "…"`, `ca_file = "…"`.
    ///
    /// # Errors
    /// In words; the token is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hint = "write three lines: url = \"https://…\", token = \"…\", ca_file = \"enrol-ca.pem\"";
        let ticket: Self = toml::from_str(text).map_err(|_| format!("`enrol.txt` is not understood; {hint}"))?;
        let sound = !ticket.token.is_empty() && ticket.token.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(ticket) } else { Err(format!("`enrol.txt`: the token is empty or holds blanks; {hint}")) }
    }

    /// Asks for a certificate; returns it as PEM.
    ///
    /// # Errors
    /// What the endpoint or the line said.
    pub fn redeem(&self, request: &str, serial: &str, authority: Option<&[u8]>) -> anyhow::Result<String> {
        let local = ["http://127.0.0.1:", "http://[::1]:"].iter().any(|start| self.url.starts_with(start));
        if !local && !self.url.starts_with("https://") {
            bail!("`{}` is no https:// address", self.url);
        }
        let agent = ureq::Agent::config_builder()
            .tls_config(tls(authority, local)?)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_redirects(0)
            .http_status_as_error(false)
            .build()
            .new_agent();
        let mut answer = agent
            .post(&self.url)
            .header("Authorization", &format!("Bearer {}", self.token))
            .header("Content-Type", "application/x-pem-file")
            .header("Forecourt-Serial", serial)
            .send(request)
            .with_context(|| format!("`{}` cannot be asked", self.url))?;
        let status = answer.status().as_u16();
        let text =
            answer.body_mut().with_config().limit(MOST_BYTES).read_to_string().context("the answer broke off")?;
        match status {
            200 | 201 => Ok(text),
            401 | 403 => {
                bail!("`{}` refuses the token ({status}); it is used up, expired, or of another box", self.url)
            }
            _ => bail!("`{}` answers with status {status}", self.url),
        }
    }
}

fn tls(authority: Option<&[u8]>, local: bool) -> anyhow::Result<TlsConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    let Some(pem) = authority else {
        ensure!(local, "`ca_file` is missing in enrol.txt: without the authority of the endpoint anybody could answer");
        return Ok(builder.build());
    };
    let certificate = Certificate::from_pem(pem).context("`ca_file` of enrol.txt holds no certificate")?;
    Ok(builder.root_certs(RootCerts::new_with_certs(&[certificate])).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_understood_or_refused_without_repeating_the_token() {
        let ticket = Ticket::parse("url = \"https://h/e\"\ntoken = \"s3cret\"\n").unwrap();
        assert!(!format!("{ticket:?}").contains("s3cret"));
        for text in
            ["s3cret", "url = \"https://h\"", "url = \"https://h\"\ntoken = \"s3cret x\"", "token = \"s3cret\"\nx = 1"]
        {
            let words = Ticket::parse(text).unwrap_err();
            assert!(words.contains("enrol.txt") && !words.contains("s3cret"), "{words}");
        }
    }

    #[test]
    fn nobody_is_asked_without_an_authority_or_over_a_plain_line() {
        let ask =
            |url: &str| Ticket { url: url.to_owned(), token: "t".to_owned(), ca_file: None }.redeem("", "s", None);
        assert!(ask("http://example.com/e").unwrap_err().to_string().contains("https://"));
        assert!(ask("http://127.0.0.1.example.com/e").unwrap_err().to_string().contains("https://"));
        assert!(ask("https://example.com/e").unwrap_err().to_string().contains("ca_file"));
    }
}

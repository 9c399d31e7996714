//! Files over HTTPS, resumed where a line broke. What comes is believed by its hash or signature, which is the caller's to
//! check; the line is encrypted so that nobody learns what a box fetches.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Where Debian keeps the authorities that the world trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// May a box fetch from there? Plain HTTP only from this very machine.
pub fn is_sound(url: &str) -> bool {
    url.starts_with("https://") || is_local(url)
}

fn is_local(url: &str) -> bool {
    url.starts_with("http://127.0.0.1:")
}

/// How often a line that breaks is taken up again.
#[derive(Clone, Copy, Debug)]
pub struct Persistence {
    /// Attempts in all.
    pub attempts: u32,
    /// Pause after the first; it doubles.
    pub pause: Duration,
}

/// Fetches a file of `bytes` bytes into `part`, from where it broke off; `told` hears how many are there, `broke` why it is
/// asked for again.
///
/// # Errors
/// When the address may not be asked, or the last attempt failed; what came is kept.
pub fn whole(
    url: &str,
    bytes: u64,
    part: &Path,
    Persistence { attempts, mut pause }: Persistence,
    told: &mut dyn FnMut(u64),
    broke: &dyn Fn(&anyhow::Error),
) -> anyhow::Result<()> {
    let agent = agent(url)?;
    for attempt in 1.. {
        match append(&agent, url, bytes, part, told) {
            Ok(()) => break,
            Err(error) if attempt == attempts => {
                return Err(error.context(format!("given up after {attempts} attempts")));
            }
            Err(error) => broke(&error),
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    Ok(())
}

fn agent(url: &str) -> anyhow::Result<ureq::Agent> {
    ensure!(is_sound(url), "it is no https:// address");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if !is_local(url) {
        let pem = fs::read(AUTHORITIES).with_context(|| format!("`{AUTHORITIES}`; apt-get install ca-certificates"))?;
        let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    let config = ureq::Agent::config_builder().tls_config(tls.build()).timeout_connect(Some(Duration::from_secs(20)));
    Ok(config.timeout_recv_response(Some(Duration::from_secs(30))).build().new_agent())
}

/// Asks for what is missing and appends it.
fn append(agent: &ureq::Agent, url: &str, bytes: u64, part: &Path, told: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
    let have = fs::metadata(part).map_or(0, |about| about.len());
    if have >= bytes {
        return Ok(());
    }
    let mut answer = agent.get(url).header("Range", &format!("bytes={have}-")).call().context("no answer")?;
    // A server that does not know ranges sends all of it from the start.
    let from = if answer.status().as_u16() == 206 { have } else { 0 };
    let mut sink = OpenOptions::new().create(true).truncate(from == 0).append(from > 0).write(true).open(part)?;
    told(from);
    let mut body = answer.body_mut().with_config().limit(bytes + 1).reader();
    let (mut piece, mut total) = (vec![0; 64 << 10], from);
    loop {
        let read = body.read(&mut piece).context("the line broke")?;
        if read == 0 {
            break;
        }
        total += read as u64;
        ensure!(total <= bytes, "it is larger than the {bytes} bytes that were told");
        sink.write_all(&piece[..read])?;
        told(total);
    }
    sink.sync_all()?;
    ensure!(total == bytes, "it ended after {total} of {bytes} bytes");
    Ok(())
}

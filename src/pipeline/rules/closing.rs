//! The hour at which the site closes, in the site's own time.

use anyhow::Context;
use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::config;

/// When the site closes.
#[derive(Clone)]
pub(super) struct Closing {
    at: civil::Time,
    zone: TimeZone,
}

impl Closing {
    /// The latest closing hour that is not after `now`.
    pub(super) fn last(&self, now: Timestamp) -> Timestamp {
        let today = now.to_zoned(self.zone.clone()).date();
        let on = |date: civil::Date| date.to_datetime(self.at).to_zoned(self.zone.clone()).map(|at| at.timestamp());
        let latest = [Ok(today), today.checked_sub(1.day())].into_iter().flatten().filter_map(|date| on(date).ok());
        latest.filter(|at| *at <= now).max().unwrap_or(Timestamp::MIN)
    }
}

/// What the settings say of it; `None`: the site never closes.
///
/// # Errors
/// When the hour or the time zone is not understood.
pub(super) fn closing(config: &config::Config) -> anyhow::Result<Option<Closing>> {
    let Some(text) = &config.visits.closes_at else { return Ok(None) };
    let at = civil::Time::strptime("%H:%M", text)
        .with_context(|| format!("`visits.closes_at` is `{text}`; write hours and minutes, such as \"18:30\""))?;
    Ok(Some(Closing { at, zone: time_zone(config)? }))
}

/// Time zone of the site; UTC when the settings name none.
pub fn time_zone(config: &config::Config) -> anyhow::Result<TimeZone> {
    match &config.site.time_zone {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name)
            .with_context(|| format!("`site.time_zone` is `{name}`; write an IANA name, such as \"Asia/Shanghai\"")),
    }
}

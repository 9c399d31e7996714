//! Where commands on the member list find it: the settings, the list beside the data, the device key, the site's time.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::cli::Global;
use crate::config::{Config, Loaded};
use crate::pipeline::rules::time_zone;
use crate::store::keys::{KeyError, KeyRing};
use crate::store::members::{FILE_NAME, MemberStore};

/// The settings, and what they name.
pub(super) struct Place {
    pub(super) loaded: Loaded,
    /// The site's; UTC when the settings name none.
    pub(super) zone: TimeZone,
}

impl Place {
    /// By the settings that were typed, else the box's.
    pub(super) fn of(global: &Global) -> anyhow::Result<Self> {
        let loaded = global.settings()?;
        Ok(Self { zone: time_zone(&loaded.config)?, loaded })
    }

    pub(super) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Where the service keeps its data.
    pub(super) fn folder(&self) -> PathBuf {
        self.loaded.base.join(&self.config().storage.folder)
    }

    /// The file of the list.
    pub(super) fn list(&self) -> PathBuf {
        self.folder().join(FILE_NAME)
    }

    /// The list, which must be there.
    pub(super) fn open(&self) -> anyhow::Result<MemberStore> {
        Ok(MemberStore::open_existing(&self.list())?)
    }

    /// The device key that the settings name.
    pub(super) fn keys(&self) -> Result<KeyRing, KeyError> {
        KeyRing::load(&self.config().privacy, &self.folder())
    }
}

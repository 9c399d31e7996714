//! The governor: under heat, load or want of memory frames are given up, never events. Pure.

use crate::domain::event::DeviceHealth;

/// From here on half of the frames.
const WARM_C: f32 = 80.0;
/// From here on a quarter.
const HOT_C: f32 = 88.0;
/// It takes so much less to go back, so that it does not swing.
const BACK_C: f32 = 5.0;
/// Processes that want to run, for each core and over a minute: from here on half of the frames.
const BUSY: f32 = 4.0;
/// From here on a quarter.
const SWAMPED: f32 = 8.0;
/// It takes so much less to go back.
const BACK_LOAD: f32 = 1.0;
/// Less memory than this for other programs, in per cent.
const SCARCE_PERCENT: u64 = 5;

/// What is given up, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Governor {
    level: Level,
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    All,
    Half,
    Quarter,
}

impl Governor {
    /// Takes new facts of a machine with so many cores; true when something changed.
    pub fn judge(&mut self, facts: &DeviceHealth, cores: usize) -> bool {
        let causes = [self.heat(facts), self.load(facts, cores), memory(facts)];
        let (level, reason) = causes
            .into_iter()
            .reduce(|worst, cause| if cause.0 > worst.0 { cause } else { worst })
            .expect("there are three causes");
        let changed = level != self.level;
        self.level = level;
        self.reason = reason.filter(|_| level > Level::All);
        changed
    }

    /// Of 100 frames so many are looked at.
    pub fn percent(&self) -> u8 {
        match self.level {
            Level::All => 100,
            Level::Half => 50,
            Level::Quarter => 25,
        }
    }

    /// Why not all.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn heat(&self, facts: &DeviceHealth) -> (Level, Option<String>) {
        let Some(heat) = facts.temperature_c else { return (Level::All, None) };
        (self.level_of(heat, [WARM_C, HOT_C], BACK_C), Some(format!("the processor has {heat:.0} °C")))
    }

    fn load(&self, facts: &DeviceHealth, cores: usize) -> (Level, Option<String>) {
        let Some(load) = facts.load else { return (Level::All, None) };
        let words = format!("a load of {load:.0} on {cores} cores");
        (self.level_of(load / cores.max(1) as f32, [BUSY, SWAMPED], BACK_LOAD), Some(words))
    }

    /// It takes `back` less to leave a level than to enter it.
    fn level_of(&self, value: f32, [half, quarter]: [f32; 2], back: f32) -> Level {
        let slack = |level: Level| if self.level >= level { back } else { 0.0 };
        match value {
            most if most >= quarter - slack(Level::Quarter) => Level::Quarter,
            much if much >= half - slack(Level::Half) => Level::Half,
            _ => Level::All,
        }
    }
}

fn memory(facts: &DeviceHealth) -> (Level, Option<String>) {
    match (facts.memory_mib, facts.memory_free_mib) {
        (Some(all), Some(free)) if free * 100 < all * SCARCE_PERCENT => {
            (Level::Half, Some(format!("only {free} of {all} MiB of memory are free")))
        }
        _ => (Level::All, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(celsius: f32) -> DeviceHealth {
        DeviceHealth { temperature_c: Some(celsius), ..DeviceHealth::default() }
    }

    #[test]
    fn frames_are_given_up_with_the_heat_and_come_back_only_when_it_is_cooler() {
        let mut governor = Governor::default();
        let shares: Vec<u8> = [60.0, 81.0, 78.0, 89.0, 84.0, 82.0, 74.0]
            .into_iter()
            .map(|celsius| {
                governor.judge(&at(celsius), 4);
                governor.percent()
            })
            .collect();
        assert_eq!(shares, [100, 50, 50, 25, 25, 50, 100]);
        assert_eq!(governor.reason(), None);
        assert!(governor.judge(&at(90.0), 4));
        assert!(governor.reason().unwrap().contains("90 °C"));
        assert!(!governor.judge(&at(90.0), 4), "nothing changed");
    }

    #[test]
    fn a_machine_that_has_more_to_do_than_it_can_gives_up_frames_by_the_load_of_each_core() {
        let mut governor = Governor::default();
        let mut shares = |cores: usize, loads: &[f32]| -> Vec<u8> {
            let share = |load: &f32| {
                governor.judge(&DeviceHealth { load: Some(*load), ..DeviceHealth::default() }, cores);
                governor.percent()
            };
            loads.iter().map(share).collect()
        };
        assert_eq!(shares(4, &[3.0, 15.9, 16.0, 13.0, 33.0, 29.0, 27.0, 11.0]), [100, 100, 50, 50, 25, 25, 50, 100]);
        assert_eq!(shares(1, &[16.0]), [25]);
        assert_eq!(governor.reason(), Some("a load of 16 on 1 cores"));
    }

    #[test]
    fn want_of_memory_gives_up_frames_and_a_machine_that_tells_nothing_gives_up_none() {
        let mut governor = Governor::default();
        assert!(!governor.judge(&DeviceHealth::default(), 4));
        let scarce = DeviceHealth { memory_mib: Some(2_000), memory_free_mib: Some(90), ..DeviceHealth::default() };
        assert!(governor.judge(&scarce, 4));
        assert_eq!(governor.percent(), 50);
    }
}

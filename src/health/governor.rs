//! The governor: under heat or want of memory frames are given up, never events. Pure.

use crate::domain::event::DeviceHealth;

/// From here on half of the frames.
const WARM_C: f32 = 80.0;
/// From here on a quarter.
const HOT_C: f32 = 88.0;
/// It takes so much less to go back, so that it does not swing.
const BACK_C: f32 = 5.0;
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
    /// Takes new facts; true when something changed.
    pub fn judge(&mut self, facts: &DeviceHealth) -> bool {
        let (heat, heat_words) = self.heat(facts);
        let (memory, memory_words) = memory(facts);
        let (level, reason) = if memory > heat { (memory, memory_words) } else { (heat, heat_words) };
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
        let slack = |level: Level| if self.level >= level { BACK_C } else { 0.0 };
        let level = match heat {
            hot if hot >= HOT_C - slack(Level::Quarter) => Level::Quarter,
            warm if warm >= WARM_C - slack(Level::Half) => Level::Half,
            _ => Level::All,
        };
        (level, Some(format!("the processor has {heat:.0} °C")))
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
                governor.judge(&at(celsius));
                governor.percent()
            })
            .collect();
        assert_eq!(shares, [100, 50, 50, 25, 25, 50, 100]);
        assert_eq!(governor.reason(), None);
        assert!(governor.judge(&at(90.0)));
        assert!(governor.reason().unwrap().contains("90 °C"));
        assert!(!governor.judge(&at(90.0)), "nothing changed");
    }

    #[test]
    fn want_of_memory_gives_up_frames_and_a_machine_that_tells_nothing_gives_up_none() {
        let mut governor = Governor::default();
        assert!(!governor.judge(&DeviceHealth::default()));
        let scarce = DeviceHealth { memory_mib: Some(2_000), memory_free_mib: Some(90), ..DeviceHealth::default() };
        assert!(governor.judge(&scarce));
        assert_eq!(governor.percent(), 50);
    }
}

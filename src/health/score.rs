//! One number for how the box is, with its reasons. Pure.

use crate::domain::event::{ConnectionQuality, Health, HealthReason};
use crate::domain::time::TimeQuality;

/// Puts score and reasons into a report whose facts are complete; `list`: what is wrong with the member list.
pub fn score(mut health: Health, list: Option<&str>) -> Health {
    let mut reasons = Vec::new();
    let mut add =
        |code: &str, weight: u8, words: String| reasons.push(HealthReason { code: code.to_owned(), words, weight });
    for camera in &health.cameras {
        match camera.connection_quality {
            ConnectionQuality::Unusable => {
                add("camera-down", 40, format!("camera `{}` gives no picture", camera.camera))
            }
            ConnectionQuality::Poor => add("camera-poor", 20, format!("camera `{}` comes badly", camera.camera)),
            ConnectionQuality::Fair => add("camera-fair", 5, format!("camera `{}` loses frames", camera.camera)),
            ConnectionQuality::Excellent => {}
        }
        if !["good", "unknown", ""].contains(&camera.picture.as_str()) {
            add("picture", 20, format!("the picture of camera `{}` is {}", camera.camera, camera.picture));
        }
        for (what, now, usual) in [
            ("vehicles", camera.vehicles_last_hour, camera.vehicles_usual),
            ("faces", camera.faces_last_hour, camera.faces_usual),
        ] {
            if let (Some(now), Some(usual)) = (now, usual)
                && usual >= 10.0
                && (now as f32) < usual / 4.0
            {
                let words =
                    format!("camera `{}` saw {now} {what} in the last hour, usual are {usual:.0}", camera.camera);
                add(&format!("fewer-{what}"), 15, words);
            }
        }
    }
    if !["ok", ""].contains(&health.outbox.condition.as_str()) {
        add("outbox", 40, format!("events cannot be written: {}", health.outbox.condition));
    }
    if let Some(words) = list {
        add("member-list", 40, words.to_owned());
    }
    if let Some(oldest) = health.outbox.oldest_s.filter(|age| *age > 3_600) {
        add("outbox-late", 15, format!("{} events wait, the oldest for {} h", health.outbox.waiting, oldest / 3_600));
    }
    if health.clock == TimeQuality::Unsynced {
        add("clock", 10, "no time server disciplines the clock".to_owned());
    }
    if let Some(age) = health.members.age_s.filter(|age| *age > 14 * 86_400) {
        add("members", 10, format!("the member list is {} days old", age / 86_400));
    }
    let device = &health.device;
    if device.temperature_c.is_some_and(|heat| heat >= 80.0) || device.throttled == Some(true) {
        add("heat", 15, "the processor is hot or slowed down".to_owned());
    }
    if let (Some(free), Some(all)) = (device.disk_free_mib, device.disk_mib)
        && (free < 64 || free * 50 < all)
    {
        add("disk", 20, format!("{free} of {all} MiB of the disk are free"));
    }
    if let Some(wear) = device.disk_wear_percent.filter(|wear| *wear >= 80) {
        add("disk-wear", 15, format!("{wear} % of the disk's life are used up"));
    }
    if let Some(why) = &health.governor.reason {
        add("governor", 10, format!("{} of 100 frames are looked at: {why}", health.governor.share_percent));
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weight));
    let off: u32 = reasons.iter().map(|reason| u32::from(reason.weight)).sum();
    health.score = u8::try_from(100_u32.saturating_sub(off)).unwrap_or(0);
    health.reasons = reasons;
    health
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::CameraHealth;

    fn sound() -> Health {
        let camera = CameraHealth {
            camera: "gate".into(),
            connection_quality: ConnectionQuality::Excellent,
            picture: "good".into(),
            ..CameraHealth::default()
        };
        Health { cameras: vec![camera], clock: TimeQuality::Synced, ..Health::default() }
    }

    #[test]
    fn a_sound_box_has_all_points_and_no_reason() {
        let health = score(sound(), None);
        assert_eq!((health.score, health.reasons), (100, vec![]));
    }

    #[test]
    fn the_worst_reason_comes_first_and_names_what_it_is_about() {
        let mut sick = sound();
        sick.clock = TimeQuality::Unsynced;
        sick.cameras[0].connection_quality = ConnectionQuality::Unusable;
        sick.cameras[0].vehicles_last_hour = Some(1);
        sick.cameras[0].vehicles_usual = Some(40.0);
        let health = score(sick, None);
        let codes: Vec<&str> = health.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(codes, ["camera-down", "fewer-vehicles", "clock"]);
        assert!(health.reasons[0].words.contains("`gate`"));
        assert_eq!(health.score, 35);
    }

    #[test]
    fn a_box_without_its_member_list_is_not_well() {
        let health = score(sound(), Some("the member list is damaged"));
        assert_eq!((health.score, health.reasons[0].code.as_str()), (60, "member-list"));
    }

    #[test]
    fn a_box_where_everything_is_wrong_has_no_points_and_not_fewer() {
        let mut sick = sound();
        sick.cameras = vec![CameraHealth::default(); 9];
        assert_eq!(score(sick, None).score, 0);
    }
}

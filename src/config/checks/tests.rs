use super::super::{Camera, Zone, from_text};
use super::*;

/// Findings of a sound file in which one thing was changed.
fn after(change: impl FnOnce(&mut Config)) -> Vec<(Code, String)> {
    let zone = Zone { id: "bay".into(), polygon: square(), ..Zone::default() };
    let camera = Camera { id: "gate".into(), source: "rtsp://cam/1".into(), zones: vec![zone], ..Camera::default() };
    let site = Site { tenant: "acme".into(), site: "s".into(), device: "d".into(), ..Site::default() };
    let mut config = Config { site, cameras: vec![camera], ..Config::default() };
    change(&mut config);
    let findings = values(&config).into_iter().chain(service(&config));
    findings.map(|finding| (finding.code, finding.key)).collect()
}

fn square() -> Vec<[f32; 2]> {
    vec![[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
}

fn expect(code: Code, key: &str, change: impl FnOnce(&mut Config)) {
    assert_eq!(after(change), [(code, key.to_owned())]);
}

#[test]
fn a_sound_file_has_no_finding_and_the_defaults_lack_only_what_the_installer_knows() {
    assert_eq!(after(|_| {}), []);
    assert_eq!(values(&Config::default()), []);
    let missing: Vec<String> = service(&Config::default()).into_iter().map(|finding| finding.key).collect();
    assert_eq!(missing, ["site.tenant", "site.site", "site.device", "camera"]);
}

#[test]
fn each_number_outside_its_range_is_named() {
    let rates = [0.0_f32, 0.05, 60.5, -1.0, f32::NAN, f32::INFINITY];
    for rate in rates {
        expect(Code::OutOfRange, "camera[0].analysis_fps", |c| c.cameras[0].analysis_fps = rate);
    }
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        expect(Code::OutOfRange, "plates.false_accept_rate", |c| c.plates.false_accept_rate = rate);
    }
    for count in [0, 21] {
        expect(Code::OutOfRange, "mqtt.max_inflight", |c| c.mqtt.max_inflight = count);
    }
    expect(Code::OutOfRange, "plates.detection_threshold", |c| c.plates.detection_threshold = Some(1.5));
    for rate in [0.0, 1.0, f64::NAN] {
        let key = "faces.false_positive_identification_rate";
        expect(Code::OutOfRange, key, |c| c.faces.false_positive_identification_rate = rate);
    }
    expect(Code::OutOfRange, "faces.min_height_px", |c| c.faces.min_height_px = 0.0);
    expect(Code::OutOfRange, "faces.min_quality", |c| c.faces.min_quality = 1.5);
    expect(Code::OutOfRange, "faces.max_yaw", |c| c.faces.max_yaw = f32::NAN);
    expect(Code::OutOfRange, "faces.detection_threshold", |c| c.faces.detection_threshold = Some(-0.1));
    expect(Code::OutOfRange, "faces.best_frames", |c| c.faces.best_frames = 0);
    expect(Code::OutOfRange, "plates.min_frames", |c| c.plates.min_frames = 0);
    expect(Code::OutOfRange, "outbox.max_mib", |c| c.outbox.max_mib = 0);
    expect(Code::OutOfRange, "members.max_members", |c| c.members.max_members = 0);
    expect(Code::OutOfRange, "inference.threads", |c| c.inference.threads = 0);
}

#[test]
fn providers_stand_there_once_and_the_cpu_last() {
    use super::super::Provider::{Cpu, Cuda, Xnnpack};
    for wrong in [vec![], vec![Cpu, Xnnpack], vec![Cuda, Cuda, Cpu]] {
        expect(Code::Providers, "inference.providers", |c| c.inference.providers = wrong);
    }
}

#[test]
fn each_length_of_time_outside_its_range_is_named() {
    expect(Code::Time, "camera[0].stall_after", |c| c.cameras[0].stall_after = Duration::ZERO);
    expect(Code::Time, "camera[0].reconnect_max", |c| c.cameras[0].reconnect_max = 2 * HOUR);
    expect(Code::Time, "plates.track_lost_after", |c| c.plates.track_lost_after = Duration::ZERO);
    expect(Code::Time, "faces.track_lost_after", |c| c.faces.track_lost_after = HOUR);
    expect(Code::Time, "faces.expression_window", |c| c.faces.expression_window = Duration::ZERO);
    expect(Code::Time, "visits.dwell_marks[0]", |c| c.visits.dwell_marks = vec![Duration::ZERO]);
    expect(Code::Time, "visits.dwell_marks", |c| c.visits.dwell_marks = vec![HOUR, MINUTE]);
    expect(Code::Time, "mqtt.keep_alive", |c| c.mqtt.keep_alive = Duration::ZERO);
    expect(Code::Time, "outbox.late_after", |c| c.outbox.late_after = Duration::ZERO);
}

#[test]
fn a_word_that_becomes_part_of_a_topic_holds_no_wildcard_and_no_level() {
    for word in ["a/b", "a+b", "#", "a b", "门店", &"x".repeat(65)] {
        expect(Code::SiteWord, "site.tenant", |c| c.site.tenant = word.to_owned());
    }
    for root in ["", "a//b", "/a", "a/", "+/a", "a/#", "$SYS/a"] {
        expect(Code::TopicWord, "mqtt.topic_root", |c| c.mqtt.topic_root = root.to_owned());
    }
}

#[test]
fn a_camera_has_a_name_of_its_own_and_a_source_of_a_known_kind() {
    expect(Code::CameraId, "camera[0].id", |c| c.cameras[0].id = String::new());
    expect(Code::CameraId, "camera[0].id", |c| c.cameras[0].id = "gate/1".into());
    expect(Code::CameraId, "camera[1].id", |c| c.cameras.push(c.cameras[0].clone()));
    for source in ["", "http://cam/1", "rtsp:cam", "rtsp://", "rtsp://:554/1", "rtsp://a:b@cam/1", "file:", "gst: "] {
        expect(Code::CameraSource, "camera[0].source", |c| c.cameras[0].source = source.into());
    }
    for source in ["RTSP://cam:554/1?x=a@b", "clip.mp4", "file:a.mp4", "v4l2:/dev/video0", "gst:videotestsrc ! appsink"]
    {
        assert_eq!(after(|c| c.cameras[0].source = source.into()), [], "{source}");
    }
    expect(Code::CameraRead, "camera[0].read", |c| c.cameras[0].read.clear());
}

#[test]
fn the_outline_of_a_zone_lies_in_the_picture_and_encloses_something() {
    let outlines: [&[[f32; 2]]; 9] = [
        &[],
        &[[0.1, 0.1], [0.9, 0.9]],
        &[[0.1, 0.1]; 65],
        &[[0.1, 0.1], [1.1, 0.1], [0.5, 0.9]],
        &[[0.1, 0.1], [f32::NAN, 0.1], [0.5, 0.9]],
        &[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]],
        &[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]],
        &[[0.1, 0.1], [0.1, 0.1], [0.9, 0.1], [0.5, 0.9]],
        &[[0.1, 0.1], [0.9, 0.1], [0.5, 0.1], [0.5, 0.9]],
    ];
    for outline in outlines {
        expect(Code::ZoneOutline, "camera[0].zone[0].polygon", |c| c.cameras[0].zones[0].polygon = outline.to_vec());
    }
    let notched = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5], [0.0, 1.0]];
    assert_eq!(after(|c| c.cameras[0].zones[0].polygon = notched), []);
    expect(Code::ZoneId, "camera[0].zone[1].id", |c| {
        let zones = &mut c.cameras[0].zones;
        zones.push(zones[0].clone());
    });
}

#[test]
fn an_address_of_a_broker_has_a_scheme_a_host_and_perhaps_a_port() {
    let bad =
        ["broker", "http://b", "mqtt://", "mqtt://b:0", "mqtt://b:99999", "mqtt://b/x", "mqtt://u:p@b", "mqtt://:1"];
    for url in bad {
        expect(Code::MqttUrl, "mqtt.url", |c| c.mqtt.url = url.into());
    }
    for url in ["mqtt://b", "mqtts://b:8883", "mqtt://[::1]:1883", "mqtt://10.0.0.1:1883/"] {
        assert_eq!(after(|c| c.mqtt.url = url.into()), [], "{url}");
    }
}

#[test]
fn credentials_that_only_make_sense_together_do_not_stand_alone() {
    expect(Code::MqttCredentials, "mqtt.password_file", |c| c.mqtt.password_file = Some("p".into()));
    expect(Code::MqttCredentials, "mqtt.key_file", |c| c.mqtt.key_file = Some("k".into()));
    expect(Code::MqttCredentials, "mqtt.certificate_file", |c| c.mqtt.certificate_file = Some("c".into()));
    expect(Code::MqttCredentials, "mqtt.ca_file", |c| {
        c.mqtt.url = "mqtt://b".into();
        c.mqtt.ca_file = Some("ca".into());
    });
}

#[test]
fn time_zone_closing_hour_and_region_are_known_ones() {
    expect(Code::TimeZone, "site.time_zone", |c| c.site.time_zone = Some("Asia/Shanghei".into()));
    for text in ["24:00", "8:30", "12:60", "noon", "12:3a", "+1:00"] {
        expect(Code::ClosesAt, "visits.closes_at", |c| {
            c.site.time_zone = Some("Asia/Shanghai".into());
            c.visits.closes_at = Some(text.into());
        });
    }
    expect(Code::ClosesAt, "visits.closes_at", |c| c.visits.closes_at = Some("21:30".into()));
    expect(Code::Region, "plates.region", |c| c.plates.region = "atlantis".into());
    expect(Code::NoPack, "plates.packs", |c| c.plates.packs.clear());
}

#[test]
fn files_that_are_named_and_not_there_are_findings_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[camera]]\nid = \"a\"\nsource = \"file:no.mp4\"\n[[camera]]\nid = \"b\"\nsource = \"images:.\"\n\
                credentials_file = \"empty\"\n[mqtt]\nca_file = \"ca.pem\"\n[plates]\nregion = \"./r.toml\"\n";
    std::fs::write(folder.path().join("empty"), "").unwrap();
    std::fs::write(folder.path().join("r.toml"), "region = 5").unwrap();
    let config = from_text(text).unwrap();
    let found: Vec<_> = files(&config, folder.path()).into_iter().map(|f| (f.code, f.key)).collect();
    let wanted = [
        (Code::NoFile, "camera[0].source"),
        (Code::NoFile, "camera[1].credentials_file"),
        (Code::NoFile, "mqtt.ca_file"),
        (Code::Region, "plates.region"),
    ];
    assert_eq!(found, wanted.map(|(code, key)| (code, key.to_owned())));
}

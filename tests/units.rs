//! The units of systemd: known to it, and the service's sandbox as tight as promised (T34).
//!
//! Seen to fail on a break of one line of the unit: without the empty set of capabilities (2.8), without a user of its own
//! (1.6), without the second filter of system calls (1.3, which only the list of lines notices), with a misspelt word, with
//! a limit of starts.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic; a skipped one says so")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Exposure that `systemd-analyze security` may compute; 10 is none at all.
const MOST_EXPOSED: f64 = 1.5;

/// Lines of the sandbox. `systemd-analyze` weighs some of them with a tenth or less, so that the measure misses one that goes.
const SANDBOX: [&str; 28] = [
    "User=forecourt",
    "UMask=0077",
    "LimitCORE=0",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateUsers=yes",
    "PrivateMounts=yes",
    "DevicePolicy=closed",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "InaccessiblePaths=-/boot -/var/lib/forecourt-key",
];

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

fn analyzer() -> bool {
    let found = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: systemd-analyze is not installed; apt-get install systemd");
    }
    found
}

fn exposure(path: &Path) -> f64 {
    let output = Command::new("systemd-analyze").args(["security", "--offline=yes", "--no-pager"]).arg(path).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{text}"));
    line.rsplit_once(": ").unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_sandbox_is_as_tight_as_promised() {
    if !analyzer() {
        return;
    }
    let found = exposure(&unit("forecourt.service"));
    assert!(found <= MOST_EXPOSED, "{found}");
    // With cameras at USB, as the drop-in says.
    let folder = tempfile::tempdir().unwrap();
    let both = folder.path().join("forecourt.service");
    let text = |name: &str| std::fs::read_to_string(unit(name)).unwrap();
    std::fs::write(&both, format!("{}\n{}", text("forecourt.service"), text("v4l2.conf"))).unwrap();
    let with_camera = exposure(&both);
    assert!(with_camera <= MOST_EXPOSED, "{with_camera}");
    // The measure measures: without the system call filter it is worse.
    let open: String = text("forecourt.service")
        .lines()
        .filter(|line| !line.starts_with("SystemCallFilter"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&both, open).unwrap();
    assert!(exposure(&both) > found);
}

#[test]
fn the_sandbox_loses_no_line() {
    let text = std::fs::read_to_string(unit("forecourt.service")).unwrap();
    let lost: Vec<&str> = SANDBOX.into_iter().filter(|line| !text.lines().any(|each| each == *line)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn systemd_knows_every_word_of_the_units() {
    if !analyzer() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for entry in std::fs::read_dir(unit("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".service") || name.ends_with(".timer") {
            let text = std::fs::read_to_string(&path).unwrap();
            let here = text
                .replace("/usr/bin/forecourt", env!("CARGO_BIN_EXE_forecourt"))
                .replace("/usr/lib/forecourt/make-device-key", "/bin/true")
                .replace("/usr/lib/forecourt/apply-stick", "/bin/true");
            std::fs::write(folder.path().join(&name), here).unwrap();
            units.push(folder.path().join(&name));
        }
    }
    assert!(units.len() >= 5, "{units:?}");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = words.lines().filter(|line| line.contains("forecourt")).collect();
    assert!(output.status.success() && ours.is_empty(), "{words}");
}

#[test]
fn a_crash_never_locks_the_service() {
    let text = std::fs::read_to_string(unit("forecourt.service")).unwrap();
    for line in ["Restart=always", "StartLimitIntervalSec=0", "WatchdogSec=30s", "Type=notify"] {
        assert!(text.lines().any(|each| each == line), "{line}");
    }
}

/// adjtimex(2) can set the clock, so the sandbox of the service denies it, and it reads the mark of a unit that may ask.
#[test]
fn somebody_may_ask_the_kernel_about_the_clock() {
    let lines = |name: &str| std::fs::read_to_string(unit(name)).unwrap();
    let may_ask =
        |text: &str| !text.contains("ProtectClock=yes") && text.contains("\nSystemCallFilter=adjtimex clock_adjtime\n");
    assert!(!may_ask(&lines("forecourt.service")), "then it needs no mark");
    let asks = lines("forecourt-clock-mark.service");
    assert!(may_ask(&asks) && asks.contains(forecourt::clock::mark::INSTALLED), "{asks}");
    assert!(asks.contains("\nCapabilityBoundingSet=\n"), "it asks and must not set");
}

/// The program asks the kernel about the clock; where that is not allowed it must be refused, not killed.
#[test]
fn a_forbidden_question_about_the_clock_kills_nobody() {
    for name in ["forecourt.service", "forecourt-clock-save.service", "forecourt-cleanup.service"] {
        let text = std::fs::read_to_string(unit(name)).unwrap();
        assert!(text.lines().any(|line| line == "SystemCallErrorNumber=EPERM"), "{name}");
    }
}

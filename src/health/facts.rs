//! What the machine tells of itself in `/proc` and `/sys`.

use std::path::Path;

use crate::domain::event::DeviceHealth;

/// Facts of the machine; `folder` is on the disk that is meant.
pub fn device(folder: &Path) -> DeviceHealth {
    let memory = read("/proc/meminfo").unwrap_or_default();
    let disk = nix::sys::statvfs::statvfs(folder).ok();
    let mib = |blocks: u64, size: u64| blocks.saturating_mul(size) >> 20;
    DeviceHealth {
        temperature_c: temperature(Path::new("/sys/class/thermal")),
        throttled: throttled(),
        load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        memory_mib: kib(&memory, "MemTotal:").map(|kib| kib >> 10),
        memory_free_mib: kib(&memory, "MemAvailable:").map(|kib| kib >> 10),
        program_mib: read("/proc/self/status").and_then(|text| kib(&text, "VmRSS:")).map(|kib| kib >> 10),
        disk_mib: disk.as_ref().map(|disk| mib(disk.blocks(), disk.fragment_size())),
        disk_free_mib: disk.as_ref().map(|disk| mib(disk.blocks_available(), disk.fragment_size())),
        disk_wear_percent: wear(Path::new("/sys/block")),
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number behind a name, in KiB, as `/proc/meminfo` writes it.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The hottest zone; values that no processor survives are sensors that are not there.
fn temperature(zones: &Path) -> Option<f32> {
    let entries = std::fs::read_dir(zones).ok()?.flatten();
    let of_zone = |entry: std::fs::DirEntry| {
        let milli: i32 = read(entry.path().join("temp"))?.trim().parse().ok()?;
        (-40_000..=150_000).contains(&milli).then_some(milli as f32 / 1_000.0)
    };
    entries.filter_map(of_zone).reduce(f32::max)
}

/// Of a Raspberry Pi: slowed down, or too little power, at this moment.
fn throttled() -> Option<bool> {
    let text = read("/sys/devices/platform/soc/soc:firmware/get_throttled")?;
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok().map(|bits| bits & 0xf != 0)
}

/// Of an eMMC (JEDEC 5.0): the worse of its two estimates, in steps of ten per cent.
fn wear(blocks: &Path) -> Option<u8> {
    let entries = std::fs::read_dir(blocks).ok()?.flatten();
    let of_disk = |entry: std::fs::DirEntry| {
        let text = read(entry.path().join("device/life_time"))?;
        let step = |word: &str| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        let worst = text.split_whitespace().filter_map(step).max()?;
        // 0: not told; 0x0b: beyond its life.
        (1..=11).contains(&worst).then(|| (worst * 10).min(100))
    };
    entries.filter_map(of_disk).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_its_memory_and_disk() {
        let facts = device(Path::new("/"));
        assert!(facts.memory_mib.unwrap() > facts.memory_free_mib.unwrap());
        assert!(facts.program_mib.unwrap() > 0 && facts.disk_mib.unwrap() > 0);
    }

    #[test]
    fn the_hottest_zone_counts_and_broken_sensors_do_not() {
        let folder = tempfile::tempdir().unwrap();
        for (zone, milli) in [("a", "45123\n"), ("b", "71000\n"), ("c", "-274000\n"), ("d", "hot\n")] {
            std::fs::create_dir(folder.path().join(zone)).unwrap();
            std::fs::write(folder.path().join(zone).join("temp"), milli).unwrap();
        }
        assert_eq!(temperature(folder.path()), Some(71.0));
        assert_eq!(temperature(&folder.path().join("nothing")), None);
    }

    #[test]
    fn the_worse_estimate_of_a_disk_counts() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("mmcblk0/device");
        std::fs::create_dir_all(&device).unwrap();
        std::fs::write(device.join("life_time"), "0x03 0x0b\n").unwrap();
        assert_eq!(wear(folder.path()), Some(100));
        std::fs::write(device.join("life_time"), "0x00 0x00\n").unwrap();
        assert_eq!(wear(folder.path()), None);
    }
}

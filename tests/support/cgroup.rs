//! A control group below the one that the tests run in; each says why when it is not to be had.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic; a skipped one says so")]

use std::path::{Path, PathBuf};

/// A group of one controller; removed when dropped.
pub struct Group {
    folder: PathBuf,
    unified: bool,
}

impl Group {
    /// Limits memory.
    pub fn memory(name: &str) -> Option<Self> {
        Self::of("memory", name)
    }

    /// Limits processor time.
    pub fn cpu(name: &str) -> Option<Self> {
        Self::of("cpu", name)
    }

    fn of(controller: &str, name: &str) -> Option<Self> {
        let group = Self::place(controller).and_then(|(above, unified)| {
            let folder = above.join(format!("forecourt-{name}-{}", std::process::id()));
            std::fs::create_dir(&folder).ok()?;
            let group = Self { folder, unified };
            let file = match (controller, unified) {
                ("memory", true) => "memory.max",
                ("memory", false) => "memory.limit_in_bytes",
                (_, true) => "cpu.max",
                (_, false) => "cpu.cfs_quota_us",
            };
            group.folder.join(file).exists().then_some(group)
        });
        if group.is_none() {
            println!("SKIPPED: no control group for {controller} can be made here; as root, with cgroups");
        }
        group
    }

    /// Where this process is in the tree, and whether it is the unified one.
    fn place(controller: &str) -> Option<(PathBuf, bool)> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        let mounted = |kind: &str, option: &str| {
            let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
            let mut found = fields.filter(|field| {
                field[2] == kind && field[3].split(',').any(|each| each == option || option.is_empty())
            });
            found.next().map(|field| PathBuf::from(field[1]))
        };
        for line in own.lines() {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            if controllers.split(',').any(|each| each == controller) {
                let top = mounted("cgroup", controller)?;
                return Some((top.join(path.trim_start_matches('/')), false));
            }
        }
        let unified = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        let folder = mounted("cgroup2", "")?.join(unified.trim_start_matches('/'));
        let offered = std::fs::read_to_string(folder.join("cgroup.subtree_control")).ok()?;
        offered.split_whitespace().any(|each| each == controller).then_some((folder, true))
    }

    /// Words for `sh -c` that put the shell into the group before it becomes something else.
    pub fn join(&self, then: &str) -> String {
        format!("echo $$ > {}/cgroup.procs; {then}", self.folder.display())
    }

    /// Most memory, in bytes.
    pub fn limit_memory(&self, bytes: u64) {
        let file = if self.unified { "memory.max" } else { "memory.limit_in_bytes" };
        self.write(file, &bytes.to_string());
        // Without it the kernel writes to swap instead, where there is some.
        if self.unified {
            self.write("memory.swap.max", "0");
        }
    }

    /// Share of one processor in per cent; 0 for all.
    pub fn limit_cpu(&self, percent: u64) {
        match (self.unified, percent) {
            (true, 0) => self.write("cpu.max", "max 100000"),
            (true, _) => self.write("cpu.max", &format!("{} 100000", percent * 1000)),
            (false, 0) => self.write("cpu.cfs_quota_us", "-1"),
            (false, _) => self.write("cpu.cfs_quota_us", &(percent * 1000).to_string()),
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path: &Path = &self.folder.join(file);
        std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

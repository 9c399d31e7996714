//! What a supervisor sees of the service (T27, T34): it says when it is ready, feeds the watchdog only while every
//! thread makes progress, and listens on no port.
//!
//! A fake notify socket stands for systemd. A single thread is made to hang from outside, by delaying its system calls
//! with strace; the whole process with SIGSTOP.
//!
//! Seen to fail on a break of one line: T27 when the watchdog is fed although a thread is stuck; T34 when the service
//! listens, on loopback only and for nobody.

#![cfg(all(feature = "opencv", feature = "onnx"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic; a skipped one says so")]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Time for a slow machine to load the pack.
const PATIENCE: Duration = Duration::from_secs(120);
/// The watchdog's interval in these tests; a thread counts as stuck after two thirds of it.
const WATCHDOG: Duration = Duration::from_secs(6);

struct Service {
    folder: tempfile::TempDir,
    child: Child,
    supervisor: UnixDatagram,
}

impl Service {
    fn start(mqtt_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/gate.mp4");
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
             [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
             [[camera]]\nid = \"gate\"\nsource = \"file:{}\"\n[mqtt]\nurl = \"{mqtt_url}\"\n",
            clip.display()
        );
        std::fs::write(folder.path().join("forecourt.toml"), text).unwrap();
        let socket = folder.path().join("notify.sock");
        let supervisor = UnixDatagram::bind(&socket).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_forecourt"))
            .args(["run", "--config"])
            .arg(folder.path().join("forecourt.toml"))
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self { folder, child, supervisor };
        assert!(service.hears(&["READY=1"], PATIENCE).is_some(), "the service was not ready");
        service
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// The first of these words that comes within `limit`.
    fn hears(&self, words: &[&str], limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        let mut buffer = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.supervisor.set_read_timeout(Some(left)).unwrap();
            let Ok(length) = self.supervisor.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(heard) = text.lines().find(|line| words.contains(line)) {
                return Some(heard.to_owned());
            }
        }
    }

    /// Forgets what was said until now.
    fn forget(&self) {
        self.supervisor.set_nonblocking(true).unwrap();
        while self.supervisor.recv(&mut [0; 4096]).is_ok() {}
        self.supervisor.set_nonblocking(false).unwrap();
    }

    /// A thread names itself a moment after it began.
    fn thread(&self, name: &str) -> u32 {
        let until = Instant::now() + WATCHDOG;
        while Instant::now() < until {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            let named =
                |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name);
            if let Some(task) = tasks.map(|task| task.unwrap().path()).find(named) {
                return task.file_name().unwrap().to_str().unwrap().parse().unwrap();
            }
            std::thread::yield_now();
        }
        panic!("no thread {name}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn strace_works() -> bool {
    let works =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        println!("SKIPPED: strace is not installed, or processes may not be traced here");
    }
    works
}

#[test]
fn the_watchdog_is_fed_while_all_goes_well_and_a_stopped_process_is_silent() {
    let service = Service::start("");
    let until = Instant::now() + WATCHDOG;
    let mut fed = 0;
    while Instant::now() < until {
        match service.hears(&["WATCHDOG=1", "WATCHDOG=trigger"], WATCHDOG).as_deref() {
            Some("WATCHDOG=1") => fed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(fed >= 3, "fed {fed} times");
    kill(service.pid(), Signal::SIGSTOP).unwrap();
    service.forget();
    assert_eq!(service.hears(&["WATCHDOG=1", "WATCHDOG=trigger"], Duration::from_secs(3)), None);
    kill(service.pid(), Signal::SIGCONT).unwrap();
    assert!(service.hears(&["WATCHDOG=1"], WATCHDOG).is_some());
}

#[test]
fn a_single_thread_that_hangs_ends_the_feeding() {
    if !strace_works() {
        return;
    }
    // A port at which nobody listens: the delivery thread runs and tries.
    for (thread, calls) in [("inference", "futex"), ("rules", "futex"), ("delivery", "epoll_wait")] {
        let service = Service::start("mqtt://127.0.0.1:9");
        assert_eq!(service.hears(&["WATCHDOG=1", "WATCHDOG=trigger"], WATCHDOG).as_deref(), Some("WATCHDOG=1"));
        let inject = format!("inject={calls}:delay_enter=20000000");
        let mut strace = Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject])
            .args(["-p", &service.thread(thread).to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let heard = service.hears(&["WATCHDOG=trigger"], WATCHDOG * 3);
        let _ = strace.kill();
        let _ = strace.wait();
        assert!(heard.is_some(), "{thread} hung and the watchdog was fed");
    }
}

#[test]
fn no_port_is_open() {
    let service = Service::start("mqtt://127.0.0.1:9");
    assert!(service.folder.path().join("control.sock").exists());
    let process = PathBuf::from(format!("/proc/{}", service.child.id()));
    let inodes: Vec<String> = std::fs::read_dir(process.join("fd"))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    assert!(!inodes.is_empty(), "not even the control socket was found");
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(process.join("net").join(table)).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is LISTEN; a UDP socket without a peer takes from anybody.
            let open = if table.starts_with("tcp") { fields[3] == "0A" } else { fields[2].ends_with(":0000") };
            assert!(!(open && inodes.iter().any(|inode| inode == fields[9])), "{table}: {line}");
        }
    }
}

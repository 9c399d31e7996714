//! A PostgreSQL server of its own, on a free port, in a folder that goes away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::broker::free_port;

/// A running server; stopped when dropped.
pub struct Postgres {
    programs: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Postgres {
    /// `None`, with a line that says so, when PostgreSQL is not installed.
    pub fn start(folder: &Path) -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let Some(programs) = versions.map(|entry| entry.path().join("bin")).find(|bin| bin.join("initdb").exists())
        else {
            eprintln!("SKIPPED: PostgreSQL is not installed (apt-get install postgresql)");
            return None;
        };
        // The server refuses to run as root, and another user has to get to its folder.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let server = Self { programs, data: folder.join("postgres"), port: free_port() };
        let options = format!("-F -h 127.0.0.1 -p {} -k {}", server.port, folder.display());
        let data = server.data.to_string_lossy();
        let made = server.run("initdb", &["-A", "trust", "-U", "scrm", "-E", "UTF8", "-D", &data]);
        if !(made && server.run("pg_ctl", &["start", "-w", "-D", &data, "-l", "/dev/null", "-o", &options])) {
            eprintln!("SKIPPED: PostgreSQL does not start for this user");
            return None;
        }
        Some(server)
    }

    /// Where it is found.
    pub fn url(&self) -> String {
        format!("postgresql://scrm@127.0.0.1:{}/postgres", self.port)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.programs.join(program);
        let mut command = if nix::unistd::Uid::effective().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data.to_string_lossy()]);
    }
}

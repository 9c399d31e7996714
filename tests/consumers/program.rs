//! A worked consumer as a process: where its interpreter and packages are, how it is started, killed and asked.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::PATIENCE;
use crate::postgres::Postgres;

/// Where the examples are.
fn examples() -> PathBuf {
    root().join("contract/examples")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of the Python consumer with something changed.
pub struct Copy(PathBuf);

impl Copy {
    /// Replaces `line`, which stands in `file` once.
    pub fn with(folder: &Path, file: &str, line: &str, replacement: &str) -> Self {
        let copy = folder.join("examples/python");
        std::fs::create_dir_all(&copy).unwrap();
        std::fs::copy(examples().join("schema.sql"), folder.join("examples/schema.sql")).unwrap();
        for name in ["consumer.py", "store.py"] {
            let mut text = std::fs::read_to_string(examples().join("python").join(name)).unwrap();
            if name == file {
                assert_eq!(text.matches(line).count(), 1, "`{line}` in {name}");
                text = text.replace(line, replacement);
            }
            std::fs::write(copy.join(name), text).unwrap();
        }
        Self(copy)
    }
}

/// How a consumer is called.
pub struct Program {
    interpreter: &'static str,
    script: PathBuf,
    packages: Option<PathBuf>,
    folder: PathBuf,
    database: String,
}

impl Program {
    /// The Python consumer on SQLite.
    pub fn python(folder: &Path, copy: Option<Copy>) -> Option<Self> {
        let script = copy.map_or_else(|| examples().join("python"), |copy| copy.0).join("consumer.py");
        let packages = root().join("third_party/python");
        let Some(interpreter) = python(&packages, "") else {
            eprintln!("SKIPPED: python3 with paho-mqtt 2 is not installed (tools/setup.sh test)");
            return None;
        };
        Some(Self::new(folder, interpreter, script, Some(packages)))
    }

    /// The Node consumer on SQLite.
    pub fn node(folder: &Path) -> Option<Self> {
        let here = examples().join("node");
        let script = "require('mqtt'); require('better-sqlite3')";
        let mut command = Command::new("node");
        command.args(["-e", script]).current_dir(&here).stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: node with mqtt and better-sqlite3 is not installed (make contract-check)");
            return None;
        }
        Some(Self::new(folder, "node", here.join("consumer.js"), None))
    }

    fn new(folder: &Path, interpreter: &'static str, script: PathBuf, packages: Option<PathBuf>) -> Self {
        let database = folder.join("scrm.db").to_string_lossy().into_owned();
        Self { interpreter, script, packages, folder: folder.to_owned(), database }
    }

    /// The same on PostgreSQL.
    pub fn on_postgres(self, postgres: &Postgres) -> Option<Self> {
        let Some(interpreter) = python(self.packages.as_deref()?, "import psycopg") else {
            eprintln!("SKIPPED: python3 with psycopg 3 is not installed (apt-get install python3-psycopg)");
            return None;
        };
        Some(Self { interpreter, database: postgres.url(), ..self })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.interpreter);
        command.arg(&self.script).args([verb, "--database", &self.database]).stdin(Stdio::null());
        if let Some(packages) = &self.packages {
            command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
        }
        command
    }

    /// Starts it, and returns when it has subscribed.
    pub fn start(&self, port: u16) -> Consumer {
        let words = self.folder.join("consumer.log");
        let log = File::create(&words).unwrap();
        let mut command = self.command("run");
        command.args(["--broker", &format!("mqtt://127.0.0.1:{port}")]).stdout(Stdio::null()).stderr(log);
        let mut consumer = Consumer(command.spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        loop {
            let said = std::fs::read_to_string(&words).unwrap();
            if said.contains("consumer: subscribed") {
                return consumer;
            }
            assert!(consumer.0.try_wait().unwrap().is_none(), "the consumer ended: {said}");
            assert!(Instant::now() < until, "the consumer does not subscribe: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Keeps everybody else from writing to the database, as long as what is returned lives; `None`: no SQLite file.
    pub fn lock(&self) -> Option<rusqlite::Connection> {
        if self.database.starts_with("postgresql:") {
            return None;
        }
        let connection = rusqlite::Connection::open(&self.database).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection.execute_batch("begin immediate").unwrap();
        Some(connection)
    }

    fn report(&self) -> Value {
        let output = self.command("report").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What it has stored, as soon as that is `complete`, or when nothing has been added for a while.
    pub fn report_when_quiet(&self, complete: impl Fn(&Value) -> bool) -> Value {
        let quiet = Duration::from_secs(8);
        let (mut last, mut since) = (self.report(), Instant::now());
        while !complete(&last) && since.elapsed() < quiet {
            std::thread::sleep(Duration::from_millis(200));
            let report = self.report();
            if report != last {
                (last, since) = (report, Instant::now());
            }
        }
        last
    }
}

/// A Python that knows paho-mqtt 2 and can do `import` as well.
fn python(packages: &Path, import: &str) -> Option<&'static str> {
    let script = format!("import paho.mqtt.client as m; m.CallbackAPIVersion\n{import}");
    let knows = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", &script]).env("PYTHONPATH", packages);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(knows)
}

/// A running consumer; killed when dropped.
pub struct Consumer(Child);

impl Consumer {
    /// SIGKILL: nothing is finished, nothing is said to the broker.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// As an administrator stops it; it must end by itself.
    pub fn stop(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let until = Instant::now() + PATIENCE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the consumer does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = self.0.wait().unwrap();
        assert!(status.success(), "the consumer ended with {status}");
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

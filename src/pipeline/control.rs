//! The Unix socket on which the running service answers `status`, `events` and `visits`. No TCP port is open.
//!
//! One JSON question a line, one JSON answer a line; `tail` answers with events until the asker goes. Only the user of
//! the service, root, and members of the service's group are answered. Questions change nothing.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::service::Message;
use crate::domain::event::EventClass;
use crate::store::spool::{QueuedEvent, Spool, SpoolError, VisitRow};

/// Askers at once; more are turned away.
const MOST_ASKERS: usize = 16;
/// Longest question.
const MOST_BYTES: u64 = 4096;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows in one answer.
pub const MOST_ROWS: usize = 1000;
/// Events that may wait for a slow tail; when it is full, the tail misses some.
const TAIL: usize = 256;

/// What can be asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// How everything is.
    Status,
    /// Events that wait for the broker.
    Outbox {
        /// Most of them.
        limit: usize,
    },
    /// One waiting event by its id.
    Explain {
        /// Its id.
        id: String,
    },
    /// Visits, newest first.
    Visits {
        /// Most of them.
        limit: usize,
    },
}

/// What is answered, or why not.
pub type Answer = Result<Value, String>;

/// A question with its way back.
pub struct Asked {
    /// What.
    pub question: Question,
    back: SyncSender<Answer>,
}

impl Asked {
    /// A question from inside the service, and where its answer comes out.
    pub fn new(question: Question) -> (Self, Receiver<Answer>) {
        let (back, answer) = sync_channel(1);
        (Self { question, back }, answer)
    }

    /// Answers; an asker who has gone does not hear it.
    pub fn answer(self, answer: Answer) {
        let _ = self.back.try_send(answer);
    }
}

/// Those who follow the events.
#[derive(Clone, Default)]
pub struct Tails(Arc<Mutex<Vec<SyncSender<Vec<u8>>>>>);

impl Tails {
    /// Sends an event to all who follow.
    pub fn send(&self, event: &[u8]) {
        let mut tails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tails.retain(|tail| !matches!(tail.try_send(event.to_vec()), Err(TrySendError::Disconnected(_))));
    }

    fn follow(&self) -> Receiver<Vec<u8>> {
        let (sender, receiver) = sync_channel(TAIL);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }
}

/// The listening socket.
pub struct Control {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    tails: Tails,
}

/// Begins to answer; questions go to the rules thread.
pub fn serve(path: &Path, to_rules: SyncSender<Message>) -> anyhow::Result<Control> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of `{shown}`"))?;
    }
    if UnixStream::connect(path).is_ok() {
        bail!("another service answers on `{shown}` (`storage.control_socket`)");
    }
    remove_old_socket(path)?;
    let listener = UnixListener::bind(path).with_context(|| {
        format!("cannot listen on `{shown}`; set `storage.control_socket` to a place that can be written")
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    let control = Control { path: path.to_owned(), stop: Arc::default(), tails: Tails::default() };
    let (stop, tails) = (Arc::clone(&control.stop), control.tails.clone());
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || accept(&listener, &to_rules, &tails, &stop))?;
    Ok(control)
}

/// What a killed service left behind; anything but a socket is somebody's file.
fn remove_old_socket(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !meta.file_type().is_socket() {
        bail!("`{shown}` (`storage.control_socket`) is no socket and is left alone; name a place that is free");
    }
    std::fs::remove_file(path).with_context(|| format!("cannot remove the old socket `{shown}`"))
}

impl Control {
    /// Those who follow the events.
    pub fn tails(&self) -> Tails {
        self.tails.clone()
    }

    /// Stops answering.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread that waits for an asker.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, to_rules: &SyncSender<Message>, tails: &Tails, stop: &Arc<AtomicBool>) {
    let askers = Arc::new(());
    for stream in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if Arc::strong_count(&askers) > MOST_ASKERS || !may_ask(&stream) {
            warn!("Somebody who may not ask was turned away at the control socket.");
            continue;
        }
        let (to_rules, tails, stop, one) = (to_rules.clone(), tails.clone(), Arc::clone(stop), Arc::clone(&askers));
        let talk = move || {
            if let Err(error) = converse(&stream, &to_rules, &tails, &stop) {
                debug!("A conversation on the control socket ended: {error:#}");
            }
            drop(one);
        };
        if let Err(error) = std::thread::Builder::new().name("asker".to_owned()).spawn(talk) {
            warn!(%error, "No thread for an asker.");
        }
    }
}

/// The service's own user, root, or somebody whose main group is the service's; others the file's mode keeps out.
fn may_ask(stream: &UnixStream) -> bool {
    let Ok(peer) = getsockopt(stream, PeerCredentials) else { return false };
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    peer.uid() == 0 || peer.uid() == own.0 || peer.gid() == own.1
}

fn converse(
    stream: &UnixStream,
    to_rules: &SyncSender<Message>,
    tails: &Tails,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(stream, MOST_BYTES));
    reader.read_line(&mut line)?;
    let mut out = stream;
    if line.trim() == r#"{"ask":"tail"}"# {
        return tail(out, tails, stop);
    }
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) => ask(question, to_rules),
        Err(error) => Err(format!("the question is not understood: {error}")),
    };
    let answer = match answer {
        Ok(value) => json!({ "ok": value }),
        Err(words) => json!({ "error": words }),
    };
    writeln!(out, "{answer}")?;
    Ok(())
}

fn ask(question: Question, to_rules: &SyncSender<Message>) -> Answer {
    let (asked, answer) = Asked::new(question);
    to_rules.send(Message::Asked(asked)).map_err(|_| "the service is stopping".to_owned())?;
    answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("the rules thread does not answer".to_owned()))
}

fn tail(mut out: &UnixStream, tails: &Tails, stop: &AtomicBool) -> anyhow::Result<()> {
    let events = tails.follow();
    while !stop.load(Ordering::Acquire) {
        match events.recv_timeout(Duration::from_millis(500)) {
            Ok(event) => {
                out.write_all(&event)?;
                out.write_all(b"\n")?;
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Asks the running service; `Ok(None)` when none is running.
pub fn question(path: &Path, question: &Question) -> anyhow::Result<Option<Value>> {
    let Some(stream) = connect(path)? else { return Ok(None) };
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    writeln!(&stream, "{}", serde_json::to_string(question)?)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    let mut answer: Value = serde_json::from_str(&line).context("the service's answer is not understood")?;
    match answer["error"].as_str() {
        Some(words) => bail!("{words}"),
        None => Ok(Some(answer["ok"].take())),
    }
}

/// Follows the running service's events; `Ok(None)` when none is running.
pub fn follow(path: &Path) -> anyhow::Result<Option<impl Iterator<Item = std::io::Result<String>>>> {
    let Some(stream) = connect(path)? else { return Ok(None) };
    writeln!(&stream, r#"{{"ask":"tail"}}"#)?;
    Ok(Some(BufReader::new(stream).lines()))
}

fn connect(path: &Path) -> anyhow::Result<Option<UnixStream>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot talk to the service on `{}`; try as root", path.display()))
        }
    }
}

/// How the spool is, and what waits in it.
pub fn outbox_state(spool: &mut Spool) -> Value {
    let waiting = spool.waiting().unwrap_or_default();
    let classes: serde_json::Map<String, Value> =
        waiting.iter().map(|each| (class(each.class), json!({ "count": each.count, "oldest": each.oldest }))).collect();
    let health = spool.health();
    json!({
        "condition": health.condition, "since": health.since, "detail": health.detail,
        "epoch": spool.epoch(), "waiting": classes,
    })
}

fn class(class: EventClass) -> String {
    format!("P{}", class.number())
}

/// The events that wait, dearest class first; `epoch` is the spool's.
pub fn outbox(queued: Result<Vec<QueuedEvent>, SpoolError>, epoch: &str) -> Answer {
    let queued = queued.map_err(|error| error.to_string())?;
    let rows = queued.iter().map(|event| {
        json!({
            "id": format!("{epoch}-{}", event.key.seq), "class": class(event.class), "kind": event.kind,
            "topic": event.topic, "happened_at": event.happened_at, "bytes": event.payload.len(),
        })
    });
    Ok(Value::Array(rows.collect()))
}

/// One waiting event, whole, or `null` when none of that id waits; `find` looks it up by its number.
pub fn explain(id: &str, find: impl FnOnce(u64) -> Result<Option<QueuedEvent>, SpoolError>) -> Answer {
    // The number stands behind the last hyphen; the payload knows the whole id, also that of an earlier epoch.
    let Some(seq) = id.rsplit_once('-').and_then(|(_, seq)| seq.parse().ok()) else { return Ok(Value::Null) };
    let Some(event) = find(seq).map_err(|error| error.to_string())? else { return Ok(Value::Null) };
    let payload: Value = serde_json::from_slice(&event.payload).map_err(|error| error.to_string())?;
    if payload["id"] != id {
        return Ok(Value::Null);
    }
    Ok(json!({ "class": class(event.class), "topic": event.topic, "event": payload }))
}

/// Visits, newest first.
pub fn visits(rows: Result<Vec<VisitRow>, SpoolError>) -> Answer {
    let rows = rows.map_err(|error| error.to_string())?;
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).ok();
    let rows = rows.iter().map(|row| {
        let departure: Option<Value> = row.closed_ms.and_then(|_| serde_json::from_slice(&row.state).ok());
        json!({
            "visit_id": row.visit_id, "member_ref": row.member_ref,
            "opened_at": time(row.opened_ms), "closed_at": row.closed_ms.and_then(time),
            "departure": departure,
        })
    });
    Ok(Value::Array(rows.collect()))
}

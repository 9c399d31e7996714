//! The platform's desk: a thread of its own that takes in member lists and commands, and posts the state of the box.
//!
//! Promises: a message is acknowledged to the broker only when what it says is durable or was refused with a reason;
//! garbage harms nothing; recognition never waits for it. It owns the second connection to the member list, the one that
//! writes; receipts go through the rules thread into the outbox. While the disk refuses, letters wait here and at the broker.

mod bundle;
mod changing;
mod doing;
mod lists;
mod orders;
mod performance;
mod trust;
mod watchman;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::changes::Changes;
use super::control::{Asked, Question};
use super::rules::{source, time_zone};
use super::service::Message;
use crate::clock::Boot;
use crate::config::Config;
use crate::domain::event::Event;
use crate::domain::sync::{CommandName, ConfigFacts, DeviceFacts, ModelFacts, TrustedKeys, canonical, hash_line, hex};
use crate::health::{Share, Times};
use crate::mqtt::{self, AnswerId, Board, Letter, Topics};
use crate::store::keys::KeyRing;
use crate::store::members::{FILE_NAME, ImportOptions, MemberStore, StoreError};
use changing::Bringing;
use lists::Lists;
use watchman::Watchman;

/// What the box listens to, below its own topics.
pub const FILTERS: [&str; 4] = ["members/manifest", "members/delta/+/+", "members/snapshot/+/+/+", "cmd/+/+"];

/// Longest time between two looks at receipts, answers and state.
const TICK: Duration = Duration::from_millis(200);
/// Pause before a letter is tried again that the disk refused.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How long the rules thread may take to write a receipt or answer a question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two posts of the state while chunks come in.
const POST_EVERY: Duration = Duration::from_secs(1);

/// What `status` shows of this desk.
pub type Shown = Arc<Mutex<Value>>;

/// What the desk works with.
pub struct Office {
    config: Config,
    folder: PathBuf,
    /// `TENANT/SITE/DEVICE`.
    own: String,
    topics: Topics,
    boot: Boot,
    started_at: Timestamp,
    store: MemberStore,
    lists: Lists,
    /// What face templates are sealed with, or why there is nothing.
    keys: Result<Arc<KeyRing>, String>,
    commanders: TrustedKeys,
    board: Arc<Board>,
    letters: Option<Receiver<Letter>>,
    /// Letters that the disk refused.
    held: VecDeque<Letter>,
    held_at: Option<Instant>,
    to_rules: SyncSender<Message>,
    /// Posted last answers, by what the board calls them.
    unanswered: BTreeMap<AnswerId, String>,
    posted_at: Option<Instant>,
    shown: Shown,
    /// The service is to end, and to begin anew when the second is raised too.
    stop: Arc<AtomicBool>,
    again: Arc<AtomicBool>,
    restart_due: Option<Instant>,
    watchman: Watchman,
    times: Arc<Times>,
    share: Arc<Share>,
    /// The settings file; `None`: settings cannot be patched.
    file: Option<PathBuf>,
    changes: Changes,
    /// When the change on trial is judged.
    judged_at: Instant,
    /// A pack on its way, and the command that asked for it.
    bringing: Option<Bringing>,
}

/// What the desk is connected to.
pub struct Wires {
    /// Where states and answers are posted.
    pub board: Arc<Board>,
    /// What comes in; `None`: no broker is set.
    pub letters: Option<Receiver<Letter>>,
    /// The rules thread.
    pub to_rules: SyncSender<Message>,
    /// Ends the service.
    pub stop: Arc<AtomicBool>,
    /// Makes it begin anew.
    pub again: Arc<AtomicBool>,
    /// For `status`.
    pub shown: Shown,
    /// Times of recognition.
    pub times: Arc<Times>,
    /// Which share of the frames is looked at.
    pub share: Arc<Share>,
    /// The settings file.
    pub file: Option<PathBuf>,
}

/// Opens the member list for writing, and works until `done` is raised. A list that cannot be opened now (a full disk, on
/// which only the rules can use it) is tried again; recognition does not wait for it.
///
/// # Errors
/// A key that cannot be read.
pub fn serve(config: &Config, base: &Path, boot: Boot, wires: Wires, done: &AtomicBool) -> anyhow::Result<()> {
    let folder = base.join(&config.storage.folder);
    let commanders = trust::keys("commands.trusted_keys", &config.commands.trusted_keys, base)?;
    let mut told = false;
    let (store, lists) = loop {
        let trusted = trust::keys("members.trusted_keys", &config.members.trusted_keys, base)?;
        match open(&folder, trusted, &own(config)) {
            Ok(both) => break both,
            Err(error) if !told => {
                told = true;
                warn!(%error, "The platform's lists and commands wait until the member list can be written.");
            }
            Err(_) => {}
        }
        if done.load(Ordering::Acquire) {
            return Ok(());
        }
        std::thread::sleep(TRY_AGAIN);
    };
    Office::new(config, folder, boot, wires, (store, lists, commanders)).run(done);
    Ok(())
}

fn open(folder: &Path, trusted: TrustedKeys, own: &str) -> Result<(MemberStore, Lists), StoreError> {
    let store = MemberStore::open(&folder.join(FILE_NAME))?.acting_as("platform").with_small_cache();
    Ok((store, Lists::open(folder, trusted, own)?))
}

fn own(config: &Config) -> String {
    format!("{}/{}/{}", config.site.tenant, config.site.site, config.site.device)
}

impl Office {
    fn new(
        config: &Config,
        folder: PathBuf,
        boot: Boot,
        wires: Wires,
        (store, lists, commanders): (MemberStore, Lists, TrustedKeys),
    ) -> Self {
        let keys = KeyRing::load(&config.privacy, &folder).map(Arc::new).map_err(|error| error.to_string());
        let Wires { board, letters, to_rules, stop, again, shown, times, share, file } = wires;
        Self {
            topics: Topics::new(&config.site, &config.mqtt),
            own: own(config),
            config: config.clone(),
            started_at: Timestamp::now(),
            held: VecDeque::new(),
            held_at: None,
            unanswered: BTreeMap::new(),
            posted_at: None,
            restart_due: None,
            watchman: Watchman::new(&folder),
            changes: Changes::open(&folder),
            judged_at: Instant::now() + config.commands.probation,
            bringing: None,
            file,
            times,
            share,
            folder,
            boot,
            store,
            lists,
            keys,
            commanders,
            board,
            letters,
            to_rules,
            shown,
            stop,
            again,
        }
    }

    /// Works until `done` is raised.
    fn run(mut self, done: &AtomicBool) {
        self.post_facts();
        self.begin_lists();
        self.resume_commands();
        while !done.load(Ordering::Acquire) {
            self.wait_for_letter();
            self.tick();
        }
    }

    fn wait_for_letter(&mut self) {
        if !self.held.is_empty() {
            std::thread::sleep(TICK);
            if self.held_at.is_none_or(|at| at.elapsed() >= TRY_AGAIN)
                && let Some(letter) = self.held.pop_front()
            {
                self.take(letter);
            }
            return;
        }
        match self.letters.as_ref().map(|letters| letters.recv_timeout(TICK)) {
            Some(Ok(letter)) => self.take(letter),
            Some(Err(RecvTimeoutError::Timeout)) => {}
            Some(Err(RecvTimeoutError::Disconnected)) | None => std::thread::sleep(TICK),
        }
    }

    /// Handles a letter and acknowledges it; one that the disk refuses is kept.
    fn take(&mut self, letter: Letter) {
        match self.handle(&letter) {
            Ok(()) => self.board.handled(letter.mark),
            Err(error) => {
                if self.held_at.is_none_or(|at| at.elapsed() >= PATIENCE) {
                    warn!(%error, "A message of the platform waits until it can be written down.");
                }
                self.held_at = Some(Instant::now());
                self.held.push_front(letter);
            }
        }
    }

    fn handle(&mut self, letter: &Letter) -> Result<(), StoreError> {
        let levels: Vec<&str> = letter.topic.split('/').collect();
        match levels[..] {
            // An empty message only clears what the broker kept.
            _ if letter.payload.is_empty() => Ok(()),
            ["members", "manifest"] | ["members", "delta", _, _] | ["members", "snapshot", _, _, _] => {
                self.piece(&letter.payload)
            }
            ["cmd", name, id] => self.command(name, id, letter),
            _ => Ok(()),
        }
    }

    fn tick(&mut self) {
        for id in self.board.delivered() {
            if let Some(command) = self.unanswered.remove(&id)
                && let Err(error) = self.store.command_answered(&command)
            {
                warn!(%error, "An answer that was delivered could not be noted; it is sent again after a start.");
            }
        }
        if let Err(error) = self.send_receipts() {
            warn!("Receipts wait: {error:#}");
        }
        self.post_members(false);
        self.watch();
        self.see_to_changes();
        self.restart_when_due();
    }

    /// Removals whose traces are gone from the file become events.
    fn send_receipts(&mut self) -> anyhow::Result<()> {
        let receipts = self.store.receipts()?;
        if receipts.is_empty() || !self.store.shred() {
            return Ok(());
        }
        let shredded_at = Timestamp::now();
        for (id, mut receipt) in receipts {
            receipt.shredded_at = Some(shredded_at);
            let (back, answer) = sync_channel(1);
            self.to_rules.send(Message::Tell { event: Box::new(Event::Receipt(receipt)), back }).context("stopping")?;
            let told = answer.recv_timeout(PATIENCE).context("the rules thread does not answer")?;
            told.map_err(anyhow::Error::msg)?;
            self.store.forget_receipt(id)?;
        }
        Ok(())
    }

    /// What the running service says of itself.
    fn ask(&self, question: Question) -> Result<Value, String> {
        let (asked, answer) = Asked::new(question);
        self.to_rules.send(Message::Asked(asked)).map_err(|_| "the service is stopping".to_owned())?;
        answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("the rules thread does not answer".to_owned()))
    }

    /// Posts what does not change while the service runs.
    fn post_facts(&self) {
        let facts = DeviceFacts {
            source: source(&self.config),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            boot_id: self.boot.id().to_owned(),
            started_at: self.started_at,
            cameras: self.config.cameras.iter().map(|camera| camera.id.clone()).collect(),
            capabilities: CommandName::ALL.into_iter().filter_map(|name| self.capability(name)).collect(),
            max_packet: mqtt::MAX_PACKET,
        };
        self.post("state/device", &facts);
        let models = ModelFacts {
            plates: self.config.plates.packs.iter().map(|pack| base_name(pack)).collect(),
            faces: self.config.faces.packs.iter().map(|pack| base_name(pack)).collect(),
            region: base_name(&self.config.plates.region),
        };
        self.post("state/models", &models);
        self.post_settings();
    }

    fn post_settings(&self) {
        let facts = ConfigFacts {
            sha256: digest_of(&self.config),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            patched: self.changes.keys(),
            probation: self.changes.trial().map(|trial| trial.command.clone()),
        };
        let rolled_back = self.changes.ended().map(|(command, why)| json!({ "command": command, "why": why }));
        self.show(
            "changes",
            json!({ "patched": facts.patched, "probation": facts.probation, "rolled_back": rolled_back }),
        );
        self.post("state/config", &facts);
    }

    fn post(&self, topic: &str, value: &impl Serialize) {
        let payload = serde_json::to_vec(value).expect("what is posted has string keys only");
        let topic = self.topics.whole(topic);
        self.board.state(mqtt::Message {
            topic,
            payload,
            content_type: "application/json",
            ..mqtt::Message::default()
        });
    }

    fn show(&self, part: &str, value: Value) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown[part] = value;
    }

    fn import_options(&self, now: Timestamp) -> ImportOptions {
        ImportOptions {
            default_lease: self.config.members.default_lease,
            zone: time_zone(&self.config).unwrap_or(jiff::tz::TimeZone::UTC),
            max_members: self.config.members.max_members,
            keys: self.keys.clone(),
            ..ImportOptions::at(now)
        }
    }

    fn restart_when_due(&mut self) {
        if self.restart_due.is_some_and(|due| Instant::now() >= due) {
            self.restart_due = None;
            info!("Ending to begin anew, as the platform asked.");
            self.again.store(true, Ordering::Release);
            self.stop.store(true, Ordering::Release);
        }
    }
}

/// The settings without telling them.
fn digest_of(config: &Config) -> String {
    let settings = serde_json::to_value(config).unwrap_or_default();
    hex(&hash_line(canonical(&settings).as_bytes()))
}

/// The last part of a path: where things lie on the box is nobody's business.
fn base_name(words: &str) -> String {
    Path::new(words).file_name().map_or_else(|| words.to_owned(), |name| name.to_string_lossy().into_owned())
}

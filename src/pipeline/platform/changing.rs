//! Changes of settings and packs: judged before they are begun, tried, kept when the box is well with them, else taken back.
//!
//! A change is on disk with the way back before the service begins anew with it; its command is answered when the trial is
//! over, also when that is some starts later. One change is on trial at a time.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tracing::{info, warn};

use super::doing::{Done, failed};
use super::orders::FAREWELL;
use super::{Office, digest_of, performance};
use crate::config::{self, patch};
use crate::domain::event::Health;
use crate::domain::pack_trial::{self, Performance};
use crate::domain::sync::{AnswerState, CommandName, Reason};
use crate::inference::pack::install;
use crate::mqtt::ConnectionState;
use crate::pipeline::changes::{Before, Change, Changes};
use crate::pipeline::control::Question;
use crate::pipeline::packs::{self, Brought, NotBrought, Wanted};

/// Points of a reason of the health score from which on it speaks against a change.
const GRAVE: u8 = 20;
/// Pause before a judgement is tried again that could not be written down.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// A pack on its way.
pub(super) struct Bringing {
    command: String,
    /// How the packs in use did before it came.
    before: Option<Performance>,
    outcome: Receiver<Result<Brought, NotBrought>>,
}

impl Office {
    /// May the change be begun?
    pub(super) fn judge_change(
        &self,
        command: CommandName,
        args: &Map<String, Value>,
    ) -> Result<(), (&'static str, String)> {
        match command {
            CommandName::ConfigPatch => self.judge_patch(args)?,
            CommandName::PackInstall => {
                Wanted::parse(args).map_err(|words| ("not-readable", format!("`args`: {words}")))?;
            }
            _ => return Ok(()),
        }
        let other = self.changes.trial().map(|trial| &trial.command);
        match other.or(self.bringing.as_ref().map(|bringing| &bringing.command)) {
            Some(other) => {
                Err(("busy", format!("the change of the command `{other}` is not over; wait for its answer")))
            }
            None => Ok(()),
        }
    }

    fn judge_patch(&self, args: &Map<String, Value>) -> Result<(), (&'static str, String)> {
        let Some(newer) = args.get("patch").and_then(Value::as_object).filter(|_| args.len() == 1) else {
            return Err(("not-readable", "`args` holds `patch`, an object, and nothing else".to_owned()));
        };
        let words = patch::refused(newer);
        if !words.is_empty() {
            return Err(("not-allowed", words.join("; ")));
        }
        let Some(file) = &self.file else {
            return Err(("not-allowed", "this service has no settings file".to_owned()));
        };
        let all = patch::merged(self.changes.patch(), newer);
        let findings = match config::load_patched(file, &all) {
            Ok(loaded) => loaded.check_service(true),
            Err(errors) => errors.findings,
        };
        let words: Vec<String> = findings.iter().map(ToString::to_string).collect();
        if words.is_empty() { Ok(()) } else { Err(("not-valid", words.join("; "))) }
    }

    /// Puts a patch on trial; the service begins anew with it.
    pub(super) fn patch(&mut self, id: &str, args: &Map<String, Value>) -> Option<Done> {
        // Judged again: it may have been accepted before a kill, and the file changed since.
        if let Err((code, words)) = self.judge_patch(args) {
            return Some(Err(failed(code, words)));
        }
        let newer = args.get("patch").and_then(Value::as_object).cloned().unwrap_or_default();
        let all = patch::merged(self.changes.patch(), &newer);
        if all == *self.changes.patch() {
            return Some(Ok(json!({ "changed": false, "sha256": digest_of(&self.config) })));
        }
        let packs = performance::changes_packs(&newer).then(|| self.performance()).flatten();
        let known = Before { wrong: self.what_is_wrong(), packs };
        self.on_trial(|changes| changes.try_patch(all, id, known))
    }

    /// Fetches and installs in a thread of its own; the answer comes with what becomes of it.
    pub(super) fn bring(&mut self, id: &str, args: &Map<String, Value>) -> Option<Done> {
        let wanted = match Wanted::parse(args) {
            Ok(wanted) => wanted,
            Err(words) => return Some(Err(failed("not-readable", words))),
        };
        // Before the new pack is tried beside the old one, which makes both slow.
        let before = self.performance();
        let (sink, outcome) = sync_channel(1);
        let (config, folder, command) = (self.config.clone(), self.folder.clone(), id.to_owned());
        let name = command.clone();
        let work = move || drop(sink.send(packs::bring(&wanted, &name, &config, &folder)));
        if let Err(error) = std::thread::Builder::new().name("pack".to_owned()).spawn(work) {
            return Some(Err(failed("failed", format!("no thread could be started: {error}"))));
        }
        self.bringing = Some(Bringing { command, before, outcome });
        None
    }

    /// Takes over a pack that was brought, and judges a change whose trial is over.
    pub(super) fn see_to_changes(&mut self) {
        if let Some(Bringing { command, before, outcome }) = self.bringing.take() {
            match outcome.try_recv() {
                Err(TryRecvError::Empty) => self.bringing = Some(Bringing { command, before, outcome }),
                Ok(Ok(brought)) => {
                    let done = self.brought(&command, &brought, before);
                    self.answer_later(&command, done);
                }
                Ok(Err(NotBrought::NotFetched(words))) => {
                    self.answer_later(&command, Some(Err(failed("not-fetched", words))));
                }
                Ok(Err(NotBrought::Refused(words))) => {
                    self.answer_later(&command, Some(Err(failed("pack-refused", words))));
                }
                Err(TryRecvError::Disconnected) => {
                    self.answer_later(&command, Some(Err(failed("failed", "the installation broke off"))));
                }
            }
        }
        // A change without a start is not in use yet: the service is about to begin anew with it.
        let in_use = self.changes.trial().is_some_and(|trial| trial.starts > 0);
        if in_use && self.restart_due.is_none() && Instant::now() >= self.judged_at {
            self.judged_at = Instant::now() + TRY_AGAIN;
            self.judge_trial();
        }
    }

    /// A pack that the settings name is put on trial; another one waits until they do.
    fn brought(&mut self, command: &str, brought: &Brought, of_packs: Option<Performance>) -> Option<Done> {
        let Brought { label, packs, before, named } = brought;
        info!(pack = label.name, version = label.version, "A pack was installed.");
        let version = label.folder();
        let on_probation = install::State::read(packs, &label.name).ok().flatten().and_then(|state| state.probation);
        // Named and already kept: a repetition of what was done.
        if !named || on_probation.is_none() {
            return Some(Ok(json!({
                "name": label.name, "version": label.version, "in_use": named, "before": before,
            })));
        }
        let change = Change::Pack { packs: packs.clone(), name: label.name.clone(), version };
        let known = Before { wrong: self.what_is_wrong(), packs: of_packs };
        self.on_trial(|changes| changes.try_pack(change, command, known))
    }

    fn on_trial(&mut self, begin: impl FnOnce(&mut Changes) -> anyhow::Result<()>) -> Option<Done> {
        if let Err(error) = begin(&mut self.changes) {
            return Some(Err(failed("failed", format!("{error:#}"))));
        }
        self.restart_due = Some(Instant::now() + FAREWELL);
        None
    }

    fn judge_trial(&mut self) {
        let Some(trial) = self.changes.trial().cloned() else { return };
        let mut new: Vec<String> =
            self.what_is_wrong().into_iter().filter(|wrong| !trial.wrong_before.contains(wrong)).collect();
        let performance = trial.before.and_then(|before| Some((before, self.performance()?)));
        if let Some((before, now)) = &performance {
            new.extend(pack_trial::worse(before, now, self.demand()));
        }
        if !new.is_empty() {
            match self.changes.take_back(&new.join("; ")) {
                Ok(()) => self.restart_due = Some(Instant::now()),
                Err(error) => warn!("A change that does harm cannot be taken back: {error:#}"),
            }
            return;
        }
        if let Err(error) = self.changes.keep() {
            return warn!("A change that proved itself stays on trial: {error:#}");
        }
        info!(command = trial.command, "The change proved itself and is kept.");
        self.post_settings();
        let result = match trial.change {
            Change::Settings { .. } => json!({
                "changed": true, "sha256": digest_of(&self.config), "patched": self.changes.keys(),
            }),
            Change::Pack { name, version, .. } => json!({
                "name": name, "installed": version, "in_use": true,
                "performance": performance.map(|(before, now)| json!({ "before": before, "now": now })),
            }),
        };
        self.answer_later(&trial.command, Some(Ok(result)));
    }

    /// What speaks against a change when it was not so before: grave reasons of the health score, no broker.
    fn what_is_wrong(&mut self) -> Vec<String> {
        let mut wrong = match self.health() {
            Ok(Health { reasons, .. }) => reasons
                .into_iter()
                .filter(|reason| reason.weight >= GRAVE)
                // Words of a camera name it, others hold figures that differ from look to look.
                .map(|reason| if reason.words.contains('`') { reason.words } else { reason.code })
                .collect(),
            Err(words) => vec![words],
        };
        let state = self.ask(Question::Status).map(|status| status["mqtt"]["state"].clone());
        if !self.config.mqtt.url.is_empty() && state != Ok(json!(ConnectionState::Connected)) {
            wrong.push("the broker is not reached".to_owned());
        }
        wrong
    }

    fn answer_later(&mut self, command: &str, done: Option<Done>) {
        let Some(done) = done else { return };
        let state = if done.is_ok() { AnswerState::Successful } else { AnswerState::Failed };
        let entry = self.store.open_commands().map(|open| open.into_iter().find(|entry| entry.id == command));
        let answered = match entry {
            Ok(Some(mut entry)) if !entry.answer.state.is_last() => {
                let done: Result<Value, Reason> = done;
                self.progress(&mut entry, state, done)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        // It is taken up with the next start, and answered then.
        if let Err(error) = answered {
            warn!(%error, command, "The answer to a command waits for the disk.");
        }
    }
}

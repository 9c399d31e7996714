//! The signed words by which the platform tells a box its member list and gives it commands: canonical JSON, signatures
//! by Ed25519, and the digest of a list. Pure; where words come from and go to is others' business.
//!
//! A signed object is JSON with a `signature` over its own canonical form without that field, so that unknown fields of
//! later versions are covered too. See `docs/sync.md` for the rules as the platform's side follows them.

mod canonical;
mod command;
mod head;
mod signature;
mod state;

pub use canonical::{canonical, digest_of, hash_line, hex};
pub use command::{Answer, AnswerState, COMMAND_FORMAT, Capability, CommandName, Reason, Request};
pub use head::{FORMAT, Head, Kind, LARGEST_CHUNK, Parcel, Wrong, audience_holds};
pub use signature::{KeyError, SigningKey, TrustedKey, TrustedKeys, generate};
pub use state::{ConfigFacts, DeviceFacts, MembersState, ModelFacts, Refusal, Synced, Wants, ranges};

//! Records: what a service wants kept. The server keeps them; a service only hands them over, and
//! asks later whether they are safe.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::Game;

/// A destination for records. It does not block.
pub trait RecordSink: fmt::Debug + Send + Sync {
    /// Takes the record of a game that is over or was given up.
    fn record(&self, game: Box<Game>) -> Receipt;

    /// Waits for the records that are pending, for at most `patience`: the program is about to end.
    fn flush(&self, patience: Duration);
}

/// The state of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// It is not written yet.
    Pending,
    /// It survives a crash of the program.
    Kept,
    /// It could not be written. The sink has logged the reason.
    Failed,
}

/// A receipt for a record, shared by the service and the sink.
#[derive(Clone, Debug)]
pub struct Receipt(Arc<AtomicU8>);

impl Receipt {
    /// A receipt in this state.
    pub fn new(state: RecordState) -> Self {
        Self(Arc::new(AtomicU8::new(state as u8)))
    }

    /// The state of the record.
    pub fn state(&self) -> RecordState {
        match self.0.load(Ordering::Acquire) {
            0 => RecordState::Pending,
            1 => RecordState::Kept,
            _ => RecordState::Failed,
        }
    }

    /// Changes the state; called by the sink.
    pub fn set(&self, state: RecordState) {
        self.0.store(state as u8, Ordering::Release);
    }
}

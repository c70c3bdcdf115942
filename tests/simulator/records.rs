//! The writer of results: it may be slow, fail, or stand still.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use socklab::service::{Game, Receipt, RecordSink, RecordState};

use crate::rng::Rng;
use crate::world::{Action, World};

/// The fate of a record.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    /// The server's running time that it takes; `None` is for ever.
    pub takes: Option<Duration>,
    pub state: RecordState,
}

/// Longest time that a player waits for the record of the game.
pub const PATIENCE: Duration = Duration::from_secs(1);

impl Writing {
    /// Of a conversation that is no game.
    pub const NONE: Self = Self { takes: None, state: RecordState::Pending };

    /// Well within the player's patience, of which each halt takes a little, or well beyond it.
    pub fn draw(rng: &mut Rng) -> Self {
        let soon = rng.within(PATIENCE / 4);
        let (takes, state) = match rng.below(6) {
            0 => (None, RecordState::Kept),
            1 => (Some(soon), RecordState::Failed),
            2 => (Some(PATIENCE * 3 / 2 + soon), RecordState::Kept),
            3 => (Some(soon), RecordState::Kept),
            _ => (Some(Duration::ZERO), RecordState::Kept),
        };
        Self { takes, state }
    }

    /// True if the record is kept within the player's patience.
    pub fn is_in_time(self) -> bool {
        self.state == RecordState::Kept && self.takes.is_some_and(|time| time < PATIENCE)
    }
}

/// The records that the server has handed over, each with the number of its client.
#[derive(Debug, Default)]
pub struct Records {
    taken: Mutex<Vec<(u64, Receipt)>>,
}

impl RecordSink for Records {
    fn record(&self, game: Box<Game>) -> Receipt {
        let receipt = Receipt::new(RecordState::Pending);
        self.taken.lock().unwrap().push((game.peer.number, receipt.clone()));
        receipt
    }

    fn flush(&self, _: Duration) {}
}

impl World {
    /// The writer begins with the records that were handed over.
    pub fn take_records(&mut self) {
        let handed_over = std::mem::take(&mut *self.records.taken.lock().unwrap());
        for (number, receipt) in handed_over {
            let id = usize::try_from(number - 1).unwrap();
            let Some(takes) = self.clients[id].plan.writing.takes else { continue };
            self.clients[id].record = Some((self.running_time() + takes, receipt));
            self.schedule(self.now + takes, id, Action::WriteRecord);
        }
    }

    /// The record is written, unless the writer was halted meanwhile.
    pub fn write_record(&mut self, id: usize) {
        let left = |at: Instant| at.saturating_duration_since(self.running_time());
        let client = &self.clients[id];
        let Some((at, receipt)) = &client.record else { return };
        match left(*at) {
            Duration::ZERO => {
                receipt.set(client.plan.writing.state);
                self.log(id, || format!("the record is written: {:?}", receipt.state()));
            }
            left => self.schedule(self.now + left, id, Action::WriteRecord),
        }
    }
}

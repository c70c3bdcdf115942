//! What a session waits for besides its peer: every time at which [`ActiveSession::tick`] is due.
//!
//! A whole line sets none of them, and takes none back when it was answered: they follow from what
//! the session knows anyway, and are worked out when its turn is over.
//!
//! [`ActiveSession::tick`]: super::ActiveSession::tick

use std::time::Instant;

use super::{LINGER, Phase, Session};
use crate::service::Next;

impl Session {
    /// When the next of them is due, if nothing else happens before: the earliest of the service's
    /// own time, the gap that ends a message, the limits of patience and the end of lingering.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Serving(_) => {
                let sooner = [self.timeout_at(), self.gap_at(), self.overdue_at()];
                let silent_at = self.silent_at();
                Some(sooner.into_iter().flatten().fold(silent_at, Instant::min))
            }
            Phase::Flushing | Phase::Lingering { .. } => Some(self.silent_at()),
            Phase::Finished => None,
        }
    }

    /// When the peer has been silent for too long.
    pub(super) fn silent_at(&self) -> Instant {
        let patience = match self.phase {
            Phase::Lingering { .. } => LINGER,
            _ if self.outbox.is_empty() => self.limits.idle,
            _ => self.limits.unread,
        };
        self.active_at + patience
    }

    /// When the message in the inbox has taken too long.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        self.partial_since.filter(|_| self.is_receiving()).map(|since| since + self.limits.arrival)
    }

    /// When silence makes a message of what is in the inbox; not while none would be served.
    pub(super) fn gap_at(&self) -> Option<Instant> {
        self.framer.deadline().filter(|_| self.is_serving() && self.is_receiving())
    }

    /// When the service is to be woken; not while there is no room for what it might write.
    pub(super) fn timeout_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Serving(Next::ReadUntil(at) | Next::SleepUntil(at)) => {
                self.has_room().then_some(at)
            }
            _ => None,
        }
    }
}

//! The counters of a load, and the sums that they make up.
//!
//! Every request that was sent is in exactly one count, so these add up to `asked`:
//!
//! | count | what became of the request |
//! | --- | --- |
//! | `answered` | its reply came in its turn, with the right bytes |
//! | `wrong` | a line with other bytes came in its turn |
//! | `merged` | its reply came without the newline, in one line with the next reply |
//! | `reordered` | its reply came after the reply to a later request |
//! | `missing` | no reply came: in time, before the connection ended, before a later reply |
//! | `rejected` | the server said that it is busy |
//! | `abandoned` | the load ended before the time for its reply was over |
//!
//! Every connection that was made is in exactly one count, the first of these that applies, so they
//! add up to `opened`. With `unopened` they are all attempts to connect:
//!
//! | count | what became of the connection |
//! | --- | --- |
//! | `busy` | the server said that it is busy |
//! | `lost` | the server or the network ended it |
//! | `unused` | no request was sent on it |
//! | `unserved` | nothing was received on it |
//! | `served` | it lasted until the load closed it, or until its only request was answered |
//!
//! The other counts are no part of a sum. `late` are some of those asked, `unsent` were not asked,
//! and `duplicated` are lines that belong to no request.

use std::ops::AddAssign;

use serde::Serialize;

/// Declares the counters and their sum together, so that no counter is left out of the sum.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of a load. The names are those of the JSON report.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Requests sent.
    asked,
    /// Right replies.
    answered,
    /// Requests sent more than [`LATE_AFTER`](super::recorder::LATE_AFTER) after they were due.
    late,
    /// Requests that were due and not sent before the end.
    unsent,
    /// Bytes of right replies.
    reply_bytes,
    /// Replies with other bytes than expected.
    wrong,
    /// Replies that came twice, or without a request.
    duplicated,
    /// Replies without the newline at their end, merged with the next.
    merged,
    /// Replies that came after the reply to a later request.
    reordered,
    /// Replies that did not come.
    missing,
    /// Requests on connections on which the server said that it is busy.
    rejected,
    /// Requests that were in flight when the load ended before their time.
    abandoned,
    /// Connections that were made.
    opened,
    /// Attempts to connect that failed.
    unopened,
    /// Connections that lasted until the load closed them.
    served,
    /// Connections on which no request was sent.
    unused,
    /// Connections that the server or the network ended.
    lost,
    /// Connections on which the server said that it is busy.
    busy,
    /// Connections on which a request was sent and nothing was received.
    unserved,
}

impl Counts {
    /// The requests by outcome: all that were sent and are not in flight.
    pub fn requests(&self) -> [(u64, &'static str); 7] {
        [
            (self.answered, "right"),
            (self.wrong, "wrong"),
            (self.merged, "merged"),
            (self.reordered, "reordered"),
            (self.missing, "missing"),
            (self.rejected, "rejected by the full server"),
            (self.abandoned, "abandoned"),
        ]
    }

    /// The attempts to connect by outcome: all but those that are connecting or connected.
    pub fn connections(&self) -> [(u64, &'static str); 6] {
        [
            (self.served, "served"),
            (self.unused, "not used"),
            (self.busy, "rejected by the full server"),
            (self.unserved, "connected but never served"),
            (self.lost, "lost"),
            (self.unopened, "could not connect"),
        ]
    }

    /// True if every request is in one count or in flight, and every connection that was made is in
    /// one count or open.
    pub fn add_up(&self, in_flight: u64, open: u64) -> bool {
        let connections = total(&self.connections()) - self.unopened;
        self.asked == total(&self.requests()) + in_flight && self.opened == connections + open
    }

    /// The number of requests with a faulty reply.
    pub fn faulty(&self) -> u64 {
        self.wrong + self.merged + self.reordered + self.missing
    }

    /// The number of faults: faulty replies, and lines without a request.
    pub fn faults(&self) -> u64 {
        self.faulty() + self.duplicated
    }

    /// True if every reply that was waited for was right, and every connection was served.
    pub fn is_clean(&self) -> bool {
        self.faults() + self.unopened + self.lost + self.busy + self.unserved == 0
    }
}

/// The sum of counts.
pub(super) fn total(counts: &[(u64, &str)]) -> u64 {
    counts.iter().map(|(n, _)| n).sum()
}

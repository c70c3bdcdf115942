//! The plan of a client: its steps, the replies that it must receive, and how its connection must
//! end.

use std::io::ErrorKind;
use std::time::Duration;

use socklab::session::CloseReason;

use crate::conversation::{Conversation, Exchange};
use crate::records::Writing;
use crate::rng::Rng;

/// More bytes than a connection may receive in a turn.
pub const HUGE: usize = 2 << 20;

/// Division of sent bytes into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// One packet.
    Whole,
    /// A few packets within a few milliseconds.
    Few,
    /// Many packets within microseconds: more arrive before the first is served.
    Burst,
    /// A packet for each byte, with up to 80 ms between two of them.
    Bytes,
}

/// A step of a client.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>, Split),
    /// Sends one byte of urgent data, which is not part of the stream.
    SendUrgent,
    /// Waits until it has received that many bytes of the replies.
    AwaitReplies(usize),
    Pause(Duration),
    /// Closes the sending half.
    ShutDown,
    /// Closes the socket.
    Close,
    /// Breaks the connection, which the server sees as this error.
    Abort(ErrorKind),
}

/// Speed at which a client reads: at most `bytes`, then a pause of at most `pause`.
#[derive(Clone, Copy, Debug)]
pub struct ReadPace {
    pub bytes: usize,
    pub pause: Duration,
    /// Some pauses are much longer.
    pub stalls: bool,
}

/// The plan of one client.
#[derive(Debug)]
pub struct Plan {
    pub name: &'static str,
    pub steps: Vec<Step>,
    /// All bytes that the server may send.
    pub replies: Vec<u8>,
    /// After the first number of bytes from the client, the server owes the second number of bytes
    /// of `replies`.
    pub owed: Vec<(usize, usize)>,
    /// Close reason, unless a fault or a limit comes first.
    pub close_reason: CloseReason,
    /// Close reason of the service, if it receives all that it waits for.
    pub service_reason: Option<CloseReason>,
    /// `None` for a client that never reads.
    pub read_pace: Option<ReadPace>,
    /// The client closes when the server has closed.
    pub closes_after_server: bool,
    /// The service pauses, and does not read meanwhile.
    pub service_sleeps: bool,
    /// None of its messages is heavy.
    pub light: bool,
    pub writing: Writing,
}

impl Plan {
    /// Bytes of the replies that are owed after `input` bytes from the client.
    pub fn owed(&self, input: usize) -> usize {
        let known = self.owed.partition_point(|&(end, _)| end <= input);
        known.checked_sub(1).map_or(0, |last| self.owed[last].1)
    }

    /// True if the server has nothing to do after `input` bytes received and `output` bytes sent:
    /// all messages are whole, and answered.
    pub fn is_settled(&self, input: usize, output: usize) -> bool {
        // A service that sleeps may have received messages that it has not answered.
        let known = input == 0 || self.owed.contains(&(input, output));
        known && output == self.owed(input) && !self.service_sleeps
    }
}

/// Draws the plan of a conversation: all of it or its beginning, pipelined or in turns, with one of
/// many ends.
pub fn draw(rng: &mut Rng, conversation: Conversation, hasty: bool) -> Plan {
    let (mut steps, mut owed) = (Vec::new(), Vec::new());
    let read_pace = read_pace(rng).or_else(|| conversation.in_turns.then_some(ReadPace::EAGER));
    let read_pace = read_pace.map(|pace| if hasty { ReadPace::EAGER } else { pace });
    let count = if rng.chance(700) {
        conversation.exchanges.len()
    } else {
        rng.below(conversation.exchanges.len() + 1)
    };
    let whole = count == conversation.exchanges.len();
    let in_turns = conversation.in_turns || read_pace.is_some() && rng.chance(300);
    let (mut input, mut replies) = (0, conversation.opening);
    if !replies.is_empty() {
        owed.push((0, replies.len()));
    }
    for Exchange { message, reply, split } in conversation.exchanges.into_iter().take(count) {
        if rng.chance(50) {
            steps.push(Step::Pause(rng.within(Duration::from_secs(1))));
        }
        if rng.chance(20) {
            steps.push(Step::SendUrgent);
        }
        let silent = reply.is_empty();
        input += message.len();
        replies.extend(reply);
        owed.push((input, replies.len()));
        steps.push(Step::Send(message, split));
        if conversation.in_turns && silent {
            steps.push(Step::Pause(Duration::from_millis(60)));
        } else if in_turns {
            steps.push(Step::AwaitReplies(replies.len()));
        }
    }
    let service_reason = conversation.closes.filter(|_| whole);
    let close_reason = end(rng, &mut steps, read_pace.map(|_| replies.len()), service_reason);
    let closes_after_server = rng.chance(900);
    Plan {
        name: conversation.name,
        steps,
        replies,
        owed,
        close_reason,
        service_reason: conversation.closes,
        read_pace,
        closes_after_server,
        service_sleeps: conversation.service_sleeps,
        light: conversation.light,
        writing: conversation.writing,
    }
}

/// Adds the last steps, and returns the close reason that they lead to.
fn end(
    rng: &mut Rng,
    steps: &mut Vec<Step>,
    replies: Option<usize>,
    service_reason: Option<CloseReason>,
) -> CloseReason {
    if rng.chance(150) {
        let at = rng.below(steps.len() + 1);
        steps.truncate(at);
        if rng.chance(500) {
            steps.push(Step::Pause(rng.within(Duration::from_millis(5))));
        }
        let lost = rng.chance(200);
        steps.push(Step::Abort(if lost {
            ErrorKind::TimedOut
        } else {
            ErrorKind::ConnectionReset
        }));
        return if lost { CloseReason::Lost } else { CloseReason::PeerReset };
    }
    if let Some(reason) = service_reason {
        if rng.chance(300) {
            // No newline, which could end a message that is too long.
            let most = if rng.chance(30) { HUGE } else { 3000 };
            let more = vec![b'x'; 1 + rng.below(most)];
            steps.push(Step::Send(more, rng.split(2)));
        }
        return reason;
    }
    match (rng.below(10), replies) {
        (0, _) => return CloseReason::Idle,
        (1..4, Some(all)) => steps.extend([Step::AwaitReplies(all), Step::Close]),
        _ => steps.push(Step::ShutDown),
    }
    CloseReason::PeerClosed
}

impl ReadPace {
    const EAGER: Self = Self { bytes: 1 << 20, pause: Duration::ZERO, stalls: false };

    pub fn is_eager(self) -> bool {
        self.pause.is_zero()
    }
}

fn read_pace(rng: &mut Rng) -> Option<ReadPace> {
    match rng.below(10) {
        0 => None,
        // Fast enough to empty a full socket before the idle timeout.
        1..4 => Some(ReadPace {
            bytes: 30 + rng.below(5000),
            pause: rng.within(Duration::from_millis(3)),
            stalls: false,
        }),
        4 => Some(ReadPace {
            bytes: 1000 + rng.below(5000),
            pause: rng.within(Duration::from_millis(3)),
            stalls: true,
        }),
        _ => Some(ReadPace::EAGER),
    }
}

//! A workload: the requests of a load and the replies that must come back, prepared before the
//! load begins.
//!
//! A workload is a ring of requests and one of their replies, each a block of bytes, so that the
//! next hundred requests are one copy and their replies one comparison. Connections begin at
//! different positions of the ring. As far as possible no two replies are the same (a mix of
//! expressions is given by the user), so a reply that arrives twice, too early, or on another
//! connection is detected.
//!
//! Two kinds of workloads are not compared as blocks: any line may be the reply, or the replies
//! have no newline (see `ReplyRule`).

use std::fmt::Write as _;
use std::ops::Range;

use super::clock;
use crate::arithmetic::Dialect;
use crate::buffer::Buffer;
use crate::service::{Delimiter, Event, MAX_REPLY, Output, Peer, ServiceKind, ServiceSpec};

/// The longest request, in bytes with its newline: the most that a service may write in one step.
pub const MAX_REQUEST: usize = MAX_REPLY;

/// The most bytes of requests in flight on one connection. The connection's send buffer is made to
/// hold them all (see `connect`): a server that writes before it reads, as ours does, and a client
/// that does the same would otherwise wait for each other.
pub const MAX_IN_FLIGHT: usize = 128 * 1024;

/// The number of different requests in a workload, unless they are large.
const DISTINCT_REQUESTS: usize = 1024;

/// The bytes of requests in a workload of large requests, about.
const RING_BYTES: usize = 64 * 1024;

/// The distance between the positions at which consecutive connections begin: a prime, so that
/// they begin at many different ones.
const STRIDE: usize = 389;

const _: () = assert!(MAX_REQUEST <= MAX_IN_FLIGHT);

/// The rule by which a reply is found in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyRule {
    /// It is the bytes expected.
    Bytes,
    /// It is any line.
    AnyLine,
    /// It has no newline: it ends when it has the bytes expected, or before a gap.
    Bare,
    /// It is anything before a gap.
    AnyBare,
}

/// The requests of a load and their replies.
#[derive(Debug)]
pub struct Workload {
    rule: ReplyRule,
    requests: Ring,
    replies: Ring,
    /// In bytes.
    longest_request: usize,
    /// The most requests that a client may write in one step.
    most_in_step: usize,
}

impl Workload {
    fn new(rule: ReplyRule, requests: Ring, replies: Ring) -> Self {
        let longest = (0..requests.len()).map(|at| requests.one(at).len()).max();
        let longest_request = longest.expect("there is at least one request");
        let most_in_step = MAX_REPLY / longest_request;
        Self { rule, requests, replies, longest_request, most_in_step }
    }

    /// Lines of `size` bytes, newline included, that come back unchanged. At least twice as many as
    /// can be in flight are different, if the size allows.
    pub fn echo(size: usize, pipeline: usize) -> Self {
        let count = (RING_BYTES / size).clamp(2, DISTINCT_REQUESTS).max(2 * pipeline);
        let mut ring = Ring::default();
        for number in 0..count {
            ring.push(&echo_line(number, size));
        }
        let replies = ring.clone();
        Self::new(ReplyRule::Bytes, ring, replies)
    }

    /// Expressions and their values, as our own server evaluates them; without any, sums with
    /// different values.
    pub fn calc(expressions: &[String], dialect: Dialect) -> Self {
        let sums: Vec<String>;
        let expressions = if expressions.is_empty() {
            sums = (0..DISTINCT_REQUESTS).map(|n| format!("{n} + {}", n + 1)).collect();
            &sums
        } else {
            expressions
        };
        let pairs: Vec<_> = expressions
            .iter()
            .map(|text| ([text.as_bytes(), b"\n"].concat(), value_of(text, dialect)))
            .collect();
        // A few are repeated, so that one copy and one comparison cover many requests.
        let rounds = (DISTINCT_REQUESTS / pairs.len()).max(1);
        let (mut requests, mut replies) = (Ring::default(), Ring::default());
        for (request, reply) in pairs.iter().cycle().take(rounds * pairs.len()) {
            requests.push(request);
            replies.push(reply);
        }
        Self::new(ReplyRule::Bytes, requests, replies)
    }

    /// One request again and again, and its reply; none if any will do. `bare` is true for replies
    /// without a newline.
    pub fn exchange(request: &[u8], reply: Option<&[u8]>, bare: bool) -> Self {
        let longest = request.len().max(reply.map_or(0, <[u8]>::len)).max(1);
        let (mut requests, mut replies) = (Ring::default(), Ring::default());
        for _ in 0..(RING_BYTES / longest).clamp(1, DISTINCT_REQUESTS) {
            requests.push(request);
            replies.push(reply.unwrap_or_default());
        }
        let rule = match (reply, bare) {
            (Some(_), false) => ReplyRule::Bytes,
            (Some(_), true) => ReplyRule::Bare,
            (None, false) => ReplyRule::AnyLine,
            (None, true) => ReplyRule::AnyBare,
        };
        Self::new(rule, requests, replies)
    }

    /// The same requests and replies without their newlines, as a server has them that knows none.
    #[must_use]
    pub fn bare(self) -> Self {
        let (requests, replies) = (self.requests.bare(), self.replies.bare());
        Self { rule: ReplyRule::Bare, requests, replies, ..self }
    }

    /// The rule by which a reply is found.
    #[inline]
    pub(super) fn rule(&self) -> ReplyRule {
        self.rule
    }

    /// The number of requests before the first comes again.
    #[expect(clippy::len_without_is_empty, reason = "a workload is never empty")]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// The length of the longest request, in bytes.
    #[inline]
    pub fn longest_request(&self) -> usize {
        self.longest_request
    }

    /// The most requests that a client may write in one step.
    #[inline]
    pub(super) fn most_in_step(&self) -> usize {
        self.most_in_step
    }

    /// The position at which connection `index` begins.
    pub(super) fn first(&self, index: usize) -> usize {
        index * STRIDE % self.len()
    }

    /// The position `n` requests after `at`.
    #[inline]
    pub(super) fn advance(&self, at: usize, n: usize) -> usize {
        let sum = at + n;
        if sum < self.len() { sum } else { sum % self.len() }
    }

    /// The bytes of at most `n` requests from `at` on, and their number: fewer at the ring's end.
    #[inline]
    pub(super) fn requests(&self, at: usize, n: usize) -> (&[u8], usize) {
        self.requests.many(at, n)
    }

    /// The same for the replies.
    #[inline]
    pub(super) fn replies(&self, at: usize, n: usize) -> (&[u8], usize) {
        self.replies.many(at, n)
    }

    /// The reply to the request at `at`.
    #[inline]
    pub(super) fn reply(&self, at: usize) -> &[u8] {
        self.replies.one(at)
    }

    /// The length of that reply.
    #[inline]
    pub(super) fn reply_length(&self, at: usize) -> usize {
        self.replies.range(at).len()
    }
}

/// Texts in one block of memory.
#[derive(Clone, Debug)]
struct Ring {
    bytes: Vec<u8>,
    /// The beginning of each text in it, and the end of the last.
    bounds: Vec<usize>,
}

impl Default for Ring {
    fn default() -> Self {
        Self { bytes: Vec::new(), bounds: vec![0] }
    }
}

impl Ring {
    /// The texts without the newline at their end.
    fn bare(&self) -> Self {
        let mut ring = Self::default();
        for at in 0..self.len() {
            let text = self.one(at);
            ring.push(text.strip_suffix(b"\n").unwrap_or(text));
        }
        ring
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.bounds.push(self.bytes.len());
    }

    /// The number of texts.
    #[inline]
    fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    #[inline]
    fn range(&self, at: usize) -> Range<usize> {
        self.bounds[at]..self.bounds[at + 1]
    }

    #[inline]
    fn one(&self, at: usize) -> &[u8] {
        &self.bytes[self.range(at)]
    }

    #[inline]
    fn many(&self, at: usize, n: usize) -> (&[u8], usize) {
        let n = n.min(self.len() - at);
        (&self.bytes[self.bounds[at]..self.bounds[at + n]], n)
    }
}

/// A line of `size` bytes: its number, as far as it fits, letters, a newline.
fn echo_line(number: usize, size: usize) -> Vec<u8> {
    let mut line = String::with_capacity(size + 4);
    // The digits that change most come first, since a short line holds only the first ones.
    for shift in [0, 4, 8] {
        write!(line, "{:x}", number >> shift & 0xf).expect("writing to a string cannot fail");
    }
    if number >= 0x1000 {
        write!(line, ".{number:x}.").expect("writing to a string cannot fail");
    }
    let mut line = line.into_bytes();
    let letters = (b'a'..=b'z').cycle().skip(number % 26);
    line.extend(letters.take(size));
    line.truncate(size - 1);
    line.push(b'\n');
    line
}

/// The reply of our own calculator to a line with this expression.
fn value_of(expression: &str, dialect: Dialect) -> Vec<u8> {
    let mut calc = ServiceSpec { dialect, ..ServiceKind::Calc.into() }
        .build(Peer { number: 0, address: None });
    let mut buffer = Buffer::default();
    let mut out = Output::new(&mut buffer, Delimiter::Newline);
    // Every service is told the time; this one does not use it.
    calc.step(Event::Message(expression.as_bytes()), clock(), &mut out);
    buffer.push(b'\n');
    buffer.pending().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_lines_in_flight_are_all_different_and_of_the_size_asked_for() {
        for (size, pipeline) in [(16, 1), (16, 128), (5, 2000), (4096, 16), (65_536, 2)] {
            let workload = Workload::echo(size, pipeline);
            let lines: HashSet<&[u8]> = (0..workload.len()).map(|at| workload.reply(at)).collect();
            assert!(lines.iter().all(|line| line.len() == size && line.ends_with(b"\n")));
            let different = workload.len().min(if size < 8 { 4096 } else { usize::MAX });
            assert_eq!(lines.len(), different, "{size} bytes");
            assert!(workload.len() >= 2 * pipeline);
        }
        assert_eq!(Workload::echo(1, 1).reply(0), b"\n");
    }

    #[test]
    fn values_are_those_of_our_own_calculator() {
        let expressions = ["7 / 2", "1 / 0"].map(str::to_owned);
        let workload = Workload::calc(&expressions, Dialect::Python);
        assert_eq!(workload.replies(0, 2), (&b"3.5\nZeroDivisionError: division by zero\n"[..], 2));
        assert_eq!(Workload::calc(&expressions, Dialect::Integer).reply(0), b"3\n");
    }

    #[test]
    fn without_an_expression_all_values_are_different() {
        let workload = Workload::calc(&[], Dialect::Python);
        let values: HashSet<&[u8]> = (0..workload.len()).map(|at| workload.reply(at)).collect();
        assert_eq!(values.len(), workload.len());
    }
}

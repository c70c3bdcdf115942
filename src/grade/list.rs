//! The tests of a grading, by name.

use crate::choice::choices;

choices! {
    /// A test.
    pub enum Test {
        /// One client gets the right answers to + - * /.
        FourOperators = "four-operators",
        /// A quiz can be played to its end, and is closed then.
        WholeGame = "whole-game",
        /// A quiz judges right answers differently from wrong ones, and scores them higher.
        Verdicts = "verdicts",
        /// A quiz closes the connection of a client that does not want to play.
        Refusal = "refusal",
        /// Two players at the same time have verdicts and a score of their own.
        OwnGames = "own-games",
        /// The next client is served when one has left.
        SecondAfterFirst = "second-after-first",
        /// A client that connects while another is served is served, waits or is told; the first
        /// does not notice.
        SecondWhileFirst = "second-while-first",
        /// Several clients are served at the same time.
        SeveralAtOnce = "several-at-once",
        /// One client leaves, the others are still served.
        OneLeaves = "one-leaves",
        /// Every client gets its own replies, in the order of its messages.
        OwnAnswers = "own-answers",
        /// The design of the server: a thread, a process or a loop for its clients.
        WhoServes = "who-serves",
        /// Invalid input gets an answer that is no number.
        WrongInput = "wrong-input",
        /// A division by zero gets an answer that is no number.
        DivideByZero = "divide-by-zero",
        /// A newline after a message does no harm.
        Newline = "newline",
        /// A message that arrives in two pieces is one message.
        TwoPieces = "two-pieces",
        /// A message that arrives byte by byte is one message.
        ByteByByte = "byte-by-byte",
        /// Two messages that arrive together get two replies.
        TwoInOne = "two-in-one",
        /// A client that has closed its sending half gets its replies.
        HalfClose = "half-close",
        /// A last message without a newline is answered at the end of input.
        NoNewline = "no-newline",
        /// A client that resets its connection within a message does no harm.
        Reset = "reset",
        /// A client that leaves without reading its replies does no harm.
        UnreadAnswer = "unread-answer",
        /// A client that does not read delays nobody, and gets all its replies when it reads.
        SlowReader = "slow-reader",
        /// A client that says nothing delays nobody.
        SilentClient = "silent-client",
        /// Every client is greeted like the first.
        Greeting = "greeting",
        /// 200 clients are served.
        ManyClients = "many-clients",
        /// A line of 100,000 bytes does no harm.
        LongLine = "long-line",
        /// NUL bytes and letters beyond ASCII do no harm.
        OddBytes = "odd-bytes",
        /// After 100 visits no connection, descriptor, process or thread is left over.
        NothingLeft = "nothing-left",
        /// A server without work is asleep.
        Asleep = "asleep",
        /// SIGTERM or SIGINT ends the server.
        Stops = "stops",
        /// On an occupied port the server reports a failure and ends.
        PortOccupied = "port-occupied",
        /// The server can be started again at once, on the same port.
        // Last: it leaves the port in TIME_WAIT, and some servers cannot bind it then.
        Restart = "restart",
    }
}

impl Test {
    /// True if only a quiz has the property.
    pub(super) fn is_of_quiz(self) -> bool {
        matches!(self, Self::WholeGame | Self::Verdicts | Self::Refusal | Self::OwnGames)
    }
}

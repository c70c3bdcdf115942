//! The tests of a quiz: whole games, with right answers and with wrong ones.
//!
//! In the other tests a yes and a name, and then the right answer to a question of the quiz, are
//! the question of a client; the next sum that the quiz asks is its answer. Its own words for
//! right, wrong and the score are not known: they are found by comparing a game of right answers
//! with one of wrong answers.

use super::client::{Client, End, quoted};
use super::course::one_at_a_time;
use super::exchange::Answer;
use super::grading::{Grading, Step};
use super::numbers::{numbers, sums};
use super::question::Question;
use super::report::{Fault, Outcome};
use super::text::without_digits;

/// The most questions of a game that is played.
const MAX_QUESTIONS: usize = 100;

/// The number that makes a right answer a wrong one.
const WRONG_BY: i64 = 1;

/// The reason why a test of games does not concern a server.
const NO_QUIZ: &str = "it is a test of a quiz: --service quiz";

/// A client that plays.
struct Player {
    client: Client,
    /// True if it answers rightly.
    right: bool,
    /// The replies to its answers, without the next question; the last one has the score.
    replies: Vec<Vec<u8>>,
    over: bool,
}

impl Player {
    /// A client that has been asked its first question.
    fn new(grading: &mut Grading<'_>, right: bool) -> Step<Self> {
        let client = grading.connect_ready()?;
        Ok(Self { client, right, replies: Vec::new(), over: false })
    }

    /// Answers a question.
    fn answer(&mut self, grading: &mut Grading<'_>) -> Step<()> {
        let right = self.client.asked.unwrap_or_default();
        let question = Question::of_player(if self.right { right } else { right + WRONG_BY });
        match grading.answer(&mut self.client, &question) {
            // A sum before the end is the last question again.
            Answer::Right(reply) if self.client.end().is_none() => {
                let next = sums(&reply).pop().map_or(reply.len(), |(at, _)| at.start);
                self.replies.push(reply[..next].to_vec());
            }
            Answer::Right(reply) | Answer::Other(reply) => {
                self.replies.push(reply);
                self.over = true;
            }
            nothing @ Answer::Nothing => {
                let advice = "Tell the player after each answer whether it was right, and go on.";
                let expected = grading.expect_right(&self.client, &question, &nothing);
                return expected.map_err(|fault| fault.advice(advice));
            }
        }
        if !self.over && self.replies.len() >= MAX_QUESTIONS {
            let seen = format!("after {MAX_QUESTIONS} answers the game had no end");
            return Err(Fault::new(seen, "End the game after a few questions, with the score."));
        }
        Ok(())
    }

    /// Plays a game to its end, and returns the replies.
    fn play(mut self, grading: &mut Grading<'_>) -> Step<Vec<Vec<u8>>> {
        while !self.over {
            self.answer(grading)?;
        }
        self.client.close();
        Ok(self.replies)
    }

    /// A fault that this player has seen.
    fn fault(&self, seen: String, advice: &str) -> Fault {
        Fault::new(seen, advice).evidence(self.client.evidence())
    }
}

/// The replies of a game with right answers, and of one with wrong answers.
fn both_games(grading: &mut Grading<'_>) -> Step<[Vec<Vec<u8>>; 2]> {
    let right = Player::new(grading, true)?.play(grading)?;
    let wrong = Player::new(grading, false)?.play(grading)?;
    Ok([right, wrong])
}

/// The place of the score among the numbers of two texts, from their end: there the player with
/// right answers has more. None if there is none.
fn score_place(right: &[u8], wrong: &[u8]) -> Option<usize> {
    let (right, wrong) = (numbers(right), numbers(wrong));
    let mut pairs = right.iter().rev().zip(wrong.iter().rev());
    pairs.position(|((_, right), (_, wrong))| right > wrong)
}

/// The number at a place of a text, from its end.
fn number_at(text: &[u8], place: usize) -> Option<f64> {
    numbers(text).iter().rev().nth(place).map(|(_, number)| *number)
}

pub(super) fn whole_game(grading: &mut Grading<'_>) -> Step<Outcome> {
    if !grading.is_quiz() {
        return Ok(Outcome::skipped(NO_QUIZ));
    }
    let mut player = Player::new(grading, true)
        .map_err(|fault| fault.advice("After a yes and a name, ask the first question."))?;
    while !player.over {
        player.answer(grading)?;
    }
    player.client.receive_all(grading.dialogue.last_patience());
    let last = quoted(player.replies.last().map_or(b"", |it| it.trim_ascii()));
    if player.client.end() != Some(End::Closed) {
        let seen = match player.client.end() {
            None => format!("after the end of the game, {last}, the connection stays open"),
            _ => format!("after the end of the game, {last}, the connection was reset"),
        };
        let advice =
            "When the game is over, read what the client has sent, then close the connection.";
        return Err(player.fault(seen, advice));
    }
    let count = player.replies.len();
    player.client.close();
    grading.check_well_after("after a whole game, ")?;
    Ok(Outcome::Holds(Some(format!("{count} right answers, and the end: {last}"))))
}

pub(super) fn verdicts(grading: &mut Grading<'_>) -> Step<Outcome> {
    if !grading.is_quiz() {
        return Ok(Outcome::skipped(NO_QUIZ));
    }
    let [right, wrong] = both_games(grading)?;
    for (right, wrong) in right.iter().zip(&wrong) {
        // Some tell a score after each answer, and nothing else.
        let same = without_digits(right) == without_digits(wrong);
        // Others say nothing before the end, but perhaps have a mark before each question.
        let silent = ![right, wrong].iter().any(|it| it.iter().any(u8::is_ascii_alphanumeric));
        if same && !silent && score_place(right, wrong).is_none() {
            let seen = format!(
                "a right answer got {}, a wrong one {}",
                quoted(right.trim_ascii()),
                quoted(wrong.trim_ascii())
            );
            let advice = "Compare the answer with the value of the question, as integers.";
            return Err(Fault::new(seen, advice));
        }
    }
    let (right, wrong) = (&right[right.len() - 1], &wrong[wrong.len() - 1]);
    if numbers(right).is_empty() || numbers(wrong).is_empty() {
        return Ok(Outcome::Holds(Some("no score was told at the end".to_owned())));
    }
    let (best, worst) = (quoted(right.trim_ascii()), quoted(wrong.trim_ascii()));
    if score_place(right, wrong).is_none() {
        let seen = format!("all right answers end in {best}, all wrong ones in {worst}");
        return Err(Fault::new(seen, "Count right answers: they must earn more than wrong ones."));
    }
    Ok(Outcome::Holds(Some(format!("all right: {best}; all wrong: {worst}"))))
}

pub(super) fn refusal(grading: &mut Grading<'_>) -> Step<Outcome> {
    if !grading.is_quiz() {
        return Ok(Outcome::skipped(NO_QUIZ));
    }
    if grading.dialogue.nameless {
        // It may take the yes for a name.
        return Ok(Outcome::skipped("it asks for a name or for a yes, not for both"));
    }
    let mut client = grading.connect()?;
    client.send(&grading.dialogue.wrap(b"no"));
    let (reply, closed) = client.receive_all(grading.dialogue.last_patience());
    let fault = |seen: &str, advice: &str| {
        Err(Fault::new(format!("a player said no, and {seen}"), advice).evidence(client.evidence()))
    };
    if !sums(&reply).is_empty() {
        return fault("was asked all the same", "Begin a game only after a yes.");
    }
    if !closed {
        let seen = "the connection stays open";
        return fault(seen, "Say goodbye, and close: a client that reads on would wait for ever.");
    }
    client.close();
    grading.check_well_after("after a player that said no, ")?;
    Ok(Outcome::Holds(Some(format!("it says {}", quoted(reply.trim_ascii())))))
}

pub(super) fn own_games(grading: &mut Grading<'_>) -> Step<Outcome> {
    if !grading.is_quiz() {
        return Ok(Outcome::skipped(NO_QUIZ));
    }
    if grading.capacity() == 1 {
        return Ok(one_at_a_time(grading));
    }
    let alone = both_games(grading)?;
    let mut players = [Player::new(grading, true)?, Player::new(grading, false)?];
    while players.iter().any(|it| !it.over) {
        for player in players.iter_mut().filter(|it| !it.over) {
            player.answer(grading)?;
        }
    }
    let advice = "Each connection needs variables of its own for its question and its score.";
    for (n, player) in players.iter().enumerate() {
        let (own, other) = (&alone[n], &alone[1 - n]);
        let has = |game: &[Vec<u8>], reply: &[u8]| {
            game.iter().any(|it| without_digits(it) == without_digits(reply))
        };
        let foreign = |it: &&Vec<u8>| has(other, it) && !has(own, it);
        let kind = if player.right { "right" } else { "wrong" };
        if let Some(reply) = player.replies.iter().find(foreign) {
            let seen =
                format!("of two players, a {kind} answer got {}", quoted(reply.trim_ascii()));
            return Err(player.fault(seen, advice).evidence(beside(&players[1 - n])));
        }
        let ends = [&player.replies, own].map(|it| &it[it.len() - 1]);
        let place = score_place(&alone[0][alone[0].len() - 1], &alone[1][alone[1].len() - 1]);
        let scores = ends.map(|it| place.and_then(|place| number_at(it, place)));
        if player.replies.len() == own.len() && scores[0] != scores[1] {
            let [here, there] = ends.map(|it| quoted(it.trim_ascii()));
            let seen = format!("beside another player, {kind} answers end in {here}, not {there}");
            return Err(player.fault(seen, advice).evidence(beside(&players[1 - n])));
        }
    }
    for player in players {
        player.client.close();
    }
    Ok(Outcome::Holds(None))
}

/// The end of the other player's game, a line of evidence.
fn beside(other: &Player) -> [String; 1] {
    let end = other.replies.last().map_or(&b""[..], |it| it.trim_ascii());
    [format!("the other player's game ended in {}", quoted(end))]
}

/// An answer that is no number is a wrong one, and the game goes on.
pub(super) fn wrong_word(grading: &mut Grading<'_>) -> Step<Outcome> {
    let mut client = grading.connect_ready()?;
    client.send(&grading.dialogue.wrap(b"hello"));
    let reply =
        grading.receive(&mut client, &Question::of_player(0), grading.dialogue.last_patience());
    let evidence = [client.evidence(), grading.end_evidence()].concat();
    let over = client.end().is_some() && sums(&reply).is_empty();
    if reply.is_empty() || over || grading.ended().is_some() {
        let seen = match client.end() {
            _ if grading.ended().is_some() => "the server ended",
            Some(_) if reply.is_empty() => "the connection ended without a verdict",
            Some(_) => "the game was over",
            None => "no verdict came",
        };
        let advice = "Check that an answer is a number before you convert it: a word is wrong.";
        let seen = format!("a question was answered \"hello\", and {seen}");
        return Err(Fault::new(seen, advice).evidence(evidence));
    }
    client.close();
    grading.check_well()?;
    Ok(Outcome::Holds(Some(format!("\"hello\" is answered {}", quoted(reply.trim_ascii())))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_larger_where_the_answers_are_right() {
        assert_eq!(score_place(b"10 of 10", b"-2.5 of 10"), Some(1));
        assert_eq!(score_place(b"Total 10", b"Wrong, it was 42. Total 0"), Some(0));
        assert_eq!(score_place(b"7", b"7"), None);
        assert_eq!(number_at(b"10 of 9", 1), Some(10.0));
    }
}

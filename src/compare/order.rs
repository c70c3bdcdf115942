//! The order of the contenders in each round.

use crate::random::Random;

/// The orders of `count` contenders in `rounds` rounds, drawn at random. In each `count` rounds
/// every contender is once at each place and, if `count` is even, follows each of the others
/// equally often: a machine that slows down favours none, nor does work that a predecessor leaves.
pub(super) fn draw(count: usize, rounds: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut orders = Vec::new();
    while orders.len() < rounds {
        let names = shuffled(count, random);
        // The square of Williams (1949), in which neighbours are balanced: 0, 1, n-1, 2, n-2, ...,
        // and the same shifted.
        let zigzag = |place: usize| if place % 2 == 1 { place / 2 + 1 } else { count - place / 2 };
        for shift in shuffled(count, random) {
            let at = |place| names[(zigzag(place) + shift) % count];
            orders.push((0..count).map(at).collect());
        }
    }
    orders.truncate(rounds);
    orders
}

/// The numbers below `count` in a random order (Fisher and Yates).
pub(super) fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut numbers: Vec<_> = (0..count).collect();
    for n in (1..count).rev() {
        let bound = u32::try_from(n + 1).expect("contenders are few");
        numbers.swap(n, random.below(bound) as usize);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_as_many_rounds_as_contenders_each_is_once_at_every_place() {
        for count in 1..=7 {
            let orders = draw(count, 3 * count, &mut Random::new(7));
            for block in orders.chunks(count) {
                for place in 0..count {
                    let mut there: Vec<_> = block.iter().map(|order| order[place]).collect();
                    there.sort_unstable();
                    assert_eq!(there, (0..count).collect::<Vec<_>>(), "{block:?}");
                }
            }
        }
    }

    #[test]
    fn a_contender_follows_each_other_equally_often() {
        let mut follows = [[0; 4]; 4];
        for order in draw(4, 12, &mut Random::new(1)) {
            for pair in order.windows(2) {
                follows[pair[0]][pair[1]] += 1;
            }
        }
        for (first, row) in follows.iter().enumerate() {
            assert!(
                row.iter().enumerate().all(|(n, &times)| n == first || times == 3),
                "{follows:?}"
            );
        }
    }

    #[test]
    fn a_seed_gives_the_same_orders() {
        assert_eq!(draw(5, 20, &mut Random::new(3)), draw(5, 20, &mut Random::new(3)));
        assert_ne!(draw(5, 20, &mut Random::new(3)), draw(5, 20, &mut Random::new(4)));
    }
}

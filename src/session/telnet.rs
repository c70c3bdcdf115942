//! The part of telnet (RFC 854) that is needed to skip its commands and to refuse its options.

/// "Interpret as command": the first byte of a sequence.
pub(super) const IAC: u8 = 255;

/// EOF, the lowest command. It came later than RFC 854, with SUSP, ABORT (RFC 1184) and EOR
/// (RFC 885): 237 to 239.
const END_OF_FILE: u8 = 236;

/// SE. It ends what [`SUBNEGOTIATION`] begins.
const SUBNEGOTIATION_END: u8 = 240;

/// SB.
const SUBNEGOTIATION: u8 = 250;

/// The first of the four commands that are followed by one option: WILL, WON'T, DO, DON'T.
const WILL: u8 = 251;

const WONT: u8 = 252;

const DO: u8 = 253;

/// The last of them.
const DONT: u8 = 254;

/// The kind of bytes that begin with IAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    /// A sequence of this many bytes, which other bytes may follow.
    Whole(usize),
    /// The beginning of a sequence.
    Partial,
    /// No sequence: IAC is followed by no command. A second IAC stands for the byte 255 itself.
    None,
}

/// Classifies bytes that begin with IAC.
pub(super) fn sequence(bytes: &[u8]) -> Sequence {
    match bytes.get(1) {
        None => Sequence::Partial,
        Some(&SUBNEGOTIATION) => {
            let end = memchr::memmem::find(bytes, &[IAC, SUBNEGOTIATION_END]);
            end.map_or(Sequence::Partial, |end| Sequence::Whole(end + 2))
        }
        Some(WILL..=DONT) if bytes.len() < 3 => Sequence::Partial,
        Some(WILL..=DONT) => Sequence::Whole(3),
        Some(END_OF_FILE..) if bytes[1] != IAC => Sequence::Whole(2),
        Some(_) => Sequence::None,
    }
}

/// The answer to a whole sequence, if it is a request: WON'T to DO, DON'T to WILL.
///
/// Every request is refused, also one that was refused before: a client that was interrupted shows
/// nothing until its timing mark is answered, each time (RFC 860). This cannot loop. The server
/// requests nothing, and neither side answers WON'T or DON'T for an option that is off (RFC 1143).
pub(super) fn refusal(sequence: &[u8]) -> Option<[u8; 3]> {
    match *sequence {
        [IAC, DO, option] => Some([IAC, WONT, option]),
        [IAC, WILL, option] => Some([IAC, DONT, option]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_and_refusals_are_not_answered() {
        for option in 0..=255 {
            assert_eq!(refusal(&[IAC, DO, option]), Some([IAC, WONT, option]));
            assert_eq!(refusal(&[IAC, WILL, option]), Some([IAC, DONT, option]));
            assert_eq!(refusal(&[IAC, WONT, option]), None);
            assert_eq!(refusal(&[IAC, DONT, option]), None);
        }
        assert_eq!(refusal(b"\xff\xf4"), None);
        assert_eq!(refusal(b"\xff\xfa\xfd\x01\xff\xf0"), None);
    }

    #[test]
    fn a_telnet_sequence_is_as_long_as_its_command_says() {
        assert_eq!(sequence(b"\xff\xfb\x01rest"), Sequence::Whole(3));
        assert_eq!(sequence(b"\xff\xfb"), Sequence::Partial);
        for command in 236..=249 {
            assert_eq!(sequence(&[IAC, command, b'r']), Sequence::Whole(2), "{command}");
        }
        assert_eq!(sequence(b"\xff\xebrest"), Sequence::None);
        assert_eq!(sequence(b"\xff\xfa\x18\x00xterm\xff\xf0rest"), Sequence::Whole(11));
        assert_eq!(sequence(b"\xff\xfa\x18"), Sequence::Partial);
        assert_eq!(sequence(b"\xff"), Sequence::Partial);
        assert_eq!(sequence(b"\xff\xff"), Sequence::None);
        assert_eq!(sequence(b"\xffrest"), Sequence::None);
    }
}

//! As much of telnet (RFC 854) as it takes to skip its option sequences.

/// "Interpret as command": the first byte of a sequence.
pub(super) const IAC: u8 = 255;

/// The commands that have something behind them: a text up to its end, or one option.
const SUBNEGOTIATION: u8 = 250;
const SUBNEGOTIATION_END: u8 = 240;
const WILL: u8 = 251;
const DONT: u8 = 254;

/// The length of the telnet sequence that the bytes begin with, if it is all there.
pub(super) fn sequence(bytes: &[u8]) -> Option<usize> {
    match *bytes.get(1)? {
        SUBNEGOTIATION => {
            let end = memchr::memmem::find(bytes, &[IAC, SUBNEGOTIATION_END])?;
            Some(end + 2)
        }
        WILL..=DONT => (bytes.len() >= 3).then_some(3),
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telnet_sequence_is_as_long_as_its_command_says() {
        assert_eq!(sequence(b"\xff\xfb\x01rest"), Some(3));
        assert_eq!(sequence(b"\xff\xfb"), None);
        assert_eq!(sequence(b"\xff\xf4rest"), Some(2));
        assert_eq!(sequence(b"\xff\xfa\x18\x00xterm\xff\xf0rest"), Some(11));
        assert_eq!(sequence(b"\xff"), None);
    }
}

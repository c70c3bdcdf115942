//! The way in which a question is written for a server: the frame that tells its end, and blanks.

use super::question::Question;

/// The length of the header that holds a length in digits.
const HEADER: usize = 64;

/// The way in which a question is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writing {
    /// The frame of it.
    pub(super) frame: Frame,
    /// True if there are blanks between its words.
    pub(super) blanks: bool,
}

/// The sign of the end of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A newline.
    Newline,
    /// Nothing but the end of a packet.
    Bare,
    /// A carriage return and a newline.
    CrLf,
    /// A NUL.
    Nul,
    /// Its length before it, in two bytes, as Java's `writeUTF` writes it.
    Length2,
    /// Its length before it, in four bytes.
    Length4,
    /// Its length before it, in digits and blanks.
    Header,
}

impl Default for Writing {
    fn default() -> Self {
        Self::USUAL[0]
    }
}

impl Writing {
    /// The usual ways, the most usual one first.
    pub(super) const USUAL: [Self; 4] = [
        Self { frame: Frame::Newline, blanks: true },
        Self { frame: Frame::Newline, blanks: false },
        Self { frame: Frame::Bare, blanks: true },
        Self { frame: Frame::Bare, blanks: false },
    ];

    /// The ways to ask a server that has said nothing to any of the usual ones. The first is that
    /// of telnet.
    pub(super) const RARE: [Self; 7] = [
        Self { frame: Frame::CrLf, blanks: true },
        Self { frame: Frame::Nul, blanks: true },
        Self { frame: Frame::Length2, blanks: true },
        Self { frame: Frame::Length2, blanks: false },
        Self { frame: Frame::Length4, blanks: true },
        Self { frame: Frame::Length4, blanks: false },
        Self { frame: Frame::Header, blanks: true },
    ];

    /// The bytes of a question.
    pub(super) fn question(self, question: &Question) -> Vec<u8> {
        self.frame.wrap(question.text(self.blanks).as_bytes())
    }
}

impl Frame {
    /// A text in its frame.
    pub(super) fn wrap(self, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        match self {
            Self::Newline => [text, b"\n"].concat(),
            Self::Bare => text.to_vec(),
            Self::CrLf => [text, b"\r\n"].concat(),
            Self::Nul => [text, b"\0"].concat(),
            Self::Length2 => [&length[2..], text].concat(),
            Self::Length4 => [&length, text].concat(),
            Self::Header => [format!("{:<HEADER$}", text.len()).as_bytes(), text].concat(),
        }
    }

    /// The longest text that has a frame.
    pub(super) fn longest(self) -> usize {
        if self == Self::Length2 { u16::MAX.into() } else { u32::MAX as usize }
    }

    /// True if the end of a question can be told without its packets.
    pub(super) fn is_known(self) -> bool {
        self != Self::Bare
    }

    /// True if a question ends in a newline.
    pub(super) fn has_newline(self) -> bool {
        matches!(self, Self::Newline | Self::CrLf)
    }

    /// The peculiarity of a server that wants it, a sentence without a full stop.
    pub(super) fn description(self) -> Option<&'static str> {
        match self {
            Self::Newline => None,
            Self::Bare => Some("a message to it must not end in a newline"),
            Self::CrLf => Some("a message to it must end in a carriage return and a newline"),
            Self::Nul => Some("a message to it must end in a NUL"),
            Self::Length2 => {
                Some("a message to it has its length before it, in 2 bytes (writeUTF in Java)")
            }
            Self::Length4 => Some("a message to it has its length before it, in 4 bytes"),
            Self::Header => {
                Some("a message to it has its length before it, in a header of 64 characters")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_the_end_of_a_text() {
        assert_eq!(Frame::Newline.wrap(b"1+1"), b"1+1\n");
        assert_eq!(Frame::Bare.wrap(b"1+1"), b"1+1");
        assert_eq!(Frame::Length2.wrap(b"1+1"), b"\0\x031+1");
        assert_eq!(Frame::Length4.wrap(b"1+1"), b"\0\0\0\x031+1");
        let header = Frame::Header.wrap(b"1+1");
        assert!(header.starts_with(b"3 ") && header.ends_with(b" 1+1"));
        assert_eq!(header.len(), HEADER + 3);
    }
}

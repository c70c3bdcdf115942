//! The colours of a picture. Each has one meaning, in light and in dark.
//!
//! The picture is drawn in the light ones. A style sheet in it exchanges them where the reader
//! prefers a dark background.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// A colour in its two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) light: RGBColor,
    dark: RGBColor,
}

macro_rules! palette {
    ($($(#[$doc:meta])* $name:ident: $light:literal, $dark:literal,)*) => {
        $($(#[$doc])* pub(super) const $name: Colour =
            Colour { light: rgb($light), dark: rgb($dark) };)*

        const ALL: &[Colour] = &[$($name,)*];
    };
}

palette! {
    /// The background.
    PAPER: 0xff_ffff, 0x16_181d,
    /// Text, axes, and the time of the last reply.
    INK: 0x33_3333, 0xe0_e0e0,
    /// The lines behind the curves.
    GRID: 0xe4_e4e4, 0x33_363d,
    /// Right replies.
    RATE: 0x1f_6fb4, 0x5a_a9e6,
    /// Faults.
    FAULT: 0xc6_3d3d, 0xef_6f6f,
    /// Time without a right reply.
    SILENCE: 0xf6_e3b4, 0x4a_3f1e,
    /// Percentiles over time.
    P50: 0x2a_9d5c, 0x57_c785,
    P90: 0x8e_6bbf, 0xb7_9ae0,
    P99: 0xe0_8a1e, 0xf0_a94a,
    MAX: 0x8a_5a44, 0xc7_9a83,
    /// Latencies from the due time, and from sending.
    DUE: 0x0f_8b8d, 0x3f_c1c3,
    SENDING: 0x6b_7785, 0xa3_afbd,
}

/// A colour from `0xRRGGBB`.
const fn rgb(code: u32) -> RGBColor {
    let [_, red, green, blue] = code.to_be_bytes();
    RGBColor(red, green, blue)
}

/// The style sheet that exchanges the colours. The attributes of a picture yield to it.
pub(super) fn style_sheet() -> String {
    let mut sheet = String::from("<style>@media (prefers-color-scheme: dark) {\n");
    for Colour { light, dark } in ALL {
        let [light, dark] =
            [light, dark].map(|RGBColor(r, g, b)| format!("#{r:02X}{g:02X}{b:02X}"));
        for property in ["fill", "stroke"] {
            writeln!(sheet, "[{property}=\"{light}\"] {{ {property}: {dark} }}")
                .expect("writing to a string cannot fail");
        }
    }
    sheet + "}</style>\n"
}

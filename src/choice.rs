//! Closed lists whose values have names: the same list serves the command line's parser and help,
//! the options passed to child processes, the log, the counters and the tests.

/// A value of a closed list.
pub trait Choice: Copy + Eq + 'static {
    /// Every value, in the order of declaration.
    const ALL: &'static [Self];

    /// The name, as it is written on a command line.
    fn name(self) -> &'static str;

    /// A sentence without a full stop: the value's documentation.
    fn description(self) -> &'static str;

    /// The value with this name.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }
}

/// Declares an enum whose variants have names: `Variant = "name"`.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $vis:vis enum $Enum:ident {
            $($(#[doc = $doc:literal])* $Variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $Enum {
            $(
                #[doc = concat!("`", $name, "`:")]
                $(#[doc = $doc])*
                $Variant,
            )+
        }

        impl $crate::choice::Choice for $Enum {
            const ALL: &'static [Self] = &[$(Self::$Variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)+
                }
            }

            fn description(self) -> &'static str {
                match self {
                    $(Self::$Variant => concat!($($doc),*).trim_ascii().trim_end_matches('.'),)+
                }
            }
        }
    };
}
pub(crate) use choices;

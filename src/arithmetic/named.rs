//! Enums whose variants have the names that Python gives them.

/// Defines such an enum: each variant with its name, which is also the first line of its doc.
macro_rules! named {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $Enum:ident {
            $($(#[$doc:meta])* $Variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $Enum {
            $(
                #[doc = concat!("`", $name, "`")]
                $(#[$doc])*
                $Variant,
            )+
        }

        impl $Enum {
            #[allow(dead_code, reason = "not every one of these enums is searched by name")]
            const ALL: &[Self] = &[$(Self::$Variant,)+];

            /// Python's name for it.
            $visibility fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)+
                }
            }
        }
    };
}

pub(super) use named;

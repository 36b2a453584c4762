// SPDX-License-Identifier: BSD-3-Clause
//! Two macros that declare a code or a set of flags once: type, constants and names.

/// A code: one integer that means one thing.
macro_rules! code {
    (
        $(#[$doc:meta])* $name:ident($int:ty), $prefix:literal {
            $($(#[$cdoc:meta])* $cname:ident = $value:expr;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$cdoc])* pub const $cname: Self = Self($value);)*

            /// Every value that has a name.
            pub const ALL: &'static [Self] = &[$(Self::$cname),*];

            /// The name in the specification, or `None` for a value it does not define.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self { $(Self::$cname => Some(concat!($prefix, stringify!($cname))),)* _ => None }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, concat!("unknown ", $prefix, "{} ({:#x})"), self.0, self.0),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }
    };
}

/// A set of flags: one integer of which each bit means one thing.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$cdoc:meta])* $cname:ident = $bit:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// No bit set.
            pub const NONE: Self = Self(0);
            $($(#[$cdoc])* pub const $cname: Self = Self(1 << $bit);)*
            /// Every bit that has a name.
            pub const ALL: Self = Self(0 $(| 1 << $bit)*);

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool { self.0 & other.0 == other.0 }

            /// Whether any bit of `other` is set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool { self.0 & other.0 != 0 }

            /// Whether no bit is set.
            #[must_use]
            pub const fn is_empty(self) -> bool { self.0 == 0 }

            /// These and `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self { Self(self.0 | other.0) }

            /// These except `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self { Self(self.0 & !other.0) }

            /// These with `other` added if `on`, removed if not.
            #[must_use]
            pub const fn set(self, other: Self, on: bool) -> Self {
                if on { self.with(other) } else { self.without(other) }
            }

            /// The bits that have no name.
            #[must_use]
            pub const fn unknown(self) -> Self { self.without(Self::ALL) }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self { self.with(other) }
        }

        impl core::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) { *self = self.with(other); }
        }

        impl core::ops::BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self { Self(self.0 & other.0) }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut separator = "";
                $(if self.contains(Self::$cname) {
                    write!(f, "{separator}{}", stringify!($cname))?;
                    separator = "|";
                })*
                if !self.unknown().is_empty() {
                    write!(f, "{separator}{:#x}", self.unknown().0)?;
                } else if self.is_empty() {
                    f.write_str("0")?;
                }
                Ok(())
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }
    };
}

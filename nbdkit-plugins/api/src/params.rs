// SPDX-License-Identifier: BSD-3-Clause
//! Parameters, declared once: parsing, errors, `--help`, the manual and shell completion come from one place.

use crate::{Error, Result, Taken, Value};
use std::{ffi::OsStr, ops::Deref};

/// What is known of one parameter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParamSpec {
    /// Its key, then its aliases.
    pub keys: &'static [&'static str],
    /// What its values look like: [`Value::KIND`].
    pub kind: &'static str,
    /// What it is when not given, as a person would write it.
    pub default: Option<String>,
    /// What it does: its doc comment.
    pub doc: &'static str,
    /// Values without a key are for this one.
    pub magic: bool,
    /// Must be given.
    pub required: bool,
    /// May be given several times, and every time counts.
    pub repeats: bool,
    /// Its values are not shown to anybody.
    pub secret: bool,
}

impl ParamSpec {
    #[doc(hidden)]
    pub fn of<F: Field>(
        keys: &'static [&'static str],
        doc: &'static str,
        words: &[&str],
        default: &F,
    ) -> ParamSpec {
        ParamSpec {
            keys,
            kind: F::KIND,
            default: default.show(),
            doc,
            magic: words.contains(&"magic"),
            required: default.missing(),
            repeats: F::REPEATS,
            secret: F::SECRET,
        }
    }
}

/// A struct of parameters made by [`params!`](crate::params!).
pub trait ParamSet: Send + Sync {
    /// All of them, in the order of their declaration.
    fn specs(&self) -> Vec<ParamSpec>;

    /// Sets the parameter called `key`, if there is one.
    ///
    /// # Errors
    /// When the value is not of its kind.
    fn set(&mut self, key: &str, value: &OsStr) -> Result<Taken>;

    /// # Errors
    /// When a required parameter was not given.
    fn complete(&self) -> Result<()>;
}

/// The type of a field of a `params!` struct: a [`Value`] (the last one given wins), [`Required`], `Option` (may be
/// missing) or `Vec` (may repeat).
pub trait Field {
    /// What its values look like.
    const KIND: &'static str;
    /// Every time counts.
    const REPEATS: bool = false;
    /// Not shown to anybody.
    const SECRET: bool = false;
    /// Takes one value.
    fn put(&mut self, value: &OsStr) -> Result<(), String>;
    /// Required and not given.
    fn missing(&self) -> bool {
        false
    }
    /// The value as a person would write it.
    fn show(&self) -> Option<String> {
        None
    }
}

impl<V: Value> Field for V {
    const KIND: &'static str = V::KIND;
    const SECRET: bool = V::SECRET;

    fn put(&mut self, value: &OsStr) -> Result<(), String> {
        *self = V::parse(value)?;
        Ok(())
    }

    fn show(&self) -> Option<String> {
        Some(Value::show(self))
    }
}

impl<V: Value> Field for Option<V> {
    const KIND: &'static str = V::KIND;
    const SECRET: bool = V::SECRET;

    fn put(&mut self, value: &OsStr) -> Result<(), String> {
        *self = Some(V::parse(value)?);
        Ok(())
    }
}

impl<V: Value> Field for Vec<V> {
    const KIND: &'static str = V::KIND;
    const SECRET: bool = V::SECRET;
    const REPEATS: bool = true;

    fn put(&mut self, value: &OsStr) -> Result<(), String> {
        self.push(V::parse(value)?);
        Ok(())
    }
}

/// A parameter that must be given. Once `config_complete` has passed, it derefs to its value; before, to the
/// default of its type.
#[derive(Clone, Debug, Default)]
pub struct Required<V> {
    value: V,
    given: bool,
}

impl<V: Value> Field for Required<V> {
    const KIND: &'static str = V::KIND;
    const SECRET: bool = V::SECRET;

    fn put(&mut self, value: &OsStr) -> Result<(), String> {
        *self = Required { value: V::parse(value)?, given: true };
        Ok(())
    }

    fn missing(&self) -> bool {
        !self.given
    }
}

impl<V> Deref for Required<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

/// Turns what [`Field::put`] says into an error that names the key.
#[doc(hidden)]
pub fn bad_value(key: &str, why: &str) -> Error {
    Error::invalid(format!("{key}: {why}"))
}

/// Declares a struct of parameters.
///
/// Each has a doc comment (a missing one does not compile), a key with aliases, a field with a type that is a
/// [`Field`], and perhaps a default. In brackets before the key: `[magic]` if values without a key are meant for it,
/// and `[required "what to say when it is missing"]`.
///
/// ```
/// use nbdkit_plugin::*;
/// params! {
///     struct Params {
///         /// The file to serve.
///         [magic] [required "you must supply the file=<FILENAME> parameter"]
///         "file" => file: Required<std::path::PathBuf>,
///         /// How large the blocks are.
///         "block-size" | "blocksize" => block_size: Size = Size(65536),
///     }
/// }
/// let mut params = Params::default();
/// params.set("blocksize", "4k".as_ref())?;
/// assert_eq!(params.block_size, Size(4096));
/// assert_eq!(params.complete().unwrap_err().to_string(), "you must supply the file=<FILENAME> parameter");
/// # Ok::<(), Error>(())
/// ```
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* $vis:vis struct $Name:ident { $(
        $(#[doc = $doc:literal])* $([$word:ident $($text:literal)?])*
        $key:literal $(| $alias:literal)* => $field:ident: $Type:ty $(= $default:expr)?
    ),* $(,)? }) => {
        $(#[$meta])*
        $vis struct $Name { $( $(#[doc = $doc])* pub $field: $Type, )* }

        const _: () = { $( assert!(!concat!($($doc),*).is_empty(),
            concat!("parameter ", $key, "= needs a doc comment: it is the help and the manual")); )* };

        impl Default for $Name {
            fn default() -> Self {
                $Name { $( $field: $crate::params!(@default $($default)?), )* }
            }
        }

        impl $crate::ParamSet for $Name {
            fn specs(&self) -> Vec<$crate::ParamSpec> {
                let defaults = $Name::default();
                vec![ $( $crate::ParamSpec::of(
                    &[$key $(, $alias)*], concat!($($doc, "\n"),*), &[$(stringify!($word)),*], &defaults.$field,
                ), )* ]
            }

            fn set(&mut self, key: &str, value: &std::ffi::OsStr) -> $crate::Result<$crate::Taken> {
                match key {
                    $( $key $(| $alias)* => $crate::params::Field::put(&mut self.$field, value)
                        .map_err(|why| $crate::params::bad_value(key, &why))?, )*
                    _ => return Ok($crate::Taken::No),
                }
                Ok($crate::Taken::Yes)
            }

            fn complete(&self) -> $crate::Result<()> {
                $( if $crate::params::Field::missing(&self.$field) {
                    return Err($crate::Error::invalid($crate::params!(@missing $key $([$word $($text)?])*)));
                } )*
                Ok(())
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@missing $key:literal [required $text:literal] $($rest:tt)*) => { $text };
    (@missing $key:literal [$word:ident] $($rest:tt)*) => { $crate::params!(@missing $key $($rest)*) };
    (@missing $key:literal) => { concat!("you must supply the ", $key, "= parameter") };
}

#[cfg(test)]
mod tests {
    use crate::{Required, Size, Taken, params::ParamSet};

    params! {
        #[derive(Debug)]
        struct Sample {
            /// How big.
            [magic] [required "you must supply size=<SIZE>"]
            "size" => size: Required<Size>,
            /// Which ones.
            "name" => names: Vec<String>,
            /// Sometimes.
            "extra" | "more" => extra: Option<u32>,
            /// Always.
            "flag" => flag: bool = true,
        }
    }

    #[test]
    fn declared_once() {
        let mut sample = Sample::default();
        assert_eq!(sample.complete().unwrap_err().to_string(), "you must supply size=<SIZE>");
        for (key, value) in
            [("size", "1k"), ("size", "2k"), ("name", "a"), ("name", "b"), ("more", "7"), ("flag", "off")]
        {
            assert_eq!(sample.set(key, value.as_ref()).unwrap(), Taken::Yes);
        }
        sample.complete().unwrap();
        assert_eq!((sample.size.0, sample.extra, sample.flag), (2048, Some(7), false));
        assert_eq!(sample.names, ["a", "b"]);
        assert_eq!(sample.set("other", "".as_ref()).unwrap(), Taken::No);
        let error = sample.set("flag", "maybe".as_ref()).unwrap_err();
        assert_eq!(error.to_string(), "flag: could not decipher boolean (maybe), should be true or false");

        let specs = sample.specs();
        assert_eq!(specs[0].keys, ["size"]);
        assert!(specs[0].magic && specs[0].required && !specs[0].repeats);
        assert!(specs[1].repeats && specs[1].default.is_none());
        assert_eq!(specs[2].keys, ["extra", "more"]);
        assert_eq!(specs[3].default.as_deref(), Some("true"));
        assert_eq!(specs[3].doc.trim(), "Always.");
    }
}

// SPDX-License-Identifier: BSD-3-Clause
//! What a plugin or filter is called in each of the places that name it.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Plugin,
    Filter,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Plugin, Kind::Filter];

    /// `plugin`, as in crate names.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Plugin => "plugin",
            Kind::Filter => "filter",
        }
    }

    /// The folder whose folders are the crates of this kind.
    pub fn home(self) -> &'static str {
        match self {
            Kind::Plugin => "nbdkit-plugins",
            Kind::Filter => "nbdkit-filters",
        }
    }
}

/// One plugin or filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub kind: Kind,
    pub name: String,
}

impl Component {
    /// Only names that are good for a folder, a feature and a crate.
    pub fn new(kind: Kind, name: &str) -> Result<Component, String> {
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        let goes_on_well = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let reserved = ["api", "default"].contains(&name);
        if starts_well && goes_on_well && !name.ends_with('-') && !reserved {
            Ok(Component { kind, name: name.to_owned() })
        } else {
            Err(format!(
                "{name}: not a name for a {}: lowercase letters, digits and dashes, beginning with a letter, \
                 and neither api nor default",
                kind.word()
            ))
        }
    }

    /// `nbdkit-plugins/memory`
    pub fn folder(&self) -> String {
        format!("{}/{}", self.kind.home(), self.name)
    }

    /// `nbdkit-memory-plugin`
    pub fn package(&self) -> String {
        format!("nbdkit-{}-{}", self.name, self.kind.word())
    }

    /// `nbdkit_memory_plugin`
    pub fn ident(&self) -> String {
        self.package().replace('-', "_")
    }

    /// `memory`. A component that is called like a group of features says what it is: `full-plugin`.
    pub fn feature(&self) -> String {
        match self.name.as_str() {
            "full" => format!("full-{}", self.kind.word()),
            name => name.to_owned(),
        }
    }

    /// The two lines of the registry.
    pub fn registration(&self) -> [String; 2] {
        let symbol = self.kind.word().to_ascii_uppercase();
        [format!("#[cfg(feature = \"{}\")]", self.feature()), format!("&{}::{symbol},", self.ident())]
    }

    /// `SplitFile` for `split-file`.
    pub fn type_name(&self) -> String {
        let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
        self.name.split('-').filter(|word| !word.is_empty()).map(capital).collect()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_derived_alike() {
        let component = Component::new(Kind::Filter, "cache-extents").unwrap();
        assert_eq!(component.folder(), "nbdkit-filters/cache-extents");
        assert_eq!(component.package(), "nbdkit-cache-extents-filter");
        assert_eq!(
            component.registration(),
            ["#[cfg(feature = \"cache-extents\")]", "&nbdkit_cache_extents_filter::FILTER,"]
        );
        assert_eq!(component.type_name(), "CacheExtents");
    }

    #[test]
    fn the_group_of_all_features_keeps_its_name() {
        assert_eq!(Component::new(Kind::Plugin, "full").unwrap().feature(), "full-plugin");
        assert_eq!(Component::new(Kind::Plugin, "file").unwrap().feature(), "file");
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "api", "default", "Big", "1st", "-x", "x-", "a_b", "a/b", "é"] {
            assert!(Component::new(Kind::Plugin, name).is_err(), "{name}");
        }
    }
}

// SPDX-License-Identifier: BSD-3-Clause
//! What `list_exports` and `default_export` print: names, perhaps with descriptions, one on a line.

use nbdkit_plugin::{EIO, Error, Export, Result};

/// The longest string of the protocol, in bytes (NBD specification, "Values").
const LONGEST: usize = 4096;

/// The first line says how the others are to be read; if it does not, it is a name like the others. A line without an
/// end is no line.
pub(crate) fn exports(text: &[u8]) -> Result<Vec<Export>> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let lines = lines.map(line).collect::<Result<Vec<_>>>()?;
    let (form, rest) = match lines.split_first() {
        Some((form, rest)) => (*form, rest),
        None => ("NAMES", &[][..]),
    };
    Ok(match form {
        "NAMES" => rest.iter().map(|name| Export::new(*name)).collect(),
        "INTERLEAVED" => rest.chunks(2).map(|pair| export(pair.first(), pair.get(1))).collect(),
        "NAMES+DESCRIPTIONS" => {
            let (names, descriptions) = rest.split_at(rest.len() / 2);
            names.iter().zip(descriptions).map(|(name, text)| export(Some(name), Some(text))).collect()
        }
        _ => lines.iter().map(|name| Export::new(*name)).collect(),
    })
}

fn export(name: Option<&&str>, description: Option<&&str>) -> Export {
    Export {
        name: name.map_or_else(String::new, |name| (*name).to_owned()),
        description: description.map(|text| (*text).to_owned()),
    }
}

fn line(line: &[u8]) -> Result<&str> {
    let wrong = |why| {
        let shown: String = String::from_utf8_lossy(line).chars().take(80).collect();
        Err(Error::new(EIO, format!("export name or description {shown:?} {why}")))
    };
    match std::str::from_utf8(line) {
        Ok(text) if text.len() <= LONGEST => Ok(text),
        Ok(_) => wrong("is too long, should be at most 4096 bytes"),
        Err(_) => wrong("should be UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Option<String>)> {
        exports(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|export| (export.name, export.description))
            .collect()
    }

    fn names(names: &[&str]) -> Vec<(String, Option<String>)> {
        names.iter().map(|name| ((*name).to_owned(), None)).collect()
    }

    fn described(exports: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        exports.iter().map(|(name, text)| ((*name).to_owned(), Some((*text).to_owned()))).collect()
    }

    #[test]
    fn all_forms() {
        assert_eq!(parsed(""), names(&[]));
        assert_eq!(parsed("NAMES\n"), names(&[]));
        assert_eq!(parsed("NAMES\na\nb c\n\n"), names(&["a", "b c", ""]));
        assert_eq!(parsed("NAMES\na\nb"), names(&["a"]), "without an end");
        assert_eq!(parsed("a\nNAMES\n"), names(&["a", "NAMES"]));
        assert_eq!(parsed("names\na\n"), names(&["names", "a"]));
        assert_eq!(parsed("\n"), names(&[""]));
        assert_eq!(parsed("a"), names(&[]));
        assert_eq!(parsed("INTERLEAVED\na\nA\nb\n\n"), described(&[("a", "A"), ("b", "")]));
        let mut odd = described(&[("a", "A")]);
        odd.extend(names(&["b"]));
        assert_eq!(parsed("INTERLEAVED\na\nA\nb\n"), odd);
        assert_eq!(parsed("NAMES+DESCRIPTIONS\na\nb\nA\nB\n"), described(&[("a", "A"), ("b", "B")]));
        assert_eq!(parsed("NAMES+DESCRIPTIONS\na\nb\nA\n"), described(&[("a", "b")]));
    }

    #[test]
    fn what_the_protocol_cannot_carry() {
        assert!(exports(b"NAMES\n\xff\n").unwrap_err().to_string().contains("should be UTF-8"));
        let long = "x".repeat(4097) + "\n";
        assert!(exports(long.as_bytes()).unwrap_err().to_string().contains("at most 4096"));
        assert_eq!(exports(&long.as_bytes()[1..]).unwrap().len(), 1);
    }
}
